"""From Program and Statement to the lists Look, IP, Lin. Spec 02, section 5."""

from types import SimpleNamespace

from linear import Space
from oracle import product
from validity import Analysis, Interval, limb_columns, limb_sizes, need
from wire import POSITIONS, SLOT_VALUES, Map, View


class Tensor:
    """A tensor of one proof. place: const, ones, slot, fresh, model or ("committed", i)."""

    def __init__(self, place, axes, content=None):
        self.place, self.axes, self.content = place, axes, content

    def public(self):
        """[A8]"""
        return self.place in ("const", "ones", "slot")


def whole(tensor, rank):
    """The view that reads a tensor as it lies."""
    return View(tensor, [Map(kind="aff", a=a, step=1, off=0) for a in range(rank)])


ONE = -1  # number of the public scalar while lowering


class Lowered:
    """What a proof of one Statement is about. [W1]"""

    def __init__(self, program, statement):
        self.program, self.batch, self.b = program, statement.batch, program.limb_bits
        self.analysis = Analysis(program)
        self.check_statement(statement)
        self.tensors, self.looks, self.ips, self.lins = [], [], [], []
        self.place(statement)
        self.input_ranges()
        for op, first in zip(program.operators, self.analysis.first):
            self.operator(op, first)
        for reveal in statement.reveals:
            self.reveal(reveal)
        self.finish()
        self.space = Space(self.tensors)

    # ------------------------------------------------------------ Statement

    def expand(self, axes):
        """Axis lengths with the batch size put in."""
        return [n or self.batch for n in axes]

    def check_statement(self, s):
        """[D1] to [D3], [P20]"""
        p = self.program
        inputs = [t for t in p.tensors if t.home == "input"]
        need(len(s.inputs) == len(inputs), "the Statement needs one mode per input")
        batched = any(0 in t.axes for t in p.tensors)
        need(batched or s.batch == 1, "the Program has no batch axis, so B must be 1")
        need(s.inputs.count("committed") <= 255, "too many committed inputs")
        rules, flags = [], 0
        for t, mode in zip(inputs, s.inputs):
            if mode == "public":
                rules.append((product(self.expand(t.axes)), t.lo, t.hi))
        for r in s.reveals:
            need(r.output < len(p.outputs), "a reveal names an output that does not exist")
            fact = self.analysis.facts[p.outputs[r.output]]
            if r.kind == "values":
                rules.append((product(self.expand(fact.axes)), fact.interval.lo, fact.interval.hi))
            elif r.kind == "label":
                need(fact.axes and fact.axes[-1], "a label needs a last axis of classes")
                rules.append((product(self.expand(fact.axes[:-1])), 0, fact.axes[-1] - 1))
                flags += 2 * product(self.expand(fact.axes))
        need(flags <= 1 << 20, "too many label flags")
        need(flags + sum(n for n, _, _ in rules) <= SLOT_VALUES, "too many slot values and label flags")
        need(len(s.slots) == len(rules), "the Statement has the wrong number of slots")
        for values, (n, lo, hi) in zip(s.slots, rules):
            need(len(values) == n, "a slot has the wrong number of values")
            need(all(lo <= v <= hi for v in values), "a slot value is out of range")

    def place(self, s):
        """Declared tensors and operator columns. [P4]"""
        modes, self.slots, committed = list(s.inputs), list(s.slots), 0
        for t in self.program.tensors:
            place, content = t.home, t.content
            if place == "input":
                mode = modes.pop(0)
                place = {"public": "slot", "private": "fresh"}.get(mode, ("committed", committed))
                committed += mode == "committed"
                content = self.slots.pop(0) if mode == "public" else None
            self.tensors.append(Tensor(place, self.expand(t.axes), content))
        for fact in self.analysis.facts[len(self.program.tensors) :]:
            self.tensors.append(Tensor("fresh", self.expand(fact.axes)))
        self.extras = []

    # ------------------------------------------------------------ building blocks

    def fresh(self, axes):
        """A column the Program does not number."""
        self.tensors.append(Tensor("fresh", axes))
        return len(self.tensors) - 1

    def extra(self, axes, content):
        """A public tensor of a reveal; numbered from the end while lowering."""
        self.extras.append(Tensor("slot", axes, content))
        return -1 - len(self.extras)

    def read(self, tensor, rank, coef=1):
        """coef * tensor as a Form."""
        return [(coef, whole(tensor, rank))]

    def constant(self, value):
        """value * one as a Form."""
        return [(value, View(ONE, []))] if value else []

    def look(self, kind, axes, coords):
        """kind sorts tables in the order of tags. [R9]"""
        self.looks.append(SimpleNamespace(kind=kind, axes=axes, coords=coords))

    def range(self, axes, form, k, limbs):
        """[W3]"""
        sizes = limb_sizes(k, self.b)
        if not sizes:
            self.lins.append(SimpleNamespace(axes=axes, form=form))
            return
        rank = len(axes)
        for i, h in enumerate(limbs, 1):
            form = form + self.read(h, rank, -(1 << self.b * i))
        self.look((1, sizes[0]), axes, [form])
        for h, size in zip(limbs, sizes[1:]):
            self.look((1, size), axes, [self.read(h, rank)])

    def own_range(self, axes, form, interval, top):
        """Range of bits(top) bits with columns of its own."""
        k = top.bit_length()
        limbs = [self.fresh(axes) for _ in limb_columns(interval, k, self.b)]
        self.range(axes, form, k, limbs)

    def input_ranges(self):
        """[W2]"""
        for n, t in enumerate(self.program.tensors):
            placed = self.tensors[n]
            if t.home != "input" or placed.place == "slot":
                continue
            rank, width = len(placed.axes), t.hi - t.lo
            above = self.read(n, rank) + self.constant(-t.lo)
            self.own_range(placed.axes, above, Interval(0, width), width)
            if width & width + 1:
                below = self.read(n, rank, -1) + self.constant(t.hi)
                self.own_range(placed.axes, below, Interval(0, width), width)

    def inner(self, axes, con, multiplier, target):
        """An IP relation. [R2]"""
        self.ips.append(
            SimpleNamespace(
                outputs=axes, sums=con.sums, target=target, multiplier=multiplier, c=con.c, a=con.a, b=con.b
            )
        )

    # ------------------------------------------------------------ operators

    def operator(self, op, first):
        """[W4] to [W10]"""
        axes, rank = self.expand(op.axes), len(op.axes)
        columns = iter(range(first, 1 << 62))
        take = lambda n: [next(columns) for _ in range(n)]
        if op.name == "check":
            self.range(axes, op.form, op.bits, take(max(0, len(limb_sizes(op.bits, self.b)) - 1)))
        elif op.name == "table":
            outs = take(len(self.program.tables[op.table].outs))
            self.look((0, op.table), axes, op.keys + [self.read(o, rank) for o in outs])
        elif op.name == "commit":
            self.inner(axes, op.contraction, 1, self.read(next(columns), rank))
        elif op.name == "split":
            pos, neg = take(2)
            limbs = [take(len(limb_sizes(op.bits, self.b)) - 1) for _ in range(2)]
            form = op.form + self.read(pos, rank, -1) + self.read(neg, rank)
            self.lins.append(SimpleNamespace(axes=axes, form=form))
            a, b = self.read(pos, rank), self.read(neg, rank)
            self.inner(axes, SimpleNamespace(sums=[], a=a, b=b, c=[]), 1, [])
            self.range(axes, a, op.bits, limbs[0])
            self.range(axes, b, op.bits, limbs[1])
        else:
            self.round(op, axes, take)

    def round(self, op, axes, take):
        """[W10]"""
        rank, s = len(axes), op.shift
        sizes = limb_sizes(s, self.b)
        if op.wide:
            low, high, code = take(3)
            q = self.read(low, rank) + self.read(high, rank, 1 << op.low_bits) + self.constant(op.lo)
        else:
            (last,) = take(1)
            q = self.read(last, rank)
        rems = take(len(sizes)) if op.contraction else [None] + take(max(0, len(sizes) - 1))
        ties = take(len(sizes)) if op.half_even else []
        out = take(1) if op.table is not None else []
        half = 1 << s - 1 if s else 0
        # 2^s q + (limbs that are columns) - E - half
        F = [(c << s, v) for c, v in q] + [(-c, v) for c, v in op.extra] + self.constant(-half)
        for i, r in enumerate(rems):
            if r is not None:
                F = F + self.read(r, rank, 1 << self.b * i)
        limbs = [self.read(r, rank) for r in rems if r is not None]
        if op.contraction:
            self.inner(axes, op.contraction, op.scale, F)
        else:
            rest = [(-c, v) for c, v in F]
            if s:
                limbs = [rest] + limbs
            else:
                self.lins.append(SimpleNamespace(axes=axes, form=rest))
        for i, (limb, size) in enumerate(zip(limbs, sizes)):
            if ties:
                self.look((2, size), axes, [limb, self.read(ties[i], rank)])
            else:
                self.look((1, size), axes, [limb])
        keys = []
        if op.wide:
            self.look((3, op.high_bits), axes, [self.read(high, rank), self.read(code, rank)])
            keys, last = [self.read(code, rank)], low
        if ties:
            keys.append([(1, whole(t, rank)) for t in ties])
        if out:
            coords = keys + [self.read(last, rank), self.read(out[0], rank)]
            self.look((0, op.table), axes, coords)
        else:
            more = take(max(0, len(limb_sizes(op.bits, self.b)) - 1))
            self.range(axes, self.read(last, rank) + self.constant(-op.lo), op.bits, more)

    # ------------------------------------------------------------ reveals

    def reveal(self, r):
        """[W11]"""
        x = self.program.outputs[r.output]
        fact = self.analysis.facts[x]
        axes, lo, hi = self.expand(fact.axes), fact.interval.lo, fact.interval.hi
        rank = len(axes)
        if r.kind == "values":
            slot = self.extra(axes, self.slots.pop(0))
            self.lins.append(SimpleNamespace(axes=axes, form=self.read(x, rank) + self.read(slot, rank, -1)))
        elif r.kind == "label":
            self.label(x, axes, lo, hi, self.slots.pop(0))
        else:
            self.threshold(r, x, fact, lo, hi)

    def label(self, x, axes, lo, hi, labels):
        """[W11], row Label."""
        rank, n = len(axes), axes[-1]
        J = self.extra(axes, [int(i == j) for j in labels for i in range(n)])
        L = self.extra(axes, [int(i < j) for j in labels for i in range(n)])
        lead = axes[:-1]
        m = self.fresh(lead)
        con = SimpleNamespace(sums=[n], a=self.read(J, rank), b=self.read(x, rank), c=[])
        self.inner(lead, con, 1, self.read(m, rank - 1))
        form = self.read(m, rank - 1) + self.read(x, rank, -1) + self.read(L, rank, -1)
        self.own_range(axes, form, Interval(lo - hi - 1, hi - lo), hi - lo)

    def threshold(self, r, x, fact, lo, hi):
        """[W11], row Threshold."""
        need(lo <= r.bound <= hi, "a threshold lies outside its output's interval")
        maps, rest = [], r.index
        for n in reversed(fact.axes):
            if n == 0:
                maps.append(Map(kind="aff", a=0, step=1, off=0))
            else:
                maps.append(Map(kind="fix", at=rest % n))
                rest //= n
        need(rest == 0, "a threshold's index lies outside its output")
        maps.reverse()
        positions = [self.batch] if 0 in fact.axes else []
        above, below = hi - r.bound, r.bound - lo
        sign, most, least = (1, above, below) if r.at_least else (-1, below, above)
        form = [(sign, View(x, maps))] + self.constant(-sign * r.bound)
        self.own_range(positions, form, Interval(-least, most), most)

    # ------------------------------------------------------------ tables and numbers

    def finish(self):
        """Tables in use, multiplicities, extra tensors, limits. [R9] [R10] [W1]"""
        kinds = sorted({k.kind for k in self.looks})
        self.tables = [self.table(kind) for kind in kinds]
        for t in self.tables:
            t.multiplicity = self.fresh([n for _, n in t.keys])
        for k in self.looks:
            k.table = kinds.index(k.kind)
        base = len(self.tensors)
        self.tensors += [Tensor("ones", [])] + self.extras
        for form in self.forms():
            for _, v in form:
                if v.tensor < 0:
                    v.tensor = base - 1 - v.tensor
        for axes in [t.axes for t in self.tensors] + [r.axes for r in self.looks + self.lins]:
            need(product(axes) <= POSITIONS, "too many positions with this batch size")
        leaves = sum(product(k.axes) for k in self.looks) + sum(product(n for _, n in t.keys) for t in self.tables)
        need(leaves <= 1 << 27, "too many lookups")
        need(len(self.ips) <= 1 << 14 and len(self.ips) + len(self.lins) <= 1 << 16, "too many relations")

    def forms(self):
        """Every Form of every relation."""
        for k in self.looks:
            yield from k.coords
        for r in self.ips:
            yield from (r.target, r.c, r.a, r.b)
        for r in self.lins:
            yield r.form

    def table(self, kind):
        """Contents of a table by its kind: 0 declared, 1 U, 2 TIE, 3 CODE. [R9]"""
        family, s = kind
        if family == 0:
            fact = self.analysis.tables[s]
            return SimpleNamespace(keys=fact.keys, outs=fact.outs)
        if family == 1:
            return SimpleNamespace(keys=[(0, 1 << s)], outs=[])
        if family == 2:
            return SimpleNamespace(keys=[(0, 1 << s)], outs=[[int(i == 0) for i in range(1 << s)]])
        h = 1 << s - 1
        return SimpleNamespace(keys=[(-h, 1 << s)], outs=[[(i > 0) - (i < 0) + 1 for i in range(-h, h)]])
