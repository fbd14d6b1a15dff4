"""Makes the models of this directory and their expected outputs with onnxruntime.

    pip install onnx onnxruntime numpy
    python generate.py

Each case is NAME.onnx and NAME.txt. The text has one block per tensor: a line
`input|output NAME DTYPE SHAPE...`, then a line of values.
"""
import os
import numpy as np
import onnx
import onnxruntime as ort
from onnx import TensorProto as T, helper as h, numpy_helper as nh

HERE = os.path.dirname(os.path.abspath(__file__))
R = np.random.default_rng(7)
KINDS = {np.dtype("float32"): T.FLOAT, np.dtype("int64"): T.INT64}


def f(*shape):
    return R.standard_normal(shape).astype(np.float32)


def i(*values):
    return np.array(values, np.int64)


def write_values(path, blocks):
    with open(path, "w") as out:
        for kind, name, a in blocks:
            a = np.asarray(a)
            out.write(f"{kind} {name} {a.dtype} {' '.join(map(str, a.shape))}\n")
            out.write(" ".join(repr(v) if isinstance(v, int) else f"{v:.9g}" for v in a.flatten().tolist()) + "\n")


def save(name, model, feeds, outputs=None):
    path = os.path.join(HERE, name)
    onnx.save(model, path + ".onnx")
    session = ort.InferenceSession(path + ".onnx", providers=["CPUExecutionProvider"])
    names = outputs or [o.name for o in session.get_outputs()]
    results = session.run(names, feeds)
    write_values(path + ".txt", [("input", k, v) for k, v in feeds.items()]
                 + [("output", k, v) for k, v in zip(names, results)])


def case(name, nodes, feeds, consts=None, outputs=("y",), opset=17, ml=None, dims=None, functions=(), kept=None):
    consts = consts or {}
    inputs = [h.make_tensor_value_info(k, KINDS[v.dtype], (dims or {}).get(k, v.shape)) for k, v in feeds.items()]
    outs = [onnx.ValueInfoProto(name=o) for o in outputs]
    g = h.make_graph(nodes, name, inputs, outs, [nh.from_array(v, k) for k, v in consts.items()])
    imports = [h.make_opsetid("", opset)] + ([h.make_opsetid("ai.onnx.ml", ml)] if ml else [])
    imports += [h.make_opsetid("local", 1)] if functions else []
    model = h.make_model(g, opset_imports=imports, functions=list(functions), ir_version=8)
    try:
        model = onnx.shape_inference.infer_shapes(model)
    except Exception:
        pass
    save(name, model, feeds, kept)


