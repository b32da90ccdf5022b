/** @file Trajectories for the tests of rewards, from the words of their turns. */
import type { SearchCall, Trajectory } from "../types.js";

/** A search that found one passage with this text; none for undefined. */
export function searchCall(query: string, text?: string): SearchCall {
  const passages = text === undefined ? [] : [{ id: "1", title: "T", text, score: 1 }];
  return { query, passages, omittedPassages: 0, sanitized: 0, waitedMs: 0 };
}

export interface AttemptOptions {
  searches?: SearchCall[];
  /** What the environment wrote after each turn but the last. */
  observations?: string[];
  prompt?: string;
  /** Tokens of each policy turn, by number. Default 1. */
  tokens?: number[];
  finishReason?: Trajectory["finishReason"];
}

/** A trajectory of these policy turns, each but the last answered by the environment. */
export function attemptOf(turns: string[], answer: string | null, options: AttemptOptions = {}): Trajectory {
  const { searches = [], observations = [], prompt = "prompt <answer> Beijing </answer>", tokens = [] } = options;
  const trajectory: Trajectory = {
    questionId: "q",
    segments: [{ role: "prompt", tokens_T: [0] }],
    searches,
    answer,
    finishReason: options.finishReason ?? (answer === null ? "out-of-turns" : "answered"),
    texts: [prompt],
    timing: { policyMs: 0, searchMs: 0 },
  };
  for (const [index, turn] of turns.entries()) {
    trajectory.segments.push({ role: "policy", tokens_T: new Array<number>(tokens[index] ?? 1).fill(index + 1) });
    trajectory.texts.push(turn);
    if (index === turns.length - 1) break;
    trajectory.segments.push({ role: "environment", tokens_T: [9] });
    trajectory.texts.push(observations[index] ?? "<information>x</information>");
  }
  return trajectory;
}
