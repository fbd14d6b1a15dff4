"""Data files: .npz archives whose bytes depend on the arrays alone, and how they are checked."""

from pathlib import Path

import numpy as np
import onnxruntime as ort


def save_rows(path: Path, x: np.ndarray, label: np.ndarray, deflate: bool) -> None:
    """Writes `x` (float32) and `label` (int64), as `numpy.savez` does or deflated.

    numpy stamps each member with the first day of 1980, so that equal arrays give equal files.
    """
    write = np.savez_compressed if deflate else np.savez
    write(path, x=x.astype(np.float32), label=label.astype(np.int64))


def session(path) -> ort.InferenceSession:
    """onnxruntime on one thread, so that sums are always taken in the same order."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    return ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def accuracy(model: Path, data: Path) -> float:
    """Share of rows of the archive whose largest logit is the right label."""
    rows = np.load(data)
    logits = session(model).run(["logits"], {"x": rows["x"]})[0]
    return float((logits.argmax(axis=1) == rows["label"]).mean())


def agree(layers, weights, model: Path, data: Path) -> float:
    """Largest difference between the trained network and the exported file."""
    from nets import forward

    x = np.load(data)["x"][:64]
    ours = np.asarray(forward(layers, weights, x))
    theirs = session(model).run(["logits"], {"x": x})[0]
    return float(np.abs(ours - theirs).max())
