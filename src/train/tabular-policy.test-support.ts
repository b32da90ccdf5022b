/**
 * @file A policy that is one table, for tests: the next token's logits depend on the last token alone. Its sampling,
 * gradients, AdamW and saved state are real, so learning, checkpoints and resuming are tested on it without an engine. Its critic is a
 * table too: a value for each last token.
 */
import { mkdir, readFile, writeFile } from "node:fs/promises";
import path from "node:path";
import { carriesLoss, isMoved, tokenLoss } from "../algorithms/losses.js";
import type { Critic, ValueDatum, ValueLoss } from "../contracts/critic.js";
import type { AdamOptions, LossSpec, Policy, Sample, SampleOptions } from "../contracts/policy.js";
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
  /** Whether it has a critic. Default true. */
  critic?: boolean;
}

type TabularPolicy = Policy & { table(): Float32Array };

/** Logit of a habit; all others start at 0 and `−floor` makes them rare. */
const habitLogit = 2;
const floor = -8;

export function tabularPolicy({ protocol = atlas, habits, critic = true }: TabularOptions): TabularPolicy {
  const tokenizer = byteTokenizer(protocol);
  const vocab = tokenizer.vocabSize;
  const learned = trainedArray(new Float32Array(vocab * vocab).fill(floor));
  const { weights, gradient } = learned;
  for (const habit of habits) {
    const tokens = tokenizer.encode(habit);
    for (let t = 1; t < tokens.length; t++) weights[tokens[t - 1] * vocab + tokens[t]] = habitLogit;
  }
  const start = weights.slice();
  const counters = {
    prefillTokens: 0,
    reusedTokens: 0,
    sampledTokens: 0,
    trainedTokens: 0,
    computedTokens: 0,
    sharedTokens: 0,
    sampleRuntimeMs: 0,
    trainRuntimeMs: 0,
  };

  /** Softmax of one row of a table. */
  const softmax = (table: Float32Array, last: number, temperature: number): Float64Array => {
    const row = new Float64Array(vocab);
    let total = 0;
    for (let token = 0; token < vocab; token++)
      total += row[token] = Math.exp(table[last * vocab + token] / temperature);
    for (let token = 0; token < vocab; token++) row[token] /= total;
    return row;
  };

  /** Rows at temperature 1, until the weights change. */
  const known = { table: new Map<number, Float64Array>(), start: new Map<number, Float64Array>() };
  const probabilities = (table: Float32Array, last: number, temperature = 1): Float64Array => {
    if (temperature !== 1) return softmax(table, last, temperature);
    const rows = table === start ? known.start : known.table;
    const row = rows.get(last) ?? softmax(table, last, 1);
    rows.set(last, row);
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

  const logprobsOf = (table: Float32Array, tokens_T: readonly number[], mask_T?: Uint8Array): Float32Array =>
    Float32Array.from(tokens_T, (token, t) =>
      t === 0 || mask_T?.[t] === 0 ? 0 : Math.log(probabilities(table, tokens_T[t - 1])[token]),
    );

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

  /** Adds the gradient of −Σ weight·H: dH/dlogit = −p·(log p + H). */
  const backwardEntropy = (datum: Datum, weights_T: Float32Array): { loss: number; entropies_T: Float32Array } => {
    const entropies_T = new Float32Array(datum.tokens_T.length);
    let loss = 0;
    for (let t = 1; t < entropies_T.length; t++) {
      if (!carriesLoss(datum, t)) continue;
      const last = datum.tokens_T[t - 1];
      const row = probabilities(weights, last);
      const entropy = -row.reduce((sum, mass) => sum + mass * Math.log(mass), 0);
      entropies_T[t] = entropy;
      loss -= weights_T[t] * entropy;
      row.forEach((mass, token) => {
        gradient[last * vocab + token] += weights_T[t] * mass * (Math.log(mass) + entropy);
      });
    }
    return { loss, entropies_T };
  };

  return {
    tokenizer,
    contextLength: 512,
    capabilities: { engine: "tabular", training: true, reference: true, exactResume: true, entropy: true },
    ...(critic ? { critic: tabularCritic(vocab) } : {}),
    // A caller may write into it.
    table: () => {
      known.table.clear();
      return weights;
    },
    sample,
    logprobs: (sequences, { reference = false, masks_D_T } = {}) =>
      Promise.resolve(
        sequences.map((tokens_T, row) => logprobsOf(reference ? start : weights, tokens_T, masks_D_T?.[row])),
      ),
    forwardBackward: (data_D, spec) => {
      const logprobs_D_T = data_D.map((datum) => logprobsOf(weights, datum.tokens_T));
      let loss = data_D.reduce((sum, datum, row) => sum + backward(datum, logprobs_D_T[row], spec), 0);
      // Engines compute no log-probability where nothing is moved.
      if (spec.kind !== "cross_entropy") {
        data_D.forEach((datum, row) => {
          logprobs_D_T[row].forEach((_, t, logprobs_T) => void (isMoved(datum, t) || (logprobs_T[t] = 0)));
        });
      }
      const withEntropy = data_D.flatMap((datum) => (datum.entropyWeights_T ? [datum] : []));
      if (withEntropy.length === 0) return Promise.resolve({ loss, logprobs_D_T });
      if (withEntropy.length < data_D.length) throw new Error("internal: some data have entropyWeights_T, others not");
      const entropies_D_T = withEntropy.map((datum) => {
        const entropy = backwardEntropy(datum, datum.entropyWeights_T as Float32Array);
        loss += entropy.loss;
        return entropy.entropies_T;
      });
      return Promise.resolve({ loss, logprobs_D_T, entropies_D_T });
    },
    optimStep: (options) => {
      known.table.clear();
      return Promise.resolve({ gradNorm: adamStep(learned, options) });
    },
    save: (folder, options) => saveArray(folder, learned, options?.optimizer === true),
    load: (folder) => loadArray(folder, learned).finally(() => known.table.clear()),
    stats: () => Promise.resolve({ ...counters }),
    close: () => Promise.resolve(),
  };
}

/** V_t is the value of the token before t. */
function tabularCritic(vocab: number): Critic {
  const learned = trainedArray(new Float32Array(vocab));
  const { weights, gradient } = learned;
  const valuesOf = (tokens_T: readonly number[], mask_T?: Uint8Array): Float32Array =>
    Float32Array.from(tokens_T, (_, t) => (t === 0 || mask_T?.[t] === 0 ? 0 : weights[tokens_T[t - 1]]));

  const backward = (datum: ValueDatum, values_T: Float32Array, clip: number): number => {
    let loss = 0;
    for (let t = 1; t < values_T.length; t++) {
      if (datum.mask_T[t] !== 1) continue;
      const [value, old, target] = [values_T[t], datum.oldValues_T[t], datum.returns_T[t]];
      const clipped = clip === 0 ? value : Math.min(old + clip, Math.max(old - clip, value));
      const [error, clippedError] = [value - target, clipped - target];
      loss += 0.5 * datum.weights_T[t] * Math.max(error ** 2, clippedError ** 2);
      if (error ** 2 >= clippedError ** 2) gradient[datum.tokens_T[t - 1]] += datum.weights_T[t] * error;
    }
    return loss;
  };

  return {
    values: (sequences, masks_D_T) =>
      Promise.resolve(sequences.map((tokens_T, row) => valuesOf(tokens_T, masks_D_T?.[row]))),
    forwardBackward: (data_D, { clip }: ValueLoss) => {
      const values_D_T = data_D.map(({ tokens_T, mask_T }) => valuesOf(tokens_T, mask_T));
      const loss = data_D.reduce((sum, datum, row) => sum + backward(datum, values_D_T[row], clip), 0);
      return Promise.resolve({ loss, values_D_T });
    },
    optimStep: (options) => Promise.resolve({ gradNorm: adamStep(learned, options) }),
    save: (folder) => saveArray(folder, learned, true),
    load: (folder) => loadArray(folder, learned),
  };
}

/** Numbers that are learned, with the sum of their gradients and AdamW's state. */
interface TrainedArray {
  weights: Float32Array;
  gradient: Float64Array;
  adam: AdamState;
}

interface AdamState {
  mean: Float32Array;
  square: Float32Array;
  count: Float64Array;
}

function trainedArray(weights: Float32Array): TrainedArray {
  const size = weights.length;
  const adam = { mean: new Float32Array(size), square: new Float32Array(size), count: new Float64Array(1) };
  return { weights, gradient: new Float64Array(size), adam };
}

/** One step with the sum of gradients, which is then cleared. Returns its norm. */
function adamStep({ weights, gradient, adam }: TrainedArray, options: AdamOptions): number {
  const { learningRate, beta1, beta2, epsilon, maxGradNorm } = options;
  let squares = 0;
  for (let index = 0; index < gradient.length; index++) squares += gradient[index] * gradient[index];
  const norm = Math.sqrt(squares);
  const scale = maxGradNorm > 0 && norm > maxGradNorm ? maxGradNorm / norm : 1;
  const count = ++adam.count[0];
  const [correction1, correction2] = [1 - beta1 ** count, 1 - beta2 ** count];
  for (let index = 0; index < weights.length; index++) {
    const slope = gradient[index] * scale;
    // Most of the table is never visited; without gradient and momentum a weight stays.
    if (slope === 0 && adam.mean[index] === 0 && adam.square[index] === 0) continue;
    adam.mean[index] = beta1 * adam.mean[index] + (1 - beta1) * slope;
    adam.square[index] = beta2 * adam.square[index] + (1 - beta2) * slope * slope;
    const mean = adam.mean[index] / correction1;
    const square = adam.square[index] / correction2;
    weights[index] -= (learningRate * mean) / (Math.sqrt(square) + epsilon);
  }
  gradient.fill(0);
  return norm;
}

async function saveArray(folder: string, { weights, adam }: TrainedArray, optimizer: boolean): Promise<void> {
  await mkdir(folder, { recursive: true });
  await writeFile(path.join(folder, "weights.bin"), bytesOf(weights));
  if (!optimizer) return;
  for (const [name, values] of Object.entries(adam)) await writeFile(path.join(folder, `${name}.bin`), bytesOf(values));
}

async function loadArray(folder: string, { weights, gradient, adam }: TrainedArray): Promise<void> {
  bytesOf(weights).set(await readFile(path.join(folder, "weights.bin")));
  gradient.fill(0);
  for (const [name, values] of Object.entries(adam)) {
    const bytes = await readFile(path.join(folder, `${name}.bin`)).catch(() => null);
    if (bytes === null) values.fill(0);
    else bytesOf(values).set(bytes);
  }
}

function draw(row: Float64Array, uniform: number): number {
  let left = uniform;
  for (let token = 0; token < row.length; token++) {
    left -= row[token];
    if (left < 0) return token;
  }
  return row.length - 1;
}

function bytesOf(values: Float32Array | Float64Array): Uint8Array {
  return new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
}
