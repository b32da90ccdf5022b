/** @file One case of the memory bench, in a process of its own: prints what was planned and what was taken at most. */
import { smollm2 } from "../../src/engine/io/smollm2.test-support.js";
import { LocalEngine } from "../../src/policy/local/engine.js";
import type { Datum } from "../../src/types.js";
import type { AskedPrecision } from "../precision.js";
import { tokenRows } from "../smollm2.js";
import { peakBytes } from "./peak.js";

export interface MemoryCase {
  name: string;
  adapt: "lora" | "full";
  microBatchTokens: number;
  recompute: "always" | "never";
  training: boolean;
  /** A value function beside the policy. */
  critic?: boolean;
  /** An entropy bonus. */
  entropy?: boolean;
  /** Of frozen weights. */
  precision?: AskedPrecision;
}

export interface MemoryFigures {
  plannedBytes: number;
  peakBytes: number;
  parts: { name: string; bytes: number }[];
}

const tokensOfRow = 256;
/** A row is a prompt, a turn of the policy and an observation, another observation and another turn. */
const promptTokens = 64;
const turn = 64;
const firstPart = 96;
const secondPart = tokensOfRow - promptTokens - firstPart;
const groupOf = 8;
/** Of a group whose halves have the first turn and what it found in common. */
const treeTokens = promptTokens + 2 * firstPart + groupOf * secondPart;
const sampled = 64;

const { adapt, microBatchTokens, recompute, training, critic, entropy, precision } = JSON.parse(
  process.argv[2],
) as MemoryCase;
const engine = await LocalEngine.open({
  model: smollm2,
  adapt,
  precision,
  threads: 2,
  contextLength: tokensOfRow,
  maxBatch: sampled,
  microBatchTokens,
  recompute,
  critic,
  workload: { training, entropy, rowTokens: tokensOfRow, lossTokens: 2 * turn, groupSize: groupOf },
});

const adam = { learningRate: 1e-5, beta1: 0.9, beta2: 0.95, epsilon: 1e-8, weightDecay: 0, maxGradNorm: 1 };

await sample();
await sample();
if (training) {
  for (let step = 0; step < 2; step++) {
    const data_D = [...groups(), ...alone()];
    await updateCritic(data_D);
    await engine.forwardBackward(data_D, { kind: "ppo", clipLow: 0.2, clipHigh: 0.2 });
    await engine.optimStep(adam);
    await sample();
  }
}
const { totalBytes, parts } = engine.memory;
const figures: MemoryFigures = { plannedBytes: totalBytes, peakBytes: peakBytes(), parts };
process.stdout.write(`${JSON.stringify(figures)}\n`);
await engine.close();

/** Values, and a step towards others. */
async function updateCritic(data_D: readonly Datum[]): Promise<void> {
  if (!engine.critic) return;
  const sequences = data_D.map(({ tokens_T }) => tokens_T);
  const masks_D_T = data_D.map(({ sampledMask_T }) => sampledMask_T);
  const values_D_T = await engine.critic.values(sequences, masks_D_T);
  const targets = data_D.map(({ tokens_T, sampledMask_T }, row) => ({
    tokens_T,
    mask_T: sampledMask_T,
    returns_T: new Float32Array(tokensOfRow).fill(1),
    oldValues_T: values_D_T[row],
    weights_T: new Float32Array(tokensOfRow).fill(1e-3),
  }));
  await engine.critic.forwardBackward(targets, { clip: 0.5 });
  await engine.critic.optimStep(adam);
}

/** Prompts that leave room for a few tokens. */
async function sample(): Promise<void> {
  const prompts = tokenRows(sampled, tokensOfRow - 8, 1);
  await Promise.all(prompts.map((prompt, seed) => engine.sample(prompt, { maxTokens: 8, seed })));
}

/** Groups that fill a micro-batch; where one is more than that, the engine cuts it. */
function groups(): Datum[] {
  const count = Math.max(1, Math.floor(microBatchTokens / treeTokens));
  return Array.from({ length: count }, (_, seed) => group(seed)).flat();
}

/** Attempts behind one prompt, in two halves that begin alike. */
function group(seed: number): Datum[] {
  const [prompt] = tokenRows(1, promptTokens, seed);
  const first = tokenRows(2, firstPart, 10 + seed);
  return tokenRows(groupOf, secondPart, 20 + seed).map((second, attempt) =>
    datum([...prompt, ...first[attempt % 2], ...second]),
  );
}

/** Sequences that share nothing, twice a micro-batch of them. */
function alone(): Datum[] {
  return tokenRows(Math.ceil((2 * microBatchTokens) / tokensOfRow), tokensOfRow, 3).map((tokens_T) => datum(tokens_T));
}

function datum(tokens_T: number[]): Datum {
  return {
    tokens_T,
    sampledMask_T: new Uint8Array(tokensOfRow).fill(1, promptTokens, promptTokens + turn).fill(1, tokensOfRow - turn),
    logprobs_T: new Float32Array(tokensOfRow).fill(-1),
    advantages_T: new Float32Array(tokensOfRow).fill(1e-3),
    ...(entropy ? { entropyWeights_T: new Float32Array(tokensOfRow).fill(1e-3) } : {}),
  };
}
