"""What the built `zerotell` proves, compared with onnxruntime on the demo's models.

    .venv/bin/python -m pytest -q tools/compare

Float models: some test rows are proved with all outputs shown, the proof is verified by the
command line, and the shown outputs must lie near onnxruntime's float outputs: within four times
the largest error that the accuracy report saw on the calibration data. Labels must be equal.
Quantised models (QuantizeLinear and DequantizeLinear): the shown integers must be equal to
onnxruntime's, run node by node as the ONNX text says (optimisation off).

The binary is `ZEROTELL_BIN`, else the newest of {release,debug}/zerotell in the target folder,
else it is built.
"""

import json
import os
import subprocess
from pathlib import Path

import numpy as np
import onnxruntime
import pytest

ROOT = Path(__file__).resolve().parents[2]
DEMO = ROOT / "assets" / "demo"
FLOAT = {"bc_mlp": ("bc", range(20, 26)), "digits_cnn": ("digits", range(40, 44))}
QUANTISED = [
    (name + kind, data)
    for name, data in (("bc_mlp", "bc"), ("digits_cnn", "digits"))
    for kind in ("_qdq", "_qdq_u8")
]
QUANTISED_ROWS = 4
# Rows proved are not the rows the report measured, so its largest error is no strict bound on them.
SLACK = 4.0


def find_binary() -> Path:
    """The binary under test; built when there is none."""
    given = os.environ.get("ZEROTELL_BIN")
    if given:
        return Path(given)
    target = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
    found = [target / kind / "zerotell" for kind in ("release", "debug")]
    found = [path for path in found if path.is_file()]
    if found:
        return max(found, key=lambda path: path.stat().st_mtime)
    subprocess.run(["cargo", "build", "-p", "zerotell"], cwd=ROOT, check=True)
    return target / "debug" / "zerotell"


@pytest.fixture(scope="module")
def zerotell(tmp_path_factory):
    """Runs a verb in folders of its own; the JSON object of its last line."""
    binary = find_binary()
    home = tmp_path_factory.mktemp("zerotell")
    env = dict(os.environ, ZEROTELL_CACHE=str(home / "cache"), ZEROTELL_HOME=str(home / "home"))

    def run(*words, expect=0):
        words = [str(word) for word in words]
        done = subprocess.run(
            [str(binary), *words, "--json"], env=env, capture_output=True, text=True, timeout=120
        )
        assert done.returncode == expect, f"{words}: {done.stdout}\n{done.stderr}"
        return json.loads(done.stdout.splitlines()[-1])

    return run


def onnx_outputs(model: Path, x: np.ndarray) -> np.ndarray:
    """onnxruntime's first output, no node fused or folded."""
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])
    return session.run(None, {session.get_inputs()[0].name: x})[0]


def prove_and_verify(zerotell, folder, model, flags, data, rows):
    """Proves rows with outputs and labels shown; what the *verifier* says of them."""
    proof = folder / "proof.ztp"
    span = f"{rows.start}..{rows.stop}"
    shown = ["--reveal", "output", "--reveal", "label"]
    made = zerotell("prove", model, *flags, "--input", data, "--rows", span, *shown, "-o", proof)
    verdict = zerotell("verify", proof, "--model", made["model"])
    assert verdict["verdict"] == "accepted" and verdict["bits"] >= 100
    return made, verdict


@pytest.mark.parametrize("name", FLOAT)
def test_float_models_stay_within_their_report(zerotell, tmp_path, name):
    data, rows = FLOAT[name]
    model, test = DEMO / f"{name}.onnx", DEMO / f"{data}_test.npz"
    flags = ["--calibrate", DEMO / f"{data}_calib.npz"]
    report = zerotell("compile", model, *flags)["report"]["outputs"][0]
    _, verdict = prove_and_verify(zerotell, tmp_path, model, flags, test, rows)
    proved = np.array(verdict["outputs"])
    x = np.load(test)["x"][rows.start : rows.stop]
    wanted = onnx_outputs(model, x)
    assert proved.shape == wanted.shape
    worst = np.abs(proved - wanted).max()
    assert 0 < report["max_error"] < 0.1 * np.abs(wanted).max()
    assert worst <= SLACK * report["max_error"], (worst, report)
    assert verdict["label"] == wanted.argmax(axis=1).tolist()


@pytest.mark.parametrize("name, data", QUANTISED)
def test_quantised_models_give_the_same_integers(zerotell, tmp_path, name, data):
    model, test = DEMO / f"{name}.onnx", DEMO / f"{data}_test.npz"
    flags = ["--calibrate", DEMO / f"{data}_calib.npz"]
    rows = range(QUANTISED_ROWS)
    _, verdict = prove_and_verify(zerotell, tmp_path, model, flags, test, rows)
    stored = np.load(DEMO / f"{name}_ort.npz")
    wanted = onnx_outputs(model, np.load(test)["x"][: len(rows)])
    # The stored answers are those of the run-time installed now.
    assert np.array_equal(wanted, stored["plain.logits"][: len(rows)])
    last = next(key for key in stored if key.startswith("plain.logits_Quantize"))
    integers = stored[last][: len(rows)].astype(np.int64)
    shown = verdict["reveals"][0]
    # The program counts from the zero point, which is the integer that stands for 0.
    zero = np.unique(integers - np.rint(wanted / shown["unit"]).astype(np.int64))
    assert zero.size == 1, "the unit shown is not the model's scale"
    proved = np.array(shown["integers"]).reshape(wanted.shape) + zero[0]
    np.testing.assert_array_equal(proved, integers)
    assert verdict["label"] == wanted.argmax(axis=1).tolist()


def test_a_changed_proof_is_rejected(zerotell, tmp_path):
    model, test = DEMO / "bc_mlp.onnx", DEMO / "bc_test.npz"
    flags = ["--calibrate", DEMO / "bc_calib.npz"]
    made, _ = prove_and_verify(zerotell, tmp_path, model, flags, test, range(3, 4))
    bytes_ = bytearray((tmp_path / "proof.ztp").read_bytes())
    bytes_[len(bytes_) // 2] ^= 1
    (tmp_path / "forged.ztp").write_bytes(bytes_)
    verdict = zerotell("verify", tmp_path / "forged.ztp", "--model", made["model"], expect=1)
    assert verdict["verdict"] == "rejected"
