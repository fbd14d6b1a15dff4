"""Links between commitments and chains of links. Spec 07."""

from types import SimpleNamespace

import soundness
from field import ZERO, Reject, dot, eq_list, lg
from ladder import Ladder
from oracle import LADDER, ROLE_M, ROLE_X, Oracle, Sizing, pad_oracle
from tape import PROOF_VERSION, H, Tape, fr, u32
from wire import CONTEXT, ORACLES, Reader

CHAIN = 64  # [K6]


def read_record(r):
    """One OracleRecord of [K1]: parameters as (role, R, c, logT, e, layout), and the root."""
    role = r.u8()
    if role not in (ROLE_M, ROLE_X):
        r.fail("a linked oracle is neither M nor X")
    if r.u8() != 0:
        r.fail("a linked oracle is not over F")
    shape = (role, r.u32(), r.u8(), r.u8(), r.u8(), r.take(32))
    return SimpleNamespace(shape=shape, root=r.take(32))


def read_link_statement(data):
    """[K1]"""
    r = Reader(data)
    r.magic(b"ZTLK", 1)
    s = SimpleNamespace(lam=r.u8(), grind=r.u8(), subject=r.take(32), total=r.uint(8))
    s.parent, s.child = read_record(r), read_record(r)
    s.context = r.framed(CONTEXT)
    r.end()
    s.bytes = data
    return s


def read_framed(r):
    """fr(x) without a limit but the end of the bytes."""
    return r.take(r.uint(8))


def read_links(data):
    """Chains of links: lists of (statement bytes, proof). [K8]"""
    r = Reader(data)
    chains = r.list(ORACLES, lambda: r.list(CHAIN, lambda: (read_framed(r), read_framed(r))))
    r.end()
    return chains


def links_digest(chains):
    """The Statement's link field. [K5]"""
    if not any(chains):
        return bytes(32)
    out = fr(b"zerotell/links") + u32(len(chains))
    for chain in chains:
        out += u32(len(chain))
        out += b"".join(H(fr(b"zerotell/link") + fr(st) + fr(proof)) for st, proof in chain)
    return H(out)


def linked_oracle(record, total, lam):
    """The Oracle of a record, checked. [K2]"""
    role, rows, c, log_t, e, layout = record.shape
    if max(c, e) > 27 or (log_t != 255 and log_t > 27) or log_t == 255:
        raise Reject("link: parameters out of bounds")
    o = Oracle(role, 0, rows, 1 << c, 1 << log_t, 1 << e, lam, layout)
    o.check_valid(True)
    if total < 1 or rows != -(-total // o.C):
        raise Reject("link: the sizes do not fit")
    o.root = record.root
    return o


def prefix_eq(r, total):
    """sum over a < total of eq(r, a) eq(z, a), as a function of z. [K3]"""
    known = eq_list(r, total)

    def value(z):
        return dot(known, eq_list(z, total))

    return value


def verify_link(s, proof):
    """The conversation of [K3]; gives parent and child. Raises Reject."""
    if s.lam + s.grind < 100 or s.grind > 24:
        raise Reject("link: too few bits")
    a, b = (linked_oracle(record, s.total, s.lam) for record in (s.parent, s.child))
    if (a.role, s.parent.shape[5]) != (b.role, s.child.shape[5]):
        raise Reject("link: the oracles have other tensors")
    if a.n + b.n > 1 << 27:
        raise Reject("link: the oracles are too large")
    if proof[:2] != PROOF_VERSION:
        raise Reject("link: this proof version is not known")
    tape = Tape(proof[2:])
    tape.absorb("hdr", s.bytes)
    sizing = Sizing(s.lam, LADDER)
    pad = pad_oracle(2 * sizing.plan([a, b], True)[2], s.lam)
    pad.root = tape.read_bytes("root.pad", 32)
    r = tape.challenges("link", lg(s.total))
    plus = prefix_eq(r, s.total)
    ladder = Ladder(tape, [a, b], [plus, lambda z: ZERO - plus(z)], ZERO, (sizing, s.grind, True, pad))
    ladder.run()
    tape.finish()
    levels = [level.oracles for level in ladder.levels]
    name, bits = min(soundness.link_rows(len(r), levels, [ladder.last, pad], s.grind), key=lambda t: t[1])
    if bits < 100 - 1e-9:
        raise Reject(f"link: {name}: only {bits:.2f} proven bits")  # [K4]
    return a, b


def walk(chain, identity, opened, subject, total, level):
    """One chain from an identity to an opened oracle. [K6] [K7]"""
    at = identity
    for st, proof in chain:
        s = read_link_statement(st)
        if s.subject != subject:
            raise Reject("link: about another model or input")
        if (s.lam, s.grind) != level:
            raise Reject("link: another security level")
        a, b = verify_link(s, proof)
        if s.total != total or a.role != opened.role or s.parent.shape[5] != opened.layout:
            raise Reject("link: about other tensors")
        if a.oracle_id() != at:
            raise Reject("link: it does not start where the one before ends")
        at = b.oracle_id()
    if at != opened.oracle_id():
        raise Reject("link: the chain does not lead to the opened root")
