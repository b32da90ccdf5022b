/**
 * @file A policy that is one table, for tests: the next token's logits depend on the last token alone. Its sampling,
 * gradients, AdamW and saved state are real, so learning, checkpoints and resuming are tested on it without an engine.
 */
import { mkdir, readFile, writeFile } from "node:fs/promises";
import path from "node:path";
import { carriesLoss } from "../algorithms/loss/loss.js";
import { tokenLoss } from "../algorithms/loss/table.js";
import type { AdamOptions, LossSpec, Policy, Sample, SampleOptions } from "../policy/policy.js";
import { byteTokenizer } from "../policy/testing.js";
import type { Protocol } from "../prompts/protocol.js";
import { atlas } from "../prompts/protocol.js";
import { uniformAt } from "../random.js";
import type { Datum } from "../types.js";

export interface TabularOptions {
  /** Its tags are single tokens. Default atlas. */
  protocol?: Protocol;
  /** Texts whose neighbouring tokens start with a raised logit: what an untrained policy tends to write. */
  habits: readonly string[];
}

/** Logit of a habit; all others start at 0 and `−floor` makes them rare. */
const habitLogit = 2;
const floor = -8;

export function tabularPolicy({ protocol = atlas, habits }: TabularOptions): Policy & { table(): Float32Array } {
  const tokenizer = byteTokenizer(protocol);
  const vocab = tokenizer.vocabSize;
  const size = vocab * vocab;
  const weights = new Float32Array(size).fill(floor);
  for (const habit of habits) {
    const tokens = tokenizer.encode(habit);
    for (let t = 1; t < tokens.length; t++) weights[tokens[t - 1] * vocab + tokens[t]] = habitLogit;
  }
  const start = weights.slice();
  const gradient = new Float64Array(size);
  const adam = { mean: new Float32Array(size), square: new Float32Array(size), count: new Float64Array(1) };
  const counters = {
    prefillTokens: 0,
    reusedTokens: 0,
    sampledTokens: 0,
    trainedTokens: 0,
    sampleRuntimeMs: 0,
    trainRuntimeMs: 0,
  };

  /** Softmax of one row of a table. */
  const probabilities = (table: Float32Array, last: number, temperature = 1): Float64Array => {
    const row = new Float64Array(vocab);
    let total = 0;
    for (let token = 0; token < vocab; token++)
      total += row[token] = Math.exp(table[last * vocab + token] / temperature);
    for (let token = 0; token < vocab; token++) row[token] /= total;
    return row;
  };

  const sample = async (prefix_T: readonly number[], options: SampleOptions): Promise<Sample> => {
    // One turn of the event loop, so that concurrent calls interleave as they would with an engine.
    await new Promise((resolve) => setImmediate(resolve));
    options.signal?.throwIfAborted();
    const { maxTokens, stop, temperature = 1, seed = 0 } = options;
    const tokens_T: number[] = [];
    const logprobs_T: number[] = [];
    while (tokens_T.length < maxTokens) {
      const last = tokens_T.at(-1) ?? prefix_T[prefix_T.length - 1];
      const row = probabilities(weights, last, temperature === 0 ? 1 : temperature);
      const token =
        temperature === 0
          ? row.indexOf(row.reduce((most, value) => Math.max(most, value)))
          : draw(row, uniformAt(seed, tokens_T.length));
      tokens_T.push(token);
      logprobs_T.push(Math.log(row[token]));
      counters.sampledTokens++;
      const written = tokenizer.decode(tokens_T);
      if (stop?.tokens?.includes(token) || stop?.strings?.some((text) => written.includes(text))) {
        return { tokens_T, logprobs_T, stopReason: "stop" };
      }
    }
    return { tokens_T, logprobs_T, stopReason: "length" };
  };

  const logprobsOf = (table: Float32Array, tokens_T: readonly number[]): Float32Array =>
    Float32Array.from(tokens_T, (token, t) => (t === 0 ? 0 : Math.log(probabilities(table, tokens_T[t - 1])[token])));

  const backward = (datum: Datum, logprobs_T: Float32Array, spec: LossSpec): number => {
    const { loss, gradLogprobs_T } = tokenLoss(spec, logprobs_T, datum);
    datum.tokens_T.forEach((token, t) => {
      if (!carriesLoss(datum, t)) return;
      counters.trainedTokens++;
      const slope = gradLogprobs_T[t];
      if (slope === 0) return;
      const last = datum.tokens_T[t - 1];
      const row = probabilities(weights, last);
      for (let other = 0; other < vocab; other++) gradient[last * vocab + other] -= slope * row[other];
      gradient[last * vocab + token] += slope;
    });
    return loss;
  };

  return {
    tokenizer,
    contextLength: 512,
    capabilities: { engine: "tabular", training: true, reference: true, exactResume: true },
    table: () => weights,
    sample,
    logprobs: (sequences, options) =>
      Promise.resolve(sequences.map((tokens_T) => logprobsOf(options?.reference === true ? start : weights, tokens_T))),
    forwardBackward: (data_D, loss) => {
      const logprobs_D_T = data_D.map((datum) => logprobsOf(weights, datum.tokens_T));
      const losses = data_D.map((datum, index) => backward(datum, logprobs_D_T[index], loss));
      return Promise.resolve({ loss: losses.reduce((sum, value) => sum + value, 0), logprobs_D_T });
    },
    optimStep: (options) => {
      const gradNorm = Math.sqrt(gradient.reduce((sum, value) => sum + value * value, 0));
      adamStep(weights, gradient, adam, options, gradNorm);
      gradient.fill(0);
      return Promise.resolve({ gradNorm });
    },
    save: async (folder, options) => {
      await mkdir(folder, { recursive: true });
      await writeFile(path.join(folder, "weights.bin"), bytesOf(weights));
      if (options?.optimizer !== true) return;
      for (const [name, values] of Object.entries(adam))
        await writeFile(path.join(folder, `${name}.bin`), bytesOf(values));
    },
    load: async (folder) => {
      bytesOf(weights).set(await readFile(path.join(folder, "weights.bin")));
      for (const [name, values] of Object.entries(adam)) {
        const bytes = await readFile(path.join(folder, `${name}.bin`)).catch(() => null);
        if (bytes !== null) bytesOf(values).set(bytes);
      }
    },
    stats: () => Promise.resolve({ ...counters }),
    close: () => Promise.resolve(),
  };
}

