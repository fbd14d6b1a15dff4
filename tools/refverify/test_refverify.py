"""Tests: known answers of the spec, honest and dishonest toy proofs, and the vectors of the repository."""

import os
import random
import re
from types import SimpleNamespace

import pytest

import encode
from encode import aff, tensor, view, whole
from field import SQRT7, K, Reject, omega, sel
from links import links_digest, prefix_eq, read_links
from oracle import Layout, Oracle, blocks_of, chunks, product, queries
from prover import Committed, Prover, Solving, Streams, commit_long_term
from refverify import main, verify
from soundness import terms
from tape import Transcript
from toys import KINDS, conv_proof, finish, make, mlp_proof, statement
from wire import Map, read_program, read_statement

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.join(HERE, "..", "..")
SPEC = os.path.join(ROOT, "docs", "spec")
VECTORS = os.path.join(ROOT, "vectors", "proofs", "v1")


# ---------------------------------------------------------------- known answers [N8]


def test_fields():
    assert omega(1 << 32) == 1753635133440165772
    assert omega(8) == 18446744069397807105
    assert K(1, 2) * K(3, 4) == K(59, 10)
    assert K(1, 2).inverse() == K(4782489203181558898, 8881765663051466525)
    assert SQRT7 * SQRT7 == 7


def test_transcript():
    t = Transcript()
    t.absorb("hdr", b"abc")
    assert t.state.hex() == "6510fdb4645393ea198f816cc4cbe4e9007c700693f8f479f74555581d64fa55"
    assert t.challenge("alpha") == K(2102384171906066136, 5342551391629998517)
    assert t.state.hex() == "fbf7538d2577d58f7140470d9a14d0db943f1e8e70481161328801d0f7950178"
    assert t.indices(8192, 4) == [3948, 4195, 5348, 6400]
    assert t.state.hex() == "8cb7eb8c58d92096d9f2caad8d5e88ef35ed20c664786501c1a3c921e4991119"
    nonce = 0
    while t.work(nonce.to_bytes(8, "little")) < 8:
        nonce += 1
    assert nonce == 134


def test_indices_of_a_full_query_move_the_state():
    t = Transcript()
    before = t.state
    assert t.indices(8, 8) == list(range(8))
    assert t.state != before


def toy_oracle():
    rows = [K(1), K(2), K(3), K(-1)]
    return Committed(Oracle(1, 0, 2, 2, 0, 8, 100), rows, Streams(bytes(32)), "z")


def test_tree():
    c = toy_oracle()
    want = [(3, 2), (18446744069381029890, 16777219), (562949953421313, 18446462594437873668)]
    got = [tuple(int.from_bytes(x[i : i + 8], "little") for i in (0, 8)) for x in c.columns[:3]]
    assert got == want
    assert c.oracle.tag.hex() == "e9910906f0fb40fb05c70afc1bee0b128b8ef665db7e811a803c8633603eb94c"
    assert c.root.hex() == "1f89c3cbd2c523fdf41799bdd8c19ba6df78125925eb53e8da170dc60bbee779"
    c.oracle.root = c.root
    assert c.oracle.oracle_id().hex() == "dde1236bfc6b3d6cfbdcef2c41ab159d688f930e38ffdc4e0765f07ef3bd4837"
    assert [x.hex()[:8] for x in c.path([1, 6])] == ["587cd5fc", "84621b02", "cccb2e00", "ca13f7d2"]


def test_layout():
    x = Layout([[13], [3, 5], [6]])
    assert x.size == 34
    at = [x.addresses[1][2 * 5 + 3], x.addresses[1][4], x.addresses[0][12], x.addresses[2][5], x.addresses[1][14]]
    assert at == [23, 28, 32, 31, 33]
    assert sorted(a for table in x.addresses for a in table) == list(range(34))
    assert [b.off for b in blocks_of([[13], [3, 5], [6]])[0]] == [0, 8, 16, 20, 24, 28, 30, 32, 33]


def test_stream():
    assert Streams(bytes(32)).salts("z.mask", 1)[0].hex() == "419e7cc1239a67fd20c04454f3938f12"


def test_queries():
    cases = [(8192, 1152, 84), (1 << 22, (1 << 20) + (1 << 18), 84), (32768, 8192, 84), (1 << 20, (1 << 19) + 256, 100)]
    assert [queries(*c) for c in cases] == [104, 139, 124, 242]
    for n, k, lam in cases:
        t = queries(n, k, lam)
        assert (n + k) ** t << lam <= (2 * n) ** t < (n + k) ** (t - 1) * (2 * n) << lam


