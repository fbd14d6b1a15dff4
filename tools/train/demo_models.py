"""Trains the two models of the demo and writes them with their data.

    python tools/train/demo_models.py [OUTDIR]        (default: assets/demo)

bc_mlp      breast cancer diagnosis, 30 measurements of cell nuclei -> malignant or benign
digits_cnn  hand-written digits, 8 x 8 pixels of 0 to 16 -> 0 to 9

Files per model: NAME.onnx, and the rows held back for testing (_test.npz) and for calibration
(_calib.npz, taken from the training rows). demo.json tells names, classes and accuracies.
"""

import json
import sys
from pathlib import Path

import numpy as np
from sklearn.datasets import load_breast_cancer, load_digits
from sklearn.model_selection import train_test_split

import nets
from store import accuracy, agree, save_rows

SEED = 20261122


def split(x, label, test_rows: int):
    """Training and test rows with the same mix of classes."""
    return train_test_split(x, label, test_size=test_rows, stratify=label, random_state=SEED)


def publish(out: Path, name: str, layers, weights, shape, classes, calib, test) -> dict:
    """Writes one model and its rows; returns what demo.json says of it."""
    model, test_file = out / f"{name}.onnx", out / f"{name.split('_')[0]}_test.npz"
    calib_file = out / f"{name.split('_')[0]}_calib.npz"
    nets.save(nets.to_onnx(layers, weights, name, shape, classes), model)
    save_rows(test_file, *test, deflate=False)
    save_rows(calib_file, *calib, deflate=False)
    gap = agree(layers, weights, model, test_file)
    assert gap < 1e-4, f"{name}: the file differs from the trained network by {gap}"
    return {
        "input": {"name": "x", "shape": ["batch", *shape]},
        "output": {"name": "logits", "shape": ["batch", len(classes)]},
        "classes": classes,
        "parameters": nets.parameters(weights),
        "test_rows": len(test[1]),
        "calibration_rows": len(calib[1]),
        "test_accuracy": round(accuracy(model, test_file), 4),
    }


def breast_cancer(out: Path) -> dict:
    data = load_breast_cancer()
    x, x_test, y, y_test = split(data.data.astype(np.float32), data.target, 143)
    scaler = nets.Standardise(x.mean(axis=0), x.std(axis=0))
    layers = [
        scaler,
        nets.Dense(30, 32), nets.Relu(),
        nets.Dense(32, 16), nets.Relu(),
        nets.Dense(16, 2),
    ]
    batches = nets.shuffled(x, y, 64, SEED)
    weights = nets.train(layers, batches, SEED, rate=3e-3, steps=600, decay=1e-3)
    classes = [str(name) for name in data.target_names]
    told = publish(out, "bc_mlp", layers, weights, [30], classes, (x, y), (x_test, y_test))
    return {**told, "features": [str(name) for name in data.feature_names]}


def digits(out: Path) -> dict:
    data = load_digits()
    images = data.images.astype(np.float32)[:, None]
    x, x_test, y, y_test = split(images, data.target, 360)
    layers = [
        nets.Scale(1 / 16),
        nets.Conv(1, 8, 3, pad=1), nets.Relu(), nets.MaxPool2(),
        nets.Conv(8, 16, 3, pad=1), nets.Relu(),
        nets.Flatten(), nets.Dense(256, 10),
    ]
    batches = nets.shuffled(x, y, 64, SEED)
    weights = nets.train(layers, batches, SEED, rate=3e-3, steps=1200, decay=1e-3)
    classes = [str(digit) for digit in range(10)]
    calib = (x[:256], y[:256])
    return publish(out, "digits_cnn", layers, weights, [1, 8, 8], classes, calib, (x_test, y_test))


def main() -> None:
    root = Path(__file__).resolve().parents[2]
    out = Path(sys.argv[1]) if len(sys.argv) > 1 else root / "assets" / "demo"
    out.mkdir(parents=True, exist_ok=True)
    told = {"bc_mlp": breast_cancer(out), "digits_cnn": digits(out)}
    (out / "demo.json").write_text(json.dumps(told, indent=1) + "\n")
    for name, facts in told.items():
        print(name, facts["parameters"], "parameters, test accuracy", facts["test_accuracy"])


if __name__ == "__main__":
    main()
