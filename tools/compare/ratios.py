"""Proving beside native inference: one table row per model.

    .venv/bin/python tools/compare/ratios.py FOLDER/NAME.onnx ... [--precision 8x8] [--repeat 11] [--agreement]

The data of NAME.onnx are NAME_calib.npz and NAME_test.npz beside it, or those of the part of NAME
before its first `_`. Each row is one `zerotell bench` of one test row (private weights and
input, zero knowledge, label shown) and one run of `native.py`, one after the other on the same machine.
With --agreement, bench also counts the labels of all test rows. The binary is ZEROTELL_BIN,
else target/release/zerotell.
"""

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BINARY = os.environ.get("ZEROTELL_BIN", str(ROOT / "target" / "release" / "zerotell"))
HEAD = [
    "model", "agreement (rows)", "prove ms (least)", "prove CPU ms", "verify ms", "proof bytes", "peak MB",
    "native int8 ms", "native float ms", "prove / int8", "prove / float", "int8 agreement",
]


def last_object(command: list[str]) -> dict:
    """The JSON object on the last line a command prints."""
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return json.loads(done.stdout.strip().splitlines()[-1])


def data_of(model: Path, kind: str) -> Path:
    names = (model.stem, model.stem.split("_")[0])
    return next(p for p in (model.with_name(f"{n}_{kind}.npz") for n in names) if p.exists())


def row(model: Path, options) -> list[str]:
    calib, test = data_of(model, "calib"), data_of(model, "test")
    command = [BINARY, "bench", str(model), "--calibrate", str(calib), "--input", str(test), "--rows", "1"]
    command += ["--repeat", str(options.repeat), "--precision", options.precision, "--json"]
    if options.agreement:
        command += ["--evaluate", str(test)]
    told = last_object(command)
    found, one = told.get("evaluation") or {}, told["settings"][0]
    prove = one["prove_ms"]
    native = last_object([sys.executable, str(Path(__file__).with_name("native.py")), str(model), str(calib), str(test)])
    return [
        model.stem,
        f"{found['agreement']:.4f} ({found['rows']})" if found else "",
        f"{prove:.1f} ({one['prove_ms_least']:.1f})",
        f"{one['cpu_ms']:.0f}",
        f"{one['verify_ms']:.1f}",
        f"{one['proof_bytes']:,}",
        f"{told['peak_rss_bytes'] / 1e6:.0f}",
        f"{native['int8_ms']:.3f}",
        f"{native['float_ms']:.3f}",
        f"{prove / native['int8_ms']:.0f}",
        f"{prove / native['float_ms']:.0f}",
        f"{native['int8_agreement']:.3f}",
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("models", nargs="+", type=Path)
    parser.add_argument("--precision", default="auto")
    parser.add_argument("--repeat", type=int, default=11)
    parser.add_argument("--agreement", action="store_true")
    options = parser.parse_args()
    for cells in (HEAD, ["---"] * len(HEAD), *(row(m, options) for m in options.models)):
        print("| " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    main()
