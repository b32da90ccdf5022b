/** @file What sequences have in common: a tree of their tokens, in which everything that several begin with stands once. */
import { computedLength, type SequenceRow } from "./sequence-row.js";

/** A stretch of tokens, the same in all of its sequences. */
export interface Branch {
  /** Its place in each of them: tokens from `start` up to `end`. */
  start: number;
  end: number;
  /** Indices of the sequences that run through it: those that end with it, then those of each branch behind it. */
  members: readonly number[];
  /** What follows, beginning at `end`. */
  branches: readonly Branch[];
}

/** Below this many tokens in common, rows of their own cost less than another level. */
export const leastShared = 48;

/**
 * The branches that cover `members` from the token `start` on.
 * @param levels of branches, at most; on the last one, only sequences that are the same to their end have one in common
 */
export function branchesOf(
  rows: readonly SequenceRow[],
  members: readonly number[],
  levels: number,
  start = 0,
): Branch[] {
  const [first] = members;
  if (members.length === 1) return [{ start, end: computedLength(rows[first]), members, branches: [] }];
  const end = commonEnd(rows, members, start);
  const ended = members.filter((index) => computedLength(rows[index]) === end);
  const forks = forksAt(
    rows,
    members.filter((index) => computedLength(rows[index]) > end),
    end,
  );
  const isShared = forks.length === 0 || (levels > 1 && end - start >= leastShared);
  if (isShared) {
    const branches = forks.flatMap((fork) => branchesOf(rows, fork, levels - 1, end));
    return [{ start, end, members: [...ended, ...branches.flatMap((branch) => branch.members)], branches }];
  }
  const apart = forks.flatMap((fork) => branchesOf(rows, fork, levels, start));
  return ended.length === 0 ? apart : [{ start, end, members: ended, branches: [] }, ...apart];
}

/** Up to where the sequences are the same, known to be so before `start`. */
function commonEnd(rows: readonly SequenceRow[], members: readonly number[], start: number): number {
  const { tokens_T } = rows[members[0]];
  const shortest = Math.min(...members.map((index) => computedLength(rows[index])));
  let end = start;
  while (end < shortest && members.every((index) => rows[index].tokens_T[end] === tokens_T[end])) end++;
  return end;
}

/** The sequences by their token at `place`. */
function forksAt(rows: readonly SequenceRow[], members: readonly number[], place: number): number[][] {
  const forks = new Map<number, number[]>();
  for (const index of members) {
    const token = rows[index].tokens_T[place];
    const fork = forks.get(token);
    if (fork === undefined) forks.set(token, [index]);
    else fork.push(index);
  }
  return [...forks.values()];
}

/** A branch with only some of its sequences. */
export function withOnly(branch: Branch, kept: ReadonlySet<number>): Branch {
  return {
    ...branch,
    members: branch.members.filter((index) => kept.has(index)),
    branches: branch.branches
      .filter(({ members }) => members.some((index) => kept.has(index)))
      .map((inner) => withOnly(inner, kept)),
  };
}

/** The branches of each level of some trees, with the places of those that they follow in the level before. */
export function levelsIn(trees: readonly Branch[], levels: number): TreeRow[][] {
  const result = Array.from({ length: levels }, (): TreeRow[] => []);
  const add = ({ branches, ...row }: Branch, level: number, parent: number): void => {
    const place = result[level].push({ ...row, parent }) - 1;
    for (const inner of branches) add(inner, level + 1, place);
  };
  for (const tree of trees) add(tree, 0, -1);
  return result;
}

/** A branch among those of its level. */
export interface TreeRow extends Omit<Branch, "branches"> {
  /** Its place in the level before; −1 on the first. */
  parent: number;
}

/** What a branch's positions predict: each token once, though several sequences ask for it. */
export function predictionsOf(
  rows: readonly SequenceRow[],
  { start, end, members }: Pick<Branch, "start" | "end" | "members">,
): Map<string, { position: number; target: number }> {
  const predictions = new Map<string, { position: number; target: number }>();
  for (const index of members) {
    const { tokens_T, positions } = rows[index];
    for (const position of positions)
      if (position > start && position <= end)
        predictions.set(predictionKey(position, tokens_T[position]), { position, target: tokens_T[position] });
  }
  return predictions;
}

export const predictionKey = (position: number, target: number): string => `${position} ${target}`;
