"""Expressions, functionals, views. Spec 01, sections 7 and 8.

An axis vector is a dict {index: K} without zero entries that matter. A term is (tensor number, [axis
vector per tensor axis]).
"""

from field import ONE, ZERO, K, eq_list, lg


class Expr:
    """const + sum of coef * term + pads and products of pads. [E1]"""

    def __init__(self, const=ZERO, terms=None, pads=None, prods=None):
        self.const = const
        self.terms = terms or []  # (coef, tensor, axis vectors)
        self.pads = pads or {}  # pad number -> coef
        self.prods = prods or {}  # product number -> coef

    def __add__(self, o):
        if not isinstance(o, Expr):
            return Expr(self.const + o, self.terms, self.pads, self.prods)
        pads, prods = dict(self.pads), dict(self.prods)
        for mine, theirs in ((pads, o.pads), (prods, o.prods)):
            for j, x in theirs.items():
                mine[j] = mine[j] + x if j in mine else x
        return Expr(self.const + o.const, self.terms + o.terms, pads, prods)

    __radd__ = __add__

    def __mul__(self, f):
        return Expr(
            self.const * f,
            [(c * f, t, v) for c, t, v in self.terms],
            {j: x * f for j, x in self.pads.items()},
            {j: x * f for j, x in self.prods.items()},
        )

    __rmul__ = __mul__

    def __sub__(self, o):
        return self + o * -1

    def __rsub__(self, o):
        return self * -1 + o


def dense(values):
    """Axis vector from a list."""
    return dict(enumerate(values))


def eq_axis(point, n):
    """Eq(r) on an axis of length n. [A3]"""
    return dense(eq_list(point, n))


def chunk_axis(off, e, point):
    """EqChunk(off, e, r). [A3]"""
    return {off + i: x for i, x in enumerate(eq_list(point, 1 << e))}


def mul_axis(p, q, n):
    """EqMul(r, r'). [A3]"""
    return dense([x * y for x, y in zip(eq_list(p, n), eq_list(q, n))])


def bump(v, index, n, x):
    """v[index] += x, dropped outside the axis."""
    if 0 <= index < n:
        v[index] = v[index] + x if index in v else x


def adjoint(m, n, f):
    """Axis vector of length n of a map, from position vectors f. [A5]"""
    v = {}
    if m.kind == "fix":
        bump(v, m.at, n, ONE)
    elif m.kind == "aff":
        for x, fx in f[m.a].items():
            bump(v, m.step * x + m.off, n, fx)
    elif m.kind in ("win", "join"):
        step, dil, off = (m.step, m.dil, m.off) if m.kind == "win" else (m.m, 1, 0)
        for x, fx in f[m.a].items():
            for y, fy in f[m.b].items():
                bump(v, step * x + dil * y + off, n, fx * fy)
    elif m.kind == "gather":
        for x, fx in f[m.a].items():
            bump(v, m.indices[x], n, fx)
    elif m.kind == "sum":
        v = {i: ONE for i in range(n)}
    elif m.kind == "mat":
        for x, fx in f[m.a].items():
            for i in range(n):
                if m.weights[x * n + i]:
                    bump(v, i, n, fx * m.weights[x * n + i])
    elif m.kind == "pool":
        for x, fx in f[m.a].items():
            for k in range(m.m):
                bump(v, m.step * x + m.dil * k + m.off, n, fx)
    else:
        raise ValueError(m.kind)
    return v


def total(v):
    """Sum of an axis vector."""
    r = ZERO
    for x in v.values():
        r = r + x
    return r


def pull_back(view, shape, f):
    """Coefficient and axis vectors of the functional <f, view>. [A6]"""
    used = {a for m in view.maps for a in m.axes()}
    coef = ONE
    for a, vector in f.items():
        if a not in used:
            coef = coef * total(vector)
    return coef, [adjoint(m, n, f) for m, n in zip(view.maps, shape)]


def outer(coef, axes, shape):
    """[(row-major index, weight)] of a term."""
    items = [(0, coef)]
    for v, n in zip(axes, shape):
        items = [(i * n + j, w * x) for i, w in items for j, x in v.items()]
    return items


def evaluate(content, axes, shape):
    """Value of a term on public row-major content; None means all ones. [A8]"""
    if content is None:
        r = ONE
        for v in axes:
            r = r * total(v)
        return r
    values, first = content, True
    for v, n in zip(reversed(axes), reversed(shape)):
        out = []
        for base in range(0, len(values), n):
            a = b = 0
            for j, x in v.items():
                t = values[base + j]
                if first:
                    a += t * x.a
                    b += t * x.b
                else:
                    a += t.a * x.a + 7 * t.b * x.b
                    b += t.a * x.b + t.b * x.a
            out.append(K(a, b))
        values, first = out, False
    return K(values[0]) if first else values[0]


class Space:
    """The tensors of one proof: turns Forms with position vectors into expressions."""

    def __init__(self, tensors):
        self.tensors = tensors

    def form(self, form, f):
        """<f, Form> for position vectors f = {axis: axis vector}. [A6] [A7]"""
        out = Expr()
        for coef, view in form:
            t = self.tensors[view.tensor]
            scale, axes = pull_back(view, t.axes, f)
            scale = scale * coef
            if t.public():
                out = out + evaluate(t.content, axes, t.axes) * scale
            else:
                out = out + Expr(terms=[(scale, view.tensor, axes)])
        return out

    def private(self, form):
        """[R7]"""
        return any(not self.tensors[v.tensor].public() for _, v in form)


def bits(n):
    """Variables of an axis of length n."""
    return lg(n)
