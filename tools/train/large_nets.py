"""Shapes of well-known convolutional networks, for training and for the ONNX file.

A builder such as `resnet18` is a function of a network object and names no framework. It is run
twice: by `Trained`, which computes a batch with TensorFlow, and by `Exported`, which writes nodes.
Both meet the weights in the same order. Images are [batch, row, column, channel] in training and
[batch, channel, row, column] in the file; convolution weights are [row, column, in, out] and
[out, in, row, column].
"""

import numpy as np
import onnx
import tensorflow as tf
from onnx import TensorProto, helper

import nets

EPSILON = 1e-5


class Trained:
    """Computes a batch. `weights` gives the tensors in order; an empty list is filled with first values.

    `moments` gets mean and variance of every normalisation, those of this batch.
    """

    def __init__(self, weights: list, seed: int, dtype=tf.bfloat16):
        self.weights, self.dtype = weights, dtype
        self.rng = np.random.default_rng(seed) if not weights else None
        self.at = 0
        self.moments = []

    def draw(self, first):
        if self.rng is not None:
            self.weights.append(tf.Variable(first()))
        self.at += 1
        return self.weights[self.at - 1]

    def channels(self, x) -> int:
        return x.shape[3]

    def conv(self, x, out: int, kernel: int, stride: int = 1, depthwise: bool = False):
        """Convolution without bias, and batch normalisation."""
        inputs = 1 if depthwise else self.channels(x)
        shape = (kernel, kernel, inputs, out)
        w = self.draw(lambda: nets.he(self.rng, shape, inputs * kernel**2))
        w = tf.cast(w, self.dtype)
        padding = "SAME"
        if stride > 1:
            # SAME would pad one side only.
            pad, padding = [kernel // 2] * 2, "VALID"
            x = tf.pad(x, [[0, 0], pad, pad, [0, 0]])
        if depthwise:
            y = tf.nn.depthwise_conv2d(x, tf.transpose(w, (0, 1, 3, 2)), [1, stride, stride, 1], padding)
        else:
            y = tf.nn.conv2d(x, w, stride, padding)
        gain = self.draw(lambda: np.ones(out, np.float32))
        shift = self.draw(lambda: np.zeros(out, np.float32))
        y, mean, var = tf.compat.v1.nn.fused_batch_norm(y, gain, shift, epsilon=EPSILON, is_training=True)
        self.moments.append((mean, var))
        return y

    def relu(self, x):
        return tf.nn.relu(x)

    def relu6(self, x):
        return tf.nn.relu6(x)

    def max_pool(self, x, kernel: int, stride: int, pad: int = 0):
        # What is padded is not below 0, so that zeros are as good as minus infinity.
        x = tf.pad(x, [[0, 0], [pad, pad], [pad, pad], [0, 0]]) if pad else x
        return tf.nn.max_pool2d(x, kernel, stride, "VALID")

    def add(self, a, b):
        return a + b

    def dense(self, x, out: int):
        """The mean of every channel, and a dense layer."""
        x = tf.reduce_mean(tf.cast(x, tf.float32), (1, 2))
        width = x.shape[1]
        w = self.draw(lambda: nets.he(self.rng, (width, out), width) * np.float32(0.5))
        b = self.draw(lambda: np.zeros(out, np.float32))
        return x @ w + b


class Exported(nets.Writer):
    """Writes nodes with trained weights; normalisation is folded into the convolution before it."""

    def __init__(self, weights: list[np.ndarray], moments: list, channels: int):
        super().__init__()
        self.weights, self.moments = iter(weights), iter(moments)
        self.width = {"x": channels}
        self.count = 0

    def emit(self, op: str, inputs: list[str], channels: int, **attributes) -> str:
        self.count += 1
        name = self.node(op, inputs, f"{op.lower()}_{self.count}", **attributes)
        self.width[name] = channels
        return name

    def channels(self, x: str) -> int:
        return self.width[x]

    def conv(self, x: str, out: int, kernel: int, stride: int = 1, depthwise: bool = False) -> str:
        w, gain, shift = (next(self.weights) for _ in range(3))
        mean, var = next(self.moments)
        scale = gain / np.sqrt(var + EPSILON)
        names = [
            x,
            self.constant(f"conv_{self.count + 1}.weight", (w * scale).transpose(3, 2, 0, 1).astype(np.float32)),
            self.constant(f"conv_{self.count + 1}.bias", (shift - mean * scale).astype(np.float32)),
        ]
        about = dict(kernel_shape=[kernel] * 2, pads=[kernel // 2] * 4, strides=[stride] * 2)
        return self.emit("Conv", names, out, dilations=[1, 1], group=out if depthwise else 1, **about)

    def relu(self, x: str) -> str:
        return self.emit("Relu", [x], self.width[x])

    def relu6(self, x: str) -> str:
        at = self.count + 1
        ends = [self.constant(f"clip_{at}.{end}", np.array(v, np.float32)) for end, v in (("least", 0), ("most", 6))]
        return self.emit("Clip", [x, *ends], self.width[x])

    def max_pool(self, x: str, kernel: int, stride: int, pad: int = 0) -> str:
        about = dict(kernel_shape=[kernel] * 2, pads=[pad] * 4, strides=[stride] * 2)
        return self.emit("MaxPool", [x], self.width[x], ceil_mode=0, **about)

    def add(self, a: str, b: str) -> str:
        return self.emit("Add", [a, b], self.width[a])

    def dense(self, x: str, out: int) -> str:
        mean = self.emit("GlobalAveragePool", [x], self.width[x])
        flat = self.emit("Flatten", [mean], self.width[x], axis=1)
        w, b = next(self.weights), next(self.weights)
        names = [flat, self.constant("fc.weight", w.T), self.constant("fc.bias", b)]
        return self.node("Gemm", names, "logits", transB=1)

    def model(self, name: str, shape: list[int], classes: int):
        """The graph so far as a checked ModelProto."""
        graph = helper.make_graph(
            self.nodes,
            name,
            [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", *shape])],
            [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", classes])],
            self.constants,
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", nets.OPSET)])
        model.ir_version = nets.IR_VERSION
        model.producer_name = "zerotell-train"
        onnx.checker.check_model(model, full_check=True)
        return model


def residual(n, x, out: int, stride: int):
    y = n.relu(n.conv(x, out, 3, stride))
    y = n.conv(y, out, 3)
    if stride != 1 or n.channels(x) != out:
        x = n.conv(x, out, 1, stride)
    return n.relu(n.add(y, x))


def resnet18(n, x, classes: int, large: bool):
    """ResNet-18 (He et al. 2015); a 3 x 3 stem for small images, 7 x 7 and a pool for large ones."""
    x = n.relu(n.conv(x, 64, 7 if large else 3, 2 if large else 1))
    x = n.max_pool(x, 3, 2, 1) if large else x
    for out, stride in [(64, 1), (128, 2), (256, 2), (512, 2)]:
        x = residual(n, residual(n, x, out, stride), out, 1)
    return n.dense(x, classes)


def vgg16(n, x, classes: int):
    """VGG-16 with batch normalisation and one dense layer (Simonyan and Zisserman 2014)."""
    for out, depth in [(64, 2), (128, 2), (256, 3), (512, 3), (512, 3)]:
        for _ in range(depth):
            x = n.relu(n.conv(x, out, 3))
        x = n.max_pool(x, 2, 2)
    return n.dense(x, classes)


def inverted(n, x, out: int, stride: int, widen: int):
    inputs = n.channels(x)
    y = n.relu6(n.conv(x, inputs * widen, 1)) if widen > 1 else x
    y = n.relu6(n.conv(y, inputs * widen, 3, stride, depthwise=True))
    y = n.conv(y, out, 1)
    return n.add(x, y) if stride == 1 and inputs == out else y


def mobilenetv2(n, x, classes: int):
    """MobileNetV2 (Sandler et al. 2018) for 32 x 32 images: the first two strides of the original are 1."""
    x = n.relu6(n.conv(x, 32, 3))
    rows = [
        (1, 16, 1, 1), (6, 24, 2, 1), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1),
    ]
    for widen, out, depth, stride in rows:
        for i in range(depth):
            x = inverted(n, x, out, stride if i == 0 else 1, widen)
    return n.dense(n.relu6(n.conv(x, 1280, 1)), classes)
