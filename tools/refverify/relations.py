"""From relations to one list of constraints. Spec 03."""

from field import ONE, ZERO, K, Reject, eq_list, inv, lg, sel
from linear import Expr, bits, chunk_axis, eq_axis, evaluate, mul_axis, total
from oracle import blocks_of, product


class Counts:
    """Sizes that follow from the lowered relations. [E4] [G3] [I1] [I3]"""

    def __init__(self, low, zk):
        self.shapes = [k.axes for k in low.looks] + [[n for _, n in t.keys] for t in low.tables]
        self.leaves = sum(product(s) for s in self.shapes) if low.looks else 0
        self.ell = max(1, lg(self.leaves)) if low.looks else 0
        self.private = [(low.space.private(r.a), low.space.private(r.b)) for r in low.ips]
        self.dims = [sum(bits(n) for n in joint_lengths(r) + r.sums) for r in low.ips]
        layers = self.ell
        self.muls = max(0, 3 * layers - 1) + sum(a and b for a, b in self.private)
        if zk:
            self.dims.append(lg(self.muls + 1))
        self.d_max = max(self.dims, default=0)
        sent = sum(a + b for a, b in self.private)
        self.sends = layers * (layers - 1) + 4 * layers + 2 * self.d_max + sent
        self.batch = bool(low.ips) or zk
        if self.ell + len(low.lins) + 2 * len(low.ips) + 5 > 1 << 16:
            raise Reject("too many constraints")  # [P20]


def joint_axes(r):
    """Output axes used by both factors. [R3]"""
    used = [{x for _, v in form for m in v.maps for x in m.axes()} for form in (r.a, r.b)]
    for y in range(len(r.outputs)):
        if y not in used[0] and y not in used[1]:
            raise Reject("an output axis of an inner product is used by neither factor")
    return [y for y in range(len(r.outputs)) if y in used[0] and y in used[1]]


def joint_lengths(r):
    """Lengths of the joint axes."""
    return [r.outputs[y] for y in joint_axes(r)]


class Ledger:
    """Sends, products and constraints of one verification. [E1] [E2] [E3]"""

    def __init__(self, tape, zk):
        self.tape, self.zk = tape, zk
        self.pads = 0
        self.factors = []
        self.constraints = []

    def send(self, label, count):
        """[E1]; returns expressions that remember their pad."""
        out = []
        for m in self.tape.read(label, count):
            e = Expr(m)
            if self.zk:
                e.pads[self.pads] = ONE
                e.pad = self.pads
                self.pads += 1
            out.append(e)
        return out

    def mul(self, x, y):
        """[E2]"""
        if not self.zk:
            return Expr(x.const * y.const)
        s = len(self.factors)
        self.factors.append((x.pad, y.pad))
        e = Expr(x.const * y.const, prods={s: ONE})
        return e + Expr(pads={y.pad: x.const}) + Expr(pads={x.pad: y.const})

    def require(self, e):
        """[E3]"""
        self.constraints.append(e)


def quadratic(claim, c0, c2, r):
    """The claim after a round with c0, c2 at r. [I4]"""
    return c0 * (1 - 2 * r) + c2 * (r * r - r) + claim * r


# ---------------------------------------------------------------- lookups


def lookup_argument(ledger, low, counts):
    """[G1] to [G10]"""
    if not counts.ell:
        return
    tape = ledger.tape
    alpha = tape.challenge("alpha")
    width = max(len(low.tables[k.table].keys) + len(low.tables[k.table].outs) for k in low.looks)
    beta = [ONE] + tape.challenges("beta", width - 1)
    beta_tag = tape.challenge("tag")
    p = q = None
    point = []
    for k in range(counts.ell):
        p, q, point = layer(ledger, k, p, q, point)
    leaf_end(ledger, low, counts, (alpha, beta, beta_tag), p, q, point)


