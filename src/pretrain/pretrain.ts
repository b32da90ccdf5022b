/** @file Stage 0: makes the built-in world's tokenizer and base model, from random weights and pretraining text alone. */
import { existsSync } from "node:fs";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import path from "node:path";
import { z } from "zod";
import { buildAtlas, type Atlas } from "../data/atlas/atlas.js";
import { balancedSample, type AtlasQuestion } from "../data/atlas/questions.js";
import { saveModelFolder } from "../engine/io/model-folder.js";
import type { TokenizerJson } from "../engine/io/train-bpe.js";
import type { ModelConfig } from "../engine/model/config.js";
import { initParameters } from "../engine/model/parameters.js";
import { UserError } from "../errors.js";
import type { Policy } from "../contracts/policy.js";
import type { Datum } from "../types.js";
import { recoverFolder, removeUnfinished, writeError, replaceFolder } from "../files/durable.js";
import { readJsonAs } from "../files/json-file.js";
import { takeLock } from "../files/lock.js";
import { manifestProblem, writeManifest } from "../files/manifest.js";
import { checkBase, type BaseCheck } from "./check.js";
import { atlasSpecialTokens, atlasTokenizerJson, endToken, padToken, PretrainStream } from "./data.js";

interface PretrainSettings {
  /** The shape of the model; the rest of its configuration is fixed (Llama, tied embeddings, no biases). */
  shape: Pick<
    ModelConfig,
    "hiddenSize" | "intermediateSize" | "layers" | "heads" | "kvHeads" | "headDim" | "maxPositions"
  >;
  /** Entries of the tokenizer. */
  vocabSize: number;
  /** Tokens to train on, in all. */
  tokens: number;
  /** Tokens per optimizer step. */
  batchTokens: number;
  /** Peak learning rate of AdamW. */
  learningRate: number;
  warmupSteps: number;
  /** The learning rate is constant up to this share of the tokens, then falls linearly to `finalShare` of its peak. */
  constantShare: number;
  finalShare: number;
  /** Decides the initial weights and the text. */
  seed: number;
  /** The world whose training countries may be read. */
  worldSeed: number;
}

export const defaultPretrainSettings: PretrainSettings = {
  shape: { hiddenSize: 128, intermediateSize: 352, layers: 4, heads: 4, kvHeads: 2, headDim: 32, maxPositions: 512 },
  vocabSize: 1280,
  tokens: 20_000_000,
  batchTokens: 2_400,
  learningRate: 2.5e-3,
  warmupSteps: 60,
  constantShare: 0.5,
  finalShare: 0.03,
  seed: 0,
  worldSeed: 0,
};

export type PretrainEvent =
  | { kind: "started"; parameters: number; resumedAt: PretrainState | null }
  | { kind: "step"; state: PretrainState; loss: number; learningRate: number; gradNorm: number }
  /** Measured on validation questions. */
  | { kind: "check"; state: PretrainState; check: BaseCheck }
  | { kind: "saved"; state: PretrainState; folder: string };

export interface PretrainOptions {
  /** Where everything goes: `start/` (random weights), `checkpoint/`, and in the end `model/`. */
  folder: string;
  /** Opens a model folder for training. */
  makePolicy: (folder: string) => Promise<Policy>;
  settings?: Partial<PretrainSettings>;
  /** Steps between two checks. Default 250. */
  checkEvery?: number;
  /** Steps between two checkpoints. Default 500. */
  saveEvery?: number;
  onEvent?: (event: PretrainEvent) => void;
  /** Stops after the step under way; a checkpoint is written, and the same call goes on from there. */
  signal?: AbortSignal;
}

/** How far a run is. With the settings it determines what comes next: the text is a function of the sequence's number. */
interface PretrainState {
  step: number;
  tokens: number;
  sequences: number;
}

const count = z.int().nonnegative();
const stateSchema: z.ZodType<PretrainState> = z.object({ step: count, tokens: count, sequences: count });

interface PretrainResult {
  /** The finished model; null when the run was stopped. */
  modelFolder: string | null;
  state: PretrainState;
  check: BaseCheck;
}

/**
 * Trains the base model, or goes on with an interrupted run in the same folder.
 * @throws UserError when the folder holds a run with other settings, or a damaged one, is in use, or cannot be written
 */
