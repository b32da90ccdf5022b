/** @file An LM head over a table in memory, in chunks of any size. */
import type { Graph } from "../graph/graph.js";
import type { Node } from "../graph/ops.js";
import type { Head } from "./head.js";

/** @param table a row of `width` for each token */
export function frozenHead(
  g: Graph,
  table: Float32Array,
  { width, chunkRows }: { width: number; chunkRows: number },
): Head {
  const tokens = table.length / width;
  const rows = (start: number, count: number): Node =>
    g.constant(`table[${start}+${count}]`, [count, width], table.subarray(start * width, (start + count) * width));
  const chunkOf = (chunk: number): Node => rows(chunk * chunkRows, Math.min(chunkRows, tokens - chunk * chunkRows));
  const whole = rows(0, tokens);
  return {
    trained: false,
    chunks: Math.ceil(tokens / chunkRows),
    logits: (hidden, chunk) => g.matmul(hidden, chunkOf(chunk), { transB: true }),
    weightedRows: (weights, chunk) => g.matmul(weights, chunkOf(chunk)),
    logitsOf: (hidden, ids) => g.reduceSum(g.mul(hidden, g.gatherRows(whole, ids)), [1]),
    allLogits: (hidden) => g.matmul(hidden, whole, { transB: true }),
  };
}