def layer(ledger, k, p, q, r):
    """Layer k from claims p, q at r: claims of layer k + 1 and their point. [G5] to [G9]"""
    tape, rho = ledger.tape, [None] * k
    nu = claim = None
    if k:
        nu = tape.challenge("gkr.nu")
        claim = p + q * nu
        for j in reversed(range(k)):
            h0, h_inf = ledger.send("gkr.round", 2)
            if r[j] == 0:
                raise Reject("gkr.round: a point coordinate is 0")
            h1 = (claim - h0 * (1 - r[j])) * r[j].inverse()
            x = rho[j] = tape.challenge("gkr.rho")
            claim = h0 * (1 - x) + h1 * x + h_inf * (x * x - x)
    p0, p1, q0, q1 = ledger.send("gkr.out", 4)
    cross = ledger.mul(p0, q1) + ledger.mul(p1, q0)
    if k:
        ledger.require(claim - (cross + ledger.mul(q0, q1) * nu))
    else:
        ledger.require(cross)
    mu = tape.challenge("gkr.mu")
    return p0 * (1 - mu) + p1 * mu, q0 * (1 - mu) + q1 * mu, rho + [mu]


def leaf_end(ledger, low, counts, challenges, p, q, r):
    """p-end and q-end. [G10]"""
    alpha, beta, beta_tag = challenges
    p_sum, q_sum, covered = Expr(), Expr(), ZERO
    for block in blocks_of(counts.shapes)[0]:
        s = sel(r, block.off, block.e)
        covered = covered + s
        axes, at = [None] * len(block.parts), 0
        for a in reversed(range(len(block.parts))):
            off, e = block.parts[a]
            axes[a] = chunk_axis(off, e, r[at : at + e])
            at += e
        if block.tensor < len(low.looks):
            look = low.looks[block.tensor]
            p_sum = p_sum + s
            den = Expr(alpha - beta_tag * (look.table + 1))
            for b, form in zip(beta, look.coords):
                den = den - low.space.form(form, dict(enumerate(axes))) * b
        else:
            number = block.tensor - len(low.looks)
            table = low.tables[number]
            p_sum = p_sum - Expr(terms=[(s, table.multiplicity, axes)])
            den = Expr(alpha - beta_tag * (number + 1))
            for b, value in zip(beta, row_values(table, axes)):
                den = den - b * value
        q_sum = q_sum + den * s
    ledger.require(p - p_sum)
    ledger.require(q - (q_sum + (1 - covered)))


def row_values(table, axes):
    """<row_i> for every coordinate of a table over axis vectors of one chunk each."""
    out = []
    for a, (lo, _) in enumerate(table.keys):
        value = ONE
        for b, v in enumerate(axes):
            if a == b:
                s = ZERO
                for i, x in v.items():
                    s = s + x * (lo + i)
                value = value * s
            else:
                value = value * total(v)
        out.append(value)
    shape = [n for _, n in table.keys]
    return out + [evaluate(content, axes, shape) for content in table.outs]


# ---------------------------------------------------------------- inner products and linear relations


def draw_point(tape, axes):
    """One point per axis. [R1] [R4]"""
    return [tape.challenges("point", bits(n)) for n in axes]


def constraints(ledger, low, counts):
    """Everything between the lookup argument and eta, in order. [I1] to [I8], [C1]"""
    tape, zk, space = ledger.tape, ledger.zk, low.space
    ip_points = [draw_point(tape, r.outputs) for r in low.ips]
    lin_points = [draw_point(tape, r.axes) for r in low.lins]
    batch = None
    if counts.batch:
        tau = tape.challenges("tau", counts.dims[-1]) if zk else None
        batch = inner_products(ledger, low, counts, ip_points, tau)
    for r, points in zip(low.lins, lin_points):
        ledger.require(space.form(r.form, positions(points, r.axes)))
    for e in batch or []:
        ledger.require(e)


def positions(points, axes):
    """Eq vectors by position axis."""
    return {a: eq_axis(point, n) for a, (point, n) in enumerate(zip(points, axes))}


def target_claim(space, r, points):
    """A_l of [R5]."""
    f = positions(points, r.outputs)
    if isinstance(r.multiplier, int):
        scaled = space.form(r.target, f) * K(inv(r.multiplier))
    else:
        axis, ms = r.multiplier
        g = dict(f)
        g[axis] = {i: x * inv(ms[i]) for i, x in f[axis].items()}
        scaled = space.form(r.target, g)
    return scaled - space.form(r.c, f)