function draw(row: Float64Array, uniform: number): number {
  let left = uniform;
  for (let token = 0; token < row.length; token++) {
    left -= row[token];
    if (left < 0) return token;
  }
  return row.length - 1;
}

interface AdamState {
  mean: Float32Array;
  square: Float32Array;
  count: Float64Array;
}

function adamStep(
  weights: Float32Array,
  gradient: Float64Array,
  state: AdamState,
  options: AdamOptions,
  norm: number,
): void {
  const { learningRate, beta1, beta2, epsilon, maxGradNorm } = options;
  const scale = maxGradNorm > 0 && norm > maxGradNorm ? maxGradNorm / norm : 1;
  const count = ++state.count[0];
  const [correction1, correction2] = [1 - beta1 ** count, 1 - beta2 ** count];
  for (let index = 0; index < weights.length; index++) {
    const slope = gradient[index] * scale;
    state.mean[index] = beta1 * state.mean[index] + (1 - beta1) * slope;
    state.square[index] = beta2 * state.square[index] + (1 - beta2) * slope * slope;
    const mean = state.mean[index] / correction1;
    const square = state.square[index] / correction2;
    weights[index] -= (learningRate * mean) / (Math.sqrt(square) + epsilon);
  }
}

function bytesOf(values: Float32Array | Float64Array): Uint8Array {
  return new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
}
