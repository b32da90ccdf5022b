/**
 * @file How training sequences are cut into micro-batches: what those of a group begin with is computed once, like lengths go together, so
 * that little is padded, and every micro-batch is bounded, so that memory is.
 */
import { levelsOf, type Layout } from "../model/sequence-layout.js";
import { computedLength, type SequenceRow } from "./sequence-row.js";
import {
  branchesOf,
  leastShared,
  levelsIn,
  predictionsOf,
  withOnly,
  type Branch,
  type TreeRow,
} from "./sequence-tree.js";

interface MicroBatchLimits {
  /** Most tokens of one micro-batch, padding included. */
  tokens: number;
  /** Most tokens of one under `plain`. Default `tokens`. */
  plainTokens?: number;
  /** Most positions of one that predict, of which each gives a row of logits. */
  lossRows: number;
}

/** One run of a graph of the layout. */
export interface MicroBatch {
  layout: Layout;
  /** Indices of the sequences. */
  sequences: number[];
  /** The rows of each level. */
  levels: TreeRow[][];
}

/**
 * Every sequence with loss is in exactly one micro-batch; one that exceeds a limit has a micro-batch to itself. Sequences without loss are
 * left out.
 */
export function planMicroBatches(rows: readonly SequenceRow[], limits: MicroBatchLimits): MicroBatch[] {
  const order = rows.flatMap(({ positions }, index) => (positions.length > 0 ? [index] : []));
  order.sort((a, b) => computedLength(rows[b]) - computedLength(rows[a]) || a - b);
  const trees = [...families(rows, order).values()].flatMap((family) => treesOf(rows, family, limits));
  const inTrees = new Set(trees.flatMap(({ branch }) => branch.members));
  const alone = order.filter((index) => !inTrees.has(index));
  const plain = alone.map((index) => sizedTree(rows, lone(rows, index)));
  return [
    ...packed(trees.sort(byShape), "tree", limits),
    ...packed(plain, "plain", { ...limits, tokens: limits.plainTokens ?? limits.tokens }),
  ];
}

/** Sequences with the same prompt, longest first. */
function families(rows: readonly SequenceRow[], order: readonly number[]): Map<string, number[]> {
  const result = new Map<string, number[]>();
  for (const index of order) {
    const { tokens_T, prefix } = rows[index];
    if (prefix === 0) continue;
    const family = tokens_T.slice(0, prefix).join();
    result.set(family, [...(result.get(family) ?? []), index]);
  }
  return result;
}

/** A sequence in a row of its own. */
function lone(rows: readonly SequenceRow[], index: number): Branch {
  return { start: 0, end: computedLength(rows[index]), members: [index], branches: [] };
}

/** What one or several trees take. */
interface SizedLevels {
  /** Rows of each level, and the length of the longest. */
  levels: readonly { rows: number; length: number }[];
  predictions: number;
}

interface SizedTree extends SizedLevels {
  branch: Branch;
}

function sizedTree(rows: readonly SequenceRow[], branch: Branch): SizedTree {
  const levels = levelsIn([branch], levelsOf.tree).filter((level) => level.length > 0);
  return {
    branch,
    levels: levels.map((level) => ({
      rows: level.length,
      length: Math.max(...level.map(({ start, end }) => end - start)),
    })),
    predictions: levels.flat().reduce((sum, row) => sum + predictionsOf(rows, row).size, 0),
  };
}

/** The trees of a family, cut until each fits; none where its sequences have too little in common, or where padding would cost what they save. */
function treesOf(rows: readonly SequenceRow[], family: readonly number[], limits: MicroBatchLimits): SizedTree[] {
  return branchesOf(rows, family, levelsOf.tree)
    .filter(({ members, end, start }) => members.length > 1 && end - start >= leastShared)
    .flatMap((branch) => evened(rows, branch).flatMap((part) => fitting(rows, part, limits)))
    .filter((tree) => {
      const { members } = tree.branch;
      const apart = members.reduce((sum, index) => sum + computedLength(rows[index]), 0);
      return members.length > 1 && tokensOf(tree) < apart;
    });
}

