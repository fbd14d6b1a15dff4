"""Small feed-forward networks: their layers, their training, their ONNX form.

A network is a list of layers; each layer knows three things: how to draw its first weights,
how to compute its output with JAX, and how to write itself as ONNX nodes. All arrays are
float32. Images are [batch, channel, row, column], convolution weights are
[out, in, row, column], dense weights are [in, out] here and [out, in] in the file (Gemm
with transB = 1, as PyTorch exports it).
"""

from dataclasses import dataclass, field
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

OPSET = 17
IR_VERSION = 8


@dataclass
class Writer:
    """Collects the nodes and constants of one ONNX graph."""

    nodes: list = field(default_factory=list)
    constants: list = field(default_factory=list)

    def constant(self, name: str, value: np.ndarray) -> str:
        self.constants.append(numpy_helper.from_array(np.ascontiguousarray(value), name))
        return name

    def node(self, op: str, inputs: list[str], name: str, **attributes) -> str:
        self.nodes.append(helper.make_node(op, inputs, [name], name=f"/{name}", **attributes))
        return name


def he(rng: np.random.Generator, shape: tuple, fan_in: int) -> np.ndarray:
    """First weights of the right size for ReLU (He et al. 2015)."""
    return rng.normal(0.0, np.sqrt(2.0 / fan_in), shape).astype(np.float32)


@dataclass
class Standardise:
    """(x - mean) / deviation per feature; fixed, not trained."""

    mean: np.ndarray
    deviation: np.ndarray

    def start(self, rng):
        return {}

    def apply(self, weights, x):
        return (x - self.mean) / self.deviation

    def write(self, w: Writer, weights, x: str, name: str) -> str:
        mean = w.constant(f"{name}.mean", self.mean)
        deviation = w.constant(f"{name}.deviation", self.deviation)
        return w.node("Div", [w.node("Sub", [x, mean], f"{name}_sub"), deviation], f"{name}_div")


@dataclass
class Scale:
    """x * factor while training; folded into the weights of the next Conv in the file.

    The factor must be a power of two, so that folding changes no result by even one bit.
    """

    factor: float

    def start(self, rng):
        return {}

    def apply(self, weights, x):
        return x * self.factor


@dataclass
class Dense:
    inputs: int
    outputs: int

    def start(self, rng):
        return {
            "w": he(rng, (self.inputs, self.outputs), self.inputs),
            "b": np.zeros(self.outputs, np.float32),
        }

    def apply(self, weights, x):
        return x @ weights["w"] + weights["b"]

    def write(self, w: Writer, weights, x: str, name: str) -> str:
        weight = w.constant(f"{name}.weight", np.asarray(weights["w"]).T)
        bias = w.constant(f"{name}.bias", np.asarray(weights["b"]))
        return w.node("Gemm", [x, weight, bias], name, transB=1)


@dataclass
class Conv:
    inputs: int
    outputs: int
    kernel: int
    pad: int = 0

    def start(self, rng):
        shape = (self.outputs, self.inputs, self.kernel, self.kernel)
        fan_in = self.inputs * self.kernel**2
        return {"w": he(rng, shape, fan_in), "b": np.zeros(self.outputs, np.float32)}

    def apply(self, weights, x):
        y = jax.lax.conv_general_dilated(x, weights["w"], (1, 1), [(self.pad, self.pad)] * 2)
        return y + weights["b"][:, None, None]

    def write(self, w: Writer, weights, x: str, name: str) -> str:
        weight = w.constant(f"{name}.weight", np.asarray(weights["w"]))
        bias = w.constant(f"{name}.bias", np.asarray(weights["b"]))
        shape = dict(kernel_shape=[self.kernel] * 2, pads=[self.pad] * 4, strides=[1, 1])
        return w.node("Conv", [x, weight, bias], name, **shape)


@dataclass
class Relu:
    def start(self, rng):
        return {}

    def apply(self, weights, x):
        return jnp.maximum(x, 0.0)

    def write(self, w: Writer, weights, x: str, name: str) -> str:
        return w.node("Relu", [x], name)


