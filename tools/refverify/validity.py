"""Rules a Program must keep. Spec 02, section 4."""

from types import SimpleNamespace

import wire
from field import P, Reject
from oracle import product

HUGE = 1 << 100
VALUE = 1 << 62
STEP = 1 << 31


def need(ok, why):
    """Refuses a broken rule."""
    if not ok:
        raise Reject(why)


class Interval:
    """Integers lo..hi, bounded by 2^100 in absolute value."""

    def __init__(self, lo, hi):
        need(-HUGE <= lo and hi <= HUGE, "an interval is too large")
        self.lo, self.hi = lo, hi

    def __add__(self, o):
        if isinstance(o, int):
            o = Interval(o, o)
        return Interval(self.lo + o.lo, self.hi + o.hi)

    def __neg__(self):
        return Interval(-self.hi, -self.lo)

    def __sub__(self, o):
        return self + (-o)

    def __mul__(self, o):
        ends = (o, o) if isinstance(o, int) else (o.lo, o.hi)
        xs = [a * b for a in (self.lo, self.hi) for b in ends]
        return Interval(min(xs), max(xs))

    def inside(self, lo, hi):
        """Whether lo..hi contains this."""
        return lo <= self.lo and self.hi <= hi

    def computable(self, what):
        """[P14]"""
        need(self.inside(-VALUE, VALUE), f"{what} may leave 2^62")
        return self

    def reach(self):
        """Largest absolute value."""
        return max(abs(self.lo), abs(self.hi))


def bit_interval(k):
    """[0, 2^k - 1]"""
    return Interval(0, (1 << k) - 1)


def no_wrap(u, v, what):
    """[P14]"""
    need(u + v < P, f"{what} may wrap around p")


def range_rule(F, k):
    """[P14], row Range."""
    no_wrap((F + Interval(-(1 << k), 0)).reach(), (1 << 32) - 1, "a range")


def limb_sizes(k, b):
    """[W3]"""
    sizes = []
    while k > 0:
        sizes.append(min(k, b))
        k -= b
    return sizes


def limb_columns(F, k, b):
    """Intervals of the limb columns of Range(F, k), whose rule is checked. [P16]"""
    range_rule(F, k)
    return [bit_interval(s) for s in limb_sizes(k, b)[1:]]


# ---------------------------------------------------------------- structure of views and Forms


def check_axes(axes):
    """[P13] [P20]"""
    need(len(axes) <= wire.AXES, "too many axes")
    need(axes.count(0) <= 1, "at most one axis may be the batch")
    need(product(a or 1 for a in axes) <= wire.POSITIONS, "too many positions")


def check_view(view, facts, axes):
    """[P12] [P13]"""
    need(view.tensor < len(facts), "a form reads a tensor that does not exist yet")
    shape = facts[view.tensor].axes
    need(len(view.maps) == len(shape), "a view needs one map per axis of its tensor")
    named = [a for m in view.maps for a in m.axes()]
    need(all(a < len(axes) for a in named), "a map reads a position axis that does not exist")
    need(len(set(named)) == len(named), "a position axis occurs twice in one view")
    for m, n in zip(view.maps, shape):
        batch = any(axes[a] == 0 for a in m.axes())
        plain = m.kind == "aff" and m.step == 1 and m.off == 0
        if n == 0 or batch:
            need(n == 0 and batch and plain, "a batch axis must be read as it is")
        else:
            check_map(m, n, axes)


def check_map(m, n, axes):
    """[P12] for one map on an axis of fixed length n."""
    for name in ("step", "dil", "off"):
        need(abs(getattr(m, name, 0)) <= STEP, "a step or offset is too large")
    if m.kind == "fix":
        need(0 <= m.at < n, "a fixed index lies outside its axis")
    elif m.kind == "join":
        need(m.m == axes[m.b], "a join's m must be the length of its fast axis")
    elif m.kind == "gather":
        need(len(m.indices) == axes[m.a], "a gather needs one index per position")
        need(all(i < n for i in m.indices), "a gather index lies outside its axis")
    elif m.kind == "mat":
        need((m.rows, m.cols) == (axes[m.a], n), "a matrix has the wrong shape")
        need(all(abs(w) <= VALUE for w in m.weights), "a matrix weight is too large")
    elif m.kind == "pool":
        need(1 <= m.m <= wire.POSITIONS, "a pool window must have between 1 and 2^27 taps")


