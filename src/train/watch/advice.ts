/** @file What to change when a sign of collapse is on: one sentence per signal. docs/collapse.md says why. */
import type { Signal } from "./detectors.js";

const slower = "Lower optimizer.learningRate, or train.epochs and train.updatesPerBatch.";

const advice: Readonly<Record<Signal, string>> = {
  divergence: `${slower} Keep optimizer.maxGradNorm at 1.`,
  "right answers": slower,
  likelihood: `${slower} A larger algorithm.groupSize, or algorithm.kl=0.001, holds right answers up too.`,
  entropy: `${slower} With an entropy bonus, lower algorithm.entropy.`,
  certainty: `${slower} algorithm.entropy=0.001 or a larger algorithm.groupSize keeps attempts different.`,
  gradient: `Set optimizer.maxGradNorm=1, or a lower optimizer.learningRate.`,
  format: `${slower} A small reward for form helps: reward.weights.format=0.1.`,
  thoughts: "If the task needs thoughts, reward them: reward.weights.format=0.1.",
  repetition: `${slower} Lower rollout.maxTokensPerTurn, so that loops cost less.`,
  searches: `${slower} See to the search engine; reward.weights.search-cost=1 makes needless searches cost something.`,
  drift: `${slower} algorithm.kl=0.001 holds the policy near its start.`,
  "no signal": "Give easier questions, larger groups, a warm-up (sleuth sft) or partial rewards.",
};

/** What to change, in a sentence. */
export function adviceFor(signal: Signal): string {
  return advice[signal];
}
