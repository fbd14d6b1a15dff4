"""Native inference of the benchmark models with onnxruntime, in 32-bit floats and quantised to 8 bits.

    .venv/bin/python tools/compare/native.py MODEL.onnx CALIB.npz TEST.npz [PROVE_MS]

Quantises with onnxruntime's own static quantisation: QDQ form, 8-bit activations (unsigned), 8-bit
weights per channel, ranges from the rows of CALIB.npz, after onnxruntime's shape inference and
graph optimisation. Then times one row of TEST.npz, two threads, float and int8 in turn, and counts
the labels of the test rows that 8 bits change. Prints one JSON object; with PROVE_MS also the
ratios to it.
"""

import json
import statistics
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
from onnxruntime import quantization
from onnxruntime.quantization.shape_inference import quant_pre_process

THREADS = 2
SECONDS = 2.0
LEAST_RUNS = 11
MOST_CALIBRATION = 128


def session(file: Path) -> ort.InferenceSession:
    options = ort.SessionOptions()
    options.intra_op_num_threads = THREADS
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    return ort.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])


class Rows(quantization.CalibrationDataReader):
    """Calibration rows, one at a time."""

    def __init__(self, name: str, x: np.ndarray):
        self.rows = iter([{name: x[i : i + 1]} for i in range(min(len(x), MOST_CALIBRATION))])

    def get_next(self):
        return next(self.rows, None)


def quantised(model: Path, name: str, calib: np.ndarray, folder: Path) -> Path:
    ready, out = folder / "ready.onnx", folder / "int8.onnx"
    quant_pre_process(str(model), str(ready), skip_symbolic_shape=True)
    quantization.quantize_static(
        str(ready),
        str(out),
        Rows(name, calib),
        quant_format=quantization.QuantFormat.QDQ,
        activation_type=quantization.QuantType.QUInt8,
        weight_type=quantization.QuantType.QInt8,
        per_channel=True,
    )
    return out


def interleaved(sessions: list, feed: dict) -> list[tuple[float, float]]:
    """(median, least) milliseconds of each session, run in turn."""
    times = [[] for _ in sessions]
    for s in sessions:
        s.run(None, feed)
    start = time.perf_counter()
    while len(times[0]) < LEAST_RUNS or time.perf_counter() - start < SECONDS:
        for s, own in zip(sessions, times, strict=True):
            begin = time.perf_counter()
            s.run(None, feed)
            own.append(1e3 * (time.perf_counter() - begin))
    return [(statistics.median(t), min(t)) for t in times]


def labels(s: ort.InferenceSession, name: str, x: np.ndarray) -> np.ndarray:
    parts = (s.run(None, {name: x[i : i + 1]})[0].reshape(1, -1) for i in range(len(x)))
    return np.concatenate(list(parts)).argmax(1)


def rows_of(file: Path, name: str) -> np.ndarray:
    stored = np.load(file)
    return stored[name if name in stored.files else "x"]


def main() -> None:
    model, calib, test = (Path(a) for a in sys.argv[1:4])
    name = onnx.load(model, load_external_data=False).graph.input[0].name
    x = rows_of(test, name)
    with tempfile.TemporaryDirectory() as folder:
        small = session(quantised(model, name, rows_of(calib, name), Path(folder)))
    full = session(model)
    (float_ms, float_least), (int8_ms, int8_least) = interleaved([full, small], {name: x[:1]})
    told = {
        "model": model.stem,
        "threads": THREADS,
        "float_ms": round(float_ms, 4),
        "float_ms_least": round(float_least, 4),
        "int8_ms": round(int8_ms, 4),
        "int8_ms_least": round(int8_least, 4),
        "rows": len(x),
        "int8_agreement": float((labels(full, name, x) == labels(small, name, x)).mean()),
    }
    if len(sys.argv) > 4:
        told["prove_ms"] = float(sys.argv[4])
        told["prove_over_int8"] = round(told["prove_ms"] / int8_ms, 1)
        told["prove_over_float"] = round(told["prove_ms"] / float_ms, 1)
    print(json.dumps(told))


if __name__ == "__main__":
    main()
