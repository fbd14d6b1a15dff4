"""Writes Programs and Statements for the tests. Spec 02, sections 2 and 3."""

from types import SimpleNamespace

from tape import H, fr, u32
from wire import HOMES, MODES, Map, View

KINDS = {"fix": 0, "aff": 1, "win": 2, "join": 3, "gather": 5, "sum": 6, "mat": 7, "pool": 8}
CODES = {"check": 1, "table": 2, "commit": 3, "round": 4, "split": 5}


def u8(x):
    return bytes([x])


def i64(x):
    return x.to_bytes(8, "little", signed=True)


def seq(items, write):
    """list<T>"""
    items = list(items)
    return u32(len(items)) + b"".join(write(x) for x in items)


def opt(x, write):
    """opt<T>"""
    return b"\0" if x is None else b"\1" + write(x)


def map_bytes(m):
    k = m.kind
    out = u8(KINDS[k])
    if k == "fix":
        return out + i64(m.at)
    if k == "sum":
        return out
    out += u8(m.a)
    if k in ("win", "join"):
        out += u8(m.b)
    if k in ("aff", "win", "pool"):
        out += i64(m.step)
    if k in ("win", "pool"):
        out += i64(m.dil)
    if k in ("aff", "win", "pool"):
        out += i64(m.off)
    if k in ("join", "pool"):
        out += u32(m.m)
    if k == "gather":
        out += seq(m.indices, u32)
    if k == "mat":
        out += u32(m.rows) + u32(m.cols) + b"".join(i64(w) for w in m.weights)
    return out


def form_bytes(form):
    return seq(form, lambda t: i64(t[0]) + u32(t[1].tensor) + seq(t[1].maps, map_bytes))


def content_digest(axes, content):
    return H(fr(b"zerotell/public") + seq(axes, u32) + b"".join(i64(x) for x in content))


def tensor_bytes(t):
    digest = content_digest(t.axes, t.content) if t.home == "const" else bytes(32)
    return u8(HOMES.index(t.home)) + seq(t.axes, u32) + i64(t.lo) + i64(t.hi) + digest


def contraction_bytes(c):
    return seq(c.sums, u32) + form_bytes(c.a) + form_bytes(c.b) + form_bytes(c.c)


def operator_bytes(op):
    out = u8(CODES[op.name]) + seq(op.axes, u32)
    if op.name in ("check", "split"):
        return out + form_bytes(op.form) + u8(op.bits)
    if op.name == "table":
        return out + u32(op.table) + seq(op.keys, form_bytes)
    if op.name == "commit":
        return out + contraction_bytes(op.contraction)
    out += opt(op.contraction, contraction_bytes)
    if isinstance(op.scale, int):
        out += b"\0" + i64(op.scale)
    else:
        out += b"\1" + u8(op.scale[0]) + seq(op.scale[1], i64)
    out += form_bytes(op.extra) + u8(op.shift) + u8(op.half_even)
    if op.wide:
        out += b"\1" + i64(op.lo) + u8(op.low_bits) + u8(op.high_bits)
    else:
        out += b"\0" + i64(op.lo) + u8(op.bits)
    return out + opt(op.table, u32)


def program_bytes(p):
    """Program bytes and contents. [P21] [P24]"""
    out = b"ZTPG\3\0" + bytes([p.lam, p.grind, p.limb_bits, *p.ladder.fresh])
    out += seq(p.ladder.inner, bytes) + p.ladder.last_max.to_bytes(2, "little") + bytes(p.ladder.end)
    out += seq(p.tensors, tensor_bytes)
    o = p.model_oracle
    out += opt(o, lambda o: u32(o.rows) + u8(o.c) + opt(o.log_t, u8) + u8(o.e))
    out += seq(p.tables, lambda t: seq(t.keys, lambda k: i64(k[0]) + u32(k[1])) + seq(t.outs, form_bytes))
    out += seq(p.operators, operator_bytes) + seq(p.outputs, u32) + fr(p.metadata)
    digest = H(fr(b"zerotell/program") + out)
    for t in p.tensors:
        if t.home == "const":
            low, high = min(t.content + [0]), max(t.content + [0])
            w = next(w for w in (1, 2, 4, 8) if -(1 << 8 * w - 1) <= low and high < 1 << 8 * w - 1)
            out += u8(w) + b"".join(x.to_bytes(w, "little", signed=True) for x in t.content)
    return out, digest


class Statement(SimpleNamespace):
    """Fields of [D1]."""

    def encode(self):
        """[D1]"""
        out = b"ZTST\1\0" + self.program_digest + u8(self.zk) + u32(self.batch)
        out += seq(self.inputs, lambda m: u8(MODES.index(m)))
        out += seq(self.reveals, reveal_bytes)
        out += seq(self.identities, bytes) + seq(self.roots, bytes)
        out += getattr(self, "link", bytes(32))
        return out + seq(self.slots, lambda s: seq(s, i64)) + fr(self.context)


def reveal_bytes(r):
    if r[0] == "threshold":
        _, output, index, at_least, bound = r
        return u8(2) + u32(output) + u32(index) + u8(at_least) + i64(bound)
    return u8(("values", "label").index(r[0])) + u32(r[1])


# ---------------------------------------------------------------- short hands for Programs


def aff(a, step=1, off=0):
    return Map(kind="aff", a=a, step=step, off=off)


def view(tensor, *maps):
    return View(tensor, list(maps))


def whole(tensor, rank, coef=1):
    """coef * tensor read as it lies, as a Form."""
    return [(coef, View(tensor, [aff(a) for a in range(rank)]))]


def tensor(home, axes, lo=1, hi=1, content=None):
    return SimpleNamespace(home=home, axes=axes, lo=lo, hi=hi, content=content)


def contraction(sums, a, b, c=()):
    return SimpleNamespace(sums=sums, a=a, b=b, c=list(c))


def round_op(axes, con=None, scale=1, extra=(), shift=0, half_even=False, lo=0, bits=0, wide=None, table=None):
    """wide = (low bits, high bits)."""
    op = SimpleNamespace(
        name="round", axes=axes, contraction=con, scale=scale, extra=list(extra), shift=shift,
        half_even=half_even, lo=lo, wide=wide is not None, table=table,
    )
    if wide:
        op.low_bits, op.high_bits = wide
    else:
        op.bits = bits
    return op