n = h.make_node
ort.set_default_logger_severity(3)
for k, (shape, out, kernel, attrs) in enumerate([
    ((1, 3, 9, 7), 4, (3, 3), dict(pads=[1, 0, 2, 1], strides=[2, 1])),
    ((2, 4, 8, 8), 6, (3, 2), dict(dilations=[2, 1], group=2)),
    ((1, 6, 7, 7), 12, (3, 3), dict(group=6, auto_pad="SAME_UPPER", strides=[2, 2])),
    ((1, 2, 6, 5), 3, (2, 2), dict(auto_pad="SAME_LOWER")),
    ((1, 2, 6, 5), 3, (1, 1), dict(auto_pad="VALID", strides=[3, 2])),
]):
    w = f(out, shape[1] // attrs.get("group", 1), *kernel)
    case(f"conv2d_{k}", [n("Conv", ["x", "w", "b"], ["y"], **attrs)], {"x": f(*shape)}, {"w": w, "b": f(out)}, opset=11 + 2 * k)
case("conv1d", [n("Conv", ["x", "w"], ["y"], dilations=[2], pads=[2, 1], strides=[2], group=2)], {"x": f(2, 4, 15)}, {"w": f(6, 2, 3)})
case("conv_batchnorm", [n("Conv", ["x", "w", "b"], ["c"], pads=[1, 1, 1, 1]),
     n("BatchNormalization", ["c", "s", "o", "m", "v"], ["d"], epsilon=1e-3), n("Relu", ["d"], ["y"])],
     {"x": f(1, 2, 5, 5)}, {"w": f(4, 2, 3, 3), "b": f(4), "s": f(4), "o": f(4), "m": f(4), "v": np.abs(f(4)) + .1}, opset=14)
for k, attrs in enumerate([
    dict(kernel_shape=[3, 2], strides=[2, 2], pads=[1, 0, 1, 1]), dict(kernel_shape=[3, 3], strides=[2, 2], ceil_mode=1),
    dict(kernel_shape=[2, 2], strides=[3, 3], ceil_mode=1, pads=[1, 1, 1, 1]), dict(kernel_shape=[3, 3], auto_pad="SAME_LOWER", strides=[2, 2]),
]):
    x = {"x": f(1, 2, 8, 7)}
    case(f"maxpool_{k}", [n("MaxPool", ["x"], ["y"], **attrs)], x, opset=12)
    case(f"avgpool_{k}", [n("AveragePool", ["x"], ["y"], **attrs)], x, opset=19)
    case(f"avgpool_pad_{k}", [n("AveragePool", ["x"], ["y"], count_include_pad=1, **attrs)], x, opset=19)
case("maxpool_dilated", [n("MaxPool", ["x"], ["y"], kernel_shape=[3], dilations=[2], ceil_mode=1, strides=[2])], {"x": f(1, 2, 12)})
UNARY = ["Relu", "LeakyRelu", "HardSigmoid", "HardSwish", "Sigmoid", "Tanh", "Erf", "Exp", "Neg", "Abs", "Reciprocal", "Softplus",
         "Softsign", "Elu", "Selu", "Celu", "ThresholdedRelu", "Floor", "Ceil", "Round", "Sign", "Sin", "Cos", "Mish", "Gelu"]
x = (f(40) * 3).astype(np.float32)
case("unary", [n(u, ["x"], [u]) for u in UNARY] + [n("Abs", ["x"], ["a"]), n("Sqrt", ["a"], ["Sqrt"]), n("Log", ["a"], ["Log"])],
     {"x": x}, outputs=tuple(UNARY + ["Sqrt", "Log"]), opset=20)
case("unary_attributes", [n("LeakyRelu", ["x"], ["a"], alpha=.3), n("HardSigmoid", ["a"], ["b"], alpha=.4, beta=.3), n("Elu", ["x"], ["c"], alpha=.7),
     n("Selu", ["c"], ["d"], alpha=1.2, gamma=.9), n("Celu", ["x"], ["e"], alpha=2.), n("ThresholdedRelu", ["e"], ["g"], alpha=.5),
     n("Gelu", ["x"], ["t"], approximate="tanh"), n("Clip", ["x", "lo", "hi"], ["k"]), n("Clip", ["x", "", "hi"], ["l"]), n("PRelu", ["x", "slope"], ["p"])],
     {"x": x.reshape(4, 10)}, {"lo": np.float32(-1.5), "hi": np.float32(2.5), "slope": f(10)}, outputs=("b", "d", "g", "t", "k", "l", "p"), opset=20)
case("pow", [n("Abs", ["x"], ["a"])] + [n("Pow", ["a", f"e{k}"], [f"y{k}"]) for k in range(6)], {"x": f(3, 4)},
     {"e0": np.float32(2), "e1": np.float32(.5), "e2": np.float32(-1), "e3": np.float32(1.7), "e4": i(3), "e5": f(4)}, outputs=tuple(f"y{k}" for k in range(6)))
case("gemm", [n("Gemm", ["x", "w", "b"], ["g"], alpha=.5, beta=2., transB=1), n("Gemm", ["x", "g"], ["y"], transA=1)],
     {"x": f(3, 5)}, {"w": f(4, 5), "b": f(4)}, outputs=("g", "y"))
case("matmul", [n("MatMul", ["x", "w"], ["a"]), n("MatMul", ["a", "v"], ["b"]), n("MatMul", ["u", "a"], ["c"])],
     {"x": f(2, 1, 3, 4)}, {"w": f(5, 4, 6), "v": f(6), "u": f(3)}, outputs=("a", "b", "c"))
case("reduce", [n("ReduceMean", ["x"], ["a"], axes=[-1, 0]), n("ReduceMax", ["x"], ["b"], axes=[1], keepdims=0), n("ReduceSum", ["x", "ax"], ["c"]),
     n("ReduceSum", ["x"], ["d"], noop_with_empty_axes=1), n("ReduceMin", ["x"], ["e"]), n("ReduceLogSumExp", ["x"], ["g"], axes=[2], keepdims=0),
     n("ReduceL2", ["x"], ["l"], axes=[0]), n("ArgMax", ["x"], ["m"], axis=-1), n("ArgMin", ["x"], ["o"], axis=1, keepdims=0)],
     {"x": f(3, 4, 5)}, {"ax": i(1)}, outputs=tuple("abcdeglmo"))
case("softmax_9", [n("Softmax", ["x"], ["a"]), n("Softmax", ["x"], ["b"], axis=2), n("LogSoftmax", ["x"], ["c"], axis=0)], {"x": f(2, 3, 4)}, outputs=("a", "b", "c"), opset=9)
case("softmax_13", [n("Softmax", ["x"], ["a"]), n("Softmax", ["x"], ["b"], axis=1), n("LogSoftmax", ["x"], ["c"], axis=0)], {"x": f(2, 3, 4)}, outputs=("a", "b", "c"), opset=13)
case("slice_split", [n("Slice", ["x", "s", "e", "ax", "st"], ["a"]), n("Slice", ["x", "s1", "e1"], ["b"]), n("Split", ["x", "sp"], ["c", "d"], axis=1),
     n("Split", ["x"], ["g", "h", "i"], axis=2, num_outputs=3), n("Concat", ["c", "c", "d"], ["j"], axis=1), n("Gather", ["x", "ix"], ["k"], axis=-1)],
     {"x": f(4, 6, 8)}, {"s": i(-1, 7), "e": i(-10**9, 1), "ax": i(1, 2), "st": i(-2, -3), "s1": i(1, 2), "e1": i(99, -1), "sp": i(2, 4), "ix": np.array([[0, -1], [3, 3]], np.int64)},
     outputs=tuple("abcdghijk"), opset=18)
case("pad", [n("Pad", ["x", "p", "v"], ["a"]), n("Pad", ["x", "r"], ["b"], mode="reflect"), n("Pad", ["x", "q"], ["c"], mode="edge"), n("Pad", ["x", "z", "v", "ax"], ["d"])],
     {"x": f(3, 4)}, {"p": i(1, -1, 0, 2), "v": np.float32(1.5), "r": i(2, 0, 1, 3), "q": i(0, 5, 4, 0), "z": i(2, 1), "ax": i(-1)}, outputs=tuple("abcd"), opset=18)
case("layout", [n("Transpose", ["x"], ["a"], perm=[2, 0, 3, 1]), n("Flatten", ["x"], ["b"], axis=-1), n("DepthToSpace", ["x"], ["c"], blocksize=2),
     n("DepthToSpace", ["x"], ["d"], blocksize=2, mode="CRD"), n("SpaceToDepth", ["x"], ["e"], blocksize=2), n("Tile", ["x", "t"], ["g"]),
     n("Unsqueeze", ["x", "ua"], ["u"]), n("Squeeze", ["u", "ua"], ["s"]), n("Expand", ["r", "ex"], ["h"]), n("ReduceMax", ["x"], ["r"], axes=[2])],
     {"x": f(1, 8, 4, 2)}, {"t": i(2, 1, 1, 3), "ua": i(0, -1), "ex": i(3, 8, 4, 1)}, outputs=tuple("abcdegsh"), opset=13)
case("shape_arithmetic", [n("Shape", ["x"], ["s"]), n("Gather", ["s", "zero"], ["n"], axis=0), n("Unsqueeze", ["n", "ax"], ["n1"]), n("Concat", ["n1", "minus"], ["t"], axis=0),
     n("Reshape", ["x", "t"], ["r"]), n("ConstantOfShape", ["s"], ["ones"], value=nh.from_array(np.array([2.5], np.float32))), n("Mul", ["x", "ones"], ["m"]),
     n("Range", ["zero", "n", "one"], ["rg"]), n("Cast", ["rg"], ["rf"], to=1), n("Equal", ["s", "s"], ["eq"]), n("Where", ["eq", "s", "s2"], ["w"]), n("Expand", ["x", "w"], ["ex"])],
     {"x": f(2, 3, 4)}, {"zero": np.int64(0), "one": np.int64(1), "ax": i(0), "minus": i(-1), "s2": i(9, 9, 9)}, outputs=("r", "m", "rf", "ex"), opset=13)
case("resize", [n("Resize", ["x", "", "s"], ["a"], coordinate_transformation_mode="asymmetric", nearest_mode="floor"), n("Resize", ["x", "", "s2"], ["b"]),
     n("Resize", ["x", "", "", "z"], ["c"], coordinate_transformation_mode="align_corners", nearest_mode="ceil"), n("Resize", ["x", "", "", "z"], ["d"], nearest_mode="round_prefer_ceil")],
     {"x": f(1, 2, 4, 5)}, {"s": np.array([1, 1, 2, 3], np.float32), "s2": np.array([1, 1, .5, 1.4], np.float32), "z": i(1, 2, 7, 3)}, outputs=tuple("abcd"), opset=13)
case("arithmetic", [n("Sub", ["x", "c"], ["a"]), n("Div", ["a", "d"], ["b"]), n("Max", ["b", "x", "c"], ["m"]), n("Min", ["m", "d"], ["k"]), n("Sum", ["k", "x", "c"], ["s"]), n("Mean", ["s", "x"], ["y"])],
     {"x": f(2, 3, 4)}, {"c": f(4), "d": f(3, 1)}, opset=13)
case("symbolic_batch", [n("Gemm", ["x", "w"], ["y"])], {"x": f(1, 5)}, {"w": f(5, 3)}, dims={"x": ["N", 5]})
case("outputs_are_inputs", [n("Identity", ["x"], ["y"]), n("Identity", ["c"], ["z"]), n("Relu", ["x"], ["r"]), n("Identity", ["r"], ["q"])], {"x": f(2)}, {"c": f(3)}, outputs=("y", "z", "q", "r"))
fn = h.make_function("local", "Scaled", ["a", "b"], ["c"], [n("Mul", ["a", "b"], ["t"]), onnx.NodeProto(op_type="LeakyRelu", input=["t"], output=["c"])],
                     [h.make_opsetid("", 17)], ["slope"])
ref = fn.node[1].attribute.add(); ref.name = "alpha"; ref.ref_attr_name = "slope"; ref.type = 1
case("function", [n("Scaled", ["x", "w"], ["h"], domain="local", slope=.25), n("Scaled", ["h", "h"], ["y"], domain="local", slope=.5)], {"x": f(2, 3)}, {"w": f(3)}, functions=[fn])
yes = h.make_graph([n("Relu", ["x"], ["yes"])], "yes", [], [h.make_tensor_value_info("yes", T.FLOAT, None)])
no = h.make_graph([n("Neg", ["x"], ["no"])], "no", [], [h.make_tensor_value_info("no", T.FLOAT, None)])
case("if_constant", [n("If", ["c"], ["y"], then_branch=yes, else_branch=no)], {"x": f(4)}, {"c": np.array(False)})
q = lambda a, s, z, t: np.clip(np.rint(a / s) + z, np.iinfo(t).min, np.iinfo(t).max).astype(t)
w = f(4, 3, 3, 3); ws = (np.abs(w).reshape(4, -1).max(1) / 127).astype(np.float32)
case("qdq", [n("QuantizeLinear", ["x", "xs", "xz"], ["xq"]), n("DequantizeLinear", ["xq", "xs", "xz"], ["xd"]), n("DequantizeLinear", ["wq", "ws", "wz"], ["wd"], axis=0),
     n("DequantizeLinear", ["bq", "bs"], ["bd"], axis=0), n("Conv", ["xd", "wd", "bd"], ["c"]), n("QuantizeLinear", ["c", "cs", "cz"], ["cq"]), n("DequantizeLinear", ["cq", "cs", "cz"], ["y"])],
     {"x": f(1, 3, 5, 5)}, {"xs": np.float32(.02), "xz": np.uint8(128), "wq": q(w, ws.reshape(4, 1, 1, 1), 0, np.int8), "ws": ws, "wz": np.zeros(4, np.int8),
     "bq": np.array([100, -250, 3000, 7], np.int32), "bs": (ws * np.float32(.02)).astype(np.float32), "cs": np.float32(.11), "cz": np.uint8(100)}, opset=13)
w = f(4, 6); ws = (np.abs(w).max(1) / 127).astype(np.float32)
case("qdq_gemm", [n("QuantizeLinear", ["x", "xs", "xz"], ["xq"]), n("DequantizeLinear", ["xq", "xs", "xz"], ["xd"]), n("DequantizeLinear", ["wq", "ws"], ["wd"], axis=0), n("Gemm", ["xd", "wd"], ["y"], transB=1)],
     {"x": f(2, 6)}, {"xs": np.float32(.02), "xz": np.int16(-3), "wq": q(w, ws.reshape(4, 1), 0, np.int8), "ws": ws}, opset=21)
ml = lambda op, i_, o, **k: n(op, i_, o, domain="ai.onnx.ml", **k)
case("linear_single_row", [ml("LinearClassifier", ["x"], ["label", "p"], classlabels_ints=[3, 8], coefficients=f(4).tolist(), intercepts=[.3], post_transform="LOGISTIC")], {"x": f(1, 4)}, outputs=("label", "p"), ml=1)
case("linear_softmax", [ml("Scaler", ["x"], ["s"], offset=[.5, -.1, .2, 0], scale=f(4).tolist()), ml("LinearClassifier", ["s"], ["label", "p"], classlabels_strings=["a", "b", "c"], coefficients=f(12).tolist(), intercepts=f(3).tolist(), post_transform="SOFTMAX", multi_class=1),
     ml("ZipMap", ["p"], ["z"], classlabels_strings=["a", "b", "c"]), n("Identity", ["p"], ["probabilities"])], {"x": f(1, 4)}, outputs=("label", "probabilities"), kept=["probabilities"], ml=1)
case("normalizer", [ml("LinearClassifier", ["x"], ["label", "r"], classlabels_ints=[0, 1], coefficients=[.5, -.25, -.5, .25], intercepts=[.1, -.1], post_transform="LOGISTIC"),
     ml("Normalizer", ["r"], ["p"], norm="L1")], {"x": f(1, 2)}, outputs=("label", "p"), ml=1)
case("pick", [n("Where", ["m", "x", "v"], ["a"]), n("Where", ["m", "v", "x"], ["b"]), n("Trilu", ["x"], ["c"]), n("Trilu", ["x", "k"], ["d"], upper=0),
     n("GatherElements", ["x", "ge"], ["e"], axis=1), n("GatherND", ["x", "gn"], ["g"])], {"x": f(2, 3, 4)},
     {"m": np.array([[True], [False], [True]]), "v": f(4), "k": np.int64(-1), "ge": R.integers(-3, 3, (2, 2, 3)), "gn": i(1, -1, 0, 2).reshape(2, 2)}, outputs=tuple("abcdeg"), opset=16)
case("label_of_one_score", [n("Gemm", ["x", "w"], ["s"]), n("Neg", ["s"], ["m"]), n("Concat", ["m", "s"], ["c"], axis=1), n("ArgMax", ["c"], ["i"], axis=1, keepdims=0),
     ml("ArrayFeatureExtractor", ["classes", "i"], ["label"])], {"x": f(1, 3)}, {"w": np.array([[1], [2], [-1]], np.float32), "classes": i(10, 20)}, outputs=("label", "s"), ml=1)
x = f(1, 3)
case("product", [n("ReduceProd", ["x"], ["y"], axes=[1], keepdims=0), n("Shape", ["x"], ["s"]), n("ReduceProd", ["s"], ["t"])], {"x": x}, outputs=("y", "t"))
case("linear_regressor", [ml("LinearRegressor", ["x"], ["y"], coefficients=f(8).tolist(), intercepts=f(2).tolist(), targets=2)], {"x": f(3, 4)}, ml=1)

if __name__ == "__main__":
    corpus = os.environ.get("CORPUS")
    for name in ["breast_cancer_mlp", "pima_mlp", "pima_logreg", "crx_logreg"] if corpus else []:
        z = np.load(f"{corpus}/{name}/io.npz", allow_pickle=True)
        open(f"{HERE}/{name}.onnx", "wb").write(open(f"{corpus}/{name}/model.onnx", "rb").read())
        write_values(f"{HERE}/{name}.txt", [("input", "X", z["X"][:12]), ("output", "label", z["out0"][:12]), ("output", "probabilities", z["out1"][:12])])
