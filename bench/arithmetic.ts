/**
 * @file The arithmetic between rollouts and gradients: rewards, rows, advantages, data, losses with their gradients. One step of 512 trajectories
 * of 4,096 tokens, under every named algorithm; nothing of a model runs.
 */
import type { Algorithm } from "../src/algorithms/algorithm.js";
import { algorithmNames } from "../src/algorithms/named.js";
import { makeAlgorithm } from "../src/algorithms/make.js";
import { objectiveGradient } from "../src/algorithms/objective.js";
import { ratioStats } from "../src/algorithms/ratio-stats.js";
import { protocolNamed } from "../src/prompts/protocol.js";
import { exactMatch } from "../src/rewards/answers.js";
import { formatReward } from "../src/rewards/format.js";
import type { Group, Question, Segment, Trajectory } from "../src/types.js";
import type { BenchGroup } from "./bench.js";

interface Work {
  questions: number;
  group: number;
  /** Of the policy, with an observation between each and the next. */
  turns: number;
  turnTokens: number;
  observationTokens: number;
  promptTokens: number;
}

/** 64 × 8 trajectories of 256 + 5 × 512 + 4 × 320 = 4,096 tokens. */
const whole: Work = {
  questions: 64,
  group: 8,
  turns: 5,
  turnTokens: 512,
  observationTokens: 320,
  promptTokens: 256,
};
const quick: Work = { ...whole, questions: 2 };
const rounds = 5;

const format = formatReward(protocolNamed("search-r1"));
/** Exact match with a share for form. */
const reward = (question: Question, trajectory: Trajectory): number =>
  0.8 * exactMatch(question, trajectory) + 0.2 * format(question, trajectory);
const words = "the river that runs through the old capital of the northern province ".repeat(20);

export const bench: BenchGroup = (context) => {
  const work = context.quick ? quick : whole;
  const groups = groupsOf(work);
  const current = currentLogprobs(groups);
  const seconds = Object.fromEntries(algorithmNames.map((name) => [name, bestOf(() => step(name, groups, current))]));
  for (const name of algorithmNames) context.report({ name: `rl.arithmetic.${name}`, value: seconds[name], unit: "s" });
  context.report({ name: "rl.arithmetic", value: Math.max(...Object.values(seconds)), unit: "s" });
  return Promise.resolve();
};

/** The best of a few rounds: the first ones warm the compiler up. */
function bestOf(round: () => number): number {
  return Math.min(...Array.from({ length: rounds }, round));
}

/** Seconds of one step, without what a policy and a critic would compute. */
function step(
  name: (typeof algorithmNames)[number],
  groups: readonly Group[],
  current: readonly Float32Array[],
): number {
  const algorithm = makeAlgorithm(name);
  const state = algorithm.initialState();
  const evidence = evidenceOf(algorithm, current);
  const started = performance.now();
  const scored = groups.map((group) => ({
    ...group,
    rewards_G: group.trajectories_G.map((trajectory) => reward(group.question, trajectory)),
  }));
  const batch = algorithm.rows(scored);
  const rows = batch.rows.map((row, d) => ({ ...row, ...evidence[d] }));
  const advantages = algorithm.advantages({ ...batch, rows }, state);
  const made = algorithm.makeData(advantages.rows, advantages.state);
  const objective = algorithm.objective(advantages.state);
  const { loss } = objectiveGradient(objective, made, current.slice(0, made.data_D.length));
  ratioStats(made.data_D, current.slice(0, made.data_D.length), objective.loss);
  const took = (performance.now() - started) / 1000;
  if (!Number.isFinite(loss) || made.data_D.length === 0) throw new Error(`internal: ${name} has no loss to compute`);
  return took;
}

/** What the policy says now, a little off what it sampled. */
function currentLogprobs(groups: readonly Group[]): Float32Array[] {
  return groups.flatMap(({ trajectories_G }) =>
    trajectories_G.map(({ segments }, d) => {
      const length = segments.reduce((sum, { tokens_T }) => sum + tokens_T.length, 0);
      return Float32Array.from({ length }, (_, t) => -0.7 + 0.3 * Math.sin(t + d));
    }),
  );
}

function evidenceOf({ needs }: Algorithm, current: readonly Float32Array[]) {
  return current.map((logprobs_T) => ({
    ...(needs.reference ? { referenceLogprobs_T: logprobs_T.map((logprob) => logprob - 0.05) } : {}),
    ...(needs.values ? { values_T: new Float32Array(logprobs_T.length).fill(0.4) } : {}),
  }));
}

function groupsOf(work: Work): Group[] {
  return Array.from({ length: work.questions }, (_, index) => ({
    question: { id: `q_${index}`, question: "Which river?", answers: ["The Dudh Kosi", "Dudh Kosi"] },
    trajectories_G: Array.from({ length: work.group }, (_, member) => trajectoryOf(work, index * work.group + member)),
    rewards_G: [],
  }));
}

/** Every other attempt is right, every third is not well formed. */
function trajectoryOf(work: Work, seed: number): Trajectory {
  const tokens = (length: number): number[] => Array.from({ length }, (_, t) => (seed * 31 + t * 7) % 32_000);
  const segments: Segment[] = [{ role: "prompt", tokens_T: tokens(work.promptTokens) }];
  const texts = [words];
  const answer = seed % 2 === 0 ? "the Dudh Kosi" : "the Karnali";
  for (let turn = 0; turn < work.turns; turn++) {
    const tokens_T = tokens(work.turnTokens);
    segments.push({ role: "policy", tokens_T, logprobs_T: tokens_T.map((_, t) => -0.7 + 0.3 * Math.sin(t + 0.1)) });
    const isLast = turn === work.turns - 1;
    const act = isLast ? `<answer>${answer}</answer>` : `<search>${words.slice(0, 60)}</search>`;
    texts.push(seed % 3 === 0 ? act : `<think>${words}</think>\n${act}`);
    if (isLast) continue;
    segments.push({ role: "environment", tokens_T: tokens(work.observationTokens) });
    texts.push(`\n\n<information>${words}</information>\n\n`);
  }
  return {
    questionId: `q_${seed}`,
    segments,
    searches: [],
    answer,
    finishReason: "answered",
    texts,
    timing: { policyMs: 0, searchMs: 0 },
  };
}
