/** @file A graph that has all logits of a sequence, as no graph of the engine does. */
import { Graph } from "../graph/graph.js";
import { causalAttention } from "./attention.js";
import { lmHead, transformer } from "./llama.js";
import { weightNodes, type EngineModel } from "./weights.js";

/** Logits `[L, vocabulary]` of `tokens [1, L]`. */
export function logitsGraph(model: EngineModel): Graph {
  const g = new Graph();
  const dims = { batch: 1, length: "L" } as const;
  const weights = weightNodes(g, model);
  const tokens = g.input("tokens", [1, "L"], "int32");
  const positions = g.reshape(g.iota("L"), [1, "L"]);
  const attend = causalAttention(g, model.config, dims);
  const hidden = transformer(g, model.config, weights, {
    tokens: g.reshape(tokens, ["L"]),
    streams: [{ positions, dims, attend }],
  });
  g.output("logits", lmHead(g, model.config, weights, hidden));
  return g;
}
