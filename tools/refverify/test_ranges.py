"""Range certificates: the derived Programs are those of the first implementation, and their proofs hold."""

import os
from types import SimpleNamespace

import pytest

import encode
from encode import tensor, view, whole
from field import Reject
from oracle import LADDER, product
from ranges import cut, main, parts, range_programs, read_certificate, statement, verify_certificate
from tape import H, fr, u32
from test_refverify import VECTORS
from toys import finish
from wire import read_program, read_statement

# The same cases with the same digests are in the tests of the first implementation.
CASES = [
    ([([3, 4], -127, 127), ([], 0, 5), ([7], -1000, 1000)], 1, "4904bc911aca99c7"),
    ([([2, 3, 1_800_000], -8, 7), ([5], -5, 5)], 4, "5b23eef84a3e0644"),
    ([([9_000_001], -128, 127), ([3, 1_300_000], -127, 127)], 5, "82b550dc2f4b5cd3"),
    ([([2, 1, 4_100_000], -3, 3)], 4, "3f6c450637d248d0"),
    ([([1_000_000], -300_000, 300_000)], 2, "6d3ff074b7b19f6d"),
]


def program(tensors):
    """A Program that reads model tensors of these axes and intervals."""
    total = sum(product(axes) for axes, _, _ in tensors)
    model = SimpleNamespace(rows=-(-total >> 20), c=20, log_t=13, e=22)
    ops = []
    for n, (axes, _, _) in enumerate(tensors):
        con = encode.contraction([], [], whole(n + 1, len(axes)))
        ops.append(SimpleNamespace(name="commit", axes=axes, contraction=con))
    declared = [tensor("input", [0], 0, 1)] + [tensor("model", *t) for t in tensors]
    p = SimpleNamespace(
        lam=100, grind=0, limb_bits=8, ladder=LADDER, tensors=declared, model_oracle=model, tables=[], operators=ops,
        outputs=[0], metadata=b"",
    )
    return encode.program_bytes(p)[0]


@pytest.mark.parametrize("case, count, digest", CASES)
def test_derived_programs(case, count, digest):
    derived = range_programs(read_program(program(case)))
    assert len(derived) == count
    assert H(b"".join(d for _, d in derived)).hex()[:16] == digest
    for data, _ in derived:
        read_program(data)


def test_boxes():
    assert cut([], 5) == [([], 0, [])]
    assert cut([2, 3], 6) == [([], 0, [2, 3])]
    assert cut([2, 3], 2) == [([0], 0, [2]), ([0], 2, [1]), ([1], 0, [2]), ([1], 2, [1])]
    assert cut([5, 2], 4) == [([], 0, [2, 2]), ([], 2, [2, 2]), ([], 4, [1, 2])]


def golden(name, part):
    with open(os.path.join(VECTORS, name, f"{part}.bin"), "rb") as f:
        return f.read()


def test_the_certificate_of_a_vector(tmp_path, capsys):
    """The model of one vector, certified by another."""
    model = golden("hidden-private-weights", "program")
    derived = range_programs(read_program(model))
    assert [data for data, _ in derived] == [golden("range-certificate", "program")]
    st = golden("range-certificate", "statement")
    root = read_statement(st).roots[0]
    assert root == read_statement(golden("hidden-private-weights", "statement")).roots[0]
    assert statement(read_program(model), derived[0][1], root)[0] == st
    proof = golden("range-certificate", "proof")
    identity = verify_certificate(model, root, [proof])
    flipped = proof[:900] + bytes([proof[900] ^ 1]) + proof[901:]
    for other in ([], [proof, proof], [proof[:-1]], [flipped]):
        with pytest.raises(Reject):
            verify_certificate(model, root, other)
    with pytest.raises(Reject):
        verify_certificate(model, bytes(32), [proof])
    files = [tmp_path / "program", tmp_path / "certificate"]
    files[0].write_bytes(model)
    for name, code in ((identity, 0), (bytes(32), 1)):
        files[1].write_bytes(b"ZTRC\1\0" + name + root + fr(u32(1) + u32(0)) + u32(1) + fr(proof))
        assert read_certificate(files[1].read_bytes()) == (name, root, [], [proof])
        assert main(["", *map(str, files)]) == code
        assert capsys.readouterr().out.startswith("REJECT" if code else "ACCEPT")


def test_public_weights_have_no_certificate():
    ops = [SimpleNamespace(name="check", axes=[4], bits=4, form=[(1, view(0, encode.aff(0)))])]
    data, _ = finish([tensor("input", [4], 0, 15)], [], ops, [0])
    with pytest.raises(Reject):
        range_programs(read_program(data))
    assert parts([], []) == []
