/** @file One whole GRPO step with a search turn, on both sides: the same prompts, observations and numbers of tokens. */
import type * as Losses from "../../src/algorithms/losses.js";
import type * as Make from "../../src/algorithms/make.js";
import type * as Local from "../../src/policy/local/local.js";
import type { Policy } from "../../src/contracts/policy.js";
import type { Group, Trajectory } from "../../src/types.js";
import { ofCheckout } from "../of-checkout.js";
import { lora, runtime, timed, tokenRows } from "../smollm2.js";
import type { Peer } from "./process.js";

const { isEngineLoss } = await ofCheckout<typeof Losses>("algorithms/losses");
const { makeAlgorithm } = await ofCheckout<typeof Make>("algorithms/make");
const { createLocalPolicy } = await ofCheckout<typeof Local>("policy/local/local");

/** The work of one step; an adapter is trained on both sides. */
export interface StepWork {
  prompts: number;
  group: number;
  promptTokens: number;
  turnTokens: number;
  observationTokens: number;
  /** Rows of the peer's micro-batch. */
  peerMicroBatch: number;
}

export const wholeStep: StepWork = {
  prompts: 16,
  group: 8,
  promptTokens: 170,
  turnTokens: 64,
  observationTokens: 200,
  peerMicroBatch: 8,
};

export const quickStep: StepWork = {
  prompts: 2,
  group: 2,
  promptTokens: 20,
  turnTokens: 4,
  observationTokens: 10,
  peerMicroBatch: 2,
};

/** Keys and values of the whole step's rows to their end take 2.9 GB. */
const peerCacheBytes = 4 * 2 ** 30;

const promptsOf = (work: StepWork): number[][] => tokenRows(work.prompts, work.promptTokens);
const observationsOf = (work: StepWork): number[][] => tokenRows(work.prompts, work.observationTokens, 31);

/** Seconds of one step, and of its two parts. */
export interface StepTime {
  seconds: number;
  sampling: number;
}

/**
 * Opens a policy with a fresh adapter and takes steps with it, of one shape or several.
 * @param options of the policy, beside those of the step itself
 */
export async function openOurSteps(
  model: string,
  options: Pick<Local.LocalOptions, "precision" | "microBatchTokens" | "recompute">,
): Promise<{ step(work: StepWork): Promise<StepTime>; close(): Promise<void> }> {
  const policy = await createLocalPolicy({
    model,
    adapt: "lora",
    lora,
    threads: runtime.threads,
    contextLength: 512,
    cacheBytes: peerCacheBytes,
    ...options,
  });
  let seed = 0;
  return {
    async step(work) {
      let sampling = 0;
      const seconds = await timed(async () => {
        const groups: Group[] = [];
        sampling = await timed(async () => groups.push(...(await rollOut(policy, work, seed++))));
        await update(policy, groups);
      });
      return { seconds, sampling };
    },
    close: () => policy.close(),
  };
}

async function rollOut(policy: Policy, work: StepWork, seed: number): Promise<Group[]> {
  const observations = observationsOf(work);
  const members = Array.from({ length: work.group }, (_, member) => member);
  return Promise.all(
    promptsOf(work).map(async (prompt_T, index) => {
      const first = (seed * work.prompts + index) * work.group;
      const attempts = members.map((member) =>
        attempt(policy, { prompt_T, seen_T: observations[index], maxTokens: work.turnTokens, seed: first + member }),
      );
      return {
        question: { id: `${index}`, question: "", answers: [""] },
        trajectories_G: await Promise.all(attempts),
        rewards_G: members.map((member) => member % 2),
      };
    }),
  );
}

interface Attempt {
  prompt_T: number[];
  /** The observation between the turns. */
  seen_T: number[];
  /** Of a turn. */
  maxTokens: number;
  seed: number;
}

/** Two turns with an observation between them, whatever the policy writes: no stop condition, so every turn is whole. */
async function attempt(policy: Policy, { prompt_T, seen_T, maxTokens, seed }: Attempt): Promise<Trajectory> {
  const first = await policy.sample(prompt_T, { maxTokens, seed });
  const second = await policy.sample([...prompt_T, ...first.tokens_T, ...seen_T], { maxTokens, seed });
  if (first.tokens_T.length + second.tokens_T.length !== 2 * maxTokens) throw new Error("internal: a turn ended early");
  return {
    questionId: "",
    segments: [
      { role: "prompt", tokens_T: prompt_T },
      { role: "policy", tokens_T: first.tokens_T, logprobs_T: first.logprobs_T },
      { role: "environment", tokens_T: seen_T },
      { role: "policy", tokens_T: second.tokens_T, logprobs_T: second.logprobs_T },
    ],
    searches: [],
    answer: null,
    finishReason: "answered",
    texts: [],
    timing: { policyMs: 0, searchMs: 0 },
  };
}

async function update(policy: Policy, groups: readonly Group[]): Promise<void> {
  const algorithm = makeAlgorithm("grpo");
  const { rows, state } = algorithm.advantages(algorithm.rows(groups), algorithm.initialState());
  const { loss } = algorithm.objective(state);
  if (!isEngineLoss(loss)) throw new Error("internal: GRPO's loss is one that the engine computes");
  await policy.forwardBackward(algorithm.makeData(rows, state).data_D, loss);
  await policy.optimStep({
    learningRate: 1e-5,
    beta1: 0.9,
    beta2: 0.999,
    epsilon: 1e-8,
    weightDecay: 0,
    maxGradNorm: 1,
  });
}

/** The same step by TRL's GRPOTrainer (see `grpo.py`). */
export async function peerStep(peer: Peer, work: StepWork): Promise<StepTime> {
  const { seconds, generate } = await peer.ask<{ seconds: number; generate: number }>("grpoStep", {
    prompts: promptsOf(work),
    observations: observationsOf(work),
    group: work.group,
    turn_tokens: work.turnTokens,
    micro_batch: work.peerMicroBatch,
    lora: { r: lora.rank, lora_alpha: lora.alpha },
  });
  return { seconds, sampling: generate };
}
