/**
 * @file Attention of one layer from its heads (grouped-query, arXiv:2305.13245): within a batch, to a cache, or to a prefix that several
 * sequences share. The query heads of a group lie under their key/value head, so that keys and values are never repeated for them.
 */
import { product, type Dim } from "../graph/dim.js";
import type { Graph } from "../graph/graph.js";
import type { Node } from "../graph/ops.js";
import type { ModelConfig } from "./config.js";

/** Queries, keys and values of one layer after RoPE: `[B, kvHeads, group·L, headDim]` and twice `[B, kvHeads, L, headDim]`. */
export interface Heads {
  queries: Node;
  keys: Node;
  values: Node;
}

/** Attention of one layer: from heads to the context, in the layout of the queries. */
export type Attend = (layer: number, heads: Heads) => Node;

/** Sizes of a graph's batch: rows and tokens per row. */
export interface BatchDims {
  batch: Dim;
  length: Dim;
}

/** Added to the scores of positions that may not be attended to: large enough that their probability is exactly 0. */
const maskedScore = -1e9;

/** Causal attention within the batch. Padding on the right needs no mask: no earlier token can see it. */
export function causalAttention(g: Graph, config: ModelConfig, dims: BatchDims): Attend {
  return (_, { queries, keys, values }) => {
    const scores = g.matmul(queries, keys, { transB: true, alpha: config.headDim ** -0.5 });
    const masked = addMask(g, config, scores, causalMask(g, dims.length), dims, dims.length);
    return g.matmul(g.softmax(masked), values);
  };
}

/** `[L, L]`: 0 where the column is not after the row. */
function causalMask(g: Graph, length: Dim): Node {
  const row = g.reshape(g.iota(length), [length, 1]);
  const column = g.reshape(g.iota(length), [1, length]);
  return g.where(g.less(row, column), g.scalar(maskedScore), g.scalar(0));
}

/** Adds a mask that broadcasts to `[B, 1, 1, L, width]` to scores `[B, kvHeads, group·L, width]`. */
function addMask(
  g: Graph,
  config: ModelConfig,
  scores: Node,
  mask: Node,
  { batch, length }: BatchDims,
  width: Dim,
): Node {
  const { heads, kvHeads } = config;
  const split = g.reshape(scores, [batch, kvHeads, heads / kvHeads, length, width]);
  return g.reshape(g.add(split, mask), scores.shape);
}

/**
 * Attention to a cache `[B, kvHeads, C, headDim]` whose first `cachedLengths[b]` positions are valid, and causally to the new
 * tokens. Scores against cache and new tokens are computed apart and joined only for the softmax, so that the cache
 * is never copied.
 */
export function cachedAttention(
  g: Graph,
  config: ModelConfig,
  dims: BatchDims,
  cache: { capacity: Dim; cachedLengths: Node; keys: readonly Node[]; values: readonly Node[] },
): Attend {
  const { batch, length } = dims;
  const { capacity } = cache;
  const mask = joinMasks(g, validMask(g, cache.cachedLengths, batch, capacity), batch, capacity, length);
  const alpha = config.headDim ** -0.5;
  return (layer, { queries, keys, values }) => {
    const cacheScores = g.matmul(queries, cache.keys[layer], { transB: true, alpha });
    const newScores = g.matmul(queries, keys, { transB: true, alpha });
    const scores = g.concat([cacheScores, newScores], 3);
    const probabilities = g.softmax(addMask(g, config, scores, mask, dims, scores.shape[3]));
    const fromCache = g.matmul(g.split(probabilities, 3, 0, capacity), cache.values[layer]);
    return g.add(fromCache, g.matmul(g.split(probabilities, 3, 1, capacity), values));
  };
}

/** A beginning that `copies` sequences share, for each of `groups` groups. */
interface SharedPrefix {
  groups: Dim;
  copies: Dim;
  length: Dim;
  /** `[groups]`: how many of the `length` positions are valid. */
  lengths: Node;
  /** Of each layer, `[groups, kvHeads, length, headDim]`. */
  keys: readonly Node[];
  values: readonly Node[];
}

/**
 * Attention of sequences `[groups·copies, length]` to their group's prefix, and causally to themselves. What reaches the prefix's keys and values
 * backwards is the sum over the copies.
 */
export function prefixedAttention(g: Graph, config: ModelConfig, length: Dim, prefix: SharedPrefix): Attend {
  const { groups, copies } = prefix;
  const batch = product([groups, copies]);
  const copy = (x: Node): Node => {
    const rest = x.shape.slice(1);
    return g.reshape(g.expand(g.reshape(x, [groups, 1, ...rest]), [groups, copies, ...rest]), [batch, ...rest]);
  };
  const mask = joinMasks(g, copy(validMask(g, prefix.lengths, groups, prefix.length)), batch, prefix.length, length);
  return (layer, { queries, keys, values }) => {
    const allKeys = g.concat([copy(prefix.keys[layer]), keys], 2);
    const allValues = g.concat([copy(prefix.values[layer]), values], 2);
    const scores = g.matmul(queries, allKeys, { transB: true, alpha: config.headDim ** -0.5 });
    const masked = addMask(g, config, scores, mask, { batch, length }, scores.shape[3]);
    return g.matmul(g.softmax(masked), allValues);
  };
}

/** `[rows, width]`: 0 for the first `lengths` columns of each row. */
function validMask(g: Graph, lengths: Node, rows: Dim, width: Dim): Node {
  const column = g.reshape(g.iota(width), [1, width]);
  return g.where(g.less(column, g.reshape(lengths, [rows, 1])), g.scalar(0), g.scalar(maskedScore));
}

/** `[B, 1, 1, L, known + L]`: what came before as `known` says, then causally. */
function joinMasks(g: Graph, knownMask: Node, batch: Dim, known: Dim, length: Dim): Node {
  const before = g.reshape(knownMask, [batch, 1, 1, 1, known]);
  const own = g.reshape(causalMask(g, length), [1, 1, 1, length, length]);
  return g.concat([g.expand(before, [batch, 1, 1, length, known]), g.expand(own, [batch, 1, 1, length, length])], 4);
}
