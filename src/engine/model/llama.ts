/**
 * @file The decoder of the Llama family as a tensor graph: RMSNorm (arXiv:1910.07467), RoPE (arXiv:2104.09864),
 * grouped-query attention (arXiv:2305.13245), SwiGLU (arXiv:2002.05202). Llama, Qwen2 (biases) and Qwen3 (q/k norm) differ
 * in switches only. Where keys and values come from is the caller's: training attends within a batch, sampling to a cache.
 */
import type { RecomputedSegment } from "../autodiff/gradients.js";
import { product } from "../graph/dim.js";
import type { Graph } from "../graph/graph.js";
import type { Node } from "../graph/ops.js";
import type { Attend, BatchDims, Heads } from "./attention.js";
import type { ModelConfig } from "./config.js";
import type { Weights } from "./weights.js";
import { rotaryFrequencies } from "./config.js";

/** Rows that go through the linear layers together with those of other streams, and attend by themselves. */
interface Stream {
  dims: BatchDims;
  /** `[batch, length]` int32 */
  positions: Node;
  attend: Attend;
}

/** What a forward pass needs besides the weights. */
interface Pass {
  /** `[T]` int32: the tokens of all streams, one after the other, row after row. */
  tokens: Node;
  streams: readonly Stream[];
  /** Called for every block, with the nodes that it was built of and the activations that it reads. */
  onBlock?: (block: RecomputedSegment) => void;
  /** Called for the parts of a block whose activations take the most memory for the least time. They do not overlap. */
  onPart?: (part: RecomputedSegment) => void;
}

/** The residual stream after the last layer, `[T, hidden]`, before the final norm. */
export function transformer(
  g: Graph,
  config: ModelConfig,
  weights: Weights,
  { tokens, streams: given, onBlock, onPart }: Pass,
): Node {
  // Padding may lie behind the last position that a model knows. What is computed for it is thrown away, but it has to be computed.
  const last = g.integer(config.maxPositions - 1);
  const streams = given.map((stream) => ({ ...stream, positions: g.minimum(stream.positions, last) }));
  let x = g.gatherRows(weights.get("model.embed_tokens.weight"), tokens);
  for (let layer = 0; layer < config.layers; layer++) {
    const prefix = `model.layers.${layer}.`;
    const [input, first] = [x, g.nodes.length];
    const normed = g.rmsNorm(x, weights.get(`${prefix}input_layernorm.weight`), config.rmsNormEps);
    const heads = project(g, config, weights, `${prefix}self_attn.`, normed, streams);
    const contexts = streams.map(({ attend, dims }, place) => {
      const begin = g.nodes.length;
      const context = attend(layer, heads[place], heads.slice(0, place));
      onPart?.({ inputs: [heads[place].queries], first: begin, end: g.nodes.length });
      return mergeHeads(g, config, context, dims);
    });
    const [output] = weights.linears(g.concat(contexts, 0), [`${prefix}self_attn.o_proj`]);
    x = g.add(x, output);
    const normed2 = g.rmsNorm(x, weights.get(`${prefix}post_attention_layernorm.weight`), config.rmsNormEps);
    x = g.add(x, mlp(g, weights, `${prefix}mlp.`, normed2, onPart));
    onBlock?.({ inputs: [input], first, end: g.nodes.length });
  }
  return x;
}

/** The last norm of rows of the residual stream, `[M, hidden]`. */
export function finalNorm(g: Graph, config: ModelConfig, weights: Weights, hidden: Node): Node {
  return g.rmsNorm(hidden, weights.get("model.norm.weight"), config.rmsNormEps);
}

/** Logits `[M, vocab]` of rows of the residual stream `[M, hidden]`. */
export function lmHead(g: Graph, config: ModelConfig, weights: Weights, hidden: Node): Node {
  return weights.head.allLogits(finalNorm(g, config, weights, hidden));
}