/** A tree, or its shorter and its longer sequences apart, where padding costs more than what both begin with. */
function evened(rows: readonly SequenceRow[], branch: Branch): Branch[] {
  const byLength = [...branch.members].sort((a, b) => computedLength(rows[a]) - computedLength(rows[b]));
  const part = (some: readonly number[]): Branch => withOnly(branch, new Set(some));
  const costOf = (tree: Branch): number => tokensOf(sizedTree(rows, tree));
  let [best, least]: [Branch[], number] = [[branch], costOf(branch)];
  for (let cut = 1; cut < byLength.length; cut++) {
    const halves = [part(byLength.slice(0, cut)), part(byLength.slice(cut))];
    const cost = halves.reduce((sum, half) => sum + costOf(half), 0);
    if (cost < least) [best, least] = [halves, cost];
  }
  return best.length === 1 ? best : best.flatMap((half) => evened(rows, half));
}

/** A tree, or two halves of its sequences, each behind what they begin with. */
function fitting(rows: readonly SequenceRow[], branch: Branch, limits: MicroBatchLimits): SizedTree[] {
  const tree = sizedTree(rows, branch);
  const { members } = branch;
  if (members.length === 1 || fits(tree, limits)) return [tree];
  const half = Math.ceil(members.length / 2);
  return [members.slice(0, half), members.slice(half)].flatMap((some) =>
    fitting(rows, withOnly(branch, new Set(some)), limits),
  );
}

/** Tokens that are computed, padding included. */
const tokensOf = ({ levels }: SizedLevels): number => levels.reduce((sum, { rows, length }) => sum + rows * length, 0);

const fits = (trees: SizedLevels, { lossRows, tokens }: MicroBatchLimits): boolean =>
  trees.predictions <= lossRows && tokensOf(trees) <= tokens;

/** Like shapes next to each other. */
function byShape({ levels: a }: SizedTree, { levels: b }: SizedTree): number {
  return b.length - a.length || (b.at(-1)?.length ?? 0) - (a.at(-1)?.length ?? 0);
}

/** What a run costs beside its tokens, in tokens: operators without end, weights that are laid out for products, gradients that are fetched and added. */
const runTokens = 150;

/** Neighbours run together so that all runs cost least, within the limits. */
function packed(trees: readonly SizedTree[], layout: Layout, limits: MicroBatchLimits): MicroBatch[] {
  /** Of the first n trees: the least cost, and the first tree of the last run. */
  const best: { cost: number; begin: number }[] = [{ cost: 0, begin: 0 }];
  for (let end = 1; end <= trees.length; end++) {
    let run: SizedLevels = { levels: [], predictions: 0 };
    let [cost, first] = [Infinity, end - 1];
    for (let begin = end - 1; begin >= 0; begin--) {
      run = join(run, trees[begin]);
      if (begin < end - 1 && !fits(run, limits)) break;
      const total = best[begin].cost + tokensOf(run) + runTokens;
      if (total < cost) [cost, first] = [total, begin];
    }
    best.push({ cost, begin: first });
  }
  const batches: MicroBatch[] = [];
  for (let end = trees.length; end > 0; end = best[end].begin) {
    const branches = trees.slice(best[end].begin, end).map(({ branch }) => branch);
    batches.unshift({
      layout,
      sequences: branches.flatMap(({ members }) => members),
      levels: levelsIn(branches, levelsOf[layout]),
    });
  }
  return batches;
}

/** Adds a tree to those that run together. */
function join(run: SizedLevels, { levels, predictions }: SizedLevels): SizedLevels {
  const deeper = levels.length > run.levels.length ? levels : run.levels;
  return {
    predictions: run.predictions + predictions,
    levels: deeper.map((_, level) => {
      const [a, b] = [run.levels.at(level), levels.at(level)];
      return { rows: (a?.rows ?? 0) + (b?.rows ?? 0), length: Math.max(a?.length ?? 0, b?.length ?? 0) };
    }),
  };
}
