/** @file How much a policy repeats itself: the sign of a model that goes round in circles. */
import type { Trajectory } from "../../types.js";

/**
 * So many tokens alike are a loop or a sentence copied whole; names and tags are shorter. Measured on the runs of docs/collapse.md: 0 to 3 % in
 * healthy runs of the built-in world, up to 20 % in those of language models that repeat their thought as a query, 35 % and more in loops.
 */
const span = 8;

/**
 * The share of the policy's tokens that lie in `span` consecutive tokens which the same turn has already held (overlaps count: `aaaaaaaaa` is a
 * repetition from its ninth token on, and that covers all but the first). Turns are looked at by themselves, since asking again is another
 * matter than going round in circles.
 */
export function repeatedShare(trajectories: readonly Trajectory[]): number {
  let repeated = 0;
  let tokens = 0;
  for (const { segments } of trajectories) {
    for (const { role, tokens_T } of segments) {
      if (role !== "policy") continue;
      tokens += tokens_T.length;
      repeated += repeatedTokens(tokens_T);
    }
  }
  return tokens === 0 ? 0 : repeated / tokens;
}

/** Tokens of one turn that lie in a span which began earlier in the turn too. */
export function repeatedTokens(tokens_T: readonly number[]): number {
  const firstAt = new Map<number, number[]>();
  let repeated = 0;
  /** Tokens before it are counted. */
  let counted = 0;
  for (let start = 0; start + span <= tokens_T.length; start++) {
    const key = spanKey(tokens_T, start);
    const earlier = firstAt.get(key);
    if (earlier?.some((other) => isSameSpan(tokens_T, other, start))) {
      repeated += start + span - Math.max(counted, start);
      counted = start + span;
    } else if (earlier) earlier.push(start);
    else firstAt.set(key, [start]);
  }
  return repeated;
}

/** A number that equal spans share and different ones hardly ever do. */
function spanKey(tokens_T: readonly number[], start: number): number {
  let key = 0;
  for (let t = start; t < start + span; t++) key = (Math.imul(key, 31) + tokens_T[t]) | 0;
  return key;
}

function isSameSpan(tokens_T: readonly number[], one: number, other: number): boolean {
  for (let t = 0; t < span; t++) if (tokens_T[one + t] !== tokens_T[other + t]) return false;
  return true;
}
