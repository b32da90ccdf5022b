/** @file Conformance of `sample` and `logprobs`. */
import { expect } from "vitest";
import { Random } from "../random.js";
import type { ConformanceCase } from "./conformance.js";
import type { Policy, Sample } from "../contracts/policy.js";

/** Ids that end nothing, for prefixes. */
export function ordinaryTokens(policy: Policy): number[] {
  const { vocabSize, eosIds } = policy.tokenizer;
  return Array.from({ length: vocabSize }, (_, token) => token).filter((token) => !eosIds.includes(token));
}

/** A prefix of ordinary tokens, determined by its length and salt. */
export function prefixOf(policy: Policy, length: number, salt = 0): number[] {
  const random = new Random("prefix", length, salt);
  const tokens = ordinaryTokens(policy);
  return Array.from({ length }, () => random.choice(tokens));
}

/** Log-probabilities of every token of the vocabulary after `prefix_T`. */
export async function distribution(policy: Policy, prefix_T: readonly number[]): Promise<number[]> {
  const sequences = Array.from({ length: policy.tokenizer.vocabSize }, (_, token) => [...prefix_T, token]);
  const logprobs = await policy.logprobs(sequences);
  return logprobs.map((row) => row[prefix_T.length]);
}

/** Long enough to be worth sharing, where the context has room for that; what follows differs in length. */
export function behindOnePrompt(policy: Policy): number[][] {
  const prompt_T = prefixOf(policy, Math.min(60, policy.contextLength - 12), 50);
  return [4, 9, 6].map((length, row) => [...prompt_T, ...prefixOf(policy, length, 60 + row)]);
}

function expectSameSample(sample: Sample, expected: Sample): void {
  expect(sample.tokens_T).toEqual(expected.tokens_T);
  expect(sample.stopReason).toBe(expected.stopReason);
  expectNear(sample.logprobs_T, expected.logprobs_T, 1e-4);
}

/** Elementwise, with lengths. */
export function expectNear(actual: ArrayLike<number>, expected: ArrayLike<number>, tolerance: number): void {
  expect(actual.length).toBe(expected.length);
  let worst = 0;
  for (let index = 0; index < expected.length; index++) {
    const difference = Math.abs(actual[index] - expected[index]);
    worst = Number.isNaN(difference) ? Infinity : Math.max(worst, difference);
  }
  expect(worst, "largest difference").toBeLessThanOrEqual(tolerance);
}

