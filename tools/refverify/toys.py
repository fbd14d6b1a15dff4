"""Toy Programs, Statements and proofs for the tests and for test vectors."""

import random
from functools import lru_cache
from types import SimpleNamespace

import encode
from encode import aff, contraction, round_op, tensor, view, whole
from oracle import LADDER
from prover import Prover, Solving, commit_long_term
from wire import Map, read_program


def finish(tensors, tables, operators, outputs, model=None, limb_bits=4, grind=0):
    p = SimpleNamespace(
        lam=100, grind=grind, limb_bits=limb_bits, ladder=LADDER, tensors=tensors, model_oracle=model, tables=tables,
        operators=operators, outputs=outputs, metadata=b"toy",
    )
    return encode.program_bytes(p)


def mlp(model=True, limb_bits=4, grind=0):
    """x(B,5) -> relu -> (B,7) -> (B,3): private or public weights, per-channel multipliers."""
    home = "model" if model else "const"
    rnd = random.Random(5)
    draw = lambda n, a: None if model else [rnd.randrange(-a, a) for _ in range(n)]
    relu = [max(0, v) for v in range(-1024, 1024)]
    tensors = [
        tensor("input", [0, 5], -8, 7),
        tensor(home, [7, 5], -8, 7, draw(35, 8)),
        tensor(home, [7], -5, 5, draw(7, 5)),
        tensor(home, [3, 7], -4, 3, draw(21, 4)),
        tensor(home, [3], -5, 5, draw(3, 5)),
        tensor("const", [2048], 0, 1023, relu),
        tensor("ones", [3]),
    ]
    first = contraction([5], [(1, view(0, aff(0), aff(2)))], [(1, view(1, aff(1), aff(2)))], [(1, view(2, aff(1)))])
    # columns of operator 0: q, r_0.., out
    out = 7 + 1 + 1
    second = contraction([7], [(1, view(out, aff(0), aff(2)))], [(1, view(3, aff(1), aff(2)))], [(1, view(4, aff(1)))])
    operators = [
        round_op([0, 7], first, (1, [1 + o % 3 for o in range(7)]), shift=min(4, limb_bits), table=0),
        round_op([0, 3], second, 3, [(-5, view(6, aff(1)))], shift=5, lo=-(1 << 14), bits=15),
    ]
    tables = [SimpleNamespace(keys=[(-1024, 2048)], outs=[whole(5, 1)])]
    params = SimpleNamespace(rows=1, c=8, log_t=13, e=15) if model == "zk" else None
    if model is True:
        params = SimpleNamespace(rows=1, c=8, log_t=None, e=10)
    data, digest = finish(tensors, tables, operators, [out + 1], params, limb_bits, grind)
    secrets = {
        0: [(3 * i * i + i) % 16 - 8 for i in range(10)],
        1: [(7 * i) % 16 - 8 for i in range(35)],
        2: [i - 3 for i in range(7)],
        3: [(5 * i) % 8 - 4 for i in range(21)],
        4: [2, -5, 4],
    }
    return data, digest, secrets


FIX = lambda at: Map(kind="fix", at=at)


