/** @file The product of queries and vectors as a graph for the runtime. */
import { OnnxEmitter, type EncodedModel } from "../../../engine/onnx/emitter.js";

/** scores [A, B] = a [A, E] · b [B, E]ᵀ */
export function productGraph(): EncodedModel {
  const emitter = new OnnxEmitter();
  emitter.input("a", ["A", "E"], "float32");
  emitter.input("b", ["B", "E"], "float32");
  emitter.emitNamed("Gemm", ["a", "b"], ["scores"], { transB: 1 });
  emitter.output("scores", ["A", "B"], "float32");
  return emitter.encode();
}
