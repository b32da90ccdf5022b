/**
 * @file How sequences lie in a graph of training, and the hidden states that predict from them: what log-probabilities and values have in
 * common.
 */
import { gradients, type RecomputedSegment } from "../autodiff/gradients.js";
import { product } from "../graph/dim.js";
import type { Graph } from "../graph/graph.js";
import type { Node } from "../graph/ops.js";
import { causalAttention, type Beginning } from "./attention.js";
import type { ModelConfig } from "./config.js";
import { finalNorm, transformer } from "./llama.js";
import type { EngineModel, Weights } from "./weights.js";

/**
 * How sequences are laid out. `plain`: each in a row of its own. `tree`: what several begin with is a row that is computed once, and theirs are rows
 * behind it, on up to three levels: a group's prompt, what follows the same first search, and the rest. Of 152 groups of a run three levels compute 0.32 of the tokens, two
 * 0.42, and any number of them 0.30 (docs/log.md, "trees in training").
 */
export type Layout = "plain" | "tree";

/** Rows of the first level begin a sequence; those of the others go on where a row of an earlier level ends. */
export const levelsOf: Readonly<Record<Layout, number>> = { plain: 1, tree: 3 };

/** How a graph of training is built. */
export interface TrainingOptions {
  layout?: Layout;
  /** Compute the activations of whole blocks again in the backward pass, not of some parts alone: far less memory for one more forward pass. */
  recompute?: boolean;
}

/** Hidden states behind the final norm, and what made them. */
interface Predictors {
  /** `[U, hidden]`: of each position that predicts, once. */
  hidden: Node;
  /** From what is known of each predicting position, `[U]`, to the same of each token that is asked for, `[M]`: sequences that share a position ask for it several times. */
  perToken: (known: Node) => Node;
  segments: Segments;
}

/** What the backward pass may compute again. */
export interface Segments {
  blocks: RecomputedSegment[];
  /** Parts of blocks: attention from its queries, and the MLP's second half from what its first half gave. */
  parts: RecomputedSegment[];
}

/**
 * The inputs of level k with rows `Bk` of `Lk` tokens: `tokens{k} [Bk, Lk]`, from the second level on
 * `starts{k} [Bk]` (tokens before the row) and, of each level j before, `choice{k}of{j} [Bk, Bj]` and `valid{k}of{j} [Bk]` (see `Beginning`). Of all levels: `rows [U]`,
 * the positions that predict, counted through the levels' tokens one after the other, row after row; and `asked [M]`, of which of these each token is asked.
 */
export function predictors(g: Graph, { config }: EngineModel, weights: Weights, layout: Layout): Predictors {
  const segments: Segments = { blocks: [], parts: [] };
  const levels = Array.from({ length: levelsOf[layout] }, (_, level) => levelOf(g, config, level));
  const all = transformer(g, config, weights, {
    tokens: g.concat(
      levels.map(({ tokens }) => tokens),
      0,
    ),
    streams: levels,
    onBlock: (block) => segments.blocks.push(block),
    onPart: (part) => segments.parts.push(part),
  });
  const rows = g.gatherRows(all, g.input("rows", ["U"], "int32"));
  const asked = g.input("asked", ["M"], "int32");
  const perToken = (known: Node): Node => g.reshape(g.gatherRows(g.reshape(known, ["U", 1]), asked), ["M"]);
  return { hidden: finalNorm(g, config, weights, rows), perToken, segments };
}

function levelOf(g: Graph, config: ModelConfig, level: number) {
  const dims = { batch: `B${level}`, length: `L${level}` };
  const { batch, length } = dims;
  const beginnings = Array.from({ length: level }, (_, j): Beginning => ({
    choice: g.input(`choice${level}of${j}`, [batch, `B${j}`]),
    valid: g.input(`valid${level}of${j}`, [batch], "int32"),
    length: `L${j}`,
  }));
  const offsets = g.expand(g.reshape(g.iota(length), [1, length]), [batch, length]);
  const starts = level === 0 ? undefined : g.reshape(g.input(`starts${level}`, [batch], "int32"), [batch, 1]);
  return {
    dims,
    tokens: g.reshape(g.input(`tokens${level}`, [batch, length], "int32"), [product([batch, length])]),
    positions: starts === undefined ? offsets : g.add(offsets, starts),
    attend: causalAttention(g, config, dims, beginnings),
  };
}

/** Outputs `loss []`, and `gradient:NAME` of what is trained. Of attention and SwiGLU no activations are kept: two fifths of all, for a twenty-fifth of the time (docs/log.md). */
export function outputGradients(
  g: Graph,
  { trainable }: EngineModel,
  { loss, weights, segments, recompute }: { loss: Node; weights: Weights; segments: Segments; recompute: boolean },
): void {
  const names = trainable.shapes.map(({ name }) => name);
  const all = gradients(g, loss, names.map(weights.get), { recomputed: recompute ? segments.blocks : segments.parts });
  g.output("loss", loss);
  names.forEach((name, index) => g.output(`gradient:${name}`, all[index]));
}