export const samplingCases: readonly ConformanceCase[] = [
  {
    name: "the same seed gives the same tokens",
    async run({ policy }) {
      const options = { maxTokens: 12, seed: 7 };
      const first = await policy.sample(prefixOf(policy, 5), options);
      expectSameSample(await policy.sample(prefixOf(policy, 5), options), first);
    },
  },
  {
    name: "other seeds give other tokens",
    async run({ policy }) {
      const seeds = [1, 2, 3, 4, 5];
      const samples = await Promise.all(
        seeds.map((seed) => policy.sample(prefixOf(policy, 5), { maxTokens: 12, seed })),
      );
      expect(new Set(samples.map(({ tokens_T }) => tokens_T.join(","))).size).toBeGreaterThan(1);
    },
  },
  {
    name: "the same tokens whatever the batch",
    async run({ policy }) {
      const calls = Array.from({ length: 9 }, (_, index) => ({
        prefix_T: prefixOf(policy, 1 + 3 * (index % 5), index % 3),
        options: { maxTokens: 4 + index, seed: index, temperature: index === 4 ? 0 : 1 },
      }));
      const alone: Sample[] = [];
      for (const { prefix_T, options } of calls) alone.push(await policy.sample(prefix_T, options));
      const together = await Promise.all(calls.map(({ prefix_T, options }) => policy.sample(prefix_T, options)));
      together.forEach((sample, index) => expectSameSample(sample, alone[index]));
    },
  },
  {
    name: "the same tokens whether the prefix was seen before or not",
    async run({ policy, make }) {
      const prefix_T = prefixOf(policy, 6, 1);
      const first = await policy.sample(prefix_T, { maxTokens: 8, seed: 1 });
      const longer_T = [...prefix_T, ...first.tokens_T, ...prefixOf(policy, 3, 2)];
      const second = await policy.sample(longer_T, { maxTokens: 8, seed: 2 });
      const fresh = await make();
      expectSameSample(await fresh.sample(longer_T, { maxTokens: 8, seed: 2 }), second);
    },
  },
  {
    name: "a stop token ends the sample and is kept",
    async run({ policy }) {
      const prefix_T = prefixOf(policy, 4);
      const free = await policy.sample(prefix_T, { maxTokens: 10, seed: 3 });
      const token = free.tokens_T[Math.floor(free.tokens_T.length / 2)];
      const stopped = await policy.sample(prefix_T, { maxTokens: 10, seed: 3, stop: { tokens: [token] } });
      expect(stopped.tokens_T).toEqual(free.tokens_T.slice(0, free.tokens_T.indexOf(token) + 1));
      expect(stopped.stopReason).toBe("stop");
      expect(stopped.logprobs_T).toHaveLength(stopped.tokens_T.length);
    },
  },
  {
    name: "a stop string ends the sample and is kept",
    async run({ policy }) {
      const { tokenizer } = policy;
      const prefix_T = prefixOf(policy, 4);
      const free = await policy.sample(prefix_T, { maxTokens: 24, seed: 4 });
      const text = tokenizer.decode(free.tokens_T);
      // Readable text, longer than one token where there is some; not the beginning, so that stopping is visible.
      const string = /(?<=.)[ -~]{3}/su.exec(text)?.[0] ?? /(?<=.)[ -~]/su.exec(text)?.[0];
      expect(string, `something readable in ${JSON.stringify(text)}`).toBeDefined();
      const length = free.tokens_T.findIndex((_, index) =>
        tokenizer.decode(free.tokens_T.slice(0, index + 1)).includes(string as string),
      );
      const stopped = await policy.sample(prefix_T, { maxTokens: 24, seed: 4, stop: { strings: [string as string] } });
      expect(stopped.tokens_T).toEqual(free.tokens_T.slice(0, length + 1));
      expect(stopped.stopReason).toBe("stop");
    },
  },
  {
    name: "maxTokens ends the sample as length",
    async run({ policy }) {
      for (const maxTokens of [1, 5]) {
        const { tokens_T, logprobs_T, stopReason } = await policy.sample(prefixOf(policy, 4), { maxTokens, seed: 5 });
        expect(tokens_T).toHaveLength(maxTokens);
        expect(logprobs_T).toHaveLength(maxTokens);
        expect(stopReason).toBe("length");
      }
    },
  },
  {
    name: "the context ends the sample as length",
    async run({ policy }) {
      const prefix_T = prefixOf(policy, policy.contextLength - 2);
      const { tokens_T, stopReason } = await policy.sample(prefix_T, { maxTokens: 10, seed: 6 });
      expect(tokens_T).toHaveLength(2);
      expect(stopReason).toBe("length");
    },
  },
  {
    name: "a prefix that fills the context is refused in words",
    async run({ policy }) {
      for (const length of [policy.contextLength, policy.contextLength + 1]) {
        const refused = policy.sample(prefixOf(policy, length), { maxTokens: 1 });
        await expect(refused).rejects.toThrow(new RegExp(`${policy.contextLength}`));
      }
    },
  },
  {
    name: "an abort rejects with its reason and disturbs nobody else",
    async run({ policy }) {
      const aborted = policy.sample(prefixOf(policy, 4), { maxTokens: 4, signal: AbortSignal.abort(new Error("no")) });
      await expect(aborted).rejects.toThrow("no");

      const expected = await policy.sample(prefixOf(policy, 4, 1), { maxTokens: 20, seed: 1 });
      const controller = new AbortController();
      const leaving = policy.sample(prefixOf(policy, 4, 2), { maxTokens: 40, seed: 2, signal: controller.signal });
      const staying = policy.sample(prefixOf(policy, 4, 1), { maxTokens: 20, seed: 1 });
      controller.abort(new Error("enough"));
      await expect(leaving).rejects.toThrow("enough");
      expectSameSample(await staying, expected);
    },
  },
  {
    name: "logprobs has a value for every token and 0 at index 0",
    async run({ policy }) {
      const sequences = [prefixOf(policy, 9), prefixOf(policy, 1), prefixOf(policy, 17), prefixOf(policy, 2)];
      const rows = await policy.logprobs(sequences);
      expect(rows.map((row) => row.length)).toEqual([9, 1, 17, 2]);
      for (const row of rows) {
        expect(row[0]).toBe(0);
        expect(row.subarray(1).every((logprob) => Number.isFinite(logprob) && logprob <= 0)).toBe(true);
      }
      const alone = await Promise.all(sequences.map(async (sequence) => (await policy.logprobs([sequence]))[0]));
      rows.forEach((row, index) => expectNear(row, alone[index], 1e-4));
    },
  },
  {
    name: "masked logprobs are those without masks, behind a common prompt too",
    async run({ policy }) {
      const sequences = [...behindOnePrompt(policy), prefixOf(policy, 9), prefixOf(policy, 1)];
      const random = new Random("masks");
      const masks_D_T = sequences.map((tokens_T) => Uint8Array.from(tokens_T, () => (random.next() < 0.5 ? 1 : 0)));
      masks_D_T[3].fill(0);
      for (const reference of [false, true]) {
        const all_D_T = await policy.logprobs(sequences, { reference });
        const masked_D_T = await policy.logprobs(sequences, { reference, masks_D_T });
        masked_D_T.forEach((row, index) => {
          const expected = all_D_T[index].map((logprob, t) => (masks_D_T[index][t] === 1 ? logprob : 0));
          expectNear(row, expected, 1e-4);
          expect([...row].every((logprob, t) => (t > 0 && masks_D_T[index][t] === 1) === logprob < 0)).toBe(true);
        });
      }
    },
  },
  {
    name: "logprobs are of a distribution",
    async run({ policy }) {
      const logprobs = await distribution(policy, prefixOf(policy, 5));
      expect(logprobs.reduce((sum, logprob) => sum + Math.exp(logprob), 0)).toBeCloseTo(1, 3);
    },
  },
  {
    name: "greedy takes the likeliest token",
    async run({ policy }) {
      const prefix_T = prefixOf(policy, 5);
      const { tokens_T, logprobs_T } = await policy.sample(prefix_T, { maxTokens: 3, temperature: 0 });
      for (const [index, token] of tokens_T.entries()) {
        const logprobs = await distribution(policy, [...prefix_T, ...tokens_T.slice(0, index)]);
        expect(logprobs[token]).toBeGreaterThanOrEqual(Math.max(...logprobs) - 1e-4);
        expect(logprobs_T[index]).toBeCloseTo(logprobs[token], 3);
      }
      const cut = await policy.sample(prefix_T, { maxTokens: 3, topK: 1, seed: 9 });
      expect(cut.tokens_T).toEqual(tokens_T);
    },
  },
  {
    name: "sampled log-probabilities equal logprobs within 1e-4",
    async run({ policy }) {
      for (const seed of [1, 2, 3]) {
        const prefix_T = prefixOf(policy, 3 + 4 * seed, seed);
        const { tokens_T, logprobs_T } = await policy.sample(prefix_T, { maxTokens: 16, seed });
        const [row] = await policy.logprobs([[...prefix_T, ...tokens_T]]);
        expectNear(logprobs_T, row.subarray(prefix_T.length), 1e-4);
      }
    },
  },
  {
    name: "sampled log-probabilities are those of the temperature and the nucleus",
    async run({ policy }) {
      const prefix_T = prefixOf(policy, 6);
      const raw = await distribution(policy, prefix_T);
      const scaled = raw.map((logprob) => Math.exp(logprob / 0.7));
      const total = scaled.reduce((sum, mass) => sum + mass, 0);
      const nucleus = new Set<number>();
      let kept = 0;
      for (const token of raw.map((_, index) => index).sort((a, b) => scaled[b] - scaled[a])) {
        if (kept >= 0.5 * total) break;
        nucleus.add(token);
        kept += scaled[token];
      }
      for (const seed of [1, 2, 3, 4]) {
        const whole = await policy.sample(prefix_T, { maxTokens: 1, seed, temperature: 0.7 });
        expect(whole.logprobs_T[0]).toBeCloseTo(Math.log(scaled[whole.tokens_T[0]] / total), 3);
        const cut = await policy.sample(prefix_T, { maxTokens: 1, seed, temperature: 0.7, topP: 0.5 });
        expect(nucleus.has(cut.tokens_T[0])).toBe(true);
        expect(cut.logprobs_T[0]).toBeCloseTo(Math.log(scaled[cut.tokens_T[0]] / kept), 3);
      }
    },
  },
  {
    name: "counts what it sampled",
    async run({ policy }) {
      const before = (await policy.stats()).sampledTokens;
      await policy.sample(prefixOf(policy, 4), { maxTokens: 6, seed: 5 });
      expect((await policy.stats()).sampledTokens).toBe(before + 6);
    },
  },
  {
    name: "closing rejects what is pending and what comes later",
    async run({ make }) {
      const policy = await make();
      const pending = policy.sample(prefixOf(policy, 4), { maxTokens: policy.contextLength - 4 });
      const settled = pending.then(() => "finished", () => "rejected"); // prettier-ignore
      await policy.close();
      expect(["finished", "rejected"]).toContain(await settled);
      await expect(policy.sample(prefixOf(policy, 4), { maxTokens: 1 })).rejects.toThrow();
    },
  },
];
