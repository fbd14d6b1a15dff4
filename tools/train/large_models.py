"""Makes large convolutional networks of well-known shapes, with data.

    python tools/train/large_models.py [OUTDIR] [NAME ...]     (default: target/large-models, all)

resnet18_cifar   ResNet-18, 3 x 3 stem, 3 x 32 x 32, 10 classes (He et al. 2015)
vgg16_cifar      VGG-16 with batch normalisation, 3 x 32 x 32, 10 classes (Simonyan and Zisserman 2014)
mobilenetv2_cifar  MobileNetV2, depthwise, ReLU6, 3 x 32 x 32, 10 classes (Sandler et al. 2018)
resnet18_224     ResNet-18, 7 x 7 stem, 3 x 224 x 224, 1000 classes

**They are trained a little**: some dozens of steps, on digits pasted on photographs, most of them at half the size, so that
activations and margins are those of a network that has learned something; training them well takes
hours. The 224 x 224 network has the convolutions of the small one behind its own stem. Then every batch normalisation gets the statistics of its own input on training rows, and the last
layer is fitted anew. With 10 classes it tells the digits; with 1000 it tells which of 1000 pieces of
photographs is shown.

The files are as PyTorch's exporter writes them when it keeps batch normalisation: Conv without bias,
BatchNormalization, Relu or Clip, MaxPool, GlobalAveragePool, Add, Flatten, Gemm.
Per model: NAME.onnx, NAME_calib.npz, NAME_test.npz. The labels of the test rows are **onnxruntime's
answers**, so that `zerotell bench --evaluate NAME_test.npz` tells as `accuracy` how often the proved
label is onnxruntime's. large.json tells how many answers are right.
"""

import json
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import onnx
from onnx import TensorProto, helper
from sklearn.datasets import load_sample_images
from sklearn.linear_model import LogisticRegression

import nets
from bench_models import SEED, mnist, moved, photo_pieces
from store import save_rows, session

CALIBRATION = 128


