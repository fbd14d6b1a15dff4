"""Verifies one proof: python refverify.py PROGRAM.bin STATEMENT.bin PROOF.bin [LINKS.bin]

PROGRAM.bin holds the Program bytes and the contents of its const tensors, STATEMENT.bin the Statement
bytes, PROOF.bin the proof, LINKS.bin the links to what it opens. Prints ACCEPT or REJECT with the reason; exit status 0 or 1. Written from
docs/spec alone; anchors in brackets are its clauses.
"""

import sys

import soundness
from field import SQRT7, K, Reject, eq_vector
from ladder import Ladder
from linear import outer
from lower import Lowered
from links import links_digest, read_links, walk
from oracle import (
    ROLE_M,
    Layout,
    Oracle,
    Sizing,
    input_oracle,
    layout_digest,
    pad_oracle,
)
from relations import Counts, Ledger, batch, constraints, lookup_argument
from tape import PROOF_VERSION, Tape
from wire import model_identity, read_program, read_statement


class Verification:
    """One run; public fields hold what was learned, for reports."""

    def __init__(self, program_bytes, statement_bytes, proof, chains=()):
        self.statement_bytes, self.proof, self.chains = statement_bytes, proof, chains
        self.program = read_program(program_bytes)
        self.statement = read_statement(statement_bytes)
        if self.statement.program_digest != self.program.digest:
            raise Reject("the Statement is about another Program")  # [D5]
        self.zk, self.lam = self.statement.zk, self.program.lam
        self.sizing = Sizing(self.lam, self.program.ladder)
        self.low = self.lowered()
        self.counts = Counts(self.low, self.zk)
        self.place_tensors()
        self.long_term()

    def lowered(self):
        """The relations. [W1]"""
        return Lowered(self.program, self.statement)

    def place_tensors(self):
        """Which tensors lie in which oracle, and where. [W1] [E4]"""
        low = self.low
        self.groups = {"fresh": [], "model": []}
        for n, t in enumerate(low.tensors):
            if not t.public():
                self.groups.setdefault(t.place, []).append(n)
        shapes = [low.tensors[n].axes for n in self.groups["fresh"]]
        if self.zk:
            shapes += [[self.counts.sends + 2, 2], [self.counts.muls + 1, 2]]
        self.layouts = {"fresh": Layout(shapes)}
        for name in self.groups:
            if name != "fresh" and self.groups[name]:
                self.layouts[name] = Layout([low.tensors[n].axes for n in self.groups[name]])

    def long_term(self):
        """M and X_i with their roots. [Q7] [Q8] [D4]"""
        self.oracles = [self.sizing.z_oracle(self.layouts["fresh"].size, self.zk)]
        self.names = ["fresh"]
        s = self.statement
        model = self.program.model_oracle
        if model:
            T = 0 if model.log_t is None else 1 << model.log_t
            digest = layout_digest(self.layouts["model"].shapes)
            self.add(Oracle(ROLE_M, 0, model.rows, 1 << model.c, T, 1 << model.e, self.lam, digest), "model")
        for i in range(sum(m == "committed" for m in s.inputs)):
            shape = self.layouts["committed", i].shapes[0]
            self.add(input_oracle(shape, self.lam, self.zk), ("committed", i))
        self.model = model_identity(self.program.digest, s.identities[: 1 if model else 0])
        self.check_roots()
        for o in self.oracles:
            o.check_valid(self.zk)
        if sum(o.n for o in self.oracles) > 1 << 27:
            raise Reject("the oracles are too large")

    def check_roots(self):
        """[D4] [K6] [K7]"""
        s = self.statement
        if len(s.roots) != len(self.oracles) - 1:
            raise Reject("the Statement has the wrong number of roots")
        if links_digest(self.chains) != s.link:
            raise Reject("the links are not the ones the Statement names")
        chains = self.chains or [[]] * len(s.roots)
        if len(chains) != len(s.roots):
            raise Reject("the number of chains of links is wrong")
        for o, name, root, identity, chain in zip(self.oracles[1:], self.names[1:], s.roots, s.identities, chains):
            o.root = root
            own = o.oracle_id() == identity
            if own and chain:
                raise Reject("links lead to an identity's own root")
            if not own and not chain:
                raise Reject("an opened root does not belong to its identity")
            subject = self.model if name == "model" else identity
            walk(chain, identity, o, subject, self.layouts[name].size, (self.lam, self.program.grind))

    def add(self, oracle, name):
        """One more level-0 oracle."""
        self.oracles.append(oracle)
        self.names.append(name)

    def tape(self):
        """The verifier's end of the conversation."""
        return Tape(self.proof[2:])

    def run(self):
        """The conversation of [N5]."""
        if self.proof[:2] != PROOF_VERSION:
            raise Reject("this proof version is not known")
        tape = self.tape()
        tape.absorb("hdr", self.statement_bytes)
        self.oracles[0].root = tape.read_bytes("root.z", 32)
        pad = None
        self.inner_oracles, _, rounds = self.sizing.plan(self.oracles, self.zk)
        if self.zk:
            self.pad_count = 2 * rounds
            pad = self.pad_parameters = pad_oracle(self.pad_count, self.lam)
            pad.root = tape.read_bytes("root.pad", 32)
        ledger = Ledger(tape, self.zk)
        lookup_argument(ledger, self.low, self.counts)
        constraints(ledger, self.low, self.counts)
        self.constraints = len(ledger.constraints)
        total = batch(ledger)
        functionals = self.functionals(total)
        params = (self.sizing, self.program.grind, self.zk, pad)
        self.ladder = Ladder(tape, self.oracles, functionals, -total.const, params)
        self.ladder.run()
        tape.finish()
        name, bits = soundness.weakest(self)
        if bits < 100 - 1e-9:
            raise Reject(f"{name}: only {bits:.2f} proven bits")  # [S7]

    def functionals(self, e):
        """One function per oracle: value of its functional at an address point. [A2]"""
        vectors = self.vectors(e)
        return [self.at_point(*vectors[name]) for name in self.names]

    def vectors(self, e):
        """The functional of an expression as a vector per oracle: (c0 list, c1 list). [A2] [C2]"""
        where = {}
        for name, numbers in self.groups.items():
            for i, n in enumerate(numbers):
                where[n] = (name, i)
        vectors = {name: ([0] * x.size, [0] * x.size) for name, x in self.layouts.items()}
        for coef, tensor, axes in e.terms:
            name, i = where[tensor]
            a, b = vectors[name]
            addresses = self.layouts[name].addresses[i]
            for flat, w in outer(coef, axes, self.low.tensors[tensor].axes):
                a[addresses[flat]] += w.a
                b[addresses[flat]] += w.b
        if self.zk:
            z = self.layouts["fresh"]
            for table, entries in ((z.addresses[-2], e.pads), (z.addresses[-1], e.prods)):
                for j, x in entries.items():
                    for c, w in enumerate((x, x * SQRT7)):
                        vectors["fresh"][0][table[2 * j + c]] += w.a
                        vectors["fresh"][1][table[2 * j + c]] += w.b
        return vectors

    @staticmethod
    def at_point(va, vb):
        """Multilinear evaluation of a vector at a point that may be longer than needed."""

        def value(point):
            weights = eq_vector(point)
            a = b = 0
            for x, y, w in zip(va, vb, weights):
                if x or y:
                    a += x * w.a + 7 * y * w.b
                    b += x * w.b + y * w.a
            return K(a, b)

        return value


def verify(program_bytes, statement_bytes, proof, links=None):
    """A finished Verification; raises Reject."""
    chains = [] if links is None else read_links(links)
    v = Verification(program_bytes, statement_bytes, proof, chains)
    v.run()
    return v


def main(argv):
    """Command line."""
    if len(argv) not in (4, 5):
        print(__doc__)
        return 2
    data = []
    for path in argv[1:]:
        with open(path, "rb") as f:
            data.append(f.read())
    try:
        v = verify(*data)
    except Reject as why:
        print(f"REJECT {why}")
        return 1
    print(f"ACCEPT model {v.model.hex()}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv))
