/**
 * @file Attention of one layer from its heads (grouped-query, arXiv:2305.13245): within a batch, to a cache, or to beginnings that several
 * rows of the batch share. The query heads of a group share their key/value head, whose keys and values are never repeated for them.
 */
import { product, type Dim } from "../graph/dim.js";
import type { Graph } from "../graph/graph.js";
import type { Node } from "../graph/ops.js";
import type { ModelConfig } from "./config.js";

/** Queries, keys and values of one layer after RoPE: `[B, heads, L, headDim]` and twice `[B, kvHeads, L, headDim]`. */
export interface Heads {
  queries: Node;
  keys: Node;
  values: Node;
}

/** Attention of one layer: from heads to the context, in the layout of the queries. `before`: the heads of the streams before, in the same layer. */
export type Attend = (layer: number, heads: Heads, before: readonly Heads[]) => Node;

/** Sizes of a graph's batch: rows and tokens per row. */
export interface BatchDims {
  batch: Dim;
  length: Dim;
}

/** Added to the scores of positions that may not be attended to: large enough that their probability is exactly 0. */
const maskedScore = -1e9;

/** What rows of a stream begin with: rows of a stream before, each of which several may share. */
export interface Beginning {
  /** `[batch, rows]`: in each line 1 for the row that the batch's row begins with, else 0. */
  choice: Node;
  /** `[batch]`: how many of the `length` positions are valid. */
  valid: Node;
  length: Dim;
}

/**
 * Causal attention within the batch, and to everything that its rows begin with: one beginning in each of the streams before. Padding on the right needs no mask: no earlier token can
 * see it. What reaches the keys and values of a beginning backwards is the sum over the rows that share it.
 */
export function causalAttention(
  g: Graph,
  config: ModelConfig,
  dims: BatchDims,
  beginnings: readonly Beginning[] = [],
): Attend {
  const known = beginnings.map(({ valid, length }) => ({
    mask: validMask(g, valid, dims.batch, length),
    width: length,
  }));
  const mask = joinMasks(g, known, dims);
  const { batch, length } = dims;
  const { heads, kvHeads, headDim } = config;
  const group = heads / kvHeads;
  return (_, own, before) => {
    const all = (which: "keys" | "values"): Node =>
      g.concat([...beginnings.map(({ choice }, j) => chosenRows(g, choice, before[j][which])), own[which]], 2);
    // The queries of a group lie one under the other, so that what flows back to keys and values is one product, too.
    const queries = g.reshape(own.queries, [batch, kvHeads, product([group, length]), headDim]);
    const products = g.matmul(queries, all("keys"), { transB: true, alpha: headDim ** -0.5 });
    const scores = g.reshape(products, [batch, kvHeads, group, length, products.shape[3]]);
    const probabilities = g.reshape(g.softmax(g.add(scores, mask)), products.shape);
    return g.reshape(g.matmul(probabilities, all("values")), own.queries.shape);
  };
}

/** A row of `x [rows, …]` for each line of `choice [batch, rows]`: a product, whose gradient is one, too, and quick. */
function chosenRows(g: Graph, choice: Node, x: Node): Node {
  const [rows, ...rest] = x.shape;
  const chosen = g.matmul(choice, g.reshape(x, [rows, product(rest)]));
  return g.reshape(chosen, [choice.shape[0], ...rest]);
}

/** `[L, L]`: 0 where the column is not after the row. */
function causalMask(g: Graph, length: Dim): Node {
  const row = g.reshape(g.iota(length), [length, 1]);
  const column = g.reshape(g.iota(length), [1, length]);
  return g.where(g.less(row, column), g.scalar(maskedScore), g.scalar(0));
}

/**
 * Attention to a cache `[B, kvHeads, 1, C, headDim]` whose first `cachedLengths[b]` positions are valid, and causally to the new
 * tokens. Scores against cache and new tokens are computed apart and joined only for the softmax, so that the cache
 * is never copied. Each query head has a product of its own, and its scale is a factor of the query: a product of one row and without a
 * factor reads keys and values as they lie, where the runtime lays them out anew for one of several rows.
 */
export function cachedAttention(
  g: Graph,
  config: ModelConfig,
  dims: BatchDims,
  cache: { capacity: Dim; cachedLengths: Node; keys: readonly Node[]; values: readonly Node[] },
): Attend {
  const { batch, length } = dims;
  const { capacity } = cache;
  const { heads, kvHeads, headDim } = config;
  const known = { mask: validMask(g, cache.cachedLengths, batch, capacity), width: capacity };
  const mask = joinMasks(g, [known], dims);
  return (layer, own) => {
    // Before the reshape: beside a product the runtime's optimiser would make the scale the product's factor.
    const scaled = g.scale(own.queries, headDim ** -0.5);
    const queries = g.reshape(scaled, [batch, kvHeads, heads / kvHeads, length, headDim]);
    const [keys, values] = [own.keys, own.values].map((x) => g.reshape(x, [batch, kvHeads, 1, length, headDim]));
    const cacheScores = g.matmul(queries, cache.keys[layer], { transB: true });
    const scores = g.concat([cacheScores, g.matmul(queries, keys, { transB: true })], 4);
    const probabilities = g.softmax(g.add(scores, mask));
    const fromCache = g.matmul(g.split(probabilities, 4, 0, capacity), cache.values[layer]);
    const context = g.add(fromCache, g.matmul(g.split(probabilities, 4, 1, capacity), values));
    return g.reshape(context, own.queries.shape);
  };
}

/** `[rows, width]`: 0 for the first `lengths` columns of each row. */
function validMask(g: Graph, lengths: Node, rows: Dim, width: Dim): Node {
  const column = g.reshape(g.iota(width), [1, width]);
  return g.where(g.less(column, g.reshape(lengths, [rows, 1])), g.scalar(0), g.scalar(maskedScore));
}

/** `[B, 1, 1, L, … + L]`: what came before as `known` says, `[B, width]` each, then causally. Where nothing came before, the same for all rows. */
function joinMasks(g: Graph, known: readonly { mask: Node; width: Dim }[], { batch, length }: BatchDims): Node {
  const own = g.reshape(causalMask(g, length), [1, 1, 1, length, length]);
  if (known.length === 0) return own;
  const before = known.map(({ mask, width }) =>
    g.expand(g.reshape(mask, [batch, 1, 1, 1, width]), [batch, 1, 1, length, width]),
  );
  return g.concat([...before, g.expand(own, [batch, 1, 1, length, length])], 4);
}
