"""Makes the int8 models of the demo with onnxruntime's static quantiser, in QDQ form.

    python tools/train/qdq.py [DIR]                   (default: assets/demo)

For bc_mlp and digits_cnn in DIR, from their calibration rows:

NAME_qdq.onnx      activations int8, weights int8 with one scale per output channel
NAME_qdq_u8.onnx   activations uint8, weights int8 with one scale per tensor

Each with NAME_qdq*_ort.npz, onnxruntime's results for the first 32 test rows:

logits             default optimisation: the fused integer kernels a server would run
plain.TENSOR       no optimisation, nodes as the ONNX text says: `plain.logits`, and the
                   integers of every QuantizeLinear node
"""

import sys
import tempfile
from pathlib import Path

import numpy as np
import onnx
from onnxruntime.quantization import (
    CalibrationDataReader,
    QuantFormat,
    QuantType,
    quantize_static,
)
from onnxruntime.quantization.shape_inference import quant_pre_process

import nets
from ort_reference import answers
from store import accuracy

ROWS = 32
KINDS = {
    "qdq": dict(activation_type=QuantType.QInt8, per_channel=True),
    "qdq_u8": dict(activation_type=QuantType.QUInt8, per_channel=False),
}


class Rows(CalibrationDataReader):
    """Feeds the calibration rows in one batch."""

    def __init__(self, x):
        self.left = [{"x": x}]

    def get_next(self):
        return self.left.pop() if self.left else None


def quantise(source: Path, target: Path, calib: Path, kind: dict) -> None:
    """Writes the quantised model; ready-made names and bytes, whatever the temporary folder."""
    x = np.load(calib)["x"]
    with tempfile.TemporaryDirectory() as folder:
        inferred, raw = Path(folder) / "inferred.onnx", Path(folder) / "raw.onnx"
        quant_pre_process(str(source), str(inferred), skip_symbolic_shape=True)
        quantize_static(
            str(inferred),
            str(raw),
            Rows(x),
            quant_format=QuantFormat.QDQ,
            weight_type=QuantType.QInt8,
            **kind,
        )
        nets.save(onnx.load(str(raw)), target)


def record(model: Path, test: Path, out: Path) -> int:
    """Writes the reference results; returns how many integer logits differ between the two ways."""
    rows = {"x": np.load(test)["x"][:ROWS]}
    fused = answers(model, rows, plain=False, integers=False)["logits"]
    plain = answers(model, rows, plain=True, integers=True)
    kept = {f"plain.{name}": value for name, value in plain.items()}
    np.savez_compressed(out, logits=fused, **kept)
    return int((fused != plain["logits"]).sum())


def main() -> None:
    root = Path(__file__).resolve().parents[2]
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else root / "assets" / "demo"
    for name in ("bc_mlp", "digits_cnn"):
        data = name.split("_")[0]
        test = folder / f"{data}_test.npz"
        for suffix, kind in KINDS.items():
            model = folder / f"{name}_{suffix}.onnx"
            quantise(folder / f"{name}.onnx", model, folder / f"{data}_calib.npz", kind)
            apart = record(model, test, folder / f"{name}_{suffix}_ort.npz")
            right = accuracy(model, test)
            print(f"{model.name}: accuracy {right:.4f}, {apart} logits differ fused/plain")


if __name__ == "__main__":
    main()
