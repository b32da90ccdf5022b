/** @file The raw matrix product: the rate that speeds are compared with. */
import { Graph } from "../src/engine/graph/graph.js";
import { lower } from "../src/engine/onnx/lower.js";
import { Session } from "../src/engine/runtime/session.js";
import { runtime } from "./smollm2.js";

/** A product of the shape of the model's largest layers, many times: what both sides are compared with. */
export const gemmSizes = { rows: 1024, inner: 576, columns: 1536, rounds: 20 };
export const gemmFlops = gemmSizes.rounds * 2 * gemmSizes.rows * gemmSizes.inner * gemmSizes.columns;

/** The raw matrix product: `run` makes all rounds of `GEMM`, with both sides fed. */
export async function openGemm(): Promise<{ run: () => Promise<void>; release: () => Promise<void> }> {
  const { rows, inner, columns, rounds } = gemmSizes;
  const g = new Graph();
  g.output("y", g.matmul(g.input("a", [rows, inner]), g.input("b", [inner, columns])));
  const session = await Session.create(lower(g), runtime, () => {});
  const feeds = {
    a: { data: new Float32Array(rows * inner).fill(0.5), dims: [rows, inner] },
    b: { data: new Float32Array(inner * columns).fill(0.25), dims: [inner, columns] },
  };
  return {
    run: async () => {
      for (let round = 0; round < rounds; round++) await session.run(feeds);
    },
    release: () => session.release(),
  };
}