class Network(nets.Writer):
    """A graph that is computed on a batch while it is written.

    `trained` are the weights in the order they are asked for; without, they are drawn.
    """

    def __init__(self, x, seed: int, trained=None):
        super().__init__()
        self.rng = np.random.default_rng(seed)
        self.value = {"x": jnp.asarray(x)}
        self.count = 0
        self.trained = None if trained is None else iter(trained)
        self.drawn = []

    def emit(self, op: str, inputs: list[str], value, **attributes) -> str:
        self.count += 1
        name = self.node(op, inputs, f"{op.lower()}_{self.count}", **attributes)
        self.value[name] = value
        return name

    def weight(self, kind: str, value) -> str:
        return self.constant(f"{kind}_{self.count + 1}", np.asarray(value, np.float32))

    def draw(self, first):
        """A trained tensor, or its first value."""
        value = first() if self.trained is None else next(self.trained)
        self.drawn.append(value)
        return value

    def conv(self, x: str, out: int, kernel: int, stride: int = 1, group: int = 1) -> str:
        inputs = self.value[x].shape[1] // group
        shape = (out, inputs, kernel, kernel)
        w = self.draw(lambda: nets.he(self.rng, shape, inputs * kernel**2))
        pad = kernel // 2
        y = jax.lax.conv_general_dilated(
            self.value[x], w, (stride, stride), [(pad, pad)] * 2, feature_group_count=group
        )
        names = [x, self.weight("weight", w)]
        about = dict(kernel_shape=[kernel] * 2, pads=[pad] * 4, strides=[stride] * 2)
        return self.emit("Conv", names, y, dilations=[1, 1], group=group, **about)

    def norm(self, x: str) -> str:
        """BatchNormalization with the batch's own statistics."""
        v = self.value[x]
        mean, var = v.mean((0, 2, 3)), v.var((0, 2, 3))
        gain = self.draw(lambda: np.ones(v.shape[1], np.float32))
        shift = self.draw(lambda: np.zeros(v.shape[1], np.float32))
        kinds = zip(["gain", "shift", "mean", "var"], [gain, shift, mean, var], strict=True)
        names = [x, *(self.weight(kind, value) for kind, value in kinds)]
        scale = gain / jnp.sqrt(var + 1e-5)
        y = v * scale[:, None, None] + (shift - mean * scale)[:, None, None]
        return self.emit("BatchNormalization", names, y, epsilon=1e-5, momentum=0.9)

    def relu(self, x: str) -> str:
        return self.emit("Relu", [x], jnp.maximum(self.value[x], 0))

    def relu6(self, x: str) -> str:
        ends = [self.weight("least", np.array(0.0)), self.weight("most", np.array(6.0))]
        return self.emit("Clip", [x, *ends], jnp.clip(self.value[x], 0, 6))

    def max_pool(self, x: str, kernel: int, stride: int, pad: int = 0) -> str:
        window, pads = (1, 1, kernel, kernel), [(0, 0), (0, 0), (pad, pad), (pad, pad)]
        steps = (1, 1, stride, stride)
        y = jax.lax.reduce_window(self.value[x], -jnp.inf, jax.lax.max, window, steps, pads)
        about = dict(kernel_shape=[kernel] * 2, pads=[pad] * 4, strides=[stride] * 2)
        return self.emit("MaxPool", [x], y, ceil_mode=0, **about)

    def add(self, a: str, b: str) -> str:
        return self.emit("Add", [a, b], self.value[a] + self.value[b])

    def features(self, x: str) -> str:
        """The mean of every channel."""
        v = self.value[x]
        mean = self.emit("GlobalAveragePool", [x], v.mean((2, 3), keepdims=True))
        return self.emit("Flatten", [mean], v.mean((2, 3)), axis=1)

    def model(self, name: str, shape: list[int], output: str, width: int):
        """The graph so far as a checked ModelProto."""
        graph = helper.make_graph(
            self.nodes,
            name,
            [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", *shape])],
            [helper.make_tensor_value_info(output, TensorProto.FLOAT, ["batch", width])],
            self.constants,
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", nets.OPSET)])
        model.ir_version = nets.IR_VERSION
        onnx.checker.check_model(model, full_check=True)
        return model


class Traced(Network):
    """Only the computation: nothing is written, so that it can be differentiated."""

    def weight(self, kind, value):
        return kind

    def node(self, op, inputs, name, **attributes):
        return name


def train(build, x: np.ndarray, y: np.ndarray, steps: int, size: int = 32):
    """Weights after some steps of Adam on random rows."""
    first = Traced(x[:2], SEED)
    width = first.value[build(first)].shape[1]
    head = nets.he(np.random.default_rng(SEED), (width, int(y.max()) + 1), width)

    def loss(weights, x, y):
        n = Traced(x, SEED, weights[:-1])
        scores = jax.nn.log_softmax(n.value[build(n)] @ weights[-1])
        return -jnp.take_along_axis(scores, y[:, None], axis=1).mean()

    @jax.jit
    def advance(state, step, x, y):
        value, gradient = jax.value_and_grad(loss)(state[0], x, y)
        rate = 1e-3 * (1.0 + jnp.cos(jnp.pi * step / steps))
        return nets.adam_step(state, gradient, step, rate), value

    weights = [jnp.asarray(w) for w in [*first.drawn, head]]
    zeros = [jnp.zeros_like(w) for w in weights]
    state, rng = (weights, zeros, zeros), np.random.default_rng(SEED)
    for step in range(1, steps + 1):
        rows = rng.permutation(len(x))[:size]
        state, value = advance(state, jnp.float32(step), x[rows], y[rows])
        if step % 10 == 0:
            print(f"step {step} of {steps}: loss {float(value):.3f}", flush=True)
    return [np.asarray(w) for w in state[0][:-1]]


def halved(x: np.ndarray) -> np.ndarray:
    """Every 2 x 2 square becomes its mean."""
    n, c, h, w = x.shape
    return x.reshape(n, c, h // 2, 2, w // 2, 2).mean((3, 5))


def doubled(x: np.ndarray) -> np.ndarray:
    return x.repeat(2, 2).repeat(2, 3)


def residual(n: Network, x: str, out: int, stride: int) -> str:
    y = n.relu(n.norm(n.conv(x, out, 3, stride)))
    y = n.norm(n.conv(y, out, 3))
    if stride != 1 or n.value[x].shape[1] != out:
        x = n.norm(n.conv(x, out, 1, stride))
    return n.relu(n.add(y, x))


def resnet18(n: Network, large: bool) -> str:
    x = n.relu(n.norm(n.conv("x", 64, 7 if large else 3, 2 if large else 1)))
    x = n.max_pool(x, 3, 2, 1) if large else x
    for out, stride in [(64, 1), (128, 2), (256, 2), (512, 2)]:
        x = residual(n, residual(n, x, out, stride), out, 1)
    return n.features(x)


def vgg16(n: Network) -> str:
    x = "x"
    for out, depth in [(64, 2), (128, 2), (256, 3), (512, 3), (512, 3)]:
        for _ in range(depth):
            x = n.relu(n.norm(n.conv(x, out, 3)))
        x = n.max_pool(x, 2, 2)
    return n.features(x)


def inverted(n: Network, x: str, out: int, stride: int, widen: int) -> str:
    inputs = n.value[x].shape[1]
    y = n.relu6(n.norm(n.conv(x, inputs * widen, 1))) if widen > 1 else x
    y = n.relu6(n.norm(n.conv(y, inputs * widen, 3, stride, group=inputs * widen)))
    y = n.norm(n.conv(y, out, 1))
    return n.add(x, y) if stride == 1 and inputs == out else y


def mobilenetv2(n: Network) -> str:
    x = n.relu6(n.norm(n.conv("x", 32, 3)))
    # Strides for 32 x 32 images: the first two reductions of the original are left out.
    rows = [
        (1, 16, 1, 1), (6, 24, 2, 1), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1),
    ]
    for widen, out, depth, stride in rows:
        for i in range(depth):
            x = inverted(n, x, out, stride if i == 0 else 1, widen)
    return n.features(n.relu6(n.norm(n.conv(x, 1280, 1))))


def run(model, x: np.ndarray) -> np.ndarray:
    """onnxruntime's output, a few rows at a time."""
    ort = session_of(model)
    name = ort.get_outputs()[0].name
    return np.concatenate([ort.run([name], {"x": x[i : i + 16]})[0] for i in range(0, len(x), 16)])


def session_of(model):
    import tempfile

    with tempfile.NamedTemporaryFile(suffix=".onnx") as file:
        file.write(model.SerializeToString())
        file.flush()
        return session(file.name)


def digits_on_photos(test_rows: int):
    """Coloured digits over darkened pieces of photographs, [N, 3, 32, 32], values -1 to 1."""
    x, x_test, y, y_test = mnist()
    photos = [p.astype(np.float32) / 255 for p in load_sample_images().images]
    rng = np.random.default_rng(SEED)

    def paint(digits):
        ink = np.pad(moved(digits, rng, 2), ((0, 0), (0, 0), (2, 2), (2, 2)))
        colour = rng.uniform(0.5, 1.0, (len(digits), 3, 1, 1)).astype(np.float32)
        pieces = 0.4 * photo_pieces(photos, rng, len(digits))
        return 2 * (pieces * (1 - ink) + colour * ink) - 1

    return paint(x), y, paint(x_test[:test_rows]), y_test[:test_rows]


def pieces_of_photos(classes: int, test_rows: int):
    """One piece of a photograph per class, [N, 3, 224, 224]; test rows are noisy and lighter or darker."""
    photos = [p.astype(np.float32) / 255 for p in load_sample_images().images]
    rng = np.random.default_rng(SEED)
    x = np.empty((classes, 3, 224, 224), np.float32)
    for i in range(classes):
        photo = photos[i % 2]
        size = int(rng.integers(64, 225))
        row, column = rng.integers(photo.shape[0] - size + 1), rng.integers(photo.shape[1] - size + 1)
        at = np.arange(224) * size // 224
        x[i] = 2 * photo[row + at][:, column + at].transpose(2, 0, 1) - 1
    label = rng.permutation(classes)[:test_rows]
    light = rng.uniform(0.9, 1.1, (test_rows, 1, 1, 1)).astype(np.float32)
    noisy = x[label] * light + rng.normal(0, 0.05, (test_rows, 3, 224, 224)).astype(np.float32)
    return x, np.arange(classes), np.clip(noisy, -1, 1), label


def fitted(features: np.ndarray, label: np.ndarray):
    """Weights and biases of the last layer by logistic regression."""
    size = features.std(0) + 1e-3
    fit = LogisticRegression(C=0.1, max_iter=300).fit(features / size, label)
    return fit.coef_ / size, fit.intercept_


def nearest(features: np.ndarray):
    """A last layer whose largest output belongs to the nearest row of `features`."""
    size = features.std(0) + 1e-3
    scaled = (features - features.mean(0)) / size
    shift = scaled @ (features.mean(0) / size)
    return scaled / size, -0.5 * (scaled**2).sum(1) - shift


def make(out: Path, name: str, build, data, head, trained) -> dict:
    x, y, x_test, y_test = data
    n = Network(x[: CALIBRATION if x.shape[2] < 100 else 16], SEED, trained)
    feature = build(n)
    width = n.value[feature].shape[1]
    shape = list(x.shape[1:])
    w, b = head(run(n.model(name, shape, feature, width), x), y)
    names = [feature, n.constant("fc.weight", w.astype(np.float32)), n.constant("fc.bias", b.astype(np.float32))]
    n.node("Gemm", names, "logits", transB=1)
    model = n.model(name, shape, "logits", len(b))
    nets.save(model, out / f"{name}.onnx")
    answer = run(model, x_test).argmax(1)
    rows = 256 if shape[1] < 100 else 48
    calib = (x[:rows], y[:rows])
    save_rows(out / f"{name}_calib.npz", *calib, deflate=True)
    save_rows(out / f"{name}_test.npz", x_test, answer, deflate=True)
    return {
        "parameters": sum(int(np.prod(t.dims)) for t in model.graph.initializer),
        "test_rows": len(answer),
        "answers_right": round(float((answer == y_test).mean()), 4),
    }


def small(build, steps: int, resize=lambda x: x):
    def made(out: Path, name: str) -> dict:
        data = digits_on_photos(1000)
        return make(out, name, build, data, fitted, train(build, resize(data[0]), data[1], steps))

    return made


RESNET_STEPS = 70


def resnet18_224(out: Path, name: str) -> dict:
    x, y, _, _ = digits_on_photos(1000)
    trained = train(lambda n: resnet18(n, large=False), halved(x), y, RESNET_STEPS)
    trained[0] = nets.he(np.random.default_rng(SEED), (64, 3, 7, 7), 3 * 7 * 7)
    build = lambda n: resnet18(n, large=True)
    return make(out, name, build, pieces_of_photos(1000, 100), lambda f, _: nearest(f), trained)


MODELS = {
    "resnet18_cifar": small(lambda n: resnet18(n, large=False), RESNET_STEPS, halved),
    "mobilenetv2_cifar": small(mobilenetv2, 150, halved),
    "vgg16_cifar": small(vgg16, 50),
    "resnet18_224": resnet18_224,
}


def main() -> None:
    root = Path(__file__).resolve().parents[2]
    out = Path(sys.argv[1]) if len(sys.argv) > 1 else root / "target" / "large-models"
    out.mkdir(parents=True, exist_ok=True)
    told_file = out / "large.json"
    told = json.loads(told_file.read_text()) if told_file.exists() else {}
    for name in sys.argv[2:] or MODELS:
        told[name] = MODELS[name](out, name)
        print(name, told[name])
    told_file.write_text(json.dumps(told, indent=1) + "\n")


if __name__ == "__main__":
    main()