def map_interval(m, E, n, axes):
    """[P11], the table."""
    if n == 0 or m.kind in ("fix", "gather"):
        return E
    if m.kind == "sum":
        return E * n
    if m.kind == "mat":
        rows = []
        for x in range(m.rows):
            total = Interval(0, 0)
            for w in m.weights[x * m.cols : (x + 1) * m.cols]:
                total = total + E * w
            rows.append(total)
        return Interval(min(r.lo for r in rows), max(r.hi for r in rows))
    span = lambda a: Interval(0, axes[a] - 1)
    if m.kind == "join":
        index = span(m.a) * m.m + span(m.b)
    else:
        index = span(m.a) * m.step + m.off
        if m.kind == "win":
            index = index + span(m.b) * m.dil
        elif m.kind == "pool":
            index = index + Interval(0, m.m - 1) * m.dil
    if not index.inside(0, n - 1):
        E = Interval(min(E.lo, 0), max(E.hi, 0))
    return E * m.m if m.kind == "pool" else E


def form_interval(form, facts, axes):
    """[P11]; checks the structure on the way."""
    need(len(form) <= wire.TERMS, "too many terms in a form")
    groups = []
    for coef, view in form:
        need(coef != 0 and abs(coef) <= VALUE, "the multiplier of a term is 0 or too large")
        check_view(view, facts, axes)
        key = (view.maps, facts[view.tensor].axes)
        group = next((g for k, g in groups if k == key), None)
        if group is None:
            group = {}
            groups.append((key, group))
        group[view.tensor] = group.get(view.tensor, 0) + coef
    total = Interval(0, 0)
    for (maps, shape), group in groups:
        E = Interval(0, 0)
        for tensor, coef in group.items():
            E = E + facts[tensor].interval * coef
        for m, n in zip(maps, shape):
            E = map_interval(m, E, n, axes)
        total = total + E
    return total


def used_axes(form):
    """Position axes a Form names. [R3]"""
    return {a for _, v in form for m in v.maps for a in m.axes()}


# ---------------------------------------------------------------- tables


def table_fact(table, facts, program):
    """Keys, dense outs and their intervals. [P5] [P19]"""
    need(len(table.keys) + len(table.outs) <= wire.COORDINATES, "too many coordinates in a table")
    counts = [n for _, n in table.keys]
    need(counts and all(counts), "a table needs a key axis, and every key axis a key")
    need(product(counts) <= 1 << 22, "too many rows in a table")
    need(all(abs(lo) <= VALUE for lo, _ in table.keys), "a least key is too large")
    outs = [public_values(form, facts, counts, program) for form in table.outs]
    ends = []
    for values in outs:
        ends.append(Interval(min(values), max(values)).computable("an out of a table"))
    return SimpleNamespace(keys=table.keys, outs=outs, ends=ends)


def indices(counts):
    """All positions, row-major."""
    out = [()]
    for n in counts:
        out = [i + (j,) for i in out for j in range(n)]
    return out


def public_values(form, facts, counts, program):
    """Values of a Form of const and ones tensors at every position."""
    form_interval(form, facts, counts)
    values = [0] * product(counts)
    for coef, view in form:
        t = program.tensors[view.tensor]
        need(t.home in ("const", "ones"), "an out of a table must read const or ones tensors")
        for i, position in enumerate(indices(counts)):
            flat = 0
            for m, n in zip(view.maps, t.axes):
                at = map_index(m, position)
                if not 0 <= at < n:
                    flat = None
                    break
                flat = flat * n + at
            if flat is not None:
                values[i] += coef * (t.content[flat] if t.home == "const" else 1)
    need(all(-(1 << 63) <= v < 1 << 63 for v in values), "an out of a table is too large")
    return values


def map_index(m, x):
    """The single index a map reads at a position."""
    if m.kind == "fix":
        return m.at
    if m.kind == "aff":
        return m.step * x[m.a] + m.off
    if m.kind == "win":
        return m.step * x[m.a] + m.dil * x[m.b] + m.off
    if m.kind == "join":
        return m.m * x[m.a] + x[m.b]
    if m.kind == "gather":
        return m.indices[x[m.a]]
    raise Reject("an out of a table may not use sum, mat or pool maps")


# ---------------------------------------------------------------- operators


