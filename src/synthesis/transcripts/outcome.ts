/** @file What became of an attempt: whether it scored, and if not, why. */
import { transcriptOf, type Transcript } from "../../data/transcripts.js";
import type { Protocol } from "../../prompts/protocol.js";
import { retrievedAnswer } from "../../rewards/answers.js";
import type { Question, Trajectory } from "../../types.js";

/** Outcomes with what they mean, in the order in which they are told. */
export const outcomes = {
  scored: "the reward is high enough",
  "no hit": "no passage that was shown holds a right answer",
  "wrong answer": "a passage that was shown holds a right answer, and another one was given",
  "no answer": "it ended without an answer",
  cut: "it ran out of tokens, or a turn was cut",
  "search failed": "the search engine failed",
  guessed: "it scored, and no passage that was shown holds a right answer: learned, it would be a guess",
  "not imitable": "it scored, with a turn that is neither a search nor an answer",
} as const satisfies Readonly<Record<string, string>>;

export type Outcome = keyof typeof outcomes;

/** One attempt, as far as it is kept. */
export interface CollectedAttempt {
  /** Id of the question. */
  question: string;
  /** From 0. */
  attempt: number;
  outcome: Outcome;
  reward: number;
  searches: number;
  /** What was answered; null without an answer. */
  answer: string | null;
  /** Of attempts that scored. */
  turns?: Transcript["turns"];
}

/** @param minReward from which on an attempt has scored */
export function judgeAttempt(
  question: Question,
  trajectory: Trajectory,
  { attempt, reward, minReward, protocol }: { attempt: number; reward: number; minReward: number; protocol: Protocol },
): CollectedAttempt {
  const { searches, answer } = trajectory;
  const facts = { question: question.id, attempt, reward, searches: searches.length, answer };
  if (reward < minReward) return { ...facts, outcome: whyNot(question, trajectory) };
  if (!retrievedAnswer(trajectory, question.answers)) return { ...facts, outcome: "guessed" };
  const transcript = transcriptOf(question, trajectory, { place: question.id, protocol });
  if (transcript === null) return { ...facts, outcome: "not imitable" };
  return { ...facts, outcome: "scored", turns: transcript.turns.map(bare) };
}

function whyNot({ answers }: Question, trajectory: Trajectory): Outcome {
  const { finishReason, cutTurns = 0, answer, searches } = trajectory;
  if (finishReason === "search-failed" || (answer === null && searches.some(({ error }) => error !== undefined)))
    return "search failed";
  if (finishReason === "out-of-tokens" || (answer === null && cutTurns > 0)) return "cut";
  if (answer === null) return "no answer";
  return retrievedAnswer(trajectory, answers) ? "wrong answer" : "no hit";
}

/** Without ids of tokens, scores and addresses: text that a person can change. */
function bare(turn: Transcript["turns"][number]): Transcript["turns"][number] {
  if (turn.role === "policy") return { role: turn.role, text: turn.text };
  if ("passages" in turn)
    return { role: turn.role, passages: turn.passages.map(({ title, text }) => ({ title, text })) };
  return turn;
}
