"""A slow honest prover for the tests: it answers what the verifier's code asks for.

The verifier drives the conversation; every message is computed here densely from its definition in the
spec, and its bytes are collected. The bytes depend on Program, Statement, secrets and seed alone. Not a
tool for real secrets: it is slow, it does not erase anything, and the tests fix its seeds.
"""

from types import SimpleNamespace

from blake3 import blake3

from field import ONE, ZERO, K, P, dot, eq_vector, lg, mle, omega, pairs
from lower import Lowered
from oracle import Layout, product
from refverify import Verification
from relations import draw_point, joint_axes
from tape import PROOF_VERSION, Tape, fr
from validity import indices, limb_sizes

# ---------------------------------------------------------------- integers


def taps(m, n, x):
    """[(index, weight)] a map reads at position x on an axis of length n."""
    if m.kind == "fix":
        out = [(m.at, 1)]
    elif m.kind == "aff":
        out = [(m.step * x[m.a] + m.off, 1)]
    elif m.kind == "win":
        out = [(m.step * x[m.a] + m.dil * x[m.b] + m.off, 1)]
    elif m.kind == "join":
        out = [(m.m * x[m.a] + x[m.b], 1)]
    elif m.kind == "gather":
        out = [(m.indices[x[m.a]], 1)]
    elif m.kind == "sum":
        out = [(i, 1) for i in range(n)]
    elif m.kind == "mat":
        out = [(i, m.weights[x[m.a] * n + i]) for i in range(n)]
    else:
        out = [(m.step * x[m.a] + m.dil * k + m.off, 1) for k in range(m.m)]
    return [(i, w) for i, w in out if 0 <= i < n]