class Analysis:
    """Facts of every tensor a Program numbers, first columns of the operators, tables."""

    def __init__(self, program):
        self.program = program
        check_parameters(program)
        self.facts = [declared(t) for t in program.tensors]
        need(sum(len(t.content or []) for t in program.tensors) <= wire.ENTRIES, "too many const entries")
        self.tables, filled = [], 0
        for t in program.tables:
            filled += product(n for _, n in t.keys) * max(1, sum(1 + len(form) for form in t.outs))
            need(filled <= 1 << 23, "tables have too many values and terms")
            self.tables.append(table_fact(t, self.facts, program))
        self.first = []
        for op in program.operators:
            self.first.append(len(self.facts))
            for interval in self.columns(op):
                interval.computable("a column")
                self.facts.append(SimpleNamespace(axes=op.axes, interval=interval, public=False))
            need(len(self.facts) <= 1 << 17, "too many columns")
        self.check_uses()

    def columns(self, op):
        """Intervals of an operator's columns, in order; its rules are checked. [P14] [P15] [P16]"""
        check_axes(op.axes)
        b = self.program.limb_bits
        if op.name == "check":
            need(op.bits <= 62, "too many bits in a check")
            F = form_interval(op.form, self.facts, op.axes).computable("a checked form")
            need(F.inside(0, (1 << op.bits) - 1), "a check may fail")
            return limb_columns(F, op.bits, b)
        if op.name == "split":
            need(1 <= op.bits <= 31, "bits of a split are not in 1..31")
            top = (1 << op.bits) - 1
            need(form_interval(op.form, self.facts, op.axes).inside(-top, top), "a split may fail")
            part = bit_interval(op.bits)
            return [part, part] + 2 * limb_columns(part, op.bits, b)
        if op.name == "table":
            return self.table_columns(op)
        if op.name == "commit":
            acc, c = self.contraction(op.contraction, op.axes)
            return [acc + c]
        return self.round_columns(op)

    def table(self, number):
        """Fact of a declared table."""
        need(number < len(self.tables), "an operator uses a table that does not exist")
        return self.tables[number]

    def table_columns(self, op):
        """[P15]"""
        t = self.table(op.table)
        need(len(op.keys) == len(t.keys), "a table needs one key form per key axis")
        for form, (lo, n) in zip(op.keys, t.keys):
            honest = form_interval(form, self.facts, op.axes).computable("a key of a table")
            need(honest.inside(lo, lo + n - 1), "a key may lie outside its table")
        return t.ends

    def contraction(self, con, axes):
        """Intervals of the sum of products and of c. [P14] [P19]"""
        need(len(con.sums) <= wire.AXES, "too many sum axes")
        need(0 not in con.sums, "a sum axis must have a fixed length")
        a = form_interval(con.a, self.facts, axes + con.sums)
        b = form_interval(con.b, self.facts, axes + con.sums)
        c = form_interval(con.c, self.facts, axes)
        used_a, used_b = used_axes(con.a), used_axes(con.b)
        need(
            all(y in used_a | used_b for y in range(len(axes))),
            "an output axis of a contraction is read by neither factor",
        )
        joint = product((axes[y] or 1) for y in used_a & used_b if y < len(axes))
        sums = product(con.sums)
        need(joint * sums <= wire.POSITIONS, "too many positions in a contraction")
        for x in (a, b, c):
            x.computable("a form of a contraction")
        acc = (a * b * sums).computable("a sum of products")
        (acc + c).computable("an accumulator")
        return acc, c

    def multiplier(self, op):
        """[P18]"""
        if isinstance(op.scale, int):
            ms = [op.scale]
        else:
            axis, ms = op.scale
            n = op.axes[axis] if axis < len(op.axes) else 0
            need(n and len(ms) == n, "a multiplier axis needs one multiplier per index")
        need(min(ms) >= 1 and max(ms) < 1 << 31, "a multiplier is not in 1..2^31")
        return Interval(min(ms), max(ms))

    def round_columns(self, op):
        """[P14] to [P18] for a Round."""
        s, b = op.shift, self.program.limb_bits
        need(s <= 40, "a shift is too large")
        need(not op.half_even or (s and op.table is not None), "half to even needs a table and a shift")
        if op.contraction:
            m = self.multiplier(op)
            acc, c = self.contraction(op.contraction, op.axes)
            scaled = (acc + c) * m
        else:
            need(op.scale == 1, "a round without contraction must have multiplier 1")
            scaled = Interval(0, 0)
        extra = form_interval(op.extra, self.facts, op.axes).computable("the extra term of a round")
        half = 1 << s - 1 if s else 0
        v = scaled + extra + half
        D = self.domain(op)
        need(Interval(v.lo >> s, v.hi >> s).inside(D.lo, D.hi), "a quotient may lie outside its domain")
        no_wrap((D.hi - D.lo + 1) << s, 0, "a quotient and remainder")
        whole = (D * (1 << s)).computable("a shifted quotient")
        rest = bit_interval(s)
        if op.contraction:
            no_wrap(scaled.reach(), (whole + rest - extra + -half).reach(), "a round")
        else:
            no_wrap((v - whole - rest).reach(), 1 << b, "a remainder")
        return self.round_intervals(op, D)

    def domain(self, op):
        """D of [P17]."""
        keys = self.round_table(op)
        if not op.wide:
            if keys is not None:
                need(op.lo == 0 and op.bits == 0, "a narrow round with a table has no domain of its own")
                return keys
            need(op.bits <= 62 and abs(op.lo) <= VALUE, "the domain of a quotient is too large")
            range_rule(bit_interval(op.bits), op.bits)
            return bit_interval(op.bits) + op.lo
        need(keys is not None, "a wide round needs a table")
        need(1 <= op.low_bits <= 16 and 1 <= op.high_bits <= 16, "low or high bits are not in 1..16")
        need(abs(op.lo) <= VALUE, "the offset of a quotient is too large")
        need(not op.half_even or op.lo % 2 == 0, "the offset of a half to even round must be even")
        need((keys.lo, keys.hi) == (0, (1 << op.low_bits) - 1), "a wide table must enumerate the low part")
        reach = 1 << op.low_bits + op.high_bits - 1
        return Interval(-reach, reach - 1) + op.lo

    def round_table(self, op):
        """Range of the last key axis of a Round's table. [P17]"""
        if op.table is None:
            return None
        t = self.table(op.table)
        want = [(0, 3)] if op.wide else []
        if op.half_even:
            want.append((0, len(limb_sizes(op.shift, self.program.limb_bits)) + 1))
        need(
            len(t.outs) == 1 and len(t.keys) == len(want) + 1 and t.keys[: len(want)] == want,
            "a round's table has the wrong axes",
        )
        lo, n = t.keys[-1]
        return Interval(lo, lo + n - 1)

    def round_intervals(self, op, D):
        """[P16]"""
        b = self.program.limb_bits
        if op.wide:
            h = 1 << op.high_bits - 1
            out = [bit_interval(op.low_bits), Interval(-h, h - 1), Interval(0, 2)]
        else:
            out = [D]
        sizes = limb_sizes(op.shift, b)
        out += [bit_interval(n) for n in sizes[0 if op.contraction else 1 :]]
        if op.half_even:
            out += [Interval(0, 1) for _ in sizes]
        if op.table is not None:
            return out + self.table(op.table).ends
        return out + limb_columns(bit_interval(op.bits), op.bits, b)

    def check_uses(self):
        """[P7] [P19]"""
        p = self.program
        need(p.outputs, "a program needs an output")
        read = set(p.outputs)
        for n in p.outputs:
            need(n < len(self.facts), "an output's tensor does not exist")
            need(n >= len(p.tensors) or p.tensors[n].home == "input", "an output must be an input or a column")
        tables = set()
        for op in p.operators:
            for form in forms_of(op):
                read |= {v.tensor for _, v in form}
            tables.add(getattr(op, "table", None))
        for n, t in enumerate(p.tensors):
            need(t.home not in ("input", "model") or n in read, "an input or model tensor is never read")
        need(all(n in tables for n in range(len(p.tables))), "a table is never used")
        model = sum(product(t.axes) for t in p.tensors if t.home == "model")
        need((p.model_oracle is None) == (model == 0), "model oracle without model tensors, or the reverse")
        if model:
            check_model_oracle(p.model_oracle, model)


