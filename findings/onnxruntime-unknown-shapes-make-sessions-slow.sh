#!/usr/bin/env bash
# Exit 0: ONNX Runtime 1.30.0 still behaves as described here. Exit 1: it behaves otherwise. Exit 2: not tried (no Linux on x64, or the packages could not be installed).
#
# Version: onnxruntime 1.30.0 (PyPI; the newest that npm has as onnxruntime-node), onnx 1.23.2, numpy 2.4.6, CPU. Release 1.32.0 of PyPI takes 0.2 s for what takes 8 s here.
#
# Behaviour: a reshape with a -1, as every exporter writes it, leaves the runtime without a name for the number of rows. Making a session then takes time that grows with the square of the number
# of operators, before anything runs and with all optimisations off: half a second for 2,500 operators, a minute for 20,000, as graphs of training have them. The time goes into the plan of memory. A model that
# tells the shapes between its operators (`value_info`) has a session at once; its numbers are the same. Nothing is logged.
#
# Output seen:
#   5000 operators: 1.88 s, shapes told 0.12 s
#   10000 operators: 8.13 s, shapes told 0.25 s
set -euo pipefail
[ "$(uname -sm)" = "Linux x86_64" ] || { echo "This needs Linux on x64."; exit 2; }
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
{ python3 -m venv python && python/bin/pip install --quiet onnxruntime==1.30.0 onnx==1.23.2 numpy==2.4.6; } || { echo "The packages could not be installed."; exit 2; }
cat > try.py <<'PY'
import sys
import time
import numpy as np
import onnxruntime
from onnx import TensorProto, checker, helper, numpy_helper

node = helper.make_node
value = lambda name, shape: helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)


def session(steps, told):
    rows = numpy_helper.from_array(np.array([-1, 64], np.int64), "rows")
    nodes, shapes, last = [node("Shape", ["x"], ["batches"]), node("Reshape", ["x", "rows"], ["r0"])], [value("r0", ["tokens", 64])], "r0"
    for i in range(steps):
        nodes += [
            node("Sigmoid", [last], [f"s{i}"]),
            node("Mul", [last, f"s{i}"], [f"m{i}"]),
            node("Reshape", [f"m{i}", "batches"], [f"b{i}"]),
            node("Softmax", [f"b{i}"], [f"p{i}"]),
            node("Reshape", [f"p{i}", "rows"], [f"r{i + 1}"]),
        ]
        shapes += [value(f"{name}{i}", ["tokens", 64]) for name in "sm"]
        shapes += [value(f"{name}{i}", ["batch", "length", 64]) for name in "bp"] + [value(f"r{i + 1}", ["tokens", 64])]
        last = f"r{i + 1}"
    inputs, outputs = [value("x", ["batch", "length", 64])], [value(last, ["tokens", 64])]
    graph = helper.make_graph(nodes, "graph", inputs, outputs, [rows], value_info=shapes if told else [])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
    checker.check_model(model)
    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads = 1
    settings.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    settings.log_severity_level = 3
    data = model.SerializeToString()
    begin = time.perf_counter()
    made = onnxruntime.InferenceSession(data, settings, providers=["CPUExecutionProvider"])
    return time.perf_counter() - begin, made.run(None, {"x": np.full((2, 3, 64), 0.5, np.float32)})[0]


untold, told = {}, {}
for steps in [1000, 2000]:
    (untold[steps], a), (told[steps], b) = session(steps, False), session(steps, True)
    print(f"{5 * steps} operators: {untold[steps]:.2f} s, shapes told {told[steps]:.2f} s")
    if not np.array_equal(a, b):
        sys.exit(1)
sys.exit(0 if untold[2000] > 10 * told[2000] and untold[2000] > 3 * untold[1000] else 1)
PY
python/bin/python try.py