export async function pretrain(options: PretrainOptions): Promise<PretrainResult> {
  const lock = path.join(options.folder, "lock");
  const unlock = await takeLock(
    lock,
    ({ pid, host }) =>
      new UserError(
        `${options.folder} is being written by process ${pid} on ${host}. Wait for it, stop it, or choose another folder. ` +
          `If that process is surely gone, delete ${lock}.`,
      ),
  ).catch((error: unknown) => {
    throw writeError(options.folder, error, "Choose another folder, then run the same command again.");
  });
  try {
    return await pretrainLocked(options);
  } finally {
    await unlock();
  }
}

async function pretrainLocked(options: PretrainOptions): Promise<PretrainResult> {
  const settings: PretrainSettings = { ...defaultPretrainSettings, ...options.settings };
  const { folder, onEvent = () => undefined } = options;
  const world = buildAtlas({ seed: settings.worldSeed });
  const tokenizer = await prepare(folder, world, settings);
  const checkpoint = path.join(folder, "checkpoint");
  const policy = await options.makePolicy(path.join(folder, "start"));
  try {
    const resumed = await resume(policy, checkpoint);
    const run: PretrainRun = {
      policy,
      world,
      settings,
      stream: new PretrainStream(world, policy.tokenizer, Object.keys(tokenizer.model.vocab), settings.seed),
      probes: balancedSample(world.questions.validation, 60, settings.seed),
      checkpoint,
      onEvent,
      checkEvery: options.checkEvery ?? 250,
      saveEvery: options.saveEvery ?? 500,
      signal: options.signal,
    };
    onEvent({
      kind: "started",
      parameters: initParameters(modelConfig(settings, tokenizer), 0).flat.length,
      resumedAt: resumed,
    });
    const state = await loop(run, resumed ?? { step: 0, tokens: 0, sequences: 0 });
    const check = await checkBase(policy, world, run.probes);
    if (state.tokens < settings.tokens) return { modelFolder: null, state, check };
    const modelFolder = path.join(folder, "model");
    await replaceFolder(modelFolder, (temporary) => policy.save(temporary, { optimizer: false })).catch(
      (error: unknown) => {
        throw writeError(
          modelFolder,
          error,
          "Make room, then run the same command again: only this last step is repeated.",
        );
      },
    );
    return { modelFolder, state, check };
  } finally {
    await policy.close();
  }
}

interface PretrainRun {
  policy: Policy;
  world: Atlas;
  settings: PretrainSettings;
  stream: PretrainStream;
  probes: readonly AtlasQuestion[];
  checkpoint: string;
  onEvent: (event: PretrainEvent) => void;
  checkEvery: number;
  saveEvery: number;
  signal: AbortSignal | undefined;
}

async function loop(run: PretrainRun, start: PretrainState): Promise<PretrainState> {
  const { policy, settings, onEvent, signal } = run;
  let state = start;
  let saved = start.step;
  while (state.tokens < settings.tokens && !signal?.aborted) {
    const batch = drawBatch(run.stream, state, settings);
    const learningRate = pretrainRate(state, settings);
    const { loss } = await policy.forwardBackward(batch.data_D, { kind: "cross_entropy" });
    const { gradNorm } = await policy.optimStep({
      learningRate,
      beta1: 0.9,
      beta2: 0.98,
      epsilon: 1e-8,
      weightDecay: 0.05,
      maxGradNorm: 1,
    });
    state = {
      step: state.step + 1,
      tokens: state.tokens + batch.tokens,
      sequences: state.sequences + batch.data_D.length,
    };
    onEvent({ kind: "step", state, loss, learningRate, gradNorm });
    if (state.step % run.checkEvery === 0) {
      onEvent({ kind: "check", state, check: await checkBase(policy, run.world, run.probes) });
    }
    if (state.step % run.saveEvery === 0) {
      await save(run, state);
      saved = state.step;
    }
  }
  if (state.step > saved) await save(run, state);
  return state;
}

/** The next sequences, `batchTokens` tokens of them; their weights add up to 1, so that the summed loss is a mean. */
function drawBatch(stream: PretrainStream, state: PretrainState, settings: PretrainSettings) {
  const data_D: Datum[] = [];
  let tokens = 0;
  let weight = 0;
  while (tokens < settings.batchTokens) {
    const datum = stream.datum(state.sequences + data_D.length, state.tokens / settings.tokens);
    data_D.push(datum);
    tokens += datum.tokens_T.length;
    for (const value of datum.weights_T ?? []) weight += value;
  }
  for (const { weights_T } of data_D) weights_T?.forEach((value, index) => (weights_T[index] = value / weight));
  return { data_D, tokens };
}

