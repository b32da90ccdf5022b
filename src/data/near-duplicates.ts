/** @file Questions that say nearly the same: told apart by their runs of three words. */
import { normaliseAnswer } from "../rewards/normalise.js";

/** From this share of common runs on (Jaccard), two questions are near-duplicates. */
const mostAlike = 0.6;
/** Runs in more questions are phrases of a rule ("is described like this"): they tell nothing. */
const mostHolders = 60;

/** Remembers questions, and knows those that come again in nearly the same words. */
export class NearDuplicates {
  readonly #holders = new Map<string, number[]>();
  readonly #sizes: number[] = [];

  has(question: string): boolean {
    return this.find(question) !== undefined;
  }

  /** Which of the questions that were added says nearly the same: its number, from 0; undefined where none does. */
  find(question: string): number | undefined {
    const runs = runsOf(question);
    const common = new Map<number, number>();
    let telling = 0;
    for (const run of runs) {
      const holders = this.#holders.get(run) ?? [];
      if (holders.length > mostHolders) continue;
      telling++;
      for (const holder of holders) common.set(holder, (common.get(holder) ?? 0) + 1);
    }
    const isAlike = ([holder, shared]: [number, number]): boolean =>
      shared / (telling + this.#sizes[holder] - shared) >= mostAlike;
    return [...common].find(isAlike)?.[0];
  }

  add(question: string): void {
    const runs = runsOf(question);
    const number = this.#sizes.push(0) - 1;
    for (const run of runs) {
      const holders = this.#holders.get(run) ?? [];
      if (holders.length === 0) this.#holders.set(run, holders);
      if (holders.length <= mostHolders) {
        holders.push(number);
        this.#sizes[number]++;
      }
    }
  }
}

/** Runs of three words; of a shorter question, the whole. */
function runsOf(question: string): Set<string> {
  const words = normaliseAnswer(question).split(" ");
  if (words.length < 3) return new Set([words.join(" ")]);
  return new Set(words.slice(2).map((_, index) => words.slice(index, index + 3).join(" ")));
}
