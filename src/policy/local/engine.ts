/** @file The engine behind the local policy: parameters, trainer, optimizer and sampler of one model, on one thread. */
import { availableParallelism } from "node:os";
import { OnnxBackend } from "../../engine/generate/onnx-backend.js";
import { Sampler } from "../../engine/generate/sampler.js";
import { loadModelFolder, saveModelFolder } from "../../engine/io/model-folder.js";
import { loadTokenizer } from "../../engine/io/tokenizer.js";
import type { ModelConfig } from "../../engine/model/config.js";
import type { ParameterStore } from "../../engine/model/parameters.js";
import { AdamW } from "../../engine/optim/adamw.js";
import { loadOptimizer, saveOptimizer } from "../../engine/optim/optimizer-file.js";
import { Trainer } from "../../engine/optim/forward-backward.js";
import type {
  AdamOptions,
  ForwardBackwardResult,
  LossSpec,
  OptimStepResult,
  PolicyStats,
  Sample,
  SampleOptions,
} from "../policy.js";
import type { Datum } from "../../types.js";
import type { LocalOptions } from "./protocol.js";

/** Activations of one training micro-batch should stay near this many bytes: more is no faster. */
const ACTIVATION_BYTES = 256 * 2 ** 20;
const LONGEST_DEFAULT_CONTEXT = 4096;

/** Speaks the six verbs of `policy.ts` on the thread that it was made on, which it blocks while it computes. */
export class LocalEngine {
  readonly contextLength: number;
  readonly #folder: string;
  readonly #parameters: ParameterStore;
  /** The folder's weights as they were: read again when first asked for. */
  #reference: ParameterStore | undefined;
  readonly #trainer: Trainer;
  readonly #optimizer: AdamW;
  readonly #backend: OnnxBackend;
  readonly #sampler: Sampler;
  readonly #runtime = { sampleRuntimeMs: 0, trainRuntimeMs: 0 };
  #trainedTokens = 0;

  /** @throws UserError when the folder's files are missing or do not fit together */
  static async open(options: LocalOptions): Promise<LocalEngine> {
    const { config, parameters } = await loadModelFolder(options.folder);
    const tokenizer = await loadTokenizer(options.folder);
    return new LocalEngine(config, parameters, (tokens) => tokenizer.decode(tokens), options);
  }

  private constructor(
    config: ModelConfig,
    parameters: ParameterStore,
    decode: (tokens: readonly number[]) => string,
    options: LocalOptions,
  ) {
    this.#folder = options.folder;
    this.#parameters = parameters;
    this.contextLength = Math.min(config.maxPositions, options.contextLength ?? LONGEST_DEFAULT_CONTEXT);
    const runtime = {
      threads: options.threads ?? Math.min(8, availableParallelism()),
      provider: options.provider ?? "cpu",
    };
    const training = { ...runtime, onRun: (ms: number) => void (this.#runtime.trainRuntimeMs += ms) };
    const sampling = { ...runtime, onRun: (ms: number) => void (this.#runtime.sampleRuntimeMs += ms) };
    const microBatchTokens = options.microBatchTokens ?? defaultMicroBatchTokens(config);
    this.#trainer = new Trainer(config, parameters, { ...training, microBatchTokens });
    this.#optimizer = new AdamW(parameters.flat.length, training);
    this.#backend = new OnnxBackend(config, parameters, sampling);
    this.#sampler = new Sampler(this.#backend, {
      contextLength: this.contextLength,
      decode,
      maxBatch: options.maxBatch ?? 128,
      memoryLimitBytes: options.cacheBytes ?? 2 ** 30,
    });
  }

  sample(prefix_T: readonly number[], options: SampleOptions): Promise<Sample> {
    return this.#sampler.sample(prefix_T, options);
  }

  async logprobs(
    sequences: readonly (readonly number[])[],
    { reference = false }: { reference?: boolean },
  ): Promise<Float32Array[]> {
    if (!reference) return this.#trainer.logprobs(sequences);
    this.#reference ??= (await loadModelFolder(this.#folder)).parameters;
    return this.#trainer.logprobs(sequences, this.#reference);
  }

  async forwardBackward(data_D: readonly Datum[], loss: LossSpec): Promise<ForwardBackwardResult> {
    for (const { tokens_T } of data_D) this.#trainedTokens += tokens_T.length;
    return this.#trainer.forwardBackward(data_D, loss);
  }

  async optimStep(options: AdamOptions): Promise<OptimStepResult> {
    const result = await this.#optimizer.step(this.#parameters, this.#trainer.gradients, options);
    this.#trainer.clearGradients();
    this.#weightsChanged();
    return result;
  }

  async save(folder: string, { optimizer = true }: { optimizer?: boolean }): Promise<void> {
    await saveModelFolder(folder, {
      config: this.#trainer.config,
      parameters: this.#parameters,
      tokenizerFrom: this.#folder,
    });
    if (optimizer) await saveOptimizer(folder, this.#parameters, this.#optimizer.state);
  }

  async load(folder: string): Promise<void> {
    const { parameters } = await loadModelFolder(folder, this.#trainer.config);
    this.#optimizer.state = await loadOptimizer(folder, this.#parameters);
    this.#parameters.flat.set(parameters.flat);
    this.#trainer.clearGradients();
    this.#weightsChanged();
  }

  stats(): Promise<PolicyStats> {
    const { prefillTokens, reusedTokens, sampledTokens } = this.#sampler.stats;
    return Promise.resolve({
      prefillTokens,
      reusedTokens,
      sampledTokens,
      trainedTokens: this.#trainedTokens,
      ...this.#runtime,
    });
  }

  async close(): Promise<void> {
    await this.#sampler.close();
    await this.#backend.release();
    await this.#trainer.release();
    await this.#optimizer.release();
  }

  #weightsChanged(): void {
    this.#backend.invalidate();
    this.#sampler.reset();
  }
}

/** Tokens whose activations, kept for the backward pass, fill the budget. */
function defaultMicroBatchTokens({ layers, hiddenSize, intermediateSize, heads }: ModelConfig): number {
  const typicalLength = 256;
  const perToken = layers * (12 * hiddenSize + 4 * intermediateSize + 4 * heads * typicalLength);
  const bytes = perToken * Float32Array.BYTES_PER_ELEMENT;
  return Math.max(512, Math.min(8192, Math.floor(ACTIVATION_BYTES / bytes)));
}