class Solving(Lowered):
    """Lowers and computes every column on the way. values: tensor number -> row-major integers."""

    def __init__(self, program, statement, secrets, lie=None):
        self.values, self.secrets, self.lie = {}, secrets, lie or {}
        super().__init__(program, statement)

    def place(self, s):
        super().place(s)
        for n, placed in enumerate(self.tensors[: len(self.program.tensors)]):
            if placed.place in ("const", "slot"):
                self.values[n] = placed.content
            elif placed.place == "ones":
                self.values[n] = [1] * product(placed.axes)
            else:
                self.values[n] = self.secrets[n]

    def put(self, column, values):
        """Sets a column; a lie may change one entry."""
        values = list(values)
        for entry, change in self.lie.get(column, []):
            values[entry] += change
        self.values[column] = values

    def content(self, n):
        if n == -1:
            return [1], []
        if n < 0:
            t = self.extras[-2 - n]
            return t.content, t.axes
        return self.values[n], self.tensors[n].axes

    def eval(self, form, axes):
        """Integer values of a Form at all positions."""
        out = [0] * product(axes)
        for coef, view in form:
            content, shape = self.content(view.tensor)
            for i, x in enumerate(indices(axes)):
                items = [(0, coef)]
                for m, n in zip(view.maps, shape):
                    ts = taps(m, n, x)
                    items = [(f * n + j, w * v) for f, w in items for j, v in ts]
                out[i] += sum(w * content[f] for f, w in items)
        return out

    def contract(self, con, axes):
        """sum a*b + c at all output positions."""
        full = axes + con.sums
        a, b = self.eval(con.a, full), self.eval(con.b, full)
        n = product(con.sums)
        acc = [sum(x * y for x, y in zip(a[i : i + n], b[i : i + n])) for i in range(0, len(a), n)]
        return [x + y for x, y in zip(acc, self.eval(con.c, axes))]

    def range(self, axes, form, k, limbs):
        sizes = limb_sizes(k, self.b)
        if limbs:
            values = self.eval(form, axes)
            for i, (h, size) in enumerate(zip(limbs, sizes[1:]), 1):
                self.put(h, [(v >> self.b * i) & ((1 << size) - 1) for v in values])
        super().range(axes, form, k, limbs)

    def inner(self, axes, con, multiplier, target):
        if len(target) == 1 and target[0][1].tensor not in self.values:
            self.put(target[0][1].tensor, self.contract(con, axes))
        super().inner(axes, con, multiplier, target)

    def operator(self, op, first):
        axes = self.expand(op.axes)
        if op.name == "table":
            keys = [self.eval(f, axes) for f in op.keys]
            for i, values in enumerate(self.lookup(op.table, keys)):
                self.put(first + i, values)
        elif op.name == "split":
            values = self.eval(op.form, axes)
            self.put(first, [max(v, 0) for v in values])
            self.put(first + 1, [max(-v, 0) for v in values])
        super().operator(op, first)

    def lookup(self, table, keys):
        """Outs of a declared table at lists of keys."""
        fact = self.analysis.tables[table]
        flat = [0] * len(keys[0])
        for values, (lo, n) in zip(keys, fact.keys):
            flat = [f * n + v - lo for f, v in zip(flat, values)]
        return [[out[f] for f in flat] for out in fact.outs]

    def round(self, op, axes, take):
        taken = []

        def note(n):
            got = take(n)
            taken.append(got)
            return got

        self.solve_round(op, axes, taken, note)

    def solve_round(self, op, axes, taken, note):
        s, b = op.shift, self.b
        sizes = limb_sizes(s, b)
        v = self.eval(op.extra, axes)
        if op.contraction:
            acc = self.contract(op.contraction, axes)
            ms = [op.scale] * len(acc)
            if not isinstance(op.scale, int):
                ms = [op.scale[1][x[op.scale[0]]] for x in indices(axes)]
            v = [x + m * a for x, m, a in zip(v, ms, acc)]
        v = [x + (1 << s - 1 if s else 0) for x in v]
        q, rem = [x >> s for x in v], [x & ((1 << s) - 1) for x in v]
        limbs = [[(r >> b * i) & ((1 << n) - 1) for r in rem] for i, n in enumerate(sizes)]
        ties = [[int(r == 0) for r in limb] for limb in limbs]
        columns = []
        if op.wide:
            high = [(x - op.lo) >> op.low_bits for x in q]
            low = [(x - op.lo) & ((1 << op.low_bits) - 1) for x in q]
            code = [(h > 0) - (h < 0) + 1 for h in high]
            columns += [low, high, code]
            keys = [code]
        else:
            columns.append(q)
            keys, low = [], q
        columns += limbs if op.contraction else limbs[1:]
        if op.half_even:
            columns += ties
            keys.append([sum(t) for t in zip(*ties)])
        if op.table is not None:
            columns += self.lookup(op.table, keys + [low])
        first = self.next_column(op)
        for i, values in enumerate(columns):
            self.put(first + i, values)
        Lowered.round(self, op, axes, note)

    def next_column(self, op):
        return self.analysis.first[self.program.operators.index(op)]

    def multiplicities(self):
        """Values of the multiplicity tensors. [R10]"""
        rows, counts = [], []
        for t in self.tables:
            position = indices([n for _, n in t.keys])
            row = {}
            for i, x in enumerate(position):
                key = tuple(lo + j for (lo, _), j in zip(t.keys, x)) + tuple(o[i] for o in t.outs)
                row[key] = i
            rows.append(row)
            counts.append([0] * len(position))
        for k in self.looks:
            for coords in zip(*(self.eval(f, k.axes) for f in k.coords)):
                row = rows[k.table].get(coords)
                if row is not None:  # a lie has no row
                    counts[k.table][row] += 1
        for t, values in zip(self.tables, counts):
            self.put(t.multiplicity, values)

    def finish(self):
        super().finish()
        for n, t in enumerate(self.tensors):
            if t.place == "slot":
                self.values[n] = t.content
            elif t.place == "ones":
                self.values[n] = [1] * product(t.axes)
        self.multiplicities()


# ---------------------------------------------------------------- codes and trees