def forms_of(op):
    """All Forms of an operator."""
    if op.name in ("check", "split"):
        return [op.form]
    if op.name == "table":
        return op.keys
    forms = [op.extra] if op.name == "round" else []
    con = op.contraction
    return forms + ([con.a, con.b, con.c] if con else [])


def check_model_oracle(o, entries):
    """[P6] [Q7]"""
    need(max(o.c, o.log_t or 0, o.e) <= 27, "a parameter of the model oracle is too large")
    need(o.c < o.e and (o.log_t is None or o.log_t < o.e), "the model oracle's code is too short")
    need(o.rows == -(-entries >> o.c), "the model oracle has the wrong number of rows")


def check_parameters(p):
    """[P3]"""
    need(4 <= p.limb_bits <= 16, "limb bits are not in 4..16")
    need(p.grind <= 24, "too many grinding bits")
    need(100 <= p.lam + p.grind <= 255, "lambda + g is not in 100..255")
    ladder = p.ladder
    need(1 <= len(ladder.inner) <= 8, "the ladder has no rungs or too many")
    rungs = [ladder.fresh, *ladder.inner, ladder.end]
    need(all(4 <= rows <= 128 for rows, _ in rungs), "bad rows of a rung")
    need(all(1 <= rate <= 5 for _, rate in rungs), "bad rate of a rung")
    need(1024 <= ladder.last_max <= 32768, "bad bound on the last vector")


def declared(t):
    """[P10] [P13]"""
    check_axes(t.axes)
    need(t.lo <= t.hi and abs(t.lo) <= VALUE and abs(t.hi) <= VALUE, "bad interval of a tensor")
    need(t.home not in ("const", "model") or 0 not in t.axes, "a const or model tensor has no batch axis")
    need(t.home != "ones" or (t.lo, t.hi) == (1, 1), "a ones tensor has the interval 1..1")
    need(all(t.lo <= x <= t.hi for x in t.content or []), "a content entry lies outside its interval")
    return SimpleNamespace(axes=t.axes, interval=Interval(t.lo, t.hi), public=t.home in ("const", "ones"))