function mlp(g: Graph, weights: Weights, prefix: string, x: Node, onPart: Pass["onPart"]): Node {
  const [gate, up] = weights.linears(x, [`${prefix}gate_proj`, `${prefix}up_proj`]);
  const first = g.nodes.length;
  const [down] = weights.linears(g.mul(g.silu(gate), up), [`${prefix}down_proj`]);
  onPart?.({ inputs: [gate], first, end: g.nodes.length });
  return down;
}

/** The heads of each stream. */
function project(
  g: Graph,
  config: ModelConfig,
  weights: Weights,
  prefix: string,
  x: Node,
  streams: readonly Stream[],
): Heads[] {
  const letters = ["q", "k", "v"];
  const modules = letters.map((letter) => `${prefix}${letter}_proj`);
  const [queries, keys, values] = weights.linears(x, modules).map((y, index) => {
    const letter = letters[index];
    const biased = config.attentionBias ? g.add(y, weights.get(`${prefix}${letter}_proj.bias`)) : y;
    return partsOf(g, biased, streams);
  });
  return streams.map((stream, place) =>
    headsOf(g, config, weights, prefix, stream, { q: queries[place], k: keys[place], v: values[place] }),
  );
}

/** The rows of each stream of `x [T, width]`. */
function partsOf(g: Graph, x: Node, streams: readonly Stream[]): Node[] {
  let rest = x;
  return streams.map(({ dims: { batch, length } }, place) => {
    if (place === streams.length - 1) return rest;
    const size = product([batch, length]);
    const part = g.split(rest, 0, 0, size);
    rest = g.split(rest, 0, 1, size);
    return part;
  });
}

function headsOf(
  g: Graph,
  config: ModelConfig,
  weights: Weights,
  prefix: string,
  { positions, dims: { batch, length } }: Stream,
  projected: Record<"q" | "k" | "v", Node>,
): Heads {
  const { heads, kvHeads, headDim } = config;
  const [cos, sin] = ropeTables(g, config);
  const rotate = (y: Node, count: number, norm: string): Node => {
    const split = g.reshape(y, [batch, length, count, headDim]);
    const normed = config.qkNorm ? g.rmsNorm(split, weights.get(`${prefix}${norm}.weight`), config.rmsNormEps) : split;
    return g.rope(g.transpose(normed, [0, 2, 1, 3]), positions, cos, sin);
  };
  return {
    queries: rotate(projected.q, heads, "q_norm"),
    keys: rotate(projected.k, kvHeads, "k_norm"),
    values: g.transpose(g.reshape(projected.v, [batch, length, kvHeads, headDim]), [0, 2, 1, 3]),
  };
}

/** From `[B, heads, L, headDim]` to `[B·L, heads·headDim]`. */
function mergeHeads(g: Graph, { heads, headDim }: ModelConfig, context: Node, { batch, length }: BatchDims): Node {
  return g.reshape(g.transpose(context, [0, 2, 1, 3]), [product([batch, length]), heads * headDim]);
}

/** The rotary tables as constants of the graph, `[maxPositions, headDim/2]`. */
function ropeTables(g: Graph, config: ModelConfig): [Node, Node] {
  const shape = [config.maxPositions, config.headDim / 2];
  const { cos, sin } = rotations(config);
  return [g.constant("rope_cos", shape, cos), g.constant("rope_sin", shape, sin)];
}

/** Graphs are built anew after every optimizer step; their rotary tables never change. */
const knownRotations = new WeakMap<ModelConfig, { cos: Float32Array; sin: Float32Array }>();

/** Cosines and sines of position·frequency. */
function rotations(config: ModelConfig): { cos: Float32Array; sin: Float32Array } {
  const known = knownRotations.get(config);
  if (known) return known;
  const frequencies = rotaryFrequencies(config);
  const half = frequencies.length;
  const made = {
    cos: new Float32Array(config.maxPositions * half),
    sin: new Float32Array(config.maxPositions * half),
  };
  for (let index = 0; index < made.cos.length; index++) {
    const angle = Math.floor(index / half) * frequencies[index % half];
    made.cos[index] = Math.cos(angle);
    made.sin[index] = Math.sin(angle);
  }
  knownRotations.set(config, made);
  return made;
}
