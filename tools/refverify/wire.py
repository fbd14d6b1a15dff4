"""Program and Statement from bytes. Spec 02, sections 2 to 4."""

from types import SimpleNamespace

from field import Reject
from oracle import product
from tape import H, fr, u32

# [P20]
TENSORS = OPERATORS = 1 << 14
RUNGS = 8
TABLES = OUTPUTS = REVEALS = TERMS = ORACLES = 256
AXES = COORDINATES = 8
POSITIONS, SLOT_VALUES = 1 << 27, 1 << 26
ENTRIES = 1 << 28
METADATA = 1 << 20
CONTEXT = 4096
BATCH = 1 << 16

HOMES = ["const", "ones", "input", "model"]
MODES = ["public", "private", "committed"]


class Map(SimpleNamespace):
    """One map of a view; kind is its name in [A5]."""

    def axes(self):
        """Position axes it names."""
        return [getattr(self, x) for x in ("a", "b") if hasattr(self, x)]


class View:
    """A tensor and one map per axis. [A4]"""

    def __init__(self, tensor, maps):
        self.tensor, self.maps = tensor, maps


class Reader:
    """Canonical reading; every failure is a Reject."""

    def __init__(self, data):
        self.data, self.at, self.entries = data, 0, 0

    def fail(self, why):
        raise Reject(f"byte {self.at}: {why}")

    def take(self, n):
        if n < 0 or self.at + n > len(self.data):
            self.fail("the bytes end too early")
        out = self.data[self.at : self.at + n]
        self.at += n
        return out

    def uint(self, n):
        return int.from_bytes(self.take(n), "little")

    def u8(self):
        return self.uint(1)

    def rung(self):
        """Most rows, rate."""
        return self.u8(), self.u8()

    def u16(self):
        return self.uint(2)

    def u32(self):
        return self.uint(4)

    def i64(self):
        return int.from_bytes(self.take(8), "little", signed=True)

    def flag(self):
        x = self.u8()
        if x > 1:
            self.fail("a flag is neither 0 nor 1")
        return bool(x)

    def choice(self, names, what):
        x = self.u8()
        if x >= len(names) or names[x] is None:
            self.fail(f"unknown {what}")
        return names[x]

    def spend(self, n, most=ENTRIES):
        self.entries += n
        if self.entries > most:
            self.fail("too many entries")

    def list(self, most, read):
        n = self.u32()
        if n > most:
            self.fail("a list is longer than its limit")
        return [read() for _ in range(n)]

    def option(self, read):
        return read() if self.flag() else None

    def framed(self, most):
        n = self.uint(8)
        if n > most:
            self.fail("a byte string is longer than its limit")
        return self.take(n)

    def i64s(self, n):
        self.spend(n)
        data = self.take(8 * n)
        return [int.from_bytes(data[i : i + 8], "little", signed=True) for i in range(0, 8 * n, 8)]

    def long_list(self, size, signed):
        n = self.u32()
        if n > POSITIONS:
            self.fail("a list is longer than its limit")
        self.spend(n)
        data = self.take(size * n)
        return [int.from_bytes(data[i : i + size], "little", signed=signed) for i in range(0, size * n, size)]

    def magic(self, name, version):
        if self.take(4) != name:
            self.fail(f"does not start with {name.decode()}")
        if self.u16() != version:
            self.fail("this version is not known")  # [N4]

    def end(self):
        if self.at != len(self.data):
            self.fail("bytes follow the end")

    # ------------------------------------------------------------ Program parts [P21]

    def axes(self):
        return self.list(AXES, self.u32)

    def tensor(self):
        home = self.choice(HOMES, "home")
        t = SimpleNamespace(home=home, axes=self.axes(), lo=self.i64(), hi=self.i64(), content=None)
        t.digest = self.take(32)
        if home != "const" and t.digest != bytes(32):
            self.fail("only const tensors have a content digest")
        return t

    def params(self):
        rows, c = self.u32(), self.u8()
        log_t = self.option(self.u8)
        return SimpleNamespace(rows=rows, c=c, log_t=log_t, e=self.u8())

    def map(self):
        kinds = ["fix", "aff", "win", "join", None, "gather", "sum", "mat", "pool"]
        m = Map(kind=self.choice(kinds, "map kind"))
        if m.kind == "fix":
            m.at = self.i64()
        elif m.kind == "aff":
            m.a, m.step, m.off = self.u8(), self.i64(), self.i64()
        elif m.kind == "win":
            m.a, m.b, m.step, m.dil, m.off = self.u8(), self.u8(), self.i64(), self.i64(), self.i64()
        elif m.kind == "join":
            m.a, m.b, m.m = self.u8(), self.u8(), self.u32()
        elif m.kind == "gather":
            m.a = self.u8()
            m.indices = self.long_list(4, False)
        elif m.kind == "mat":
            m.a, m.rows, m.cols = self.u8(), self.u32(), self.u32()
            m.weights = self.i64s(m.rows * m.cols)
        elif m.kind == "pool":
            m.a, m.step, m.dil, m.off, m.m = self.u8(), self.i64(), self.i64(), self.i64(), self.u32()
        return m

    def term(self):
        coef, tensor = self.i64(), self.u32()
        return coef, View(tensor, self.list(AXES, self.map))

    def form(self):
        return self.list(TERMS, self.term)

    def table(self):
        keys = self.list(COORDINATES, lambda: (self.i64(), self.u32()))
        return SimpleNamespace(keys=keys, outs=self.list(COORDINATES, self.form))

    def contraction(self):
        return SimpleNamespace(sums=self.axes(), a=self.form(), b=self.form(), c=self.form())

    def operator(self):
        names = [None, "check", "table", "commit", "round", "split"]
        op = SimpleNamespace(name=self.choice(names, "operator code"), axes=self.axes())
        if op.name in ("check", "split"):
            op.form, op.bits = self.form(), self.u8()
        elif op.name == "table":
            op.table, op.keys = self.u32(), self.list(COORDINATES, self.form)
        elif op.name == "commit":
            op.contraction = self.contraction()
        else:
            self.round(op)
        return op

    def round(self, op):
        op.contraction = self.option(self.contraction)
        if self.choice(["one", "axis"], "multiplier") == "one":
            op.scale = self.i64()
        else:
            op.scale = (self.u8(), self.long_list(8, True))
        op.extra, op.shift, op.half_even = self.form(), self.u8(), self.flag()
        op.wide = self.choice(["narrow", "wide"], "domain") == "wide"
        op.lo = self.i64()
        if op.wide:
            op.low_bits, op.high_bits = self.u8(), self.u8()
        else:
            op.bits = self.u8()
        op.table = self.option(self.u32)

    def content(self, t):
        width = self.u8()
        if width not in (1, 2, 4, 8):
            self.fail("the width of a content is not 1, 2, 4 or 8")
        n = product(t.axes)
        self.spend(n)
        data = self.take(n * width)
        xs = [int.from_bytes(data[i : i + width], "little", signed=True) for i in range(0, n * width, width)]
        low, high = min(xs + [0]), max(xs + [0])
        least = next(w for w in (1, 2, 4, 8) if -(1 << 8 * w - 1) <= low and high < 1 << 8 * w - 1)
        if least != width:
            self.fail("a content is wider than it needs to be")
        digest = fr(b"zerotell/public") + u32(len(t.axes)) + b"".join(u32(a) for a in t.axes)
        digest += b"".join(x.to_bytes(8, "little", signed=True) for x in xs)
        if H(digest) != t.digest:
            self.fail("a content does not match its digest")
        t.content = xs


