"""Runs EZKL on one model and prints a row of figures, to set beside Zerotell's.

    python bench/peers/ezkl/run.py MODEL.onnx TEST.npz CALIB.npz [options]

    --weights fixed|private|polycommit|hashed   EZKL's param_visibility (default: fixed)
    --input public|private|hashed               EZKL's input_visibility (default: public)
    --proofs N     proofs to time; the row tells the middle one (default: 3)
    --labels N     test rows whose label is compared with onnxruntime's (default: 50)
    --memory GB    most memory one step may map (default: 20)
    --folder DIR   where keys and proofs go (default: a temporary folder, removed afterwards)

The model needs one input `x` and one output of logits; the archives hold `x`. The steps are
EZKL's own: settings, calibrate ("resources", 20 rows), compile, structured reference string
made here (no download), set-up, witness, prove, verify. Each step is a process of its own, so
that its peak memory is its own; times are of EZKL's call alone, without Python's start.
Not part of any test.
"""

import argparse
import json
import multiprocessing
import os
import resource
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx

CALIBRATION_ROWS = 20


@dataclass
class Cost:
    """What one step took."""

    wall: float
    cpu: float
    peak_mb: float


def files(folder: Path) -> dict:
    """Where each of EZKL's files lies, as text."""
    names = {
        "model": "model.onnx", "settings": "settings.json", "compiled": "compiled.ezkl",
        "calib": "calib.json", "srs": "kzg.srs", "vk": "vk.key", "pk": "pk.key",
        "input": "input.json", "witness": "witness.json", "proof": "proof.json",
    }
    return {name: str(folder / file) for name, file in names.items()}


def prepare(asked, at: dict) -> None:
    """A copy of the model with a batch of one, and the inputs as EZKL's JSON."""
    model = onnx.load(str(asked.model))
    for value in [*model.graph.input, *model.graph.output]:
        value.type.tensor_type.shape.dim[0].dim_value = 1
    onnx.save(model, at["model"])
    calib = np.load(asked.calib)["x"][:CALIBRATION_ROWS]
    write_input(at["calib"], calib)
    write_input(at["input"], np.load(asked.test)["x"][:1])


def write_input(path: str, rows: np.ndarray) -> None:
    flat = [row.reshape(-1).astype(float).tolist() for row in rows]
    Path(path).write_text(json.dumps({"input_data": [sum(flat, [])]}))


def settings(at: dict, asked) -> None:
    import ezkl

    run = ezkl.PyRunArgs()
    run.input_visibility = asked.input
    run.param_visibility = asked.weights
    run.output_visibility = "public"
    must(ezkl.gen_settings(at["model"], at["settings"], py_run_args=run), "gen_settings")


def calibrate(at: dict, asked) -> None:
    import ezkl

    done = ezkl.calibrate_settings(at["calib"], at["model"], at["settings"], "resources")
    must(done, "calibrate_settings")


def compile_circuit(at: dict, asked) -> None:
    import ezkl

    must(ezkl.compile_circuit(at["model"], at["compiled"], at["settings"]), "compile_circuit")


def make_srs(at: dict, asked) -> None:
    import ezkl

    ezkl.gen_srs(at["srs"], logrows(at))


def setup(at: dict, asked) -> None:
    import ezkl

    must(ezkl.setup(at["compiled"], at["vk"], at["pk"], at["srs"]), "setup")


def witness(at: dict, asked) -> None:
    import ezkl

    made = ezkl.gen_witness(at["input"], at["compiled"], at["witness"], at["vk"], at["srs"])
    must(made, "gen_witness")


def prove(at: dict, asked) -> None:
    import ezkl

    must(ezkl.prove(at["witness"], at["compiled"], at["pk"], at["proof"], at["srs"]), "prove")


def verify(at: dict, asked) -> None:
    import ezkl

    must(ezkl.verify(at["proof"], at["settings"], at["vk"], at["srs"]), "verify")


def labels(at: dict, asked) -> None:
    """Counts the test rows on which the circuit's label is onnxruntime's; writes labels.json."""
    import ezkl
    import onnxruntime

    session = onnxruntime.InferenceSession(at["model"])
    scale = json.loads(Path(at["settings"]).read_text())["model_output_scales"][0]
    same, worst = 0, 0.0
    rows = np.load(asked.test)["x"][: asked.labels]
    for row in rows:
        write_input(at["input"] + ".row", row[None])
        told = ezkl.gen_witness(
            at["input"] + ".row", at["compiled"], at["witness"] + ".row", at["vk"], at["srs"]
        )
        ours = np.array([ezkl.felt_to_float(felt, scale) for felt in told["outputs"][0]])
        true = session.run(None, {"x": row[None]})[0][0]
        same += int(ours.argmax() == true.argmax())
        worst = max(worst, float(np.abs(ours - true).max()))
    told = {"rows": len(rows), "same": same, "worst": worst}
    Path(at["proof"]).with_name("labels.json").write_text(json.dumps(told))


