/** @file The engine behind the local policy: parameters, trainer, optimizer and sampler of one model, on one thread. */
import { OnnxBackend } from "../../engine/generate/onnx-backend.js";
import { Sampler } from "../../engine/generate/sampler.js";
import { loadModelFolder } from "../../engine/io/model-folder.js";
import { tokenizerFromFiles } from "../../engine/io/tokenizer.js";
import { createParameterStore, type ParameterStore } from "../../engine/model/parameters.js";
import { AdamW, loadOptimizer, saveOptimizer } from "../../engine/optim/adamw.js";
import { Trainer } from "../../engine/optim/forward-backward.js";
import type {
  AdamOptions,
  ForwardBackwardResult,
  LogprobOptions,
  LossSpec,
  MemoryPlan,
  OptimStepResult,
  PolicyStats,
  Sample,
  SampleOptions,
} from "../../contracts/policy.js";
import type { Datum } from "../../types.js";
import { LocalCritic } from "./critic.js";
import { openEngineModel, runtimeOf, type OpenedModel } from "./open-model.js";
import type { LocalOptions } from "./protocol.js";
import { loadTrained, saveTrained } from "./saved-model.js";

/** Speaks the six verbs of `policy.ts` on the thread that it was made on, which it blocks while it computes. */
export class LocalEngine {
  readonly contextLength: number;
  readonly memory: MemoryPlan;
  readonly precision: OpenedModel["precision"];
  readonly notes: readonly string[];
  /** Where one was asked for. */
  readonly critic?: LocalCritic;
  readonly #options: LocalOptions;
  readonly #opened: OpenedModel;
  /** What is trained as it was at the start. An adapter's is small and kept; a whole model's is read again when first asked for. */
  #start: ParameterStore | undefined;
  readonly #trainer: Trainer;
  readonly #optimizer: AdamW;
  readonly #backend: OnnxBackend;
  readonly #sampler: Sampler;
  readonly #runtime = { sampleRuntimeMs: 0, trainRuntimeMs: 0 };
  #trainedTokens = 0;

  /** @throws UserError when the folder's files are missing or do not fit together, and when there is too little memory */
  static async open(options: LocalOptions): Promise<LocalEngine> {
    const opened = await openEngineModel(options);
    try {
      const { tokenizer: files, model } = opened;
      const tokenizer = tokenizerFromFiles(files, model.config.eosTokenIds);
      return new LocalEngine(opened, (tokens) => tokenizer.decode(tokens), options);
    } catch (error) {
      opened.remove();
      throw error;
    }
  }

  private constructor(opened: OpenedModel, decode: (tokens: readonly number[]) => string, options: LocalOptions) {
    const { model, memory } = opened;
    const { trainable } = model;
    this.#options = options;
    this.#opened = opened;
    if (model.base) this.#start = createParameterStore(trainable.shapes, trainable.flat.slice());
    this.contextLength = opened.contextLength;
    this.memory = memory;
    this.precision = opened.precision;
    this.notes = opened.notes;
    const runtime = runtimeOf(options);
    const training = { ...runtime, onRun: (ms: number) => void (this.#runtime.trainRuntimeMs += ms) };
    const sampling = { ...runtime, onRun: (ms: number) => void (this.#runtime.sampleRuntimeMs += ms) };
    const { microBatchTokens, plainTokens, recompute } = memory;
    const batches = { ...training, microBatchTokens, plainTokens, recompute };
    this.#trainer = new Trainer(model, batches);
    if (options.critic) this.critic = new LocalCritic(model, batches, options);
    this.#optimizer = new AdamW(trainable.flat.length, training);
    this.#backend = new OnnxBackend(model, sampling);
    this.#sampler = new Sampler(this.#backend, {
      contextLength: this.contextLength,
      decode,
      maxBatch: opened.maxBatch,
      memoryLimitBytes: memory.cacheBytes,
      tokensPerRun: memory.prefillTokens,
    });
  }

  sample(prefix_T: readonly number[], options: SampleOptions): Promise<Sample> {
    return this.#sampler.sample(prefix_T, options);
  }

  async logprobs(
    sequences: readonly (readonly number[])[],
    { reference = false, masks_D_T }: LogprobOptions = {},
  ): Promise<Float32Array[]> {
    if (!reference) return this.#trainer.logprobs(sequences, { masks_D_T });
    this.#start ??= (await loadModelFolder(this.#options.model)).parameters;
    return this.#trainer.logprobs(sequences, { masks_D_T, parameters: this.#start });
  }

  async forwardBackward(data_D: readonly Datum[], loss: LossSpec): Promise<ForwardBackwardResult> {
    for (const { tokens_T } of data_D) this.#trainedTokens += tokens_T.length;
    // An update makes all of it anew anyway; until then training has the memory.
    if (this.#sampler.rest()) await this.#backend.release();
    return this.#trainer.forwardBackward(data_D, loss);
  }

  async optimStep(options: AdamOptions): Promise<OptimStepResult> {
    const result = await this.#optimizer.step(this.#opened.model.trainable, this.#trainer.gradients, options);
    this.#trainer.clearGradients();
    this.#weightsChanged();
    return result;
  }

  async save(folder: string, { optimizer = true }: { optimizer?: boolean } = {}): Promise<void> {
    const { trainable } = this.#opened.model;
    await saveTrained(folder, this.#opened.model, trainable, this.#options);
    if (optimizer) await saveOptimizer(folder, trainable, this.#optimizer.state);
  }

  async load(folder: string): Promise<void> {
    const { trainable } = this.#opened.model;
    const parameters = await loadTrained(folder, this.#opened.model);
    this.#optimizer.state = await loadOptimizer(folder, trainable);
    trainable.flat.set(parameters.flat);
    this.#trainer.clearGradients();
    this.#weightsChanged();
  }

  stats(): Promise<PolicyStats> {
    const { prefillTokens, reusedTokens, sampledTokens, decodeSteps } = this.#sampler.stats;
    return Promise.resolve({
      prefillTokens,
      reusedTokens,
      sampledTokens,
      decodeSteps,
      trainedTokens: this.#trainedTokens,
      ...this.#trainer.tokens,
      ...this.#runtime,
    });
  }

  async close(): Promise<void> {
    try {
      await this.#sampler.close();
      await this.#backend.release();
      await this.#trainer.release();
      await this.#optimizer.release();
      await this.critic?.release();
    } finally {
      this.#opened.remove();
    }
  }

  #weightsChanged(): void {
    this.#backend.invalidate();
    this.#sampler.reset();
  }
}