def transform(v, n):
    """Values at omega^0..omega^(n-1) of the polynomial with F coefficients v."""
    v = list(v) + [0] * (n - len(v))
    if n == 1:
        return v
    bits = n.bit_length() - 1
    out = [v[int(format(i, f"0{bits}b")[::-1], 2)] for i in range(n)]
    size = 2
    while size <= n:
        w, half = omega(size), size // 2
        ws = [1] * half
        for i in range(1, half):
            ws[i] = ws[i - 1] * w % P
        for start in range(0, n, size):
            for i in range(half):
                a, b = out[start + i], out[start + half + i] * ws[i] % P
                out[start + i], out[start + half + i] = (a + b) % P, (a - b) % P
        size *= 2
    return out


class Streams:
    """The prover's randomness from a seed. [E7]"""

    def __init__(self, seed):
        self.seed = seed

    def stream(self, name):
        return blake3(self.seed + fr(name.encode()), derive_key_context="zerotell v1 stream")

    def base(self, name, count):
        """F-values."""
        data = self.stream(name).digest(length=8 * count + 64)
        out = [int.from_bytes(data[i : i + 8], "little") for i in range(0, len(data), 8)]
        return [x for x in out if x < P][:count]

    def extension(self, name, count):
        """K-values."""
        return pairs(self.base(name, 2 * count))

    def salts(self, name, count):
        data = self.stream(name).digest(length=16 * count)
        return [data[i : i + 16] for i in range(0, 16 * count, 16)]


class Committed:
    """An oracle with its data, columns and tree. [E8]"""

    def __init__(self, oracle, data, streams, name):
        self.oracle, o = oracle, oracle
        data = list(data) + [ZERO] * (o.rows * o.C - len(data))
        self.rows = [data[i * o.C : (i + 1) * o.C] for i in range(o.rows)]
        count = o.rows * o.T
        if o.field:
            masks = streams.extension(f"{name}.mask", count)
        else:
            masks = [K(x) for x in streams.base(f"{name}.mask", count)]
        self.masks = [masks[i * o.T : (i + 1) * o.T] for i in range(o.rows)]
        parts = []
        for row, mask in zip(self.rows, self.masks):
            full = row + mask
            parts.append(transform([x.a for x in full], o.n))
            if o.field:
                parts.append(transform([x.b for x in full], o.n))
        self.columns = [b"".join(p[j].to_bytes(8, "little") for p in parts) for j in range(o.n)]
        self.salts = streams.salts(f"{name}.salt", o.n) if o.T else [b""] * o.n
        level = [o.leaf(j, self.salts[j], self.columns[j]) for j in range(o.n)]
        self.tree = [level]
        while len(level) > 1:
            level = [o.node(level[i], level[i + 1]) for i in range(0, len(level), 2)]
            self.tree.append(level)
        self.root = level[0]

    def opened(self, indices_):
        return b"".join(self.salts[j] + self.columns[j] for j in indices_)

    def path(self, indices_):
        known, out = set(indices_), []
        for level in self.tree[:-1]:
            out += [level[i ^ 1] for i in sorted(known) if i ^ 1 not in known]
            known = {i >> 1 for i in known}
        return out


def fold_top(v, r):
    """Fixes the highest variable of a table of K."""
    h = len(v) // 2
    return [x + r * (y - x) for x, y in zip(v[:h], v[h:])]


def inner_round(pairs, j, weights, dims):
    """c0, c2 of a batched round. [I5]"""
    c0, c2 = ZERO, ZERO
    for (a, b), w, d in zip(pairs, weights, dims):
        if d <= j:
            c0 = c0 + w * dot(a, b)
            continue
        h = len(a) // 2
        c0 = c0 + w * dot(a[:h], b[:h])
        c2 = c2 + w * dot([y - x for x, y in zip(a, a[h:])], [y - x for x, y in zip(b, b[h:])])
    return c0, c2


def inner_fold(pairs, j, weights, dims, r):
    """Binds variable j to r."""
    for i, d in enumerate(dims):
        if d <= j:
            weights[i] = weights[i] * (1 - r)
        else:
            pairs[i] = (fold_top(pairs[i][0], r), fold_top(pairs[i][1], r))


