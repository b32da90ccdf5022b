/**
 * @file Rewards that look for a right answer: in what was answered (exact match, cover match, F1), and in what was found. Each of them exists twice:
 * by our comparison of answers, and by SQuAD's (`em/squad`, and everything under `faithful.textScoring`).
 */
import type { StoredPassage, Trajectory } from "../types.js";
import type { Comparison } from "./comparison.js";
import { answerComparison } from "./normalise.js";
import type { RewardFunction } from "./reward.js";
import { normaliseLikeSquad, squadComparison } from "./squad.js";

interface AnswerRewards {
  /** Whether an answer equals one of the right answers as they are compared. */
  matchesAnswer(answer: string, answers: readonly string[]): boolean;
  /** A test of passages: whether the words of one of these answers stand side by side in the title or the text. That need not make it evidence. */
  holdsAnswer(answers: readonly string[]): (passage: Pick<StoredPassage, "title" | "text">) => boolean;
  /**
   * Whether a right answer stands in a passage that was shown.
   *
   * Departures: 1. Whole words, where the released code takes any substring ("no" stands in every passage about Norway). 2. Passages, where the
   * released code takes everything between information tags, the prompt's own among them (`<information> and </information>`: "and" was always found).
   */
  retrievedAnswer(trajectory: Trajectory, answers: readonly string[]): boolean;
  /** Exact match, Search-R1's outcome reward: 1 when the policy's answer is right, else 0; no answer is 0. Original: `qa_em.compute_score_em` with format_score 0. */
  exactMatch: RewardFunction;
  /**
   * Cover match: 1 when the words of a right answer stand in the answer, in their order and side by side; else 0. `sol` covers "Peruvian sol",
   * not "solution".
   *
   * It pays for lists, and so does `substringMatch`: a policy that names every candidate is always right. Where they are trained on, weigh `length`
   * or `repetition` against them and look at the run with `sleuth rescore`.
   */
  coverMatch: RewardFunction;
  /**
   * The best F1 against any right answer; 0 without an answer. A policy that is unsure gains by answering not at all or at length, and training on
   * F1 alone ends in answers that are avoided (arXiv:2602.19526): weigh `no-answer` and `no-search` against it.
   */
  f1: RewardFunction;
  /**
   * The second paper's intermediate reward (arXiv:2505.15117, §3): 1 when a right answer stood in a passage that was shown, else 0. The papers
   * found that it adds little and harms where it weighs much: it pays for searching on when the answer is known.
   */
  retrieval: RewardFunction;
}

/** The rewards by a comparison. */
function answerRewards({ normalise, lookIn }: Comparison): AnswerRewards {
  const matchesAnswer: AnswerRewards["matchesAnswer"] = (answer, answers) => {
    const normalised = normalise(answer);
    return answers.some((expected) => normalise(expected) === normalised);
  };
  const holdsAnswer: AnswerRewards["holdsAnswer"] = (answers) => {
    const expected = answers.map(normalise).filter((answer) => answer !== "");
    return ({ title, text }) => expected.some(lookIn(`${title} ${text}`));
  };
  const retrievedAnswer: AnswerRewards["retrievedAnswer"] = ({ searches }, answers) => {
    const holds = holdsAnswer(answers);
    return searches.some(({ passages }) => passages.some(holds));
  };
  return {
    matchesAnswer,
    holdsAnswer,
    retrievedAnswer,
    exactMatch: ({ answers }, { answer }) => (answer !== null && matchesAnswer(answer, answers) ? 1 : 0),
    coverMatch: ({ answers }, { answer }) => (answer !== null && answers.map(normalise).some(lookIn(answer)) ? 1 : 0),
    f1: ({ answers }, { answer }) => {
      if (answer === null) return 0;
      const given = wordsOf(normalise(answer));
      return Math.max(0, ...answers.map((expected) => wordF1(given, wordsOf(normalise(expected)))));
    },
    retrieval: ({ answers }, trajectory) => (retrievedAnswer(trajectory, answers) ? 1 : 0),
  };
}

/** By SQuAD's comparison, for what stands beside published numbers. */
export const squad: AnswerRewards = answerRewards(squadComparison);
/** By ours: the measure of everything else. */
export const ours: AnswerRewards = answerRewards(answerComparison);

/** Whether an answer equals one of the right answers (`normaliseAnswer`). */
export const matchesAnswer: AnswerRewards["matchesAnswer"] = ours.matchesAnswer;
/** Whether a right answer stands in a passage that was shown, whole words. */
export const retrievedAnswer: AnswerRewards["retrievedAnswer"] = ours.retrievedAnswer;
/** Exact match, Search-R1's outcome reward: 1 when the policy's answer is right (`matchesAnswer`), else 0; no answer is 0. */
export const exactMatch: RewardFunction = ours.exactMatch;

/**
 * 1 when a right answer is a substring of the answer, both normalised as SQuAD does; else 0. The released code's `compute_score_subem`, where any run
 * of letters counts ("no" is found in "Norway"), and a right answer that normalises to nothing in everything.
 */
export const substringMatch: RewardFunction = ({ answers }, { answer }) => {
  if (answer === null) return 0;
  const normalised = normaliseLikeSquad(answer);
  return answers.some((expected) => normalised.includes(normaliseLikeSquad(expected))) ? 1 : 0;
};

const whole = new Set(["yes", "no", "noanswer"]);

/**
 * F1 over the words of an answer, as SQuAD and HotpotQA measure it (arXiv:1606.05250; arXiv:1809.09600, `hotpot_evaluate_v1.py`):
 * 2·precision·recall ÷ (precision + recall) over words with their numbers; in [0, 1].
 *
 * 1. HotpotQA's special case: where one of the two is `yes`, `no` or `noanswer` and they differ, the score is 0; a share of "yes and no" is
 *    no merit. Answers of SQuAD are never just that, so the case costs nothing there.
 * 2. Two answers that normalise to nothing are equal (as in SQuAD 2.0).
 */
function wordF1(given: readonly string[], right: readonly string[]): number {
  const equal = given.length === right.length && given.every((word, index) => word === right[index]);
  const isWhole = [given, right].some((words) => words.length === 1 && whole.has(words[0]));
  if (isWhole || given.length === 0 || right.length === 0) return equal ? 1 : 0;
  const left = new Map<string, number>();
  for (const word of right) left.set(word, (left.get(word) ?? 0) + 1);
  let common = 0;
  for (const word of given) {
    const count = left.get(word) ?? 0;
    if (count > 0) {
      common++;
      left.set(word, count - 1);
    }
  }
  return (2 * common) / (given.length + right.length);
}

function wordsOf(normalised: string): string[] {
  return normalised === "" ? [] : normalised.split(" ");
}
