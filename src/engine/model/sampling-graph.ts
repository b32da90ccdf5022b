/** @file The graphs of sampling: keys and values of new tokens, and the distribution of the next one. Weights are constants. */
import { Graph } from "../graph/graph.js";
import type { Node } from "../graph/ops.js";
import type { Dim } from "../graph/dim.js";
import type { ModelConfig } from "./config.js";
import { cachedAttention, lmHead, transformer, type Weights } from "./llama.js";
import type { ParameterStore } from "./parameters.js";

/**
 * Inputs: `tokens [B, L]`, `cachedLengths [B]`, `key0…`, `value0…` `[B, kvHeads, C, headDim]`.
 * Output: `newKv [layers·2, B, kvHeads, L, headDim]`, keys and values of each layer in turn.
 */
export function prefillGraph(config: ModelConfig, parameters: ParameterStore): Graph {
  const g = new Graph();
  forward(g, config, constantWeights(g, parameters), "L");
  return g;
}

/** As `prefillGraph` with L = 1, and `temperatures [B]`. Output besides: `probabilities [B, vocab]`. */
export function decodeGraph(config: ModelConfig, parameters: ParameterStore): Graph {
  const g = new Graph();
  const weights = constantWeights(g, parameters);
  const hidden = forward(g, config, weights, 1);
  const temperatures = g.reshape(g.input("temperatures", ["B"]), ["B", 1]);
  g.output("probabilities", g.softmax(g.div(lmHead(g, config, weights, hidden), temperatures)));
  return g;
}

function constantWeights(g: Graph, { shapes, views }: ParameterStore): Weights {
  const byName = new Map(shapes.map(({ name, shape }) => [name, shape]));
  return (name) => {
    const [shape, view] = [byName.get(name), views.get(name)];
    if (!shape || !view) throw new Error(`internal: the model has no parameter ${name}`);
    return g.constant(name, shape, view);
  };
}

function forward(g: Graph, config: ModelConfig, weights: Weights, length: Dim): Node {
  const { layers, kvHeads, headDim } = config;
  const dims = { batch: "B", length } as const;
  const tokens = g.input("tokens", ["B", length], "int32");
  const cachedLengths = g.input("cachedLengths", ["B"], "int32");
  const caches = (name: string): Node[] =>
    Array.from({ length: layers }, (_, layer) => g.input(`${name}${layer}`, ["B", kvHeads, "C", headDim]));
  const order = g.reshape(g.iota(length), [1, length]);
  const positions = g.add(g.reshape(cachedLengths, ["B", 1]), order);
  const cached = cachedAttention(g, config, dims, {
    capacity: "C",
    cachedLengths,
    keys: caches("key"),
    values: caches("value"),
  });
  const newKv: Node[] = [];
  const hidden = transformer(g, config, weights, {
    tokens,
    positions,
    dims,
    attend: (layer, heads) => {
      for (const x of [heads.keys, heads.values]) newKv.push(g.reshape(x, [1, "B", kvHeads, length, headDim]));
      return cached(layer, heads);
    },
  });
  g.output("newKv", g.concat(newKv, 0));
  return hidden;
}