class ProverTape(Tape):
    """Asks the prover instead of reading."""

    def __init__(self, prover):
        super().__init__(b"")
        self.prover, self.out, self.marks = prover, bytearray(PROOF_VERSION), []

    def take(self, count, label):
        if label == "pow":
            nonce = 0
            while self.work(nonce.to_bytes(8, "little")) < self.prover.program.grind:
                nonce += 1
            data = nonce.to_bytes(8, "little")
        else:
            data = self.prover.answer(label, count)
        assert len(data) == count, (label, len(data), count)
        self.marks.append((label, len(self.out), count))
        self.out += data
        return data

    def challenge(self, label):
        r = super().challenge(label)
        self.prover.drawn(label, r)
        return r

    def indices(self, n, t):
        out = super().indices(n, t)
        self.prover.queries.append(out)
        return out

    def finish(self):
        pass


class Prover(Verification):
    """Runs the verifier's conversation and answers it."""

    def __init__(self, program_bytes, statement_bytes, secrets, committed=None, seed=bytes(32), lie=None):
        self.secrets, self.lie, self.streams = secrets, lie, Streams(seed)
        self.committed = committed or []  # Committed of M, X_0, ...
        super().__init__(program_bytes, statement_bytes, PROOF_VERSION)
        self.log, self.pad_at, self.queries = {}, 0, []
        self.pending, self.siblings = {}, []

    def lowered(self):
        return Solving(self.program, self.statement, self.secrets, self.lie)

    def tape(self):
        self.end_of_tape = ProverTape(self)
        return self.end_of_tape

    def prove(self):
        """The proof bytes."""
        self.run()
        return bytes(self.end_of_tape.out)

    # ------------------------------------------------------------ plumbing

    def answer(self, label, count):
        if label == "multiproof":
            return self.siblings.pop(0)
        method = getattr(self, "say_" + label.replace(".", "_"))
        data = method()
        if isinstance(data, list):
            data = b"".join(x.encode() for x in data)
        return data

    def drawn(self, label, r):
        self.log.setdefault(label, []).append(r)
        method = getattr(self, "on_" + label.replace(".", "_"), None)
        if method:
            method(r)

    def mask(self, values):
        """Subtracts the next pads. [E1]"""
        if not self.zk:
            return list(values)
        out = [v - self.pads[self.pad_at + i] for i, v in enumerate(values)]
        self.pad_at += len(out)
        return out

    # ------------------------------------------------------------ commitments

    def factors(self):
        """Pads of every product in order, then the dummy pair: from the sizes alone. [G9] [I8] [E5]"""
        out, j, c = [], 0, self.counts
        for k in range(c.ell):
            j += 2 * k
            p0, p1, q0, q1 = range(j, j + 4)
            j += 4
            out += [(p0, q1), (p1, q0)] + ([(q0, q1)] if k else [])
        j += 2 * c.d_max
        for a, b in c.private:
            if a and b:
                out.append((j, j + 1))
            j += a + b
        return out + [(c.sends, c.sends + 1)]

    def say_root_z(self):
        layout = self.layouts["fresh"]
        z = [0] * layout.size
        for n, addresses in zip(self.groups["fresh"], layout.addresses):
            for at, v in zip(addresses, self.low.values[n]):
                z[at] = v
        if self.zk:
            self.pads = self.streams.extension("z.pad", self.counts.sends + 2)
            self.prods = [self.pads[x] * self.pads[y] for x, y in self.factors()]
            for table, values in ((layout.addresses[-2], self.pads), (layout.addresses[-1], self.prods)):
                for j, x in enumerate(values):
                    z[table[2 * j]], z[table[2 * j + 1]] = x.a, x.b
        self.level0 = [Committed(self.oracles[0], [K(v) for v in z], self.streams, "z")] + self.committed
        self.current = self.level0
        return self.level0[0].root

    def say_root_pad(self):
        o = self.pad_parameters
        n = self.pad_count
        values = self.streams.extension("q.value", 2 * n)
        self.q, self.s_q = values[:n], values[n:]
        fill = [ZERO] * (o.C - n)
        self.q_oracle = Committed(o, self.q + fill + self.s_q + fill, self.streams, "q")
        self.q_at = 0
        return self.q_oracle.root

    def say_cols(self):
        c, js = self.pending_columns.pop(0)
        self.siblings = c.path(js)
        return c.opened(js)

    # ------------------------------------------------------------ lookups

    def build_tree(self):
        low, size = self.low, 1 << self.counts.ell
        alpha, tag = self.log["alpha"][0], self.log["tag"][0]
        beta = [ONE] + self.log.get("beta", [])
        num, den = [ZERO] * size, [ONE] * size
        layout = Layout(self.counts.shapes)
        for i, k in enumerate(low.looks):
            coords = list(zip(*(low.eval(f, k.axes) for f in k.coords)))
            self.leaves(num, den, layout.addresses[i], coords, k.table, (alpha, beta, tag), None)
        for i, t in enumerate(low.tables):
            shape = [n for _, n in t.keys]
            keys = [[lo + x for (lo, _), x in zip(t.keys, p)] for p in indices(shape)]
            rows = [key + [o[r] for o in t.outs] for r, key in enumerate(keys)]
            addresses = layout.addresses[len(low.looks) + i]
            self.leaves(num, den, addresses, rows, i, (alpha, beta, tag), low.values[t.multiplicity])
        self.tree = [(num, den)]
        while len(num) > 1:
            h = len(num) // 2
            num, den = (
                [num[i] * den[i + h] + num[i + h] * den[i] for i in range(h)],
                [den[i] * den[i + h] for i in range(h)],
            )
            self.tree.append((num, den))
        self.tree.reverse()
        self.layer, self.gkr_point = 0, []

    @staticmethod
    def leaves(num, den, addresses, rows, table, challenges, counts):
        alpha, beta, tag = challenges
        for i, (at, row) in enumerate(zip(addresses, rows)):
            num[at] = ONE if counts is None else K(-counts[i])
            d = alpha - tag * (table + 1)
            for b, v in zip(beta, row):
                d = d - b * v
            den[at] = d

    def start_layer(self):
        num, den = self.tree[self.layer + 1]
        h = 1 << self.layer
        self.four = [num[:h], num[h:], den[:h], den[h:]]

    def on_gkr_nu(self, r):
        self.start_layer()
        self.rho = [None] * self.layer
        self.gkr_j = self.layer - 1

    def say_gkr_round(self):
        j, nu = self.gkr_j, self.log["gkr.nu"][-1]
        e = eq_vector(self.gkr_point[:j])
        h = 1 << j
        low = [v[:h] for v in self.four]
        diff = [[y - x for x, y in zip(v, v[h:])] for v in self.four]
        out = []
        for p0, p1, q0, q1 in (low, diff):
            s = ZERO
            for i in range(h):
                s = s + e[i] * (p0[i] * q1[i] + p1[i] * q0[i] + nu * q0[i] * q1[i])
            out.append(s)
        return self.mask(out)

    def on_gkr_rho(self, r):
        self.four = [fold_top(v, r) for v in self.four]
        self.rho[self.gkr_j] = r
        self.gkr_j -= 1

    def say_gkr_out(self):
        if self.layer == 0:
            self.build_tree_once()
            self.start_layer()
            self.rho = []
        return self.mask([v[0] for v in self.four])

    def build_tree_once(self):
        self.build_tree()

    def on_gkr_mu(self, r):
        self.gkr_point = self.rho + [r]
        self.layer += 1

    layer = 0

    # ------------------------------------------------------------ inner products

    def on_gamma(self, gamma):
        replay = iter(self.log.get("point", []))
        feed = SimpleNamespace(challenges=lambda _, n: [next(replay) for _ in range(n)])
        self.pairs, self.weights = [], []
        weight = ONE
        for r, d in zip(self.low.ips, self.counts.dims):
            self.pairs.append(self.operand_tables(r, draw_point(feed, r.outputs), d))
            self.weights.append(weight)
            weight = weight * gamma
        if self.zk:
            d = self.counts.dims[-1]
            e = eq_vector(self.log.get("tau", []))
            fill = [ZERO] * ((1 << d) - len(self.prods))
            a = [e[j] * self.pads[x] for j, (x, _) in enumerate(self.factors())] + fill
            b = [self.pads[y] for _, y in self.factors()] + fill
            self.pairs.append((a, b))
            self.weights.append(weight)
        self.ip_j = self.counts.d_max - 1

    def operand_tables(self, r, points, d):
        """a(x), b(x) of [R5]."""
        joint = joint_axes(r)
        full = r.outputs + r.sums
        used = [{x for _, v in f for m in v.maps for x in m.axes()} for f in (r.a, r.b)]
        eqs = [eq_vector(p) for p in points]
        tables = []
        for side, form in enumerate((r.a, r.b)):
            table = [ZERO] * (1 << d)
            values = self.low.eval(form, full)
            for x, v in zip(indices(full), values):
                # axes the other factor alone uses are broadcast here: count position 0 only
                skip = [y for y in range(len(r.outputs)) if y not in joint and y not in used[side]]
                if any(x[y] for y in skip) or not v:
                    continue
                w, at = K(v), 0
                for y in range(len(full)):
                    if y >= len(r.outputs) or y in joint:
                        at = (at << lg(full[y])) | x[y]
                    if y < len(r.outputs) and y not in skip and (side == 0 or y not in joint):
                        w = w * eqs[y][x[y]]
                table[at] = table[at] + w
            tables.append(table)
        return tuple(tables)

    def say_ip_round(self):
        return self.mask(inner_round(self.pairs, self.ip_j, self.weights, self.counts.dims))

    def on_ip_rho(self, r):
        inner_fold(self.pairs, self.ip_j, self.weights, self.counts.dims, r)
        self.ip_j -= 1

    def say_ip_out(self):
        out = []
        for (a, b), (pa, pb) in zip(self.pairs, self.counts.private):
            out += [a[0]] * pa + [b[0]] * pb
        return self.mask(out)

    def say_ip_clear(self):
        return [self.pairs[-1][0][0], self.pairs[-1][1][0]]

    # ------------------------------------------------------------ ladder

    def vectors(self, e):
        out = super().vectors(e)
        self.functional = []
        for o, name in zip(self.oracles, self.names):
            v = [K(a, b) for a, b in zip(*out[name])]
            self.functional.append(v + [ZERO] * (o.rows * o.C - len(v)))
        self.pad_at = 0
        self.start_level()
        return out

    def start_level(self):
        """Tables over the rows, per oracle: row-major blocks of C. [L2]"""
        self.hs = [c.oracle.h for c in self.current]
        self.row_pairs = []
        for c, v in zip(self.current, self.functional):
            o = c.oracle
            fill = [ZERO] * ((o.C << o.h) - o.rows * o.C)
            flat = [x for row in c.rows for x in row] + fill
            self.row_pairs.append((flat, v + fill))
        self.row_weights = [ONE] * len(self.current)
        self.row_j = max(self.hs) - 1
        self.zeta = [None] * max(self.hs)

    def ladder_mask(self, values):
        if not self.zk:
            return list(values)
        out = [v - self.q[self.q_at + i] for i, v in enumerate(values)]
        self.q_at += len(out)
        return out

    def say_row_round(self):
        return self.ladder_mask(inner_round(self.row_pairs, self.row_j, self.row_weights, self.hs))

    def on_row_zeta(self, r):
        inner_fold(self.row_pairs, self.row_j, self.row_weights, self.hs, r)
        self.zeta[self.row_j] = r
        self.row_j -= 1

    def build_w(self):
        """w and V without the query terms. [L5] [L9]"""
        blocks = []
        for i, c in enumerate(self.current):
            o = c.oracle
            e = eq_vector(self.zeta[: o.h])[: o.rows]
            data = [dot(e, [row[x] for row in c.rows]) for x in range(o.C)]
            masks = [dot(e, [row[x] for row in c.masks]) for x in range(o.T)]
            v = [x * self.row_weights[i] for x in self.row_pairs[i][1]]
            blocks.append((-o.C, i, 0, data, v))
            if o.T:
                blocks.append((-o.T, i, 1, masks, [ZERO] * o.T))
        blocks.sort(key=lambda b: b[:3])
        self.w, self.V, self.at = [], [], {}
        for _, i, mask, data, v in blocks:
            self.at[i, mask] = len(self.w)
            self.w += data
            self.V += v

    def say_root_next(self):
        self.build_w()
        inner = self.find_inner()
        self.next = Committed(inner, self.w, self.streams, f"o{self.inner_used + 1}")
        return self.next.root

    def find_inner(self):
        self.inner_used = getattr(self, "inner_used", -1) + 1
        return self.inner_oracles[self.inner_used]

    def say_root_end(self):
        self.build_w()
        o = self.sizing.end_oracle(len(self.w))
        fill = [ZERO] * (o.own * o.C - len(self.w))
        self.s = self.streams.extension("e.value", o.C)
        self.e_oracle = Committed(o, self.w + fill + self.s, self.streams, "e")
        self.next = None
        return self.e_oracle.root

    def say_end_clear(self):
        self.build_w()
        self.next = None
        return self.w

    @property
    def pending_columns(self):
        if not hasattr(self, "_pending"):
            group = self.closing or self.current
            self._pending = list(zip(group, self.queries[-len(group) :]))
            self.opened_now = list(self._pending)
        return self._pending

    closing = None

    def on_xi(self, xi):
        del self._pending
        weight = ONE
        for i, (c, js) in enumerate(self.opened_now):
            o = c.oracle
            for j in js:
                weight = weight * xi
                x, power = o.x(j), 1
                for m, n in ((0, o.C), (1, o.T)):
                    for t in range(n):
                        at = self.at[i, m] + t
                        self.V[at] = self.V[at] + weight * power
                        power = power * x % P
        if self.next is not None:
            self.current = [self.next]
            o = self.next.oracle
            self.functional = [self.V + [ZERO] * (o.rows * o.C - len(self.V))]
            self.start_level()
        else:
            m = self.e_oracle.oracle.c + self.e_oracle.oracle.h if self.zk else lg(len(self.w))
            fill = [ZERO] * ((1 << m) - len(self.w))
            self.last = [(self.V + fill, self.w + fill)]
            self.end_j, self.end_zeta = m - 1, [None] * m

    def say_end_round(self):
        return self.ladder_mask(inner_round(self.last, self.end_j, [ONE], [len(self.end_zeta)]))

    def on_end_zeta(self, r):
        inner_fold(self.last, self.end_j, [ONE], [len(self.end_zeta)], r)
        self.end_zeta[self.end_j] = r
        self.end_j -= 1

    def say_sigma(self):
        s = self.last[0][0][0] * mle(self.s, self.end_zeta[: self.e_oracle.oracle.c])
        for j, x in self.ladder.claim.kappa.items():
            s = s - x * self.s_q[j]
        return [s]

    def say_reply(self):
        theta = self.log["theta"][0]
        e, q = self.e_oracle, self.q_oracle
        self.closing = [e, q]
        weights = [theta * x for x in eq_vector(self.end_zeta[e.oracle.c :])[: e.oracle.own]] + [ONE]
        out = [dot(weights, column) for rows in (e.rows, e.masks) for column in zip(*rows)]
        out += [s + theta * w for s, w in zip(self.s_q, self.q)]
        return out + [s + theta * w for w, s in zip(*q.masks)]


def commit_long_term(program_bytes, statement, secrets):
    """Committed M and X_i of a Statement; fills its roots and identities. Seeds: 32 bytes 1, 2, ..."""

    class Probe(Verification):
        def check_roots(self):
            pass

    v = Probe(program_bytes, statement.encode(), PROOF_VERSION)
    out = []
    for number, (o, name) in enumerate(zip(v.oracles[1:], v.names[1:]), 1):
        layout = v.layouts[name]
        data = [ZERO] * layout.size
        for n, addresses in zip(v.groups[name], layout.addresses):
            for at, x in zip(addresses, secrets[n]):
                data[at] = K(x)
        c = Committed(o, data, Streams(bytes([number]) * 32), "z")
        o.root = c.root
        out.append((c, o.oracle_id()))
    statement.roots = [c.root for c, _ in out]
    statement.identities = [i for _, i in out]
    return [c for c, _ in out]
