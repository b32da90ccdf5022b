/** @file The sampler's backend on ONNX Runtime: one session for prefill and decode, whose weights are constants. */
import { samplingGraph } from "../model/sampling-graph.js";
import type { EngineModel } from "../model/weights.js";
import { lower } from "../onnx/lower.js";
import { Session, type Feed, type RuntimeOptions } from "../runtime/session.js";
import type { CacheBatch, DecodeInput, DecodeOutput, GenerateBackend, KvShape, PrefillInput } from "./backend.js";

/**
 * Calls come one at a time. Constant weights are pre-packed by the runtime (faster) and make a row's result independent of the batch
 * (to the last bit): products with matrices that are fed sum in an order that depends on the number of rows. Constants are copied when the session is
 * made, so that `invalidate` has the next call make a new one.
 */
export class OnnxBackend implements GenerateBackend {
  readonly kv: KvShape;
  readonly vocabSize: number;
  readonly #model: EngineModel;
  readonly #options: RuntimeOptions & { onRun: (milliseconds: number) => void };
  #session: Session | undefined;
  #stale = false;

  constructor(model: EngineModel, options: RuntimeOptions & { onRun: (milliseconds: number) => void }) {
    const { layers, kvHeads, headDim, vocabSize } = model.config;
    this.#model = model;
    this.#options = options;
    this.kv = { layers, kvHeads, headDim };
    this.vocabSize = vocabSize;
  }

  async prefill(input: PrefillInput): Promise<Float32Array> {
    const { newKv } = await this.#run(input, { data: input.tokens_B_L, length: input.length }, []);
    return newKv;
  }

  async decode(input: DecodeInput): Promise<DecodeOutput> {
    const { newKv, probabilities } = await this.#run(input, { data: input.tokens_B, length: 1 }, input.temperatures_B);
    return { newKv, probabilities_B_V: probabilities };
  }

  /** The parameters have changed. */
  invalidate(): void {
    this.#stale = true;
  }

  /** Frees the runtime's session. */
  async release(): Promise<void> {
    await this.#session?.release();
    this.#session = undefined;
  }

  /** `temperatures` has one entry per row whose next token is wanted: all of them, in order, or none. */
  async #run(
    caches: CacheBatch,
    tokens: { data: Int32Array; length: number },
    temperatures: ArrayLike<number>,
  ): Promise<Record<string, Float32Array>> {
    if (this.#stale) await this.release();
    this.#stale = false;
    this.#session ??= await Session.create(lower(samplingGraph(this.#model)), this.#options, this.#options.onRun);
    const rows = Int32Array.from({ length: temperatures.length }, (_, row) => (row + 1) * tokens.length - 1);
    return this.#session.run({
      tokens: { data: tokens.data, dims: [caches.batch, tokens.length] },
      rows: { data: rows, dims: [rows.length] },
      temperatures: { data: Float32Array.from(temperatures), dims: [temperatures.length] },
      ...this.#cacheFeeds(caches),
    });
  }

  #cacheFeeds({ batch, capacity, cachedLengths_B, keys, values }: CacheBatch): Record<string, Feed> {
    const dims = [batch, this.kv.kvHeads, 1, capacity, this.kv.headDim];
    const feeds: Record<string, Feed> = { cachedLengths: { data: cachedLengths_B, dims: [batch] } };
    keys.forEach((data, layer) => (feeds[`key${layer}`] = { data, dims }));
    values.forEach((data, layer) => (feeds[`value${layer}`] = { data, dims }));
    return feeds;
  }
}
