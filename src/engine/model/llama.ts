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

/** What a forward pass over a batch needs besides the weights. */
interface Pass {
  tokens: Node;
  positions: Node;
  dims: BatchDims;
  attend: Attend;
  /** Called for every block with the nodes that it was built of, and the activations that it reads. */
  onBlock?: (layer: number, block: RecomputedSegment) => void;
}

/**
 * The residual stream after the last layer, `[B·L, hidden]`, before the final norm.
 * `tokens` and `positions` are `[B, L]` int32.
 */
export function transformer(
  g: Graph,
  config: ModelConfig,
  weights: Weights,
  { tokens, positions: given, dims, attend, onBlock }: Pass,
): Node {
  const rows = product([dims.batch, dims.length]);
  // Padding may lie behind the last position that a model knows. What is computed for it is thrown away, but it has to be computed.
  const positions = g.minimum(given, g.integer(config.maxPositions - 1));
  const embedded = g.gatherRows(weights.get("model.embed_tokens.weight"), tokens);
  let x = g.reshape(embedded, [rows, config.hiddenSize]);
  for (let layer = 0; layer < config.layers; layer++) {
    const prefix = `model.layers.${layer}.`;
    const [input, first] = [x, g.nodes.length];
    const normed = g.rmsNorm(x, weights.get(`${prefix}input_layernorm.weight`), config.rmsNormEps);
    const heads = project(g, config, weights, `${prefix}self_attn.`, normed, positions, dims);
    const context = mergeHeads(g, config, attend(layer, heads), dims);
    x = g.add(x, weights.linear(context, `${prefix}self_attn.o_proj`));
    const normed2 = g.rmsNorm(x, weights.get(`${prefix}post_attention_layernorm.weight`), config.rmsNormEps);
    x = g.add(x, mlp(g, weights, `${prefix}mlp.`, normed2));
    onBlock?.(layer, { inputs: [input], first, end: g.nodes.length });
  }
  return x;
}

/** The last norm of rows of the residual stream, `[M, hidden]`. */
export function finalNorm(g: Graph, config: ModelConfig, weights: Weights, hidden: Node): Node {
  return g.rmsNorm(hidden, weights.get("model.norm.weight"), config.rmsNormEps);
}

/** The LM head's matrix `[vocab, hidden]`. */
export function headTable(config: ModelConfig, weights: Weights): Node {
  return weights.get(config.tieWordEmbeddings ? "model.embed_tokens.weight" : "lm_head.weight");
}

/** Logits `[M, vocab]` of rows of the residual stream `[M, hidden]`. */
export function lmHead(g: Graph, config: ModelConfig, weights: Weights, hidden: Node): Node {
  return g.matmul(finalNorm(g, config, weights, hidden), headTable(config, weights), { transB: true });
}

function mlp(g: Graph, weights: Weights, prefix: string, x: Node): Node {
  const gate = weights.linear(x, `${prefix}gate_proj`);
  const up = weights.linear(x, `${prefix}up_proj`);
  return weights.linear(g.mul(g.silu(gate), up), `${prefix}down_proj`);
}

function project(
  g: Graph,
  config: ModelConfig,
  weights: Weights,
  prefix: string,
  x: Node,
  positions: Node,
  dims: BatchDims,
): Heads {
  const { heads, kvHeads, headDim } = config;
  const { batch, length } = dims;
  const [cos, sin] = ropeTables(g, config);
  const linear = (letter: string): Node => {
    const y = weights.linear(x, `${prefix}${letter}_proj`);
    return config.attentionBias ? g.add(y, weights.get(`${prefix}${letter}_proj.bias`)) : y;
  };
  const rotate = (y: Node, count: number, norm: string): Node => {
    const split = g.reshape(y, [batch, length, count, headDim]);
    const normed = config.qkNorm ? g.rmsNorm(split, weights.get(`${prefix}${norm}.weight`), config.rmsNormEps) : split;
    return g.rope(g.reshape(normed, [batch, length, count * headDim]), positions, cos, sin);
  };
  const group = heads / kvHeads;
  const queries = g.transpose(
    g.reshape(rotate(linear("q"), heads, "q_norm"), [batch, length, kvHeads, group, headDim]),
    [0, 2, 3, 1, 4],
  );
  const perHead = (y: Node): Node => g.transpose(g.reshape(y, [batch, length, kvHeads, headDim]), [0, 2, 1, 3]);
  return {
    queries: g.reshape(queries, [batch, kvHeads, product([group, length]), headDim]),
    keys: perHead(rotate(linear("k"), kvHeads, "k_norm")),
    values: perHead(linear("v")),
  };
}

/** From the layout of the queries to `[B·L, heads·headDim]`. */
function mergeHeads(g: Graph, config: ModelConfig, context: Node, { batch, length }: BatchDims): Node {
  const { heads, kvHeads, headDim } = config;
  const split = g.reshape(context, [batch, kvHeads, heads / kvHeads, length, headDim]);
  return g.reshape(g.transpose(split, [0, 3, 1, 2, 4]), [product([batch, length]), heads * headDim]);
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