# ---------------------------------------------------------------- toy proofs


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("zk", [False, True])
def test_honest_mlp(zk, kind):
    data, st, proof, _, _, _ = mlp_proof(zk, kind)
    v = verify(data, st, proof)
    assert all(bits >= 100 for _, bits in terms(v))


@pytest.mark.parametrize("zk", [False, True])
def test_honest_conv(zk):
    data, st, proof, _, fields, _ = conv_proof(zk)
    verify(data, st, proof)
    out = fields.slots[0]
    other = encode.Statement(**{**vars(fields), "slots": [[out[0] ^ 1] + out[1:]]})
    refused(data, other.encode(), proof)


def refused(data, st, proof):
    with pytest.raises(Reject):
        verify(data, st, proof)


@pytest.mark.parametrize("zk", [False, True])
def test_bytes(zk):
    """Flips in every message, truncation, extension."""
    data, st, proof, p, _, _ = mlp_proof(zk, "private")
    refused(data, st, proof[:-1])
    refused(data, st, proof + b"\0")
    refused(data, st, b"\1" + proof[1:])
    refused(data, st[:-1] + bytes([st[-1] ^ 1]), proof)
    rnd = random.Random(9)
    seen = {}
    for label, start, count in p.end_of_tape.marks:
        if count and seen.setdefault(label, 0) < 2:
            seen[label] += 1
            bad = bytearray(proof)
            bad[start + rnd.randrange(count)] ^= 1 << rnd.randrange(8)
            refused(data, st, bytes(bad))
    assert len(seen) >= (9 if zk else 7)


# columns of the mlp: q, r, out, q2, r2_0, r2_1, limbs; then input limbs none (b = 4, 16 values)
LIES = {
    "activation": {9: [(3, 1)]},
    "quotient and remainder": {7: [(2, -1)], 8: [(2, 16)]},
    "output": {10: [(1, 1)], 11: [(1, -32)]},
    "input": {0: [(0, 16)]},
}


@pytest.mark.parametrize("lie", LIES)
@pytest.mark.parametrize("zk", [False, True])
def test_lies(zk, lie):
    """A prover that is honest but for one column."""
    data, _, _, _, st, secrets = mlp_proof(zk, "private")
    lies = dict(LIES[lie])
    if 0 in lies:
        secrets = dict(secrets)
        secrets[0] = [secrets[0][0] + 16] + secrets[0][1:]
        lies = {}
    with pytest.raises(Reject):  # the prover runs the verifier's checks too
        st_bytes, proof, _ = make(data, st, secrets, lie=lies)
        verify(data, st_bytes, proof)


def test_other_statement():
    """Every field of the Statement counts."""
    data, st, proof, _, fields, _ = mlp_proof(True, "private")
    for name, value in [
        ("context", b"other"), ("zk", False), ("batch", 3), ("roots", [bytes(32)]), ("identities", [bytes(32)]),
        ("program_digest", bytes(32)), ("inputs", ["committed"]), ("reveals", []),
        ("slots", [[fields.slots[0][0] + 1] + fields.slots[0][1:]]),
    ]:
        other = encode.Statement(**{**vars(fields), name: value})
        assert other.encode() != st
        refused(data, other.encode(), proof)


def test_bad_pad_product():
    """A wrong product of pads is refused."""
    data, _, _, _, st, secrets = mlp_proof(True, "private")

    class Bad(Prover):
        def factors(self):
            out = super().factors()
            out[self.bad] = (0, 1)
            return out

    committed = commit_long_term(data, st, secrets)
    p = Bad(data, st.encode(), secrets, committed)
    p.bad = 3
    with pytest.raises(Reject):  # the prover runs the verifier's checks too
        p.prove()


def test_programs_are_checked():
    """Rules of section 4 of part 2."""
    def check(form, bits=4, tensors=None, axes=(4,)):
        ts = tensors or [tensor("input", [4], 0, 15)]
        ops = [SimpleNamespace(name="check", axes=list(axes), bits=bits, form=form)]
        data, digest = finish(ts, [], ops, [0])
        st = statement(digest, False, 1, ["private"], [], [])
        Solving(read_program(data), st, {0: [0] * 4})

    check(whole(0, 1))
    bad = [
        (whole(0, 1, 2), {}),  # may fail
        (whole(0, 1, 0), {}),  # zero multiplier
        (whole(0, 1), {"bits": 63}),
        ([(1, view(0))], {}),
        ([(1, view(0, aff(1)))], {}),
        ([(1, view(0, Map(kind="fix", at=4)))], {}),
        ([(1, view(0, Map(kind="gather", a=0, indices=[0, 1, 2, 4])))], {}),
        ([(1, view(7, aff(0)))], {}),
        (whole(0, 1), {"axes": [0]}),
        (whole(0, 1), {"axes": [0, 0]}),
        ([(1, view(0, Map(kind="win", a=0, b=0, step=1, dil=1, off=0)))], {}),
    ]
    for form, options in bad:
        with pytest.raises(Reject):
            check(form, **options)


