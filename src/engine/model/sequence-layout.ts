/**
 * @file How sequences lie in a graph of training, and the hidden states that predict from them: what log-probabilities and values have in
 * common.
 */
import { gradients, type RecomputedSegment } from "../autodiff/gradients.js";
import type { Graph } from "../graph/graph.js";
import type { Node } from "../graph/ops.js";
import { causalAttention, type Attend, type Beginning } from "./attention.js";
import type { ModelConfig } from "./config.js";
import { finalNorm, transformer } from "./llama.js";
import type { EngineModel, Weights } from "./weights.js";

/**
 * How sequences are laid out. `plain`: each in a row of its own. `tree`: what several begin with is a row that is computed once, and theirs are rows
 * behind it, on up to three levels: a group's prompt, what follows the same first search, and the rest. Attempts of a search agent share that much: of 56
 * groups of a run three levels compute 0.344 of the tokens, two 0.459, any number 0.326 (docs/engine.md).
 */
export type Layout = "plain" | "tree";

/** Rows of the first level begin a sequence; those of the others go on where a row of an earlier level ends. */
export const levelsOf: Readonly<Record<Layout, number>> = { plain: 1, tree: 3 };

/** How a graph of training is built. */
export interface TrainingOptions {
  layout?: Layout;
  /** Compute the activations of each block again in the backward pass: far less memory for one more forward pass. */
  recompute?: boolean;
}

/** Hidden states behind the final norm, and the blocks that made them. */
interface Predictors {
  /** `[U, hidden]`: of each position that predicts, once. U is the sum of all levels' `U0`, `U1`, … */
  hidden: Node;
  /** From what is known of each predicting position, `[U]`, to the same of each token that is asked for, `[M]`: sequences that share a position ask for it several times. */
  perToken: (known: Node) => Node;
  blocks: RecomputedSegment[];
}

/**
 * The inputs of level k with rows `Bk` of `Lk` tokens: `tokens{k} [Bk, Lk]`, `rows{k} [Uk]` (row·Lk + t of positions that predict), from the second level on
 * `starts{k} [Bk]` (tokens before the row) and, of each level j before, `choice{k}of{j} [Bk, Bj]` and `valid{k}of{j} [Bk]` (see `Beginning`). And `asked [M]`: which
 * of all levels' predicting positions each token is asked of.
 */
export function predictors(g: Graph, { config }: EngineModel, weights: Weights, layout: Layout): Predictors {
  const blocks: RecomputedSegment[] = [];
  const levels: Level[] = [];
  for (let level = 0; level < levelsOf[layout]; level++) levels.push(levelHidden(g, config, weights, levels, blocks));
  const rows = levels.map(({ hidden }, level) => g.gatherRows(hidden, g.input(`rows${level}`, [`U${level}`], "int32")));
  const all = rows.length === 1 ? rows[0] : g.concat(rows, 0);
  const asked = g.input("asked", ["M"], "int32");
  const perToken = (known: Node): Node => {
    const column = g.reshape(known, [known.shape[0], 1]);
    return g.reshape(g.gatherRows(column, asked), ["M"]);
  };
  return { hidden: finalNorm(g, config, weights, all), perToken, blocks };
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

/** One level's rows. */
interface Level {
  /** Its length's name. */
  length: string;
  /** `[B·L, hidden]` */
  hidden: Node;
  /** Of each layer, `[B, kvHeads, L, headDim]`. */
  keys: Node[];
  values: Node[];
}

/** The rows of the next level, behind those of the levels `before`. */
function levelHidden(
  g: Graph,
  config: ModelConfig,
  weights: Weights,
  before: readonly Level[],
  blocks: RecomputedSegment[],
): Level {
  const level = before.length;
  const dims = { batch: `B${level}`, length: `L${level}` };
  const { batch, length } = dims;
  const beginnings = before.map(({ keys, values, length: of }, j): Beginning => ({
    choice: g.input(`choice${level}of${j}`, [batch, `B${j}`]),
    valid: g.input(`valid${level}of${j}`, [batch], "int32"),
    length: of,
    keys,
    values,
  }));
  const [keys, values]: Node[][] = [[], []];
  const causal = causalAttention(g, config, dims, beginnings);
  const attend: Attend = (layer, heads) => {
    keys.push(heads.keys);
    values.push(heads.values);
    return causal(layer, heads);
  };
  const offsets = g.reshape(g.iota(length), [1, length]);
  const starts = level === 0 ? g.integer(0) : g.reshape(g.input(`starts${level}`, [batch], "int32"), [batch, 1]);
  const hidden = transformer(g, config, weights, {
    tokens: g.input(`tokens${level}`, [batch, length], "int32"),
    positions: g.add(g.expand(offsets, [batch, length]), starts),
    dims,
    attend,
    onBlock: (layer, { inputs, ...range }) => {
      const shared = before.flatMap((earlier) => [earlier.keys[layer], earlier.values[layer]]);
      blocks.push({ ...range, inputs: [...inputs, ...shared] });
    },
  });
  return { length, hidden, keys, values };
}