@dataclass
class MaxPool2:
    """Largest of each 2 x 2 square."""

    def start(self, rng):
        return {}

    def apply(self, weights, x):
        n, c, h, w = x.shape
        return x.reshape(n, c, h // 2, 2, w // 2, 2).max(axis=(3, 5))

    def write(self, w: Writer, weights, x: str, name: str) -> str:
        return w.node("MaxPool", [x], name, kernel_shape=[2, 2], strides=[2, 2])


@dataclass
class Flatten:
    def start(self, rng):
        return {}

    def apply(self, weights, x):
        return x.reshape(x.shape[0], -1)

    def write(self, w: Writer, weights, x: str, name: str) -> str:
        return w.node("Flatten", [x], name, axis=1)


def forward(layers, weights, x):
    """The logits of a batch."""
    for layer, own in zip(layers, weights, strict=True):
        x = layer.apply(own, x)
    return x


def parameters(weights) -> int:
    """How many trained numbers there are."""
    return sum(int(np.size(a)) for own in weights for a in own.values())


def adam_step(state, gradient, step, rate):
    """One step of Adam (Kingma and Ba 2015) over any nest of arrays."""
    weights, mean, square = state
    mean = jax.tree.map(lambda m, g: 0.9 * m + 0.1 * g, mean, gradient)
    square = jax.tree.map(lambda s, g: 0.999 * s + 0.001 * g * g, square, gradient)
    m_fix, s_fix = 1.0 - 0.9**step, 1.0 - 0.999**step

    def move(w, m, s):
        return w - rate * (m / m_fix) / (jnp.sqrt(s / s_fix) + 1e-8)

    return jax.tree.map(move, weights, mean, square), mean, square


def train(layers, batches, seed: int, rate: float, steps: int, decay: float = 0.0):
    """Weights after `steps` batches of cross-entropy training; the rate falls to 0 as a cosine.

    `batches` yields (x, label) arrays of one fixed shape and must not end before `steps`.
    `decay` is the weight of the squared weights in the loss.
    """
    rng = np.random.default_rng(seed)
    weights = [layer.start(rng) for layer in layers]

    def loss(weights, x, label):
        scores = jax.nn.log_softmax(forward(layers, weights, x))
        fit = -jnp.take_along_axis(scores, label[:, None], axis=1).mean()
        size = sum(jnp.vdot(own["w"], own["w"]) for own in weights if "w" in own)
        return fit + decay * size

    @jax.jit
    def advance(state, step, x, label):
        gradient = jax.grad(loss)(state[0], x, label)
        now = 0.5 * rate * (1.0 + jnp.cos(jnp.pi * step / steps))
        return adam_step(state, gradient, step, now)

    zeros = jax.tree.map(jnp.zeros_like, weights)
    state = (jax.tree.map(jnp.asarray, weights), zeros, zeros)
    for step, (x, label) in zip(range(1, steps + 1), batches, strict=False):
        state = advance(state, jnp.float32(step), x, label)
    return jax.tree.map(np.asarray, state[0])


def shuffled(x, label, size: int, seed: int):
    """Batches for ever: all rows in a new order each round, the short rest left out."""
    rng = np.random.default_rng(seed)
    while True:
        order = rng.permutation(len(x))
        for at in range(0, len(x) - size + 1, size):
            rows = order[at : at + size]
            yield x[rows], label[rows]


def fold_scale(layers, weights):
    """Moves each Scale into the weights of the Conv right after it."""
    out_layers, out_weights, factor = [], [], 1.0
    for layer, own in zip(layers, weights, strict=True):
        if isinstance(layer, Scale):
            factor = layer.factor
            continue
        if factor != 1.0:
            assert isinstance(layer, Conv), "Scale must stand before Conv"
            own, factor = {**own, "w": own["w"] * np.float32(factor)}, 1.0
        out_layers.append(layer)
        out_weights.append(own)
    return out_layers, out_weights


def to_onnx(layers, weights, name: str, input_shape: list[int], classes: list[str]):
    """The network as a checked ModelProto: input `x` [batch, *input_shape], output `logits`."""
    layers, weights = fold_scale(layers, weights)
    w, count, at = Writer(), {}, "x"
    for layer, own in zip(layers, weights, strict=True):
        kind = type(layer).__name__.lower().rstrip("2")
        count[kind] = count.get(kind, 0) + 1
        last = layer is layers[-1]
        at = layer.write(w, own, at, f"{kind}{count[kind]}")
        if last:
            w.nodes[-1].output[0] = "logits"
    graph = helper.make_graph(
        w.nodes,
        name,
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", *input_shape])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", len(classes)])],
        w.constants,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)])
    model.ir_version = IR_VERSION
    model.producer_name = "zerotell-train"
    helper.set_model_props(model, {"classes": ",".join(classes)})
    onnx.checker.check_model(model, full_check=True)
    return model


def save(model, path: Path) -> None:
    """Writes the model; the bytes depend on the model alone."""
    path.write_bytes(model.SerializeToString(deterministic=True))