def operands(space, r, points, rho):
    """a(rho) and b(rho) as functionals. [R6]"""
    joint = joint_axes(r)
    lengths = [r.outputs[y] for y in joint] + r.sums
    parts, at = [None] * len(lengths), 0
    for i in reversed(range(len(lengths))):
        parts[i] = rho[at : at + bits(lengths[i])]
        at += bits(lengths[i])
    used_a = {x for _, v in r.a for m in v.maps for x in m.axes()}
    fa, fb = {}, {}
    for y, n in enumerate(r.outputs):
        if y in joint:
            part = parts[joint.index(y)]
            fa[y], fb[y] = mul_axis(points[y], part, n), eq_axis(part, n)
        elif y in used_a:
            fa[y] = eq_axis(points[y], n)
        else:
            fb[y] = eq_axis(points[y], n)
    for i, n in enumerate(r.sums):
        axis = len(r.outputs) + i
        fa[axis] = fb[axis] = eq_axis(parts[len(joint) + i], n)
    return space.form(r.a, fa), space.form(r.b, fb)


def inner_products(ledger, low, counts, ip_points, tau):
    """The batched sumcheck; returns its constraints in order. [I2] to [I8]"""
    tape, zk, space = ledger.tape, ledger.zk, low.space
    gamma = tape.challenge("gamma")
    claim, weight = Expr(), ONE
    weights = []
    for r, points in zip(low.ips, ip_points):
        claim = claim + target_claim(space, r, points) * weight
        weights.append(weight)
        weight = weight * gamma
    if zk:
        e_tau = eq_list(tau, counts.muls + 1)
        claim = claim + Expr(prods={j: x * weight for j, x in enumerate(e_tau)})
    rho = [None] * counts.d_max
    for j in reversed(range(counts.d_max)):
        c0, c2 = ledger.send("ip.round", 2)
        rho[j] = tape.challenge("ip.rho")
        claim = quadratic(claim, c0, c2, rho[j])
    sent = ledger.send("ip.out", sum(a + b for a, b in counts.private))
    clear = tape.read("ip.clear", 2) if zk else None
    ends = []
    for l, (r, points) in enumerate(zip(low.ips, ip_points)):
        fa, fb = operands(space, r, points, rho[: counts.dims[l]])
        xs = []
        for is_private, f in zip(counts.private[l], (fa, fb)):
            if is_private:
                x = sent.pop(0)
                ends.append(f - x)
                xs.append(x)
            else:
                xs.append(f)
        both = all(counts.private[l])
        prod = ledger.mul(*xs) if both else times(*xs)
        claim = claim - prod * (weights[l] * tail(rho, counts.dims[l]))
    if zk:
        A, B = clear
        claim = claim - weight * tail(rho, counts.dims[-1]) * A * B
        ends += pad_ends(ledger, counts, rho, e_tau, A, B)
    return [claim] + ends


def times(x, y):
    """Product of two expressions of which at least one is a constant."""
    if not x.terms and not x.pads:
        return y * x.const
    return x * y.const


def tail(rho, d):
    """D_l of [I5]."""
    r = ONE
    for x in rho[d:]:
        r = r * (1 - x)
    return r


def pad_ends(ledger, counts, rho, e_tau, A, B):
    """The A and B lines of [I7]."""
    n = counts.muls + 1
    e_rho = eq_list(rho[: counts.dims[-1]], n)
    if e_rho[-1] * e_tau[-1] == 0:
        raise Reject("ip.clear: the dummy pair has weight 0")  # [I6]
    factors = ledger.factors + [(counts.sends, counts.sends + 1)]  # [E5]
    a, b = Expr(-A), Expr(-B)
    for j, (x, y) in enumerate(factors):
        a = a + Expr(pads={x: e_rho[j] * e_tau[j]})
        b = b + Expr(pads={y: e_rho[j]})
    return [a, b]


def batch(ledger):
    """Sum of eta^i * constraint_i. [C2]"""
    eta = ledger.tape.challenge("eta")
    out, weight = Expr(), ONE
    for e in ledger.constraints:
        out = out + e * weight
        weight = weight * eta
    return out
