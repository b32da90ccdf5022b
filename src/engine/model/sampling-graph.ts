/** @file The graph of sampling: keys and values of new tokens, and the distribution of the next one where it is wanted. */
import { product } from "../graph/dim.js";
import { Graph } from "../graph/graph.js";
import type { Node } from "../graph/ops.js";
import { cachedAttention, type Attend } from "./attention.js";
import { lmHead, transformer } from "./llama.js";
import { weightNodes, type EngineModel, type Entry, type Weights } from "./weights.js";

/**
 * One graph for prefill and decode, so that a session holds the weights once.
 * Inputs: `tokens [B, L]`, `cachedLengths [B]`, `key0…`, `value0…` `[B, kvHeads, 1, C, headDim]`, `rows [M]` (row·L + t of the positions
 * whose next token is wanted, none for prefill), `temperatures [M]`. All weights are constants.
 * Outputs: `newKv [layers·2, B, kvHeads, L, headDim]`, keys and values of each layer in turn, and `probabilities [M, vocab]`.
 */
export function samplingGraph(model: EngineModel, entry: Entry = "constants"): Graph {
  const g = new Graph();
  const weights = weightNodes(g, model, entry);
  const hidden = g.gatherRows(forward(g, model, weights), g.input("rows", ["M"], "int32"));
  const temperatures = g.reshape(g.input("temperatures", ["M"]), ["M", 1]);
  g.output("probabilities", g.softmax(g.div(lmHead(g, model.config, weights, hidden), temperatures)));
  return g;
}

function forward(g: Graph, { config }: EngineModel, weights: Weights): Node {
  const { layers, kvHeads, headDim } = config;
  const dims = { batch: "B", length: "L" } as const;
  const tokens = g.input("tokens", ["B", "L"], "int32");
  const cachedLengths = g.input("cachedLengths", ["B"], "int32");
  const caches = (name: string): Node[] =>
    Array.from({ length: layers }, (_, layer) => g.input(`${name}${layer}`, ["B", kvHeads, 1, "C", headDim]));
  const order = g.reshape(g.iota("L"), [1, "L"]);
  const positions = g.add(g.reshape(cachedLengths, ["B", 1]), order);
  const cached = cachedAttention(g, config, dims, {
    capacity: "C",
    cachedLengths,
    keys: caches("key"),
    values: caches("value"),
  });
  const newKv: Node[] = [];
  const attend: Attend = (layer, heads) => {
    for (const x of [heads.keys, heads.values]) newKv.push(g.reshape(x, [1, "B", kvHeads, "L", headDim]));
    return cached(layer, heads, []);
  };
  const hidden = transformer(g, config, weights, {
    tokens: g.reshape(tokens, [product(["B", "L"])]),
    streams: [{ dims, positions, attend }],
  });
  g.output("newKv", g.concat(newKv, 0));
  return hidden;
}
