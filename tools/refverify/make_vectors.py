"""Writes test vectors made by the slow prover: python make_vectors.py DIRECTORY

One folder each, with program.bin, statement.bin, proof.bin, expect.txt (accept or reject). Accepted ones
also hold secrets.txt: one line per input or parameter tensor, its number and its values. Their proofs
are reproducible: seed 32 zero bytes; long-term oracles, in order, 32 bytes 01, 02, ...
"""

import os
import random
import sys

import encode
from toys import KINDS, conv_proof, mlp_proof


def put(folder, parts, expect, secrets=None):
    """One vector."""
    os.makedirs(folder, exist_ok=True)
    for name, data in zip(("program", "statement", "proof"), parts):
        with open(os.path.join(folder, f"{name}.bin"), "wb") as f:
            f.write(data)
    with open(os.path.join(folder, "expect.txt"), "w", encoding="ascii") as f:
        f.write(expect + "\n")
    if secrets:
        with open(os.path.join(folder, "secrets.txt"), "w", encoding="ascii") as f:
            for n, values in sorted(secrets.items()):
                f.write(" ".join(map(str, [n, *values])) + "\n")


def bad_proofs(proof, marks):
    """(name, proof) with one fault each: a flipped bit in every kind of message, wrong lengths, version."""
    rnd, seen = random.Random(3), set()
    for label, start, count in marks:
        if count and label not in seen:
            seen.add(label)
            bad = bytearray(proof)
            bad[start + rnd.randrange(count)] ^= 1 << rnd.randrange(8)
            yield label.replace(".", "-"), bytes(bad)
    yield "short", proof[:-1]
    yield "long", proof + b"\0"
    yield "version", b"\3" + proof[1:]


def bad_statements(fields):
    """(name, Statement) with one field changed."""
    values = fields.slots[0]
    changes = {
        "context": b"other", "zk": not fields.zk, "program_digest": bytes(32), "reveals": [],
        "slots": [[values[0] + 1] + values[1:]], "roots": [], "identities": [bytes(32)] * len(fields.roots),
    }
    for name, value in changes.items():
        if vars(fields)[name] != value:
            yield name, encode.Statement(**{**vars(fields), name: value})


def main(root):
    """All vectors."""
    for zk in (False, True):
        mode = "zk" if zk else "clear"
        toys = {f"mlp-{kind}": mlp_proof(zk, kind) for kind in KINDS}
        toys["conv"] = conv_proof(zk)
        for name, (data, st, proof, _, _, secrets) in toys.items():
            put(os.path.join(root, f"{name}-{mode}"), (data, st, proof), "accept", secrets)
        data, st, proof, p, fields, _ = toys["mlp-private"]
        for name, bad in bad_proofs(proof, p.end_of_tape.marks):
            put(os.path.join(root, f"bad-proof-{mode}-{name}"), (data, st, bad), "reject")
        for name, other in bad_statements(fields):
            put(os.path.join(root, f"bad-statement-{mode}-{name}"), (data, other.encode(), proof), "reject")
        other, _, _, _, _, _ = toys["conv"]
        put(os.path.join(root, f"bad-program-{mode}"), (other, st, proof), "reject")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(sys.argv[1])