def read_program(data):
    """Program with contents; .digest is program_digest. [P21] [P22] [P24]"""
    r = Reader(data)
    r.magic(b"ZTPG", 3)
    p = SimpleNamespace(lam=r.u8(), grind=r.u8(), limb_bits=r.u8())
    p.ladder = SimpleNamespace(fresh=r.rung(), inner=r.list(RUNGS, r.rung), last_max=r.u16(), end=r.rung())
    p.tensors = r.list(TENSORS, r.tensor)
    p.model_oracle = r.option(r.params)
    p.tables = r.list(TABLES, r.table)
    p.operators = r.list(OPERATORS, r.operator)
    p.outputs = r.list(OUTPUTS, r.u32)
    p.metadata = r.framed(METADATA)
    p.digest = H(fr(b"zerotell/program") + data[: r.at])
    for t in p.tensors:
        if t.home == "const":
            r.content(t)
    r.end()
    return p


def read_reveal(r):
    """One reveal of [D1]."""
    v = SimpleNamespace(kind=r.choice(["values", "label", "threshold"], "reveal"), output=r.u32())
    if v.kind == "threshold":
        v.index, v.at_least, v.bound = r.u32(), r.flag(), r.i64()
    return v


def read_statement(data):
    """[D1]"""
    r = Reader(data)
    r.magic(b"ZTST", 1)
    s = SimpleNamespace(program_digest=r.take(32), zk=r.flag(), batch=r.u32())
    if not 1 <= s.batch <= BATCH:
        r.fail("the batch size is 0 or too large")
    s.inputs = r.list(TENSORS, lambda: r.choice(MODES, "input mode"))
    s.reveals = r.list(REVEALS, lambda: read_reveal(r))
    s.identities = r.list(ORACLES, lambda: r.take(32))
    s.roots = r.list(ORACLES, lambda: r.take(32))
    if len(s.roots) != len(s.identities):
        r.fail("there must be as many roots as identities")
    s.link = r.take(32)

    def slot():
        n = r.u32()
        r.spend(n, SLOT_VALUES)
        data = r.take(8 * n)
        return [int.from_bytes(data[i : i + 8], "little", signed=True) for i in range(0, 8 * n, 8)]

    s.slots = r.list(TENSORS + REVEALS, slot)
    s.context = r.framed(CONTEXT)
    r.end()
    return s


def model_identity(program_digest, oracle_ids):
    """[P23]"""
    return H(fr(b"zerotell/model") + program_digest + u32(len(oracle_ids)) + b"".join(oracle_ids))