/** Warm-up, constant, then linear decay, as a function of how far the run is. */
export function pretrainRate(state: PretrainState, settings: PretrainSettings): number {
  const { learningRate, warmupSteps, constantShare, finalShare } = settings;
  const progress = Math.min(1, state.tokens / settings.tokens);
  const warm = Math.min(1, (state.step + 1) / Math.max(1, warmupSteps));
  const remaining = progress <= constantShare ? 1 : (1 - progress) / (1 - constantShare);
  return learningRate * warm * (finalShare + (1 - finalShare) * remaining);
}

function modelConfig(settings: PretrainSettings, tokenizer: TokenizerJson): ModelConfig {
  return {
    modelType: "llama",
    ...settings.shape,
    vocabSize: Object.keys(tokenizer.model.vocab).length,
    rmsNormEps: 1e-5,
    ropeTheta: 10_000,
    tieWordEmbeddings: true,
    attentionBias: false,
    qkNorm: false,
    eosTokenIds: [atlasSpecialTokens.indexOf(endToken)],
  };
}

/** Writes `settings.json` and `start/`, or checks that those of an earlier start are the same. */
async function prepare(folder: string, world: Atlas, settings: PretrainSettings): Promise<TokenizerJson> {
  const start = path.join(folder, "start");
  const written = JSON.stringify(settings, null, 2) + "\n";
  if (existsSync(start)) {
    const earlier = await readFile(path.join(start, "pretrain.json"), "utf8").catch(() => "");
    if (earlier !== written) {
      throw new UserError(
        `${folder} holds a pretraining run with other settings. Name another folder, delete this one, or use the settings in ${path.join(start, "pretrain.json")}.`,
      );
    }
    const schema = z.looseObject({ model: z.looseObject({ vocab: z.record(z.string(), z.int()) }) });
    const file = path.join(start, "tokenizer.json");
    return (await readJsonAs(file, schema, `Delete ${folder} to begin anew.`)) as unknown as TokenizerJson;
  }
  const tokenizer = atlasTokenizerJson(world, settings.vocabSize);
  const config = modelConfig(settings, tokenizer);
  try {
    await mkdir(folder, { recursive: true });
    await replaceFolder(start, async (temporary) => {
      await writeFile(path.join(temporary, "tokenizer.json"), JSON.stringify(tokenizer, null, 1) + "\n");
      await writeFile(path.join(temporary, "tokenizer_config.json"), tokenizerConfig());
      await writeFile(path.join(temporary, "pretrain.json"), written);
      await saveModelFolder(temporary, {
        config,
        parameters: initParameters(config, settings.seed),
        tokenizerFrom: temporary,
      });
    });
  } catch (error) {
    throw writeError(start, error, "Make room or choose another folder, then run the same command again.");
  }
  return tokenizer;
}

function tokenizerConfig(): string {
  const config = {
    tokenizer_class: "PreTrainedTokenizerFast",
    eos_token: endToken,
    pad_token: padToken,
    model_max_length: 512,
  };
  return JSON.stringify(config, null, 2) + "\n";
}

async function save(run: PretrainRun, state: PretrainState): Promise<void> {
  try {
    await replaceFolder(run.checkpoint, async (temporary) => {
      await run.policy.save(path.join(temporary, "policy"), { optimizer: true });
      await writeFile(path.join(temporary, "state.json"), JSON.stringify(state) + "\n");
      await writeManifest(temporary);
    });
  } catch (error) {
    throw writeError(
      run.checkpoint,
      error,
      "The checkpoint before it is intact: make room, then run the same command again.",
    );
  }
  run.onEvent({ kind: "saved", state, folder: run.checkpoint });
}

/** Loads the checkpoint of an interrupted run, if there is one. */
async function resume(policy: Policy, checkpoint: string): Promise<PretrainState | null> {
  await removeUnfinished(path.dirname(checkpoint));
  await recoverFolder(checkpoint);
  if (!existsSync(checkpoint)) return null;
  const problem = await manifestProblem(checkpoint);
  if (problem) {
    throw new UserError(`The checkpoint ${checkpoint} is damaged: ${problem}. Delete it to begin anew.`);
  }
  await policy.load(path.join(checkpoint, "policy"));
  return readJsonAs(path.join(checkpoint, "state.json"), stateSchema, `Delete ${checkpoint} to begin anew.`);
}
