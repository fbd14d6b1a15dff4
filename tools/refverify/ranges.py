"""Verifies a range certificate: python ranges.py PROGRAM.bin CERTIFICATE.ztr

PROGRAM.bin holds the model's Program bytes and contents, as for refverify.py. The Programs of the parts are
derived anew, so the certificate can say nothing but its root and its proofs. Spec 02, section 7.
"""

import sys
from types import SimpleNamespace

import encode
from encode import aff, tensor, view
from field import Reject
from oracle import ROLE_M, Oracle, layout_digest, product
from links import linked_oracle, read_framed, read_link_statement, read_links, walk
from refverify import verify
from validity import Analysis
from wire import Map, Reader, model_identity, read_program

PART, PARTS = (1 << 22) - (1 << 19), 256
KEYS, FEW, ROWS, TABLES, LIMB = 1 << 16, 256, 1 << 18, 128, 8


def methods(tensors):
    """Per tensor: ("table", keys) or ("checks", bits, both). [J3]"""
    kinds = {}
    for t in tensors:
        n = t.hi - t.lo + 1
        if n > 1 << 62:
            raise Reject("an interval is too wide to be certified")
        kinds[t.lo, n] = kinds.get((t.lo, n), 0) + product(t.axes)
    chosen, rows = set(), 0
    for (lo, n), entries in kinds.items():  # by first use
        pays = n <= FEW or n <= min(KEYS, entries)
        if pays and rows + n <= ROWS and len(chosen) < TABLES:
            chosen.add((lo, n))
            rows += n
    out = []
    for t in tensors:
        n = t.hi - t.lo + 1
        if (t.lo, n) in chosen:
            out.append(("table", n))
        else:
            out.append(("checks", (n - 1).bit_length(), n & (n - 1) != 0))
    return out


