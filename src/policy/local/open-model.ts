/** @file From a location on disk to a model that trains, all of its weights in memory or an adapter over frozen ones; and the memory planned for it. */
import { availableParallelism } from "node:os";
import { isAdapterFolder, loadAdapterFolder, loadChannelRanges } from "../../engine/io/adapter-folder.js";
import type { ModelSource } from "../../engine/io/tensor-set.js";
import type { TokenizerFiles } from "../../engine/io/tokenizer-files.js";
import { openModel } from "../../engine/io/open-model.js";
import { defaultMemoryLimit } from "../../engine/memory/limit.js";
import { planMemory } from "../../engine/memory/plan.js";
import type { ModelConfig } from "../../engine/model/config.js";
import type { Precision } from "../../engine/model/int8.js";
import { defaultLora, initAdapter, type LoraConfig } from "../../engine/model/lora.js";
import { createParameterStore, parameter, parameterShapes } from "../../engine/model/parameters.js";
import type { EngineModel } from "../../engine/model/weights.js";
import type { RuntimeOptions } from "../../engine/runtime/session.js";
import { UserError } from "../../errors.js";
import { freezeBase } from "./frozen-base.js";
import { adapts, choosePrecision, thisMachine } from "./precision.js";
import type { LocalOptions } from "./protocol.js";
import type { MemoryPlan } from "../../contracts/policy.js";
import { shellWord } from "../../printable.js";

const defaultBatch = 128;
const longestDefaultContext = 4096;
/** Of a sequence, where it is not known how long they will be. */
const usualRow = 512;
const usualGroup = 8;

/** Most tokens of prefix and sample together, and most sequences that are sampled at once. */
type SamplingSizes = Required<Pick<LocalOptions, "contextLength" | "maxBatch">>;

export interface OpenedModel extends SamplingSizes {
  model: EngineModel;
  /** In what frozen weights are multiplied; "float32" where all weights are trained. */
  precision: Precision;
  /** What was found out on the way, a sentence each. */
  notes: readonly string[];
  memory: MemoryPlan;
  tokenizer: TokenizerFiles;
  /** Deletes what was put on disk for the time the model is open. */
  remove(): void;
}

/**
 * Opens the model of `options`: a Hugging Face folder, a `.gguf` file or an adapter folder.
 * @throws UserError when files are missing or damaged or do not fit together, when the adapter asked for is not the folder's, and,
 *   before any weight is read, when there is too little memory; for a precision that cannot be had
 * @param machine what is known of this one
 */
export async function openEngineModel(
  options: LocalOptions,
  machine = thisMachine(runtimeOf(options)),
): Promise<OpenedModel> {
  const { model, continues } = options;
  const isAdapter = isAdapterFolder(model);
  if (isAdapter && options.base === undefined)
    throw new Error(`internal: the base of the adapter ${model} is not given`);
  if (isAdapter && options.adapt === "full") throw adapterInFull(model);
  const source = await openModel(options.base ?? model, isAdapter ? model : undefined);
  const { config, tokenizer } = source;
  const contextLength = contextOf(config, options.contextLength);
  const sizes = { contextLength, maxBatch: options.maxBatch ?? defaultBatch };
  try {
    const found = isAdapter ? await loadAdapterFolder(model, config) : undefined;
    const isAdapted = isAdapter || adapts(options.adapt, config);
    const trainedOn = found && (found.ranges ? "int8" : "float32");
    const chosen = await choosePrecision(
      {
        ...{ asked: options.precision, model, config, isAdapted, trains: options.workload?.training ?? true },
        trainedOnInt8: trainedOn && trainedOn === "int8",
      },
      machine,
    );
    const { precision } = chosen;
    const { lora = defaultLora, seed = 0 } = options;
    const memory = planFor(
      { ...options, precision },
      sizes,
      config,
      isAdapted ? (found?.adapter.lora ?? lora) : undefined,
    );
    const opened = { precision, memory, tokenizer, ...sizes };
    if (!isAdapted) return { ...opened, model: await inMemory(source), notes: chosen.notes, remove: () => {} };
    // What a run goes on with was told when it began.
    const ofCheckpoint = continues === undefined ? undefined : await loadChannelRanges(continues, config);
    const base = await freezeBase(source, found?.adapter ?? initAdapter(config, lora, seed), {
      precision,
      texts: options.calibration,
      ranges: ofCheckpoint ?? found?.ranges,
      trainedOn: continues === undefined ? trainedOn : undefined,
      runtime: runtimeOf(options),
    });
    return { ...opened, ...base, notes: [...chosen.notes, ...base.notes] };
  } finally {
    await source.close();
  }
}

/** Most tokens of prefix and sample together, in a model of such a shape. */
export function contextOf({ maxPositions }: Pick<ModelConfig, "maxPositions">, asked = longestDefaultContext): number {
  return Math.min(maxPositions, asked);
}

async function inMemory(source: ModelSource): Promise<EngineModel> {
  const trainable = createParameterStore(parameterShapes(source.config));
  for (const { name } of trainable.shapes) await source.read(name, parameter(trainable, name));
  return { config: source.config, trainable };
}

/** How sessions compute. */
export function runtimeOf({ threads, provider }: Pick<LocalOptions, "threads" | "provider">): RuntimeOptions {
  return { threads: threads ?? Math.min(8, availableParallelism()), provider: provider ?? "cpu" };
}

function adapterInFull(folder: string): UserError {
  return new UserError(
    `${folder} is an adapter, but all weights are to be trained (model.adapt=full). Merge it into its base first ` +
      `(sleuth export ${shellWord(folder)} --as merged --out FOLDER) and train FOLDER, or leave model.adapt at auto.`,
  );
}

/**
 * The plan for a model that is about to be read.
 * @throws UserError when there is too little memory for it
 */
function planFor(
  options: LocalOptions,
  { contextLength, maxBatch }: SamplingSizes,
  config: ModelConfig,
  lora?: LoraConfig,
): MemoryPlan {
  const { workload = {} } = options;
  const rowTokens = Math.min(contextLength, workload.rowTokens ?? usualRow);
  return planMemory({
    config,
    lora,
    precision: options.precision === "int8" ? "int8" : "float32",
    sampling: workload.sampling ?? true,
    training: workload.training ?? true,
    logprobs: workload.logprobs ?? "never",
    rowTokens,
    lossTokens: Math.min(rowTokens, workload.lossTokens ?? rowTokens),
    groupSize: workload.groupSize ?? usualGroup,
    critic: options.critic ?? workload.critic ?? false,
    entropy: workload.entropy ?? false,
    contextLength,
    maxBatch,
    heldBytes: process.memoryUsage.rss(),
    limitBytes: options.memoryBytes ?? defaultMemoryLimit(),
    recompute: options.recompute ?? "auto",
    microBatchTokens: options.microBatchTokens,
    cacheBytes: options.cacheBytes,
  });
}