def conv():
    """All kinds of maps and operators; one input of 6 x 6."""
    # half to even, wide: keys code, zero count (0..2), low part of 4 bits; values are clipped to 0..15
    fill = []
    for code in range(3):
        for zeros in range(3):
            for low in range(16):
                odd = zeros == 2 and low % 2
                fill.append(0 if code == 0 else 15 if code == 2 else low - odd)
    tensors = [
        tensor("input", [6, 6], 0, 11),
        tensor("const", [2, 3, 3], -2, 2, [(i * 5) % 5 - 2 for i in range(18)]),
        tensor("const", [3, 3, 16], -1, 15, fill),
        tensor("ones", [6, 6]),
        tensor("const", [8], 0, 49, [i * i for i in range(8)]),
    ]
    tables = [
        SimpleNamespace(keys=[(0, 3), (0, 3), (0, 16)], outs=[whole(2, 3)]),
        SimpleNamespace(keys=[(0, 8)], outs=[whole(4, 1)]),
    ]
    windows = [Map(kind="win", a=y, b=y + 2, step=2, dil=1, off=-1) for y in (1, 2)]
    padded = [(1, view(0, *windows)), (-5, view(3, *windows))]  # x - 5, true zeros outside
    acc = contraction([3, 3], padded, [(1, view(1, aff(0), aff(3), aff(4)))])
    out = 5 + 7  # columns of the round: lo, hi, code, r_0, r_1, t_0, t_1, out
    pooled = view(out, aff(0), Map(kind="pool", a=1, step=1, dil=1, off=-1, m=3), FIX(1))
    gathered = view(out, aff(0), Map(kind="gather", a=1, indices=[2, 0, 0]), Map(kind="sum"))
    mixed = view(out, aff(0), FIX(2), Map(kind="mat", a=1, rows=3, cols=3, weights=[1, 0, -2, 0, 3, 0, 1, 1, 0]))
    same = view(out, FIX(0), aff(0), FIX(0))
    one = view(3, FIX(0), FIX(0))
    scalar = [(1, view(out, FIX(1), FIX(0), FIX(2))), (2, one)]
    transposed = [(3, view(0, aff(1), aff(0)))]
    op = SimpleNamespace
    operators = [
        round_op([2, 3, 3], acc, 1, shift=6, half_even=True, lo=0, wide=(4, 5), table=0),
        op(name="split", axes=[2, 3], bits=9, form=[(1, pooled), (-2, gathered), (1, mixed)]),
        op(name="table", axes=[3], table=1, keys=[[(1, same), (-1, same), (3, one)]]),
        # a shifted read: positions 0..4 and 13..17 read outside of the tensor
        op(name="commit", axes=[18], contraction=contraction([], scalar, [(1, view(4, aff(0, 1, -5)))])),
        op(name="check", axes=[9, 2], bits=9, form=[(1, view(0, FIX(3), aff(1))), (1, view(3, FIX(3), aff(1, 3)))]),
        op(name="check", axes=[3, 3], bits=7, form=[(1, view(0, FIX(0), aff(0, 2, 1)))]),
        round_op([6, 6], None, 1, transposed, shift=0, lo=0, bits=6),
        round_op([6, 6], None, 1, transposed, shift=5, lo=0, bits=2),
        op(
            name="commit", axes=[3, 2],
            contraction=contraction([], [(1, view(4, Map(kind="join", a=0, b=1, m=2)))], [(1, view(0, aff(0), FIX(0)))]),
        ),
    ]
    data, digest = finish(tensors, tables, operators, [out], None, 4)
    return data, digest, {0: [(i * 7) % 12 for i in range(36)]}


def statement(digest, zk, batch, inputs, reveals, slots, context=b"test"):
    return encode.Statement(
        program_digest=digest, zk=zk, batch=batch, inputs=inputs, reveals=reveals, slots=slots,
        identities=[], roots=[], context=context,
    )


def solve(data, st, secrets):
    """Values of all Program tensors."""
    plain = SimpleNamespace(batch=st.batch, inputs=st.inputs, reveals=[], slots=st.slots[: st.inputs.count("public")])
    return Solving(read_program(data), plain, secrets).values


def make(data, st, secrets, **options):
    committed = commit_long_term(data, st, secrets) if options.pop("long_term", True) else []
    p = Prover(data, st.encode(), secrets, committed, **options)
    return st.encode(), p.prove(), p


KINDS = ["private", "public", "label", "committed", "grind"]


@lru_cache(None)
def mlp_proof(zk, kind):
    """Program, Statement bytes, proof, Prover, Statement, secrets of one of the KINDS."""
    model = False if kind == "public" else "zk" if zk else True
    data, digest, secrets = mlp(model, 8 if kind == "committed" else 4, 5 if kind == "grind" else 0)
    inputs = ["public" if kind == "public" else "committed" if kind == "committed" else "private"]
    slots = [secrets[0]] if kind == "public" else []
    st = statement(digest, zk, 2, inputs, [], slots)
    if model is False:
        secrets = {0: secrets[0]}
    out = solve(data, st, secrets)[10]
    st.reveals = [("values", 0)]
    st.slots = slots + [out]
    if kind == "label":
        labels = [max(range(3), key=lambda i: (row[i], -i)) for row in (out[:3], out[3:])]
        st.reveals = [("label", 0), ("threshold", 0, 1, True, min(out[1], out[4])), ("threshold", 0, 2, False, max(out[2], out[5]))]
        st.slots = [labels]
    return (data, *make(data, st, secrets), st, secrets)


@lru_cache(None)
def conv_proof(zk):
    """As mlp_proof, for conv()."""
    data, digest, secrets = conv()
    st = statement(digest, zk, 1, ["private"], [], [])
    st.slots = [solve(data, st, secrets)[12]]
    st.reveals = [("values", 0)]
    return (data, *make(data, st, secrets), st, secrets)
