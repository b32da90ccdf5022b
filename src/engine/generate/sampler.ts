/**
 * @file Continuous batching: requests join and leave between decode steps, prefixes that a row already holds are not
 * computed again, and what a sequence samples depends on its seed and its prefix, not on what shares its batch.
 */
import { nextTurn } from "../../async.js";
import { UserError } from "../../errors.js";
import { uniformAt } from "../../random.js";
import type { Sample, SampleOptions } from "../../contracts/policy.js";
import type { GenerateBackend } from "./backend.js";
import { bytesPerPosition, capacityFor } from "./kv-cache.js";
import { Prefiller, type PrefillRow } from "./prefill.js";
import { SampleRequest } from "./request.js";
import { TokenSampler } from "./sample-token.js";
import { SlotTable } from "./slots.js";

export interface SamplerOptions {
  /** Most tokens of prefix and sample together. */
  contextLength: number;
  /** Text of tokens, special tokens included; only called for requests with stop strings. */
  decode: (tokens: readonly number[]) => string;
  /** Most sequences that run at once. Default 128. */
  maxBatch?: number;
  /** Most rows, with those of finished sequences that are kept for their next turn. Default 2·maxBatch. */
  slots?: number;
  /** Most bytes of keys and values. Default 2 GiB. */
  memoryLimitBytes?: number;
  /** Whether held prefixes are used again. Default true. */
  reuse?: boolean;
  /** Prefixes are computed, and their beginnings shared, in pieces of this many tokens. Default 64. */
  pieceLength?: number;
  /** Most new tokens per prefill run, padding included. Default 4096. */
  tokensPerRun?: number;
  /** Waiting requests join when they are this many … Default 16. */
  admitCount?: number;
  /** … or when one has waited this many decode steps. Default 6. */
  admitAfterSteps?: number;
}

/** Counters since the sampler was made. */
interface SamplerStats {
  /** Prefix tokens whose keys and values were computed; a prefix's last token counts here always. */
  prefillTokens: number;
  /** Prefix tokens that a row held already. With `prefillTokens` this adds up to all prefix tokens. */
  reusedTokens: number;
  sampledTokens: number;
  decodeSteps: number;
  prefillRuns: number;
  /** Positions computed only as padding of prefill runs. */
  paddingTokens: number;
  /** Kept sequences that were given up for want of room. */
  evictions: number;
  /** Milliseconds inside the backend. */
  runtimeMs: number;
}

/** Continuous batching over slots: requests join and leave while others run (see the head of this file for what it promises). */
export class Sampler {
  readonly #backend: GenerateBackend;
  readonly #options: Required<SamplerOptions>;
  readonly #table: SlotTable;
  readonly #prefiller: Prefiller;
  readonly #drawer: TokenSampler;
  /** Index is the row. */
  readonly #running: SampleRequest[] = [];
  readonly #waiting: SampleRequest[] = [];
  readonly #tokens: Int32Array;
  readonly #lengths: Int32Array;
  readonly #temperatures: Float32Array;
  readonly #counts = { admitted: 0, prefixTokens: 0, sampledTokens: 0, decodeSteps: 0 };
  #runtimeMs = 0;
  #loop: Promise<void> | undefined;
  #resetRequested = false;
  #closed = false;

  /** @throws UserError when the memory limit is too small for one context */
  constructor(backend: GenerateBackend, options: SamplerOptions) {
    const maxBatch = options.maxBatch ?? 128;
    const slots = Math.max(maxBatch, options.slots ?? 2 * maxBatch);
    const defaults = { memoryLimitBytes: 2 ** 31, reuse: true, pieceLength: 64, tokensPerRun: 4096 };
    this.#options = { ...defaults, admitCount: 16, admitAfterSteps: 6, ...options, maxBatch, slots };
    this.#backend = measured(backend, (ms) => (this.#runtimeMs += ms));
    this.#table = new SlotTable(backend.kv, this.#options);
    this.#prefiller = new Prefiller(this.#backend, this.#options);
    this.#drawer = new TokenSampler(backend.vocabSize);
    this.#tokens = new Int32Array(maxBatch);
    this.#lengths = new Int32Array(maxBatch);
    this.#temperatures = new Float32Array(maxBatch);
    this.#checkMemory();
  }

