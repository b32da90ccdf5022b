#!/usr/bin/env bash
# Exit 0: ONNX Runtime 1.32.0 still behaves as described here. Exit 1: it behaves otherwise. Exit 2: not tried (no Linux on x64, or the packages could not be installed).
#
# Version: onnxruntime 1.32.0, onnx 1.23.2, numpy 2.4.6 (PyPI), CPU, two threads.
#
# Behaviour: a product with a constant weight gives a row the same bits in every batch. The same product with the weight as an input, as an adapter's (LoRA) is fed, does not: how a row is summed depends on
# how many columns each thread has, and that on the number of rows. It takes more inputs than are summed at once (here 576) and more than 16 columns: rank 16 is safe, rank 24 is not. A lone row takes another
# path still. In float32 it is the last bit; where rows are rounded to 8 bits afterwards, that bit decides roundings, and a model samples other tokens in other batches.
#
# Output seen (the first row of a product of n rows, [n, 576] x [576, 24], against the first of 2):
#   constant: other bits for n = [], by at most 0
#   fed: other bits for n = [1, 8, 16], by at most 1.5e-05
set -euo pipefail
[ "$(uname -sm)" = "Linux x86_64" ] || { echo "This needs Linux on x64."; exit 2; }
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
{ python3 -m venv python && python/bin/pip install --quiet onnxruntime==1.32.0 onnx==1.23.2 numpy==2.4.6; } || { echo "The packages could not be installed."; exit 2; }
cat > try.py <<'PY'
import sys
import numpy as np
import onnxruntime
from onnx import TensorProto, checker, helper, numpy_helper

inputs, columns = 576, 24
random = np.random.default_rng(1)
x = random.standard_normal((64, inputs)).astype(np.float32)
weight = random.standard_normal((inputs, columns)).astype(np.float32)
value = lambda name, shape: helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
settings = onnxruntime.SessionOptions()
settings.intra_op_num_threads = 2
differing = {}
for kind, feeds in [("constant", {}), ("fed", {"w": weight})]:
    weights = [] if feeds else [numpy_helper.from_array(weight, "w")]
    given = [value("x", ["rows", inputs])] + ([value("w", [inputs, columns])] if feeds else [])
    graph = helper.make_graph([helper.make_node("MatMul", ["x", "w"], ["y"])], "graph", given, [value("y", ["rows", columns])], weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
    checker.check_model(model)
    session = onnxruntime.InferenceSession(model.SerializeToString(), settings, providers=["CPUExecutionProvider"])
    first = {n: session.run(None, {"x": x[:n], **feeds})[0][0] for n in [1, 2, 4, 8, 16, 64]}
    differing[kind] = [n for n in first if not np.array_equal(first[n], first[2])]
    most = max(float(np.abs(row - first[2]).max()) for row in first.values())
    print(f"{kind}: other bits for n = {differing[kind]}, by at most {most:.2g}")
sys.exit(0 if not differing["constant"] and differing["fed"] else 1)
PY
python/bin/python try.py