def lookups(method):
    """Lookups per entry. [J3]"""
    if method[0] == "table":
        return 1
    return max(1, -(-method[1] // LIMB)) * (2 if method[2] else 1)


def cut(axes, most):
    """Boxes (fixed indices, start, axes) of at most `most` entries, row-major. [J4]"""
    if not axes:
        return [([], 0, [])]
    whole = product(axes) <= most
    d = next(d for d in range(len(axes)) if whole or product(axes[d + 1 :]) <= most)
    run = axes[d] if whole else min(axes[d], most // product(axes[d + 1 :]))
    boxes, fixed = [], [[]]
    for n in axes[:d]:
        fixed = [f + [i] for f in fixed for i in range(n)]
    for f in fixed:
        for start in range(0, axes[d], run):
            boxes.append((f, start, [min(run, axes[d] - start)] + axes[d + 1 :]))
    return boxes


def parts(tensors, how):
    """Boxes (tensor, fixed, start, axes), packed in order. [J4]"""
    out, room = [], 0
    if sum(product(t.axes) * lookups(m) for t, m in zip(tensors, how)) > PARTS * (PART // 2):
        raise Reject("too many hidden numbers for a certificate")
    for n, (t, m) in enumerate(zip(tensors, how)):
        for box in cut(t.axes, PART // lookups(m)):
            need = product(box[2]) * lookups(m)
            if need > room or not out:
                out.append([])
                room = PART
            room -= need
            out[-1].append((n, *box))
    if len(out) > PARTS:
        raise Reject("too many parts")
    return out


def operators(tensors, how, boxes):
    """Operators and tables of one part. [J5]"""
    one, op = len(tensors), SimpleNamespace
    scalar = [(1, view(one))]
    ops, keys = [], []
    for n, t in enumerate(tensors):
        first = view(n, *[Map(kind="fix", at=0) for _ in t.axes])
        ops.append(op(name="commit", axes=[], contraction=encode.contraction([], scalar, [(1, first)])))
    for n, fixed, start, axes in boxes:
        t, m = tensors[n], how[n]
        maps = [Map(kind="fix", at=i) for i in fixed]
        maps += [aff(a, 1, 0 if a else start) for a in range(len(axes))]
        if m[0] == "table":
            key = (t.lo, m[1])
            if key not in keys:
                keys.append(key)
            ops.append(op(name="table", axes=axes, table=keys.index(key), keys=[[(1, view(n, *maps))]]))
            continue
        for sign, end in [(1, -t.lo), (-1, t.hi)][: 2 if m[2] else 1]:
            form = [(sign, view(n, *maps))] + ([(end, view(one))] if end else [])
            ops.append(op(name="check", axes=axes, bits=m[1], form=form))
    return ops, [op(keys=[key], outs=[]) for key in keys]


def range_programs(program):
    """(Program bytes, digest) of every part. [J1]"""
    Analysis(program)
    model = [t for t in program.tensors if t.home == "model"]
    if not model:
        raise Reject("the model has no hidden weights")
    how = methods(model)
    boxes = parts(model, how)
    out = []
    for i, part in enumerate(boxes):
        ops, tables = operators(model, how, part)
        said = f'{{"part":{i},"parts":{len(boxes)},"program":"{program.digest.hex()}","proves":"ranges"}}'
        p = SimpleNamespace(
            lam=program.lam, grind=program.grind, limb_bits=LIMB, ladder=program.ladder, model_oracle=program.model_oracle,
            tensors=[tensor("model", t.axes, t.lo, t.hi) for t in model] + [tensor("ones", [])],
            tables=tables, operators=ops, outputs=[len(model) + 1], metadata=said.encode(),
        )
        out.append(encode.program_bytes(p))
    return out


def model_oracle(program, root):
    """M with a root."""
    o = program.model_oracle
    shapes = [t.axes for t in program.tensors if t.home == "model"]
    T = 0 if o.log_t is None else 1 << o.log_t
    oracle = Oracle(ROLE_M, 0, o.rows, 1 << o.c, T, 1 << o.e, program.lam, layout_digest(shapes))
    oracle.root = root
    return oracle


def statement(program, digest, root):
    """The Statement of one part; everything but the root is derived. [J6]"""
    oracle = model_oracle(program, root)
    identity = oracle.oracle_id()
    st = encode.Statement(
        program_digest=digest, zk=oracle.T > 0, batch=1, inputs=[], reveals=[], slots=[], identities=[identity],
        roots=[root], context=b"",
    )
    return st.encode(), identity


def verify_certificate(program_bytes, root, proofs, chain=()):
    """The model's identity; raises Reject. [J7]"""
    program = read_program(program_bytes)
    derived = range_programs(program)
    if len(derived) != len(proofs):
        raise Reject(f"the certificate of this model has {len(derived)} parts, {len(proofs)} were found")
    for (data, digest), proof in zip(derived, proofs):
        st, identity = statement(program, digest, root)
        verify(data, st, proof)
    if not chain:
        return model_identity(program.digest, [identity])
    opened = model_oracle(program, root)
    total = sum(product(t.axes) for t in program.tensors if t.home == "model")
    first = read_link_statement(chain[0][0])
    own = linked_oracle(first.parent, first.total, program.lam).oracle_id()
    model = model_identity(program.digest, [own])
    walk(chain, own, opened, model, total, (program.lam, program.grind))
    return model


def read_certificate(data):
    """Identity, root, links and proofs of a file. Spec 06."""
    r = Reader(data)
    r.magic(b"ZTRC", 1)
    model, root, chains, count = r.take(32), r.take(32), read_links(read_framed(r)), r.u32()
    if len(chains) != 1:
        raise Reject("not one chain of links")
    if count > PARTS:
        raise Reject("too many parts")
    proofs = [r.framed(1 << 31) for _ in range(count)]
    r.end()
    return model, root, chains[0], proofs


def main(argv):
    """Command line."""
    if len(argv) != 3:
        print(__doc__)
        return 2
    data = []
    for path in argv[1:]:
        with open(path, "rb") as f:
            data.append(f.read())
    try:
        model, root, chain, proofs = read_certificate(data[1])
        if verify_certificate(data[0], root, proofs, chain) != model:
            raise Reject("the certificate names another model")
    except Reject as why:
        print(f"REJECT {why}")
        return 1
    print(f"ACCEPT ranges of model {model.hex()}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv))