def must(answer, step: str) -> None:
    """EZKL answers some failures with False or None instead of raising."""
    if not answer:
        raise RuntimeError(f"ezkl {step} answered {answer!r}")


def logrows(at: dict) -> int:
    return json.loads(Path(at["settings"]).read_text())["run_args"]["logrows"]


def limited(step, at: dict, asked, told) -> None:
    """Runs in the child; tells wall and CPU seconds of the step, without Python's own start.

    A step that maps too much memory fails instead of taking the machine.
    """
    most = int(asked.memory * 2**30)
    resource.setrlimit(resource.RLIMIT_AS, (most, most))
    import ezkl  # noqa: F401  (so that loading it is not counted)

    wall, cpu = time.perf_counter(), time.process_time()
    step(at, asked)
    told.send((time.perf_counter() - wall, time.process_time() - cpu))


def cost(step, at: dict, asked) -> Cost:
    """Runs one step in a process of its own and says what it took."""
    fresh = multiprocessing.get_context("spawn")
    hear, tell = fresh.Pipe(duplex=False)
    child = fresh.Process(target=limited, args=(step, at, asked, tell))
    child.start()
    _, status, used = os.wait4(child.pid, 0)
    if status != 0:
        sys.exit(f"ezkl step '{step.__name__}' failed (wait status {status}), see above")
    wall, cpu = hear.recv()
    took = Cost(wall, cpu, used.ru_maxrss / 1024)
    line = f"  {step.__name__:16} {wall:8.2f} s, CPU {cpu:8.2f} s, peak {took.peak_mb:7.0f} MB"
    print(line, file=sys.stderr, flush=True)
    return took


def proof_bytes(at: dict) -> int:
    """Size of the proof itself, without its JSON coat."""
    proof = json.loads(Path(at["proof"]).read_text())["proof"]
    return len(proof.removeprefix("0x")) // 2 if isinstance(proof, str) else len(proof)


def measure(asked, at: dict) -> str:
    """All steps in order; the row of figures."""
    prepare(asked, at)
    for step in (settings, calibrate, compile_circuit, make_srs):
        cost(step, at, asked)
    made = cost(setup, at, asked)
    cost(labels, at, asked)
    cost(witness, at, asked)
    proofs = sorted((cost(prove, at, asked) for _ in range(asked.proofs)), key=lambda c: c.wall)
    checks = sorted((cost(verify, at, asked) for _ in range(asked.proofs)), key=lambda c: c.wall)
    middle, check = proofs[len(proofs) // 2], checks[len(checks) // 2]
    label = json.loads(Path(at["proof"]).with_name("labels.json").read_text())
    cells = [
        f"{asked.model.stem} ({asked.weights} weights, {asked.input} input)", str(logrows(at)),
        f"{made.wall:.2f}", f"{middle.wall:.2f}", f"{middle.cpu:.2f}", f"{middle.peak_mb:.0f}",
        f"{check.wall:.3f}", f"{check.cpu:.3f}",
        f"{check.peak_mb:.0f}", str(proof_bytes(at)), str(Path(at["proof"]).stat().st_size),
        f"{Path(at['pk']).stat().st_size / 1e6:.0f}",
        f"{label['same']}/{label['rows']}", f"{label['worst']:.5f}",
    ]
    return "| " + " | ".join(cells) + " |"


HEAD = [
    "model", "K", "set-up s", "prove s", "prove CPU s", "prove MB", "verify s", "verify CPU s",
    "verify MB", "proof bytes", "JSON bytes", "proving key MB", "same label", "worst logit error",
]


def main() -> None:
    read = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    read.add_argument("model", type=Path)
    read.add_argument("test", type=Path)
    read.add_argument("calib", type=Path)
    read.add_argument("--weights", default="fixed",
                      choices=["fixed", "private", "polycommit", "hashed"])
    read.add_argument("--input", default="public", choices=["public", "private", "hashed"])
    read.add_argument("--proofs", type=int, default=3)
    read.add_argument("--labels", type=int, default=50)
    read.add_argument("--memory", type=float, default=20.0)
    read.add_argument("--folder", type=Path)
    asked = read.parse_args()
    with tempfile.TemporaryDirectory() as spare:
        folder = asked.folder or Path(spare)
        folder.mkdir(parents=True, exist_ok=True)
        row = measure(asked, files(folder))
    print("| " + " | ".join(HEAD) + " |\n|" + " --- |" * len(HEAD) + f"\n{row}")


if __name__ == "__main__":
    main()
