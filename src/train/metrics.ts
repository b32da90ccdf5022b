/** @file Every number a run records: its name, its unit and what it means. Nothing outside this table is written. */

interface MetricInfo {
  unit: string;
  meaning: string;
}

/** The catalogue. Means over a step are over all its trajectories unless they say otherwise. */
export const metricCatalogue = {
  "reward/mean": { unit: "reward", meaning: "mean reward of the step's trajectories" },
  "reward/judgeFailed": {
    unit: "share",
    meaning: "trajectories whose judgement failed and that exact match scored instead, where a language model judges",
  },
  "em/train": { unit: "share", meaning: "exact match of the step's sampled trajectories, on training questions" },
  "em/validation": { unit: "share", meaning: "greedy exact match on validation questions" },
  "em/validation/low": { unit: "share", meaning: "lower end of its 95 % interval" },
  "em/validation/high": { unit: "share", meaning: "upper end of its 95 % interval" },
  "em/validation/sampled": { unit: "share", meaning: "exact match on validation questions, sampled at temperature 1" },
  "em/validation/sampled/low": { unit: "share", meaning: "lower end of its 95 % interval" },
  "em/validation/sampled/high": { unit: "share", meaning: "upper end of its 95 % interval" },
  "em/squad/validation": { unit: "share", meaning: "greedy exact match on validation questions, by SQuAD's scorer" },
  "em/squad/validation/sampled": { unit: "share", meaning: "the same, sampled at temperature 1" },
  "em/test": { unit: "share", meaning: "greedy exact match on test questions" },
  "em/test/sampled": { unit: "share", meaning: "exact match on test questions, sampled at temperature 1" },
  "searches/perQuestion": { unit: "searches", meaning: "executed searches per trajectory" },
  "searches/validation": { unit: "searches", meaning: "executed searches per validation question, greedy" },
  "searches/failed": { unit: "share", meaning: "searches that failed and became a marked observation" },
  "searches/waitMs": { unit: "ms", meaning: "mean wait for one search" },
  "search/requests": {
    unit: "requests",
    meaning: "requests to search servers since the line before, retries and evaluations included",
  },
  "search/cacheHitRate": {
    unit: "share",
    meaning: "queries since the line before that a cache answered, where there is a cache",
  },
  "search/memberFailures": {
    unit: "failures",
    meaning: "searches since the line before in which one of the fused engines failed and the others answered",
  },
  "search/spentUsd": {
    unit: "USD",
    meaning: "estimated cost of the run's requests so far, of earlier starts too, where a price is known",
  },
  "passages/omitted": { unit: "passages", meaning: "passages per search left out because they did not fit" },
  "passages/omittedShare": {
    unit: "share",
    meaning: "passages left out because they did not fit, of those and the ones that were shown",
  },
  "passages/sanitized": {
    unit: "places",
    meaning: "tags or control characters per search made harmless in passages",
  },
  "finish/answered": { unit: "share", meaning: "trajectories that ended with an answer" },
  "finish/out-of-turns": { unit: "share", meaning: "trajectories that used up their searches" },
  "finish/out-of-tokens": { unit: "share", meaning: "trajectories that used up their tokens" },
  "finish/malformed": { unit: "share", meaning: "trajectories ended by a turn that is neither a search nor an answer" },
  "finish/search-failed": { unit: "share", meaning: "trajectories ended by a search that failed" },
  "finish/cancelled": { unit: "share", meaning: "trajectories that were cancelled" },
  "turns/cut": {
    unit: "share",
    meaning: "turns that rollout.maxTokensPerTurn cut before they held a search or an answer",
  },
  "format/wellFormed": {
    unit: "share",
    meaning:
      "trajectories that follow the protocol: every turn is one search or, at last, one answer, with a thought before it or none, and nothing else",
  },
  "format/withThoughts": { unit: "share", meaning: "well-formed trajectories with a thought in every turn" },
  "tokens/policy": { unit: "tokens", meaning: "tokens per trajectory written by the policy" },
  "tokens/total": { unit: "tokens", meaning: "tokens per trajectory, prompt and passages included" },
  "tokens/trained": { unit: "tokens", meaning: "tokens of the sequences that carried loss in this step" },
  "tokens/uniqueShare": {
    unit: "share",
    meaning: "tokens of the trained sequences that were computed: what several begin with is computed once",
  },
  "tokens/prefillShare": {
    unit: "share",
    meaning: "tokens of prompts, passages and earlier turns that the sampler computed; the others it had kept",
  },
  "tokens/repeated": {
    unit: "share",
    meaning: "the policy's tokens that lie in 8 tokens which the same turn has already held",
  },
  "groups/zeroVariance": { unit: "share", meaning: "groups whose rewards are all equal: nothing to learn from them" },
  "policy/surprise": { unit: "nats", meaning: "mean −log p of sampled tokens, an estimate of the policy's entropy" },
  "policy/correctLogprob": {
    unit: "nats",
    meaning: "mean log p of the sampled tokens of right answers' trajectories; absent where none was right",
  },
  "policy/samplerGap": {
    unit: "nats",
    meaning: "mean |trainer − sampler log-probability| before the step's first update",
  },
  "policy/samplerGapMax": { unit: "nats", meaning: "largest such difference" },
  "policy/entropy": {
    unit: "nats",
    meaning:
      "mean entropy of the distributions that trained tokens were drawn from; measured where the loss has an entropy bonus",
  },
  "advantage/meanAbsolute": { unit: "reward", meaning: "mean |advantage| over trained tokens" },
  "attempts/excluded": {
    unit: "share",
    meaning: "attempts whose end was not the policy's doing (cancelled, search failed): not learned from",
  },
  "groups/learned": {
    unit: "groups",
    meaning: "dynamic sampling: groups with different rewards, which were learned from",
  },
  "updates/policy": { unit: "updates", meaning: "optimizer updates of the policy in the step" },
  "updates/critic": { unit: "updates", meaning: "optimizer updates of the critic in the step" },
  "critic/loss": { unit: "reward²", meaning: "mean over the step's updates of half the squared error of values" },
  "critic/explainedVariance": {
    unit: "share",
    meaning:
      "how much of the returns' variance the critic foretold before its update; 1 is all of it, below 0 is worse than a constant",
  },
  "critic/gradNorm": { unit: "norm", meaning: "the critic's global gradient norm before clipping, of the last update" },
  "critic/learningRate": { unit: "rate", meaning: "learning rate of the critic" },
  "kl/coefficient": { unit: "weight", meaning: "β of the KL to the starting policy, where a controller moves it" },
  "ratio/mean": { unit: "ratio", meaning: "mean probability ratio of trained tokens in the step's last update" },
  "ratio/max": { unit: "ratio", meaning: "largest such ratio" },
  "ratio/clipped": {
    unit: "share",
    meaning: "trained tokens whose ratio lies outside the clip range in the last update",
  },
  "kl/sampler": {
    unit: "nats",
    meaning: "k3 divergence per trained token from the policy that sampled, in the last update",
  },
  kl: {
    unit: "nats",
    meaning:
      "divergence per trained token from the starting policy, by algorithm.klEstimator, before the step's first update",
  },
  loss: { unit: "loss", meaning: "summed loss of the step's updates" },
  "loss/perToken": {
    unit: "nats",
    meaning: "supervised training: mean −log p of the step's policy tokens, before its update",
  },
  "loss/validation": {
    unit: "nats",
    meaning: "supervised training: mean −log p of policy tokens in transcripts that were set aside",
  },
  gradNorm: { unit: "norm", meaning: "global gradient norm before clipping, of the last update" },
  learningRate: { unit: "rate", meaning: "learning rate of the step" },
  "watch/learningRateScale": { unit: "ratio", meaning: "what the collapse watch multiplies the learning rate by" },
  "watch/rollbacks": { unit: "roll-backs", meaning: "roll-backs of the collapse watch so far" },
  "watch/diverged": {
    unit: "steps",
    meaning: "1 where the loss or the gradient was no number: nothing was learned from the step",
  },
  "watch/rolledBackTo": {
    unit: "steps",
    meaning: "the step whose policy was put back after this one; absent where the watch did nothing",
  },
  "time/total": { unit: "s", meaning: "training time so far, evaluations left out" },
  "time/step": { unit: "s", meaning: "whole step, without evaluation and checkpoint" },
  "time/rollout": { unit: "s", meaning: "rollouts" },
  "time/train": { unit: "s", meaning: "forward, backward and optimizer" },
  "time/evaluation": { unit: "s", meaning: "evaluation after the step" },
  "time/outsideRuntime": { unit: "share", meaning: "part of the step spent outside the runtime's own calls" },
  "memory/peak": { unit: "MB", meaning: "peak resident memory of the process" },
} as const satisfies Record<string, MetricInfo>;

export type MetricName = keyof typeof metricCatalogue;
export type MetricValues = Partial<Record<MetricName, number>>;

/** One line of `metrics.jsonl`: the state after `step` completed steps. */
export type MetricLine = { step: number } & MetricValues;

/** Metrics that depend on the machine and the moment; all others are the same in every repetition of a run. */
export function isMeasuredTime(name: string): boolean {
  const prefixes = ["time/", "memory/", "search/"];
  return prefixes.some((prefix) => name.startsWith(prefix)) || name === "searches/waitMs";
}
