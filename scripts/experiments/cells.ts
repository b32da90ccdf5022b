/**
 * @file The grid: every way of training that a table shows, as settings over those that all share. A cell is one of them with one
 * seed; where tables share a cell, it is run once.
 */

/** What `sleuth train` is told in every cell; a variant's own settings come after these and win. */
export const shared: readonly string[] = [
  "model.folder=atlas-base",
  "rollout.protocol=atlas",
  "search.engine=bm25",
  "search.topK=1",
  "rollout.maxSearches=4",
  "rollout.maxTokensPerTurn=64",
  // All that the base can attend to; five passages need the room, one never does.
  "rollout.maxTokens=512",
  "rollout.maxObservationTokens=224",
  "algorithm.name=grpo",
  "algorithm.groupSize=8",
  "algorithm.clip=0.2",
  "algorithm.kl=0",
  "optimizer.learningRate=3e-4",
  "optimizer.warmupSteps=3",
  // 120 attempts a step: whole groups of 1, 3, 5 and 8.
  "train.steps=30",
  "train.questionsPerStep=15",
  "train.evalEvery=5",
  "train.evalSize=100",
  "train.testSize=300",
  "train.evalModes=both",
  "train.keepBest=average",
  "train.checkpointEvery=10",
  "train.keepCheckpoints=1",
  "train.saveTrajectories=0",
  // A collapse is to be seen here, not mended.
  "watch.action=warn",
  "run.threads=1",
];

/** What `sleuth sft` is told before a variant with a warm start. */
const warmUpShared: readonly string[] = [
  "model.folder=atlas-base",
  "rollout.protocol=atlas",
  "rollout.maxTokens=512",
  "rollout.maxObservationTokens=224",
  // A third search is for reinforcement to find, as from the base.
  "data.maxHops=2",
  "sft.transcripts=atlas",
  "sft.count=320",
  "sft.epochs=3",
  "sft.batch=8",
  "sft.learningRate=1e-3",
  "run.threads=1",
];

/** A short supervised warm-up, one per seed. */
export interface WarmUp {
  name: string;
  settings: readonly string[];
  /** Expected CPU seconds; they only weigh the time left. */
  cost: number;
}

export interface Variant {
  /** Of its runs' folders, and for `--only`. */
  name: string;
  /** In tables. */
  title: string;
  /** What differs from `shared`. */
  settings: readonly string[];
  /** Trains the warm-up's model instead of the base. */
  warmUp?: WarmUp;
  /** Expected CPU seconds of one seed. */
  cost: number;
}

export const seeds: readonly number[] = [0, 1, 2, 3, 4];

const warmUpTop = (topK: number, cost: number): WarmUp => ({
  name: `warm-up-top-${topK}`,
  // With five passages the world gives about 150 transcripts of two searches: half of what is asked for.
  settings: [...warmUpShared, `search.topK=${topK}`, ...(topK === 5 ? ["sft.count=288"] : [])],
  cost,
});
const oneEach = warmUpTop(1, 13);

/** Far faster than the rest, and not slowing down: what falls, falls here. */
const hot: readonly string[] = ["optimizer.learningRate=2e-3", "optimizer.schedule=constant"];

const groups = (size: number): string[] => [
  `algorithm.groupSize=${size}`,
  `train.questionsPerStep=${attemptsPerStep / size}`,
];
const attemptsPerStep = 120;

// The critic is as small as the policy and learns as fast.
const ppo = ["algorithm.name=ppo", "critic.learningRate=5e-4"];

export const variants = [
  { name: "grpo", title: "GRPO", settings: [], cost: 50 },
  { name: "ppo", title: "PPO", settings: ppo, cost: 78 },
  { name: "reinforce", title: "REINFORCE, running mean as baseline", settings: ["algorithm.name=reinforce"], cost: 52 },
  { name: "rloo", title: "RLOO", settings: ["algorithm.name=rloo"], cost: 52 },
  { name: "reinforce++", title: "REINFORCE++", settings: ["algorithm.name=reinforce++"], cost: 52 },
  { name: "grpo-hot", title: "GRPO, fast", settings: hot, cost: 55 },
  { name: "ppo-hot", title: "PPO, fast", settings: [...ppo, ...hot, "critic.learningRate=2e-3"], cost: 85 },
  { name: "reinforce-hot", title: "REINFORCE, fast", settings: ["algorithm.name=reinforce", ...hot], cost: 55 },
  { name: "grpo-no-mask", title: "GRPO, no mask", settings: ["algorithm.maskRetrieved=false"], cost: 52 },
  {
    name: "ppo-no-mask",
    title: "PPO, no mask",
    settings: [...ppo, "algorithm.maskRetrieved=false"],
    cost: 85,
  },
  {
    name: "group-1",
    title: "group of 1, raw reward (the papers' REINFORCE)",
    settings: [...groups(1), "faithful.groupOfOne=true"],
    cost: 55,
  },
  { name: "group-3", title: "groups of 3", settings: groups(3), cost: 50 },
  { name: "group-5", title: "groups of 5", settings: groups(5), cost: 50 },
  { name: "top-3", title: "top 3, from the base", settings: ["search.topK=3"], cost: 35 },
  { name: "top-5", title: "top 5, from the base", settings: ["search.topK=5"], cost: 35 },
  { name: "warm", title: "top 1, warm-started", settings: [], warmUp: oneEach, cost: 75 },
  { name: "warm-top-3", title: "top 3, warm-started", settings: ["search.topK=3"], warmUp: warmUpTop(3, 18), cost: 85 },
  { name: "warm-top-5", title: "top 5, warm-started", settings: ["search.topK=5"], warmUp: warmUpTop(5, 22), cost: 95 },
  {
    name: "format",
    title: "EM + format (λ = 0.2)",
    settings: ['reward.weights={"search-r1-format":1}'],
    cost: 26,
  },
  {
    name: "format-small",
    title: "EM + format (0.05)",
    settings: ['reward.weights={"exact-match":1,"format":0.05}'],
    cost: 25,
  },
  {
    name: "warm-format",
    title: "EM + format (λ = 0.2), warm-started",
    settings: ['reward.weights={"search-r1-format":1}'],
    warmUp: oneEach,
    cost: 75,
  },
  {
    name: "retrieval",
    title: "EM + retrieval (0.2)",
    settings: ['reward.weights={"exact-match":1,"retrieval":0.2}'],
    cost: 50,
  },
  { name: "no-search", title: "no search (R1)", settings: ["search.engine=none"], cost: 17 },
  {
    name: "rag",
    title: "RAG: one search with the question, then the answer",
    settings: ["rollout.context=question", "rollout.maxSearches=0"],
    cost: 30,
  },
  { name: "random", title: "random passages", settings: ["search.engine=random"], cost: 27 },
  { name: "empty", title: "empty results", settings: ["search.engine=empty"], cost: 27 },
] as const satisfies readonly Variant[];

export type VariantName = (typeof variants)[number]["name"];

export function variantOf(name: VariantName): Variant {
  return variants.find((variant) => variant.name === name) as Variant;
}
