"""The golden evidence files, read by other libraries than the ones that made them. Anchors are those of
docs/spec/09-record.md."""

import base64
import hashlib
import io
import json
import os
import zipfile

import pytest
from blake3 import blake3
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature

from refverify import verify
from wire import model_identity, read_program, read_statement

HERE = os.path.dirname(os.path.abspath(__file__))
FILES = os.path.join(HERE, "..", "..", "vectors", "evidence", "v1")
KEYS = ["p256", "ed25519"]


def members(name):
    with open(os.path.join(FILES, name + ".zte"), "rb") as file:
        archive = zipfile.ZipFile(io.BytesIO(file.read()))
    assert archive.testzip() is None
    assert archive.namelist() == sorted(archive.namelist())  # [V18]
    assert all(m.date_time == (1980, 1, 1, 0, 0, 0) and m.compress_type == 0 for m in archive.infolist())
    return {name: archive.read(name) for name in archive.namelist()}


def canonical(value):
    """[V1], for the values that occur here."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def pae(kind, payload):
    """[V6]"""
    return b"DSSEv1 %d %s %d %s" % (len(kind), kind.encode(), len(payload), payload)


def check_signature(key, signature, message):
    """[V5]"""
    if isinstance(key, ed25519.Ed25519PublicKey):
        key.verify(signature, message)
    else:
        key.verify(signature, message, ec.ECDSA(hashes.SHA256()))


def signed(parts):
    """The payload, its verified key and the bundle. [V6] [V7]"""
    bundle = json.loads(parts["statement.sigstore.json"])
    assert canonical(bundle) == parts["statement.sigstore.json"]
    assert bundle["mediaType"] == "application/vnd.dev.sigstore.bundle.v0.3+json"
    envelope = bundle["dsseEnvelope"]
    payload = base64.b64decode(envelope["payload"], validate=True)
    key = serialization.load_pem_public_key(parts["signer.pem"])
    (one,) = envelope["signatures"]
    check_signature(key, base64.b64decode(one["sig"], validate=True), pae(envelope["payloadType"], payload))
    return payload, key, bundle


def frames(data):
    """Program, Statement and proof of a proof file. [X2]"""
    assert data[:6] == b"ZTPF\x03\x00"
    out, at = [], 6
    for _ in range(4):
        size = int.from_bytes(data[at : at + 8], "little")
        out.append(data[at + 8 : at + 8 + size])
        at += 8 + size
    assert at == len(data)
    program, links, statement, proof = out
    assert links == b""
    return program, statement, proof


def commitment(field, salt, value):
    """[V14]"""
    label = b"zerotell/record/" + field.encode()
    return blake3(len(label).to_bytes(8, "little") + label + bytes.fromhex(salt) + canonical(value)).hexdigest()


def revealed(reveals, slots):
    """[V14]"""
    rows, slots = [], iter(slots)
    for r in reveals:
        if r.kind == "threshold":
            row = {"kind": r.kind, "output": r.output, "index": r.index, "atLeast": r.at_least, "bound": r.bound}
        else:
            kind = {"values": "output", "label": "label"}[r.kind]
            row = {"kind": kind, "output": r.output, "values": next(slots)}
        rows.append(row)
    return rows


@pytest.mark.parametrize("name", KEYS)
def test_signature_is_good_for_others(name):
    parts = members(name)
    payload, key, bundle = signed(parts)
    der = key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    hint = bundle["verificationMaterial"]["publicKey"]["hint"]
    assert hint == "sha256:" + hashlib.sha256(der).hexdigest()  # [V4]
    signature = base64.b64decode(bundle["dsseEnvelope"]["signatures"][0]["sig"])
    for message in [payload, pae("application/json", payload), pae("application/vnd.in-toto+json", payload + b" ")]:
        with pytest.raises(InvalidSignature):
            check_signature(key, signature, message)


@pytest.mark.parametrize("name", KEYS)
def test_statement_says_what_the_proof_says(name):
    parts = members(name)
    statement = json.loads(signed(parts)[0])
    assert canonical(statement) == signed(parts)[0]
    assert statement["_type"] == "https://in-toto.io/Statement/v1"
    assert statement["predicateType"] == "urn:zerotell:attestation:inference:v1"
    (subject,) = statement["subject"]
    proof_file = parts["proof.ztp"]
    digests = {"blake3": blake3(proof_file).hexdigest(), "sha256": hashlib.sha256(proof_file).hexdigest()}
    assert subject == {"name": "proof.ztp", "digest": digests}
    program_bytes, statement_bytes, proof = frames(proof_file)
    verify(program_bytes, statement_bytes, proof)
    program, public = read_program(program_bytes), read_statement(statement_bytes)
    said = statement["predicate"]
    assert said["program"]["blake3"] == program.digest.hex()
    assert said["model"]["identity"] == model_identity(program.digest, public.identities[:1]).hex()
    assert [c["root"] for c in said["commitments"]] == [root.hex() for root in public.roots]
    assert said["disclosure"]["inputs"] == public.inputs
    salts = json.loads(parts["salts.json"])
    shown = sum(mode == "public" for mode in public.inputs)
    values = {
        "accuracy": "",
        "context": public.context.hex(),
        "inputs": public.slots[:shown],
        "revealed": revealed(public.reveals, public.slots[shown:]),
    }
    expected = {field: commitment(field, salts[field], value) for field, value in values.items()}
    assert said["salted"] == expected
    assert [row["code"] for row in said["notClaimed"]][:2] == ["weight-ranges", "units"]


@pytest.mark.parametrize("name", KEYS)
def test_model_file_is_the_proofs_own(name):
    """[V19] [X3]"""
    parts = members(name)
    program, statement, _ = frames(parts["proof.ztp"])
    oracles = read_statement(statement).identities[:1]
    framed = len(program).to_bytes(8, "little") + program
    assert parts["model.ztm"] == b"ZTMF\x01\x00" + framed + bytes([len(oracles)]) + b"".join(oracles)


# The order of P-256.
ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551


@pytest.mark.parametrize("name", KEYS)
def test_signing_draws_no_randomness(name):
    """[V5]: another library makes the same bytes. The golden files' key is 32 bytes of 7."""
    payload, _, bundle = signed(members(name))
    message = pae("application/vnd.in-toto+json", payload)
    if name == "ed25519":
        signature = ed25519.Ed25519PrivateKey.from_private_bytes(bytes([7] * 32)).sign(message)
    else:
        key = ec.derive_private_key(int.from_bytes(bytes([7] * 32), "big"), ec.SECP256R1())
        r, s = decode_dss_signature(key.sign(message, ec.ECDSA(hashes.SHA256(), deterministic_signing=True)))
        signature = encode_dss_signature(r, min(s, ORDER - s))
    assert base64.b64encode(signature).decode() == bundle["dsseEnvelope"]["signatures"][0]["sig"]


def test_report_loads_nothing():
    """[V21]"""
    page = members("p256")["report.html"].decode()
    assert '<meta name="generator" content="zerotell report 1">' in page
    assert not any(word in page for word in ["<script", "http:", "https:", "src=", "url(", "@import"])