def test_command_line(tmp_path, capsys):
    data, st, proof, _, _, _ = mlp_proof(False, "public")
    paths = []
    for name, content in (("program", data), ("statement", st), ("proof", proof), ("bad", proof[:-5])):
        (tmp_path / name).write_bytes(content)
        paths.append(str(tmp_path / name))
    assert main(["", *paths[:3]]) == 0
    assert capsys.readouterr().out.startswith("ACCEPT")
    assert main(["", paths[0], paths[1], paths[3]]) == 1
    assert capsys.readouterr().out.startswith("REJECT")


# ---------------------------------------------------------------- links [K1] to [K8]


def linked_parts():
    out = []
    for part in ("program", "statement", "proof", "links"):
        with open(os.path.join(VECTORS, "hidden-linked", f"{part}.bin"), "rb") as f:
            out.append(f.read())
    return out


def named(st, links):
    """The Statement bytes with the digest of these links in place of the old one."""
    old = read_statement(st).link
    assert st.count(old) == 1
    return st.replace(old, links_digest(read_links(links)))


def test_links():
    """A proof with links holds; damage to the links is refused, even where the Statement names it."""
    data, st, proof, links = linked_parts()
    verify(data, st, proof, links)
    for links_or_none in (None, links[:-1], links + b"\0", links[:4]):
        with pytest.raises(Reject):
            verify(data, st, proof, links_or_none)
    rnd = random.Random(5)
    for at in [20, 60, 100, 150, 300] + [rnd.randrange(400, len(links)) for _ in range(4)]:
        bad = bytearray(links)
        bad[at] ^= 1 << rnd.randrange(8)
        with pytest.raises(Reject):
            verify(data, st, proof, bytes(bad))
        with pytest.raises(Reject, match="link|role|reply|byte|root|cols|parameters|sizes|below"):
            verify(data, named(st, bytes(bad)), proof, bytes(bad))


def test_prefix_of_eq():
    """By chunks, as the other verifier does, and by the definition."""
    r, z = [K(3 * i + 5, i) for i in range(6)], [K(i + 9, 2 * i) for i in range(8)]
    for n in (1, 5, 32, 33, 63, 64):
        parts = [
            sel(r, off, e) * sel(z, off, e) * product(x * y * 2 - x - y + 1 for x, y in zip(r[:e], z[:e]))
            for off, e in chunks(n)
        ]
        total = K(0)
        for part in parts:
            total = total + part
        assert prefix_eq(r, n)(z) == total


# ---------------------------------------------------------------- the text itself


def spec_files():
    return sorted(f for f in os.listdir(SPEC) if f.endswith(".md"))


def test_anchors():
    """Anchors are defined once, and every cited anchor exists."""
    defined, cited = [], set()
    for name in spec_files():
        with open(os.path.join(SPEC, name), encoding="utf-8") as f:
            for line in f:
                heads = re.findall(r"^(?:- |\| )?`\[([A-Z]\d+)\]`", line)
                defined += heads
                cited |= set(re.findall(r"\[([A-Z]\d+)\]", line))
    for name in sorted(os.listdir(HERE)):
        if name.endswith(".py"):
            with open(os.path.join(HERE, name), encoding="utf-8") as f:
                cited |= set(re.findall(r"\[([A-Z]\d+)\]", f.read()))
    assert len(defined) == len(set(defined)), sorted(a for a in defined if defined.count(a) > 1)
    assert cited <= set(defined), sorted(cited - set(defined))
    assert len(defined) > 100


# ---------------------------------------------------------------- vectors


def vector_dirs():
    if not os.path.isdir(VECTORS):
        return []
    return sorted(d for d in os.listdir(VECTORS) if os.path.isdir(os.path.join(VECTORS, d)))


def test_there_are_vectors():
    assert vector_dirs(), f"no vectors under {os.path.normpath(VECTORS)}"


@pytest.mark.parametrize("name", vector_dirs())
def test_vector(name, capsys):
    folder = os.path.join(VECTORS, name)
    with open(os.path.join(folder, "expect.txt"), encoding="utf-8") as f:
        expect = f.read().split()[0]
    assert expect in ("accept", "reject")
    paths = [os.path.join(folder, f"{part}.bin") for part in ("program", "statement", "proof", "links")]
    paths = [path for path in paths if os.path.exists(path)]
    code = main(["", *paths])
    assert code == (0 if expect == "accept" else 1), capsys.readouterr().out
