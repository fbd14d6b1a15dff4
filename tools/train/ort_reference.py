"""What onnxruntime answers for the rows of an archive.

    python tools/train/ort_reference.py MODEL.onnx ROWS.npz OUT.npz [options]

    --rows N      only the first N rows
    --plain       no graph optimisation: every node computed as the ONNX text says
    --integers    also the output of every QuantizeLinear node (implies --plain)

ROWS.npz holds one array for each model input, of the same name; others (`label`) are left
aside. OUT.npz gets one array for each output, under its own name, and is deflated.
"""

import argparse
import sys
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
from onnx import helper


def with_integers(model):
    """The same model with every QuantizeLinear output made a graph output too."""
    have = {output.name for output in model.graph.output}
    for node in model.graph.node:
        if node.op_type == "QuantizeLinear" and node.output[0] not in have:
            model.graph.output.append(helper.make_empty_tensor_value_info(node.output[0]))
    return model


def answers(path, rows: dict, plain: bool, integers: bool) -> dict:
    """Every output by name. One thread, so that sums are always taken in the same order."""
    model = onnx.load(str(path))
    if integers:
        model = with_integers(model)
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    if plain or integers:
        options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    run = ort.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    names = [output.name for output in run.get_outputs()]
    return dict(zip(names, run.run(names, rows), strict=True))


def inputs(path, archive, count: int | None) -> dict:
    """The archive's array for every true input of the model."""
    graph = onnx.load(str(path), load_external_data=False).graph
    constants = {constant.name for constant in graph.initializer}
    wanted = [i.name for i in graph.input if i.name not in constants]
    have = np.load(archive)
    missing = [name for name in wanted if name not in have]
    if missing:
        sys.exit(f"{archive}: has no array named {', '.join(missing)}; it has {', '.join(have)}")
    return {name: have[name][:count] for name in wanted}


def main() -> None:
    read = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    read.add_argument("model", type=Path)
    read.add_argument("rows_file", type=Path)
    read.add_argument("out", type=Path)
    read.add_argument("--rows", type=int)
    read.add_argument("--plain", action="store_true")
    read.add_argument("--integers", action="store_true")
    asked = read.parse_args()
    rows = inputs(asked.model, asked.rows_file, asked.rows)
    told = answers(asked.model, rows, asked.plain, asked.integers)
    np.savez_compressed(asked.out, **told)
    for name, value in told.items():
        print(name, value.dtype, value.shape)


if __name__ == "__main__":
    main()
