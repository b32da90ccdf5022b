#!/usr/bin/env bash
# Exit 0: ONNX Runtime 1.32.0 still behaves as described here. Exit 1: it behaves otherwise now. Exit 2: not tried (no Linux on x64, or the packages could not be installed).
#
# Version: onnxruntime 1.32.0, onnx 1.23.2, numpy 2.4.6 (PyPI), CPU.
#
# Behaviour: `quantize_dynamic` is how encoders become the small `model_quantized.onnx` that many repositories offer. The activations of each linear layer get one scale for the
# whole tensor when the model runs, so what a text becomes depends on the texts that share its batch: alone it is one vector, beside a text with larger activations another.
# Passages that are indexed in batches and queries that are asked one by one are then not embedded alike. The float32 model gives a row the same bits in every batch; a scale for each row would, too,
# but the operator (`DynamicQuantizeLinear`, `DynamicQuantizeMatMul`) has none.
#
# Output seen (three layers of 384, a row of ordinary numbers, alone and beside one row that is ten times as large):
#   float: the row's cosine to itself 1.0000, largest difference 0
#   int8: the row's cosine to itself 0.9973, largest difference 0.11 (of numbers between -1 and 1)
set -euo pipefail
[ "$(uname -sm)" = "Linux x86_64" ] || { echo "This needs Linux on x64."; exit 2; }
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
{ python3 -m venv python && python/bin/pip install --quiet onnxruntime==1.32.0 onnx==1.23.2 numpy==2.4.6; } || { echo "The packages could not be installed."; exit 2; }
cat > try.py <<'PY'
import logging
import sys
import numpy as np
import onnxruntime
from onnx import TensorProto, checker, helper, numpy_helper, save
from onnxruntime.quantization import quantize_dynamic

logging.disable(logging.WARNING)
width, layers = 384, 3
random = np.random.default_rng(1)
nodes, weights, x = [], [], "x"
for layer in range(layers):
    weights.append(numpy_helper.from_array((random.standard_normal((width, width)) / width**0.5).astype(np.float32), f"w{layer}"))
    nodes.append(helper.make_node("MatMul", [x, f"w{layer}"], [f"h{layer}"], name=f"linear{layer}"))
    x = f"y{layer}"
    nodes.append(helper.make_node("Tanh", [f"h{layer}"], [x], name=f"tanh{layer}"))
value = lambda name: helper.make_tensor_value_info(name, TensorProto.FLOAT, ["rows", width])
graph = helper.make_graph(nodes, "graph", [value("x")], [value(x)], weights)
model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
checker.check_model(model)
save(model, "float.onnx")
quantize_dynamic("float.onnx", "int8.onnx")

row = random.standard_normal((1, width)).astype(np.float32)
neighbour = 10 * random.standard_normal((1, width)).astype(np.float32)
differences = {}
for name in ["float", "int8"]:
    session = onnxruntime.InferenceSession(f"{name}.onnx", providers=["CPUExecutionProvider"])
    alone = session.run(None, {"x": row})[0][0]
    beside = session.run(None, {"x": np.concatenate([row, neighbour])})[0][0]
    differences[name] = float(np.abs(alone - beside).max())
    cosine = float(alone @ beside / np.linalg.norm(alone) / np.linalg.norm(beside))
    print(f"{name}: the row's cosine to itself {cosine:.4f}, largest difference {differences[name]:.2g}")
sys.exit(0 if differences["float"] == 0 and differences["int8"] > 0.05 else 1)
PY
python/bin/python try.py
