"""The opening. Spec 04."""

from field import ONE, ZERO, Reject, dot, eq_list, lg, mle, polynomial, power_mle, sel
from oracle import ROLE_E
from relations import quadratic


class Claim:
    """const + <kappa, Q>. [L1]"""

    def __init__(self, const):
        self.const = const
        self.kappa = {}

    def round(self, c0, c2, r, pads):
        """[L2]; pads are the numbers of the pads of c0, c2 or nothing."""
        self.const = quadratic(self.const, c0, c2, r)
        self.kappa = {j: x * r for j, x in self.kappa.items()}
        if pads is not None:
            self.kappa[pads] = 1 - 2 * r
            self.kappa[pads + 1] = r * r - r


class Level:
    """One level of the ladder: what V(z) of [L9] needs."""

    def __init__(self, oracles, zeta):
        self.oracles, self.zeta = oracles, zeta
        rounds = len(zeta)
        self.weights = [eq_list(zeta[: o.h], o.rows) for o in oracles]  # [L4]
        self.D = []
        for o in oracles:
            d = ONE
            for j in range(o.h, rounds):
                d = d * (1 - zeta[j])
            self.D.append(d)  # [L3]
        self.place()
        self.opened = []  # (oracle position, x, weight)

    def place(self):
        """[L5]"""
        blocks = []
        for i, o in enumerate(self.oracles):
            blocks.append((-o.C, i, 0))
            if o.T:
                blocks.append((-o.T, i, 1))
        at, self.offsets = 0, {}
        for size, i, mask in sorted(blocks):
            self.offsets[i, mask] = at
            at -= size
        self.length = at

    def value(self, z, v):
        """V(z); v(i, point) is the functional of oracle i at an address point. [L9]"""
        out = ZERO
        for i, o in enumerate(self.oracles):
            s = sel(z, self.offsets[i, 0], o.c)
            out = out + self.D[i] * s * v(i, z[: o.c] + self.zeta[: o.h])
        for i, x, weight in self.opened:
            o = self.oracles[i]
            term = sel(z, self.offsets[i, 0], o.c) * power_mle(z[: o.c], x)
            if o.T:
                e = lg(o.T)
                shift = pow(x, o.C, (1 << 64) - (1 << 32) + 1)
                term = term + sel(z, self.offsets[i, 1], e) * power_mle(z[:e], x) * shift
            out = out + weight * term
        return out


class Ladder:
    """Verifies sum <oracle, v> = target for level-0 oracles. [L1]"""

    def __init__(self, tape, level0, functionals, target, params):
        self.tape, self.level0, self.functionals = tape, level0, functionals
        self.sizing, self.grind, self.zk, self.pad = params
        self.claim = Claim(target)
        self.used = 0
        self.inner = self.sizing.plan(level0, self.zk)[0]
        self.levels = []
        self.phases = []  # lists of oracles, for the soundness report

    def masked_round(self, message, challenge):
        """One sumcheck round; returns its challenge. [L1] [L2]"""
        c0, c2 = self.tape.read(message, 2)
        r = self.tape.challenge(challenge)
        self.claim.round(c0, c2, r, self.used if self.zk else None)
        self.used += 2
        return r

    def run(self):
        """[L1]"""
        oracles, inner = self.level0, list(self.inner)
        while True:
            rounds = max(o.h for o in oracles)
            zeta = [None] * rounds
            for j in reversed(range(rounds)):
                zeta[j] = self.masked_round("row.round", "row.zeta")
            level = Level(oracles, zeta)
            self.levels.append(level)
            following = self.commit_next(level, inner)
            self.open(level)
            if following is None:
                break
            oracles = [following]
        self.end(level)

    def commit_next(self, level, inner):
        """[L6]; the next oracle or nothing at the last level."""
        if level.length > self.sizing.ladder.last_max:
            o = inner.pop(0)
            o.root = self.tape.read_bytes("root.next", 32)
            return o
        if self.zk:
            self.last = self.sizing.end_oracle(level.length)
            self.last.root = self.tape.read_bytes("root.end", 32)
        else:
            self.clear = self.tape.read("end.clear", level.length)
        return None

    def open(self, level):
        """[L7] [L8]"""
        tape = self.tape
        tape.grind(self.grind)
        indices = [tape.indices(o.n, o.queries) for o in level.oracles]
        columns = [o.open_columns(tape, i) for o, i in zip(level.oracles, indices)]
        self.phases.append(level.oracles)
        xi = tape.challenge("xi")
        weight = ONE
        for a, (o, js, cs) in enumerate(zip(level.oracles, indices, columns)):
            for j, column in zip(js, cs):
                weight = weight * xi
                self.claim.const = self.claim.const + weight * dot(level.weights[a], column)
                level.opened.append((a, o.x(j), weight))

    def value(self, z):
        """V of the last level at z, along the chain of points."""

        def at(depth):
            def v(i, point):
                if depth == 0:
                    return self.functionals[i](point)
                return self.levels[depth - 1].value(point, at(depth - 1))

            return v

        depth = len(self.levels) - 1
        return self.levels[depth].value(z, at(depth))

    def end(self, level):
        """[L10] [L11] [L12] [L13]"""
        m = self.last.c + self.last.h if self.zk else lg(level.length)
        zeta = [None] * m
        for j in reversed(range(m)):
            zeta[j] = self.masked_round("end.round", "end.zeta")
        V = self.value(zeta)
        if not self.zk:
            if V * mle(self.clear, zeta) != self.claim.const:
                raise Reject("end: the last vector does not match the claim")
            return
        self.masked_end(zeta, V)

    def masked_end(self, zeta, V):
        """[L12] [L13]"""
        tape, E, Q, pads = self.tape, self.last, self.pad, self.used
        sigma = tape.read("sigma", 1)[0]
        theta = tape.challenge("theta")
        reply = tape.read("reply", E.C + E.T + pads + Q.T)
        y, reply = reply[: E.C], reply[E.C :]
        y_r, reply = reply[: E.T], reply[E.T :]
        y_q, y_qr = reply[:pads], reply[pads:]
        left = V * mle(y, zeta[: E.c])
        for j, x in self.claim.kappa.items():
            left = left - x * y_q[j]
        if left != sigma + theta * self.claim.const:
            raise Reject("reply: the last vector does not match the claim")
        tape.grind(self.grind)
        self.phases.append([E, Q])
        indices = [tape.indices(o.n, o.queries) for o in (E, Q)]
        rows = (eq_list(zeta[E.c :], E.own), [ONE])
        for o, js, data, masks, e in zip((E, Q), indices, (y, y_q), (y_r, y_qr), rows):
            coefs = data + [ZERO] * (o.C - len(data)) + masks
            for j, (*w, s) in zip(js, o.open_columns(tape, js)):
                if polynomial(coefs, o.x(j)) != s + theta * dot(e, w):
                    name = "E" if o.role == ROLE_E else "Q"
                    raise Reject(f"reply: does not match the opened columns of {name}")
