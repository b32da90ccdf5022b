/** @file One call of `sample` on its way through the sampler. */
import { onAbort } from "../../async.js";
import { UserError } from "../../errors.js";
import type { Sample, SampleOptions, StopReason } from "../../contracts/policy.js";
import type { DrawOptions } from "./sample-token.js";
import { StopStringWatch } from "./stop-strings.js";

/** What a request must respect. */
interface RequestLimits {
  vocabSize: number;
  contextLength: number;
  decode: (tokens: readonly number[]) => string;
}

/** A request with what was sampled for it so far; log-probabilities are in nats, one for each token. */
export class SampleRequest {
  readonly prefix_T: readonly number[];
  readonly tokens_T: number[] = [];
  readonly logprobs_T: number[] = [];
  readonly draw: DrawOptions;
  readonly temperature: number;
  readonly seed: number;
  /** Most tokens of prefix and sample. */
  readonly maxLength: number;
  /** Decode steps that had been made when it came. */
  arrivedAtStep = 0;
  /** Whether the promise is settled. */
  settled = false;
  readonly #stopTokens: readonly number[];
  readonly #watch: StopStringWatch | undefined;
  readonly #resolve: (sample: Sample) => void;
  readonly #reject: (reason: unknown) => void;
  readonly #release: () => void;

  /** @throws UserError when the options make no sense or the prefix does not fit the context */
  constructor(
    prefix_T: readonly number[],
    options: SampleOptions,
    limits: RequestLimits,
    settle: { resolve: (sample: Sample) => void; reject: (reason: unknown) => void },
  ) {
    checkOptions(options);
    checkPrefix(prefix_T, limits);
    const temperature = options.temperature ?? 1;
    this.prefix_T = prefix_T;
    this.draw = { greedy: temperature === 0, topK: options.topK ?? 0, topP: options.topP ?? 1 };
    this.temperature = temperature === 0 ? 1 : temperature;
    this.seed = options.seed ?? 0;
    this.maxLength = Math.min(prefix_T.length + options.maxTokens, limits.contextLength);
    this.#stopTokens = options.stop?.tokens ?? [];
    const strings = options.stop?.strings ?? [];
    this.#watch = strings.length > 0 ? new StopStringWatch(strings, limits.decode) : undefined;
    this.#resolve = settle.resolve;
    this.#reject = settle.reject;
    this.#release = onAbort(options.signal, (reason) => this.fail(reason));
  }

  /** Prefix and what was sampled so far: what a row must hold for the request to go on. */
  known(): Int32Array {
    const known = new Int32Array(this.prefix_T.length + this.tokens_T.length);
    known.set(this.prefix_T);
    known.set(this.tokens_T, this.prefix_T.length);
    return known;
  }

  get length(): number {
    return this.prefix_T.length + this.tokens_T.length;
  }

  /** Takes a sampled token. Returns why the sequence ends with it, if it does. */
  push(token: number, logprob: number): StopReason | undefined {
    this.tokens_T.push(token);
    this.logprobs_T.push(logprob);
    if (this.#stopTokens.includes(token) || this.#watch?.completes(this.tokens_T)) return "stop";
    return this.length >= this.maxLength ? "length" : undefined;
  }

  finish(stopReason: StopReason): void {
    if (!this.#settle()) return;
    this.#resolve({ tokens_T: this.tokens_T, logprobs_T: this.logprobs_T, stopReason });
  }

  fail(reason: unknown): void {
    if (this.#settle()) this.#reject(reason);
  }

  #settle(): boolean {
    if (this.settled) return false;
    this.settled = true;
    this.#release();
    return true;
  }
}

function checkOptions(options: SampleOptions): void {
  const { maxTokens, temperature = 1, topP = 1, topK = 0, seed = 0 } = options;
  const check = (holds: boolean, name: string, value: unknown, need: string) => {
    if (!holds) throw new UserError(`Sampling option ${name} is ${String(value)}, but must be ${need}.`);
  };
  check(Number.isInteger(maxTokens) && maxTokens >= 0, "maxTokens", maxTokens, "a whole number, 0 or more");
  const validTemperature = temperature === 0 || (temperature >= 1e-3 && temperature < Infinity);
  check(validTemperature, "temperature", temperature, "0 (greedy) or at least 0.001");
  check(topP > 0 && topP <= 1, "topP", topP, "above 0 and at most 1 (1 keeps everything)");
  check(Number.isInteger(topK) && topK >= 0, "topK", topK, "a whole number, 0 or more (0 keeps everything)");
  check(Number.isSafeInteger(seed), "seed", seed, "a whole number");
}

function checkPrefix(prefix_T: readonly number[], limits: RequestLimits): void {
  if (prefix_T.length === 0) {
    throw new UserError("The prompt is empty: a model needs at least one token to continue. Begin with a start token.");
  }
  if (prefix_T.length >= limits.contextLength) {
    throw new UserError(
      `The prompt has ${prefix_T.length} tokens, and a context of ${limits.contextLength} leaves no room to write. ` +
        "Shorten the prompt, retrieve fewer or shorter passages, or raise the context length.",
    );
  }
  const bad = prefix_T.findIndex((token) => !Number.isInteger(token) || token < 0 || token >= limits.vocabSize);
  if (bad >= 0) {
    throw new UserError(
      `Token ${bad} of the prompt is ${prefix_T[bad]}, but the model's vocabulary has ${limits.vocabSize} entries. ` +
        "Use the tokenizer that belongs to the model.",
    );
  }
}
