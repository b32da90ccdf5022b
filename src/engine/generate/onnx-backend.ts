/** @file The sampler's backend on ONNX Runtime: prefill and decode sessions whose weights are constants. */
import type { ModelConfig } from "../model/config.js";
import type { ParameterStore } from "../model/parameters.js";
import { decodeGraph, prefillGraph } from "../model/sampling-graph.js";
import { lower } from "../onnx/lower.js";
import { Session, type Feed, type RuntimeOptions } from "../runtime/session.js";
import type { CacheBatch, DecodeInput, DecodeOutput, GenerateBackend, KvShape, PrefillInput } from "./backend.js";

/**
 * Calls come one at a time. Constant weights are pre-packed by the runtime (faster) and make a row's result independent of the batch (to the last bit). They
 * are copied when a session is made: after a change of the parameters, `invalidate` has the next call make new ones.
 */
export class OnnxBackend implements GenerateBackend {
  readonly kv: KvShape;
  readonly vocabSize: number;
  readonly #config: ModelConfig;
  readonly #parameters: ParameterStore;
  readonly #options: RuntimeOptions & { onRun: (milliseconds: number) => void };
  #prefill: Session | undefined;
  #decode: Session | undefined;
  #stale = false;

  constructor(
    config: ModelConfig,
    parameters: ParameterStore,
    options: RuntimeOptions & { onRun: (milliseconds: number) => void },
  ) {
    this.#config = config;
    this.#parameters = parameters;
    this.#options = options;
    this.kv = { layers: config.layers, kvHeads: config.kvHeads, headDim: config.headDim };
    this.vocabSize = config.vocabSize;
  }

  async prefill(input: PrefillInput): Promise<Float32Array> {
    await this.#dropStale();
    this.#prefill ??= await this.#create(lower(prefillGraph(this.#config, this.#parameters)));
    const tokens = { data: input.tokens_B_L, dims: [input.batch, input.length] };
    const { newKv } = await this.#prefill.run({ tokens, ...this.#cacheFeeds(input) });
    return newKv;
  }

  async decode(input: DecodeInput): Promise<DecodeOutput> {
    await this.#dropStale();
    this.#decode ??= await this.#create(lower(decodeGraph(this.#config, this.#parameters)));
    const { newKv, probabilities } = await this.#decode.run({
      tokens: { data: input.tokens_B, dims: [input.batch, 1] },
      temperatures: { data: input.temperatures_B, dims: [input.batch] },
      ...this.#cacheFeeds(input),
    });
    return { newKv, probabilities_B_V: probabilities };
  }

  /** The parameters have changed: the next call makes its session anew. */
  invalidate(): void {
    this.#stale = true;
  }

  /** Frees the runtime's sessions. */
  async release(): Promise<void> {
    await this.#prefill?.release();
    await this.#decode?.release();
    this.#prefill = this.#decode = undefined;
  }

  async #dropStale(): Promise<void> {
    if (!this.#stale) return;
    this.#stale = false;
    await this.release();
  }

  #create(model: Uint8Array): Promise<Session> {
    return Session.create(model, this.#options, this.#options.onRun);
  }

  #cacheFeeds({ batch, capacity, cachedLengths_B, keys, values }: CacheBatch): Record<string, Feed> {
    const dims = [batch, this.kv.kvHeads, capacity, this.kv.headDim];
    const feeds: Record<string, Feed> = { cachedLengths: { data: cachedLengths_B, dims: [batch] } };
    keys.forEach((data, layer) => (feeds[`key${layer}`] = { data, dims }));
    values.forEach((data, layer) => (feeds[`value${layer}`] = { data, dims }));
    return feeds;
  }
}