  get stats(): SamplerStats {
    const { admitted, prefixTokens, sampledTokens, decodeSteps } = this.#counts;
    const prefillTokens = this.#prefiller.counts.tokens + admitted;
    return {
      prefillTokens,
      reusedTokens: prefixTokens - prefillTokens,
      sampledTokens,
      decodeSteps,
      prefillRuns: this.#prefiller.counts.runs,
      paddingTokens: this.#prefiller.counts.padding,
      evictions: this.#table.evictions,
      runtimeMs: this.#runtimeMs,
    };
  }

  /**
   * Continues `prefix_T`. Calls made in one turn of the event loop are computed together.
   * @throws UserError (as a rejection) when an option makes no sense or the prefix does not fit the context
   */
  sample(prefix_T: readonly number[], options: SampleOptions): Promise<Sample> {
    return new Promise((resolve, reject) => {
      if (this.#closed) throw new Error("The sampler is closed.");
      options.signal?.throwIfAborted();
      const limits = {
        vocabSize: this.#backend.vocabSize,
        contextLength: this.#options.contextLength,
        decode: this.#options.decode,
      };
      const request = new SampleRequest(prefix_T, options, limits, { resolve, reject });
      if (request.maxLength === prefix_T.length) return request.finish("length");
      request.arrivedAtStep = this.#counts.decodeSteps;
      this.#waiting.push(request);
      this.#loop ??= this.#run();
    });
  }

  /**
   * The weights have changed: nothing that is cached holds any more. Sequences that run go on under the new weights
   * after their keys and values have been computed again.
   */
  reset(): void {
    if (this.#loop) this.#resetRequested = true;
    else this.#forget();
  }

  /** Forgets what it keeps for the next turns of conversations, unless something runs. @returns whether nothing does */
  rest(): boolean {
    if (this.#loop) return false;
    this.#forget();
    return true;
  }

  /** Rejects what is pending and resolves when the last runtime call has returned. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#failAll(new Error("The sampler was closed."));
    await this.#loop;
    this.#table.cache.free();
  }

  async #run(): Promise<void> {
    // Requests that arrive in the same turn of the event loop are admitted together.
    await nextTurn();
    while (!this.#closed) {
      if (this.#resetRequested) this.#forget();
      this.#dropSettled();
      if (this.#waiting.length + this.#running.length === 0) break;
      try {
        if (this.#shouldAdmit()) await this.#admit();
        if (this.#running.length > 0 && !this.#resetRequested) await this.#step();
      } catch (error) {
        this.#failRunning(error);
      }
      await nextTurn();
    }
    this.#loop = undefined;
  }

  /** A prefill run for every single arrival would be dear: a few wait for each other, but never for long. */
  #shouldAdmit(): boolean {
    if (this.#waiting.length === 0) return false;
    if (this.#running.length === 0 || this.#waiting.length >= this.#options.admitCount) return true;
    return this.#counts.decodeSteps - this.#waiting[0].arrivedAtStep >= this.#options.admitAfterSteps;
  }

  /** First come, first served, as far as rows and memory reach. */
  async #admit(): Promise<void> {
    const rows: PrefillRow[] = [];
    let longest = Math.max(0, ...this.#running.map((request) => request.maxLength));
    while (this.#waiting.length > 0 && this.#running.length < this.#options.maxBatch) {
      const request = this.#waiting[0];
      longest = Math.max(longest, request.maxLength);
      if (this.#table.rowsAllowed(capacityFor(longest)) <= this.#running.length) break;
      const known = request.known();
      const leader = this.#options.reuse
        ? rows.find((row) => samePrefix(row.slot.tokens, row.slot.prefixEnd, known))
        : undefined;
      const slot = this.#table.acquire(known, !leader);
      if (!slot) break;
      this.#waiting.shift();
      this.#running.push(request);
      rows.push({ slot, leader: leader?.slot });
    }
    if (rows.length === 0 && this.#running.length === 0) throw new Error("internal: no row for the first request");
    await this.#prefiller.fill(this.#table, rows);
    this.#counts.admitted += rows.length;
    for (const { slot } of rows) this.#counts.prefixTokens += slot.prefixEnd + 1;
  }

  /** One token for every running row. */
  async #step(): Promise<void> {
    const batch = this.#running.length;
    let longest = 0;
    for (let row = 0; row < batch; row++) {
      const request = this.#running[row];
      const { tokens, length } = this.#table.slots[row];
      this.#tokens[row] = tokens[length];
      this.#lengths[row] = length;
      this.#temperatures[row] = request.temperature;
      if (length > longest) longest = length;
    }
    this.#table.ensureCapacity(longest + 1);
    const { cache, slots } = this.#table;
    const { newKv, probabilities_B_V } = await this.#backend.decode({
      batch,
      capacity: cache.capacity,
      tokens_B: this.#tokens.subarray(0, batch),
      cachedLengths_B: this.#lengths.subarray(0, batch),
      temperatures_B: this.#temperatures.subarray(0, batch),
      ...cache.views(batch),
    });
    this.#counts.decodeSteps++;
    cache.append(newKv, batch, this.#lengths);
    for (let row = 0; row < batch; row++) slots[row].length++;
    // From the last row to the first: a row that is swapped into a freed place has had its token already.
    for (let row = batch - 1; row >= 0; row--) this.#sampleRow(row, probabilities_B_V);
  }

  #sampleRow(row: number, probabilities_B_V: Float32Array): void {
    const request = this.#running[row];
    const slot = this.#table.slots[row];
    // Of a cancelled sequence the next token is not known.
    slot.tokens[slot.length] = -1;
    if (request.settled) return;
    try {
      const uniform = request.draw.greedy ? 0 : uniformAt(request.seed, slot.length);
      const token = this.#drawer.draw(probabilities_B_V, row * this.#backend.vocabSize, request.draw, uniform);
      slot.tokens[slot.length] = token;
      const stopReason = request.push(token, this.#drawer.logprob);
      this.#counts.sampledTokens++;
      if (!stopReason) return;
      request.finish(stopReason);
      this.#release(row);
    } catch (error) {
      request.fail(error);
      this.#release(row, error instanceof UserError);
    }
  }

  #release(row: number, discard = false): void {
    const last = this.#running.length - 1;
    this.#table.release(this.#table.slots[row], discard);
    this.#running[row] = this.#running[last];
    this.#running.pop();
  }

  /** Cancelled requests leave between steps; their rows stay for reuse. */
  #dropSettled(): void {
    for (let row = this.#running.length - 1; row >= 0; row--) if (this.#running[row].settled) this.#release(row);
    if (this.#waiting.some((request) => request.settled)) {
      const left = this.#waiting.filter((request) => !request.settled);
      this.#waiting.splice(0, this.#waiting.length, ...left);
    }
  }

  /** Forgets all keys and values; running requests wait again, before all others. */
  #forget(): void {
    this.#resetRequested = false;
    this.#waiting.unshift(...this.#running.splice(0).filter((request) => !request.settled));
    this.#table.clear();
    this.#prefiller.clear();
  }

  /** A failing backend ends what runs; rows may be half written, so nothing of theirs is kept. */
  #failRunning(error: unknown): void {
    if (this.#running.length === 0) this.#waiting.shift()?.fail(error);
    for (const request of this.#running) request.fail(error);
    for (let row = this.#running.length - 1; row >= 0; row--) this.#release(row, true);
  }

  #failAll(error: unknown): void {
    for (const request of [...this.#waiting, ...this.#running]) request.fail(error);
  }

  #checkMemory(): void {
    const { contextLength, memoryLimitBytes } = this.#options;
    const needed = capacityFor(contextLength) * bytesPerPosition(this.#backend.kv);
    if (needed > memoryLimitBytes) {
      throw new UserError(
        `Sampling with a context of ${contextLength} tokens needs ${Math.ceil(needed / 2 ** 20)} MiB for keys and values, ` +
          `but the limit is ${Math.floor(memoryLimitBytes / 2 ** 20)} MiB. Raise the limit or shorten the context.`,
      );
    }
  }
}

function samePrefix(tokens: Int32Array, prefixEnd: number, known: Int32Array): boolean {
  if (prefixEnd !== known.length - 1) return false;
  for (let index = 0; index < prefixEnd; index++) if (tokens[index] !== known[index]) return false;
  return true;
}

/** The same backend, with the time inside its calls reported. */
function measured(backend: GenerateBackend, report: (ms: number) => void): GenerateBackend {
  const timed = async <T>(call: () => Promise<T>): Promise<T> => {
    const start = performance.now();
    try {
      return await call();
    } finally {
      report(performance.now() - start);
    }
  };
  return {
    kv: backend.kv,
    vocabSize: backend.vocabSize,
    prefill: (input) => timed(() => backend.prefill(input)),
    decode: (input) => timed(() => backend.decode(input)),
  };
}
