/**
 * @file How sequences lie in a graph of training, and the hidden states that predict from them: what log-probabilities and values have in
 * common.
 */
import { gradients, type RecomputedSegment } from "../autodiff/gradients.js";
import { product } from "../graph/dim.js";
import type { Graph } from "../graph/graph.js";
import type { Node } from "../graph/ops.js";
import { causalAttention, prefixedAttention, type Attend } from "./attention.js";
import type { ModelConfig } from "./config.js";
import { finalNorm, transformer } from "./llama.js";
import type { EngineModel, Weights } from "./weights.js";

/**
 * How sequences are laid out. `plain`: `tokens [B, L]`. `shared`: sequences `tokens [N, S, L]` behind prefixes that the S of a group
 * share and that are computed once, `prefixTokens [N, P]` with `prefixLengths [N]`.
 */
export type Layout = "plain" | "shared";

/** How a graph of training is built. */
export interface TrainingOptions {
  layout?: Layout;
  /** Compute the activations of each block again in the backward pass: far less memory for one more forward pass. */
  recompute?: boolean;
}

/** Hidden states behind the final norm, and the blocks that made them. */
interface Predictors {
  hidden: Node;
  blocks: RecomputedSegment[];
}

/**
 * Hidden states `[M, hidden]` of the positions that predict. Inputs: those of the layout, and `rows [M]` (sequence·L + t of each
 * position).
 */
export function predictors(g: Graph, { config }: EngineModel, weights: Weights, layout: Layout): Predictors {
  const blocks: RecomputedSegment[] = [];
  const all = (layout === "plain" ? plainHidden : sharedHidden)(g, config, weights, blocks);
  const rows = g.gatherRows(all, g.input("rows", ["M"], "int32"));
  return { hidden: finalNorm(g, config, weights, rows), blocks };
}

/** Outputs `loss []`, and `gradient:NAME` of what is trained. */
export function outputGradients(
  g: Graph,
  { trainable }: EngineModel,
  { loss, weights, recomputed }: { loss: Node; weights: Weights; recomputed: readonly RecomputedSegment[] },
): void {
  const names = trainable.shapes.map(({ name }) => name);
  const all = gradients(g, loss, names.map(weights.get), { recomputed });
  g.output("loss", loss);
  names.forEach((name, index) => g.output(`gradient:${name}`, all[index]));
}

/** `[B·L, hidden]` */
function plainHidden(g: Graph, config: ModelConfig, weights: Weights, blocks: RecomputedSegment[]): Node {
  const dims = { batch: "B", length: "L" };
  const tokens = g.input("tokens", ["B", "L"], "int32");
  const attend = causalAttention(g, config, dims);
  const positions = firstPositions(g, "B", "L");
  return transformer(g, config, weights, {
    tokens,
    positions,
    dims,
    attend,
    onBlock: (_, block) => blocks.push(block),
  });
}

/** `[N·S·L, hidden]`: of the sequences, not of the prefixes, whose last layer gives keys and values and nothing more. */
function sharedHidden(g: Graph, config: ModelConfig, weights: Weights, blocks: RecomputedSegment[]): Node {
  const keys: Node[] = [];
  const values: Node[] = [];
  const prefixDims = { batch: "N", length: "P" };
  const causal = causalAttention(g, config, prefixDims);
  const keepHeads: Attend = (layer, heads) => {
    keys.push(heads.keys);
    values.push(heads.values);
    return causal(layer, heads);
  };
  const prefixTokens = g.input("prefixTokens", ["N", "P"], "int32");
  const positions = firstPositions(g, "N", "P");
  transformer(g, config, weights, {
    tokens: prefixTokens,
    positions,
    dims: prefixDims,
    attend: keepHeads,
    onBlock: (_, block) => blocks.push(block),
  });

  const lengths = g.input("prefixLengths", ["N"], "int32");
  const dims = { batch: product(["N", "S"]), length: "L" };
  const tokens = g.reshape(g.input("tokens", ["N", "S", "L"], "int32"), [dims.batch, "L"]);
  const offsets = g.reshape(g.expand(g.reshape(lengths, ["N", 1]), ["N", "S"]), [dims.batch, 1]);
  const attend = prefixedAttention(g, config, "L", { groups: "N", copies: "S", length: "P", lengths, keys, values });
  const after = g.add(offsets, g.reshape(g.iota("L"), [1, "L"]));
  return transformer(g, config, weights, {
    tokens,
    positions: after,
    dims,
    attend,
    onBlock: (layer, { inputs, ...range }) =>
      blocks.push({ ...range, inputs: [...inputs, keys[layer], values[layer]] }),
  });
}

/** 0, 1, 2, … in every row. */
function firstPositions(g: Graph, rows: string, length: string): Node {
  return g.expand(g.reshape(g.iota(length), [1, length]), [rows, length]);
}
