#!/usr/bin/env bash
# Exit 0: ONNX Runtime 1.32.0 still behaves as described here. Exit 1: it behaves otherwise now. Exit 2: not tried (no Linux on x64, or the packages could not be installed).
#
# Version: onnxruntime 1.32.0, onnx 1.23.2, numpy 2.4.6 (PyPI), CPU.
#
# Behaviour: `ScatterND` with `reduction="add"` is how a graph sums the gradient of an embedding: the rows of one token occur often, and the operator's
# specification adds them all. On the processor it does so with one thread. With two threads (any machine's default has more) rows of equal index are added by both at once,
# and some are lost: no error, no warning, another number every time. The fewer distinct indices, the more is lost. `ScatterElements` with the same reduction adds
# in order and loses nothing, whatever the threads.
#
# Output seen (400,000 rows of 16 ones, added to two rows; a sum of 6,400,000 is right):
#   ScatterND, 1 thread: every row in every run
#   ScatterND, 2 threads: rows lost in some runs
#   ScatterElements, 2 threads: every row in every run
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
from onnx import TensorProto, checker, helper

count, width, targets, runs = 400_000, 16, 2, 40
operator, threads = sys.argv[1], int(sys.argv[2])
index_width = 1 if operator == "ScatterND" else width
value = lambda name, kind, shape: helper.make_tensor_value_info(name, kind, shape)
node = helper.make_node(operator, ["data", "indices", "updates"], ["sum"], reduction="add", **({} if operator == "ScatterND" else {"axis": 0}))
inputs = [
    value("data", TensorProto.FLOAT, [targets, width]),
    value("indices", TensorProto.INT64, [count, index_width]),
    value("updates", TensorProto.FLOAT, [count, width]),
]
graph = helper.make_graph([node], "graph", inputs, [value("sum", TensorProto.FLOAT, [targets, width])])
model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
checker.check_model(model)
options = onnxruntime.SessionOptions()
options.intra_op_num_threads = threads
session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
rows = np.arange(count, dtype=np.int64) % targets
feeds = {
    "data": np.zeros((targets, width), np.float32),
    "indices": np.repeat(rows[:, None], index_width, axis=1),
    "updates": np.ones((count, width), np.float32),
}
whole = sum(float(session.run(None, feeds)[0].astype(np.float64).sum()) == count * width for _ in range(runs))
print(f"{operator}, {threads} thread{'s' if threads > 1 else ''}: {'every row in every run' if whole == runs else 'rows lost in some runs'}")
sys.exit(0 if (whole < runs) == (operator == "ScatterND" and threads > 1) else 1)
PY
status=0
python/bin/python try.py ScatterND 1 || status=1
python/bin/python try.py ScatterND 2 || status=1
python/bin/python try.py ScatterElements 2 || status=1
exit $status
