"""The fields F and K = F[sqrt 7], and multilinear tools. Spec 01, section 1 and 00, section 3."""

P = 2**64 - 2**32 + 1  # [F1]


class Reject(Exception):
    """The proof, Statement or Program is refused; the text says why."""


def inv(a):
    """Inverse in F; a is not 0 mod p."""
    return pow(a, P - 2, P)


def omega(n):
    """Root of unity of order n, a power of two. [F3]"""
    return pow(7, (P - 1) // n, P)


class K:
    """An element a + b*sqrt(7) of K. [F2]"""

    __slots__ = ("a", "b")

    def __init__(self, a=0, b=0):
        self.a = a % P
        self.b = b % P

    def __add__(self, o):
        if isinstance(o, int):
            return K(self.a + o, self.b)
        return K(self.a + o.a, self.b + o.b)

    __radd__ = __add__

    def __neg__(self):
        return K(-self.a, -self.b)

    def __sub__(self, o):
        if isinstance(o, int):
            return K(self.a - o, self.b)
        return K(self.a - o.a, self.b - o.b)

    def __rsub__(self, o):
        return K(o - self.a, -self.b)

    def __mul__(self, o):
        if isinstance(o, int):
            return K(self.a * o, self.b * o)
        return K(self.a * o.a + 7 * self.b * o.b, self.a * o.b + self.b * o.a)

    __rmul__ = __mul__

    def __eq__(self, o):
        if isinstance(o, int):
            return self.b == 0 and self.a == o % P
        return self.a == o.a and self.b == o.b

    __hash__ = None

    def inverse(self):
        """1 / self; self is not 0."""
        norm = inv((self.a * self.a - 7 * self.b * self.b) % P)
        return K(self.a * norm, -self.b * norm)

    def encode(self):
        """16 bytes. [F2]"""
        return self.a.to_bytes(8, "little") + self.b.to_bytes(8, "little")

    def __repr__(self):
        return f"({self.a}, {self.b})"


ZERO = K(0)
ONE = K(1)
SQRT7 = K(0, 1)


def words(data, label):
    """Canonical F elements from bytes. [F1] [F5]"""
    out = [int.from_bytes(data[i : i + 8], "little") for i in range(0, len(data), 8)]
    if any(w >= P for w in out):
        raise Reject(f"{label}: a field element is not canonical")
    return out


def pairs(ws):
    """K elements from consecutive F elements."""
    return [K(ws[i], ws[i + 1]) for i in range(0, len(ws), 2)]


def lg(x):
    """Ceiling of log2 of an integer x >= 1."""
    return (x - 1).bit_length()


def eq_vector(point):
    """[eq(point, i) for i < 2^len(point)]; bit b of i is variable b."""
    v = [ONE]
    for r in point:
        high = [x * r for x in v]
        v = [x - y for x, y in zip(v, high)] + high
    return v


def eq_list(point, n):
    """The first n entries of eq_vector(point), for n <= 2^len(point)."""
    return eq_vector(point)[:n]


def sel(z, off, e):
    """Selector of the aligned block [off, off + 2^e) at z."""
    r, high = ONE, off >> e
    for j, x in enumerate(z[e:]):
        r = r * (x if high >> j & 1 else 1 - x)
    return r


def power_mle(z, x):
    """prod_b (1 - z_b + z_b x^(2^b)), the extension of c -> x^c; x in F."""
    r = ONE
    for b in z:
        r = r * (1 - b + b * x)
        x = x * x % P
    return r


def dot(xs, ys):
    """Sum of products of two lists of K."""
    a = b = 0
    for x, y in zip(xs, ys):
        a += x.a * y.a + 7 * x.b * y.b
        b += x.a * y.b + x.b * y.a
    return K(a, b)


def mle(values, point):
    """Multilinear extension of values, filled with 0, at point."""
    if len(values) > 1 << len(point):
        raise ValueError("more values than the point can address")
    return dot(values, eq_vector(point))


def polynomial(coefs, x):
    """Value at x in F of the polynomial with K coefficients, lowest first."""
    a = b = 0
    for c in reversed(coefs):
        a = (a * x + c.a) % P
        b = (b * x + c.b) % P
    return K(a, b)
