/** @file From a location on disk to a model that trains, all of its weights in memory or an adapter over frozen ones; and the memory planned for it. */
import { availableParallelism } from "node:os";
import { isAdapterFolder, loadAdapterFolder } from "../../engine/io/adapter-folder.js";
import { freezeWeights, type FrozenWeights } from "../../engine/io/frozen-weights.js";
import { tokenizerFromFiles } from "../../engine/io/tokenizer.js";
import { measureChannelRanges } from "../../engine/int8/channel-ranges.js";
import { usualTexts } from "../../engine/int8/usual-texts.js";
import type { ModelSource } from "../../engine/io/tensor-set.js";
import type { TokenizerFiles } from "../../engine/io/tokenizer-files.js";
import { openModel } from "../../engine/io/open-model.js";
import { defaultMemoryLimit } from "../../engine/memory/limit.js";
import { planMemory } from "../../engine/memory/plan.js";
import type { ModelConfig } from "../../engine/model/config.js";
import { defaultLora, initAdapter, type Adapter, type LoraConfig } from "../../engine/model/lora.js";
import { createParameterStore, elementCount, parameter, parameterShapes } from "../../engine/model/parameters.js";
import type { ChannelRanges } from "../../engine/model/int8.js";
import type { EngineModel } from "../../engine/model/weights.js";
import type { RuntimeOptions } from "../../engine/runtime/session.js";
import { UserError } from "../../errors.js";
import type { LocalOptions } from "./protocol.js";
import type { MemoryPlan } from "../../contracts/policy.js";
import { shellWord } from "../../printable.js";

const defaultBatch = 128;
const longestDefaultContext = 4096;
/** Of a sequence, where it is not known how long they will be. */
const usualRow = 512;
const usualGroup = 8;

/** Below this many parameters all of them are trained, unless something else is asked for. */
const small = 20_000_000;

/** Most tokens of prefix and sample together, and most sequences that are sampled at once. */
type SamplingSizes = Required<Pick<LocalOptions, "contextLength" | "maxBatch">>;

export interface OpenedModel extends SamplingSizes {
  model: EngineModel;
  /** In what frozen weights are multiplied; "float32" where all weights are trained. */
  precision: "int8" | "float32";
  memory: MemoryPlan;
  tokenizer: TokenizerFiles;
  /** Deletes what was put on disk for the time the model is open. */
  remove(): void;
}

/**
 * Opens the model of `options`: a Hugging Face folder, a `.gguf` file or an adapter folder.
 * @throws UserError when files are missing or damaged or do not fit together, when the adapter asked for is not the folder's, and,
 *   before any weight is read, when there is too little memory
 */
export async function openEngineModel(options: LocalOptions): Promise<OpenedModel> {
  const isAdapter = isAdapterFolder(options.model);
  if (isAdapter && options.base === undefined)
    throw new Error(`internal: the base of the adapter ${options.model} is not given`);
  const source = await openModel(options.base ?? options.model, isAdapter ? options.model : undefined);
  const { config } = source;
  const contextLength = contextOf(config, options.contextLength);
  const sizes = { contextLength, maxBatch: options.maxBatch ?? defaultBatch };
  const precision = options.precision === "int8" ? "int8" : "float32";
  try {
    if (isAdapter) {
      if (options.adapt === "full") throw adapterInFull(options.model);
      const { adapter, ranges } = await loadAdapterFolder(options.model, config);
      const memory = planFor(options, sizes, config, adapter.lora);
      return { ...(await overFrozen(source, adapter, options, ranges)), memory, precision, ...sizes };
    }
    const { adapt = "auto", lora = defaultLora, seed = 0 } = options;
    if (adapt === "lora" || (adapt === "auto" && parameterCount(config) >= small)) {
      const memory = planFor(options, sizes, config, lora);
      return { ...(await overFrozen(source, initAdapter(config, lora, seed), options)), memory, precision, ...sizes };
    }
    if (options.precision === "int8") throw nothingFrozen(options.model);
    const memory = planFor(options, sizes, config);
    return {
      model: await inMemory(source),
      memory,
      precision: "float32",
      tokenizer: source.tokenizer,
      remove: () => {},
      ...sizes,
    };
  } finally {
    await source.close();
  }
}

/** Most tokens of prefix and sample together, in a model of such a shape. */
export function contextOf({ maxPositions }: Pick<ModelConfig, "maxPositions">, asked = longestDefaultContext): number {
  return Math.min(maxPositions, asked);
}

function parameterCount(config: ModelConfig): number {
  return parameterShapes(config).reduce((sum, { shape }) => sum + elementCount(shape), 0);
}

async function inMemory(source: ModelSource): Promise<EngineModel> {
  const trainable = createParameterStore(parameterShapes(source.config));
  for (const { name } of trainable.shapes) await source.read(name, parameter(trainable, name));
  return { config: source.config, trainable };
}

/** @param ranges of the inputs of linear layers, where an earlier run has measured them */
async function overFrozen(
  source: ModelSource,
  { lora, parameters }: Adapter,
  options: LocalOptions,
  ranges?: ChannelRanges,
) {
  const { config, tokenizer } = source;
  const over = ({ tensors, int8 }: Pick<FrozenWeights, "tensors" | "int8">): EngineModel => {
    return { config, trainable: parameters, base: { lora, tensors, int8 } };
  };
  if (options.precision !== "int8") {
    const frozen = await freezeWeights(source);
    return { model: over(frozen), tokenizer, remove: frozen.remove };
  }
  const known = ranges ?? (await measureRanges(source, over, options));
  const frozen = await freezeWeights(source, known);
  return { model: over(frozen), tokenizer, remove: frozen.remove };
}

/** Over the weights in float32, which are put on disk for it. */
async function measureRanges(
  source: ModelSource,
  over: (frozen: FrozenWeights) => EngineModel,
  options: LocalOptions,
): Promise<ChannelRanges> {
  const texts = options.calibration ?? usualTexts(tokenizerFromFiles(source.tokenizer, source.config.eosTokenIds));
  const frozen = await freezeWeights(source);
  try {
    return await measureChannelRanges(over(frozen), texts, runtimeOf(options));
  } finally {
    frozen.remove();
  }
}

/** How sessions compute. */
export function runtimeOf({ threads, provider }: Pick<LocalOptions, "threads" | "provider">): RuntimeOptions {
  return { threads: threads ?? Math.min(8, availableParallelism()), provider: provider ?? "cpu" };
}

function nothingFrozen(model: string): UserError {
  return new UserError(
    `precision is int8, but of ${model} all weights are trained, and only frozen ones can be 8-bit numbers. ` +
      "Train an adapter (model.adapt=lora), or leave the precision at auto.",
  );
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
