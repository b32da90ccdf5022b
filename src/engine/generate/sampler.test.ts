import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { UserError } from "../../errors.js";
import type { Sample, SampleOptions } from "../../contracts/policy.js";
import { uniformAt } from "../../random.js";
import { FakeBackend, type FakeOptions } from "./fake-backend.test-support.js";
import { Sampler, type SamplerOptions } from "./sampler.js";

const decode = (tokens: readonly number[]) => tokens.map((token) => String.fromCharCode(97 + (token % 26))).join("");

function make(
  options: Partial<SamplerOptions> = {},
  fake: FakeOptions = {},
): { backend: FakeBackend; sampler: Sampler } {
  const backend = new FakeBackend(fake);
  return { backend, sampler: new Sampler(backend, { contextLength: 512, decode, pieceLength: 16, ...options }) };
}

/** A prefix that is a pure function of its seed; equal `shared` means equal beginnings. */
function prefix(seed: number, length: number, shared = 0): number[] {
  return Array.from({ length }, (_, i) => Math.floor(40 * uniformAt(i < shared ? 1 : seed + 100, i)));
}

/** A prompt that is no other prompt's beginning: 39 stands at its end only. */
function prompt(seed: number, length: number): number[] {
  return [...prefix(seed % 4, length, 40).map((token) => token % 39), 39];
}

/** Turns of one trajectory: sample, then an observation, then sample again. */
async function converse(sampler: Sampler, seed: number, turns: number, start: number[]): Promise<Sample[]> {
  const samples: Sample[] = [];
  let tokens = start;
  for (let turn = 0; turn < turns; turn++) {
    const sample = await sampler.sample(tokens, {
      maxTokens: 1 + ((seed * 7 + turn * 5) % 17),
      seed,
      stop: { tokens: [5] },
    });
    samples.push(sample);
    tokens = [...tokens, ...sample.tokens_T, ...prefix(seed * 31 + turn, 1 + ((seed * 11 + turn) % 30))];
    if (seed % 3 === 0) await new Promise((resolve) => setImmediate(resolve));
  }
  return samples;
}

const options = (seed: number, more: Partial<SampleOptions> = {}): SampleOptions => ({ maxTokens: 12, seed, ...more });

describe("the same tokens whoever shares the batch", () => {
  it("samples 8 together as it samples them one by one", async () => {
    const prefixes = Array.from({ length: 8 }, (_, i) => prefix(i, 5 + 9 * i, 20));
    const together = make().sampler;
    const batch = await Promise.all(prefixes.map((tokens, i) => together.sample(tokens, options(i))));
    for (const [i, tokens] of prefixes.entries()) {
      expect(await make().sampler.sample(tokens, options(i))).toEqual(batch[i]);
    }
    const inTurn = make().sampler;
    for (const [i, tokens] of prefixes.entries()) expect(await inTurn.sample(tokens, options(i))).toEqual(batch[i]);
  });

  it("does not depend on arrivals, limits and settings, even where cuts change the last bits (property)", async () => {
    const alone = new Map<string, Sample[]>();
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.record({ seed: fc.nat(40), length: fc.integer({ min: 1, max: 70 }), delay: fc.nat(12) }), {
          minLength: 1,
          maxLength: 12,
        }),
        fc.record({
          maxBatch: fc.integer({ min: 1, max: 12 }),
          admitCount: fc.integer({ min: 1, max: 5 }),
          tokensPerRun: fc.constantFrom(16, 64, 4096),
        }),
        async (arrivals, settings) => {
          // Rows for everyone: an eviction is the one thing that changes how a sequence is cut.
          const { sampler } = make({ ...settings, slots: 16 });
          const results = await Promise.all(
            arrivals.map(async ({ seed, length, delay }) => {
              for (let i = 0; i < delay; i++) await new Promise((resolve) => setImmediate(resolve));
              return converse(sampler, seed, 3, prompt(seed, length));
            }),
          );
          for (const [index, { seed, length }] of arrivals.entries()) {
            const key = `${seed}/${length}`;
            if (!alone.has(key)) alone.set(key, await converse(make().sampler, seed, 3, prompt(seed, length)));
            expect(results[index]).toEqual(alone.get(key));
          }
        },
      ),
      { numRuns: 30 },
    );
  }, 30_000);

  it("gives the same with few slots, small memory and without reuse (property)", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.record({ seed: fc.nat(40), length: fc.integer({ min: 1, max: 150 }) }), {
          minLength: 1,
          maxLength: 10,
        }),
        fc.constantFrom<Partial<SamplerOptions>>(
          { reuse: false },
          { maxBatch: 2, slots: 2 },
          { maxBatch: 3, slots: 5 },
          // Two rows of 512 positions of 128 bytes, and little more.
          { memoryLimitBytes: 2.5 * 512 * 128 },
          { maxBatch: 1 },
        ),
        async (arrivals, settings) => {
          const run = async (sampler: Sampler) =>
            Promise.all(arrivals.map(({ seed, length }) => converse(sampler, seed, 3, prompt(seed, length))));
          const fake = { cutsMatter: false };
          expect(await run(make(settings, fake).sampler)).toEqual(await run(make({}, fake).sampler));
        },
      ),
      { numRuns: 20 },
    );
  }, 30_000);
});

describe("prefix reuse", () => {
  it("computes the prompt of a group of 8 once", async () => {
    const { sampler, backend } = make();
    const start = prefix(1, 50);
    const samples = await Promise.all(Array.from({ length: 8 }, (_, i) => sampler.sample(start, options(i))));
    expect(new Set(samples.map((sample) => sample.tokens_T.join())).size).toBeGreaterThan(4);
    // 49 tokens in pieces of 16, and the last one in everybody's first decode step.
    expect(sampler.stats).toMatchObject({ prefillTokens: 49 + 8, reusedTokens: 7 * 49, prefillRuns: 4 });
    expect(backend.prefills.every(({ batch }) => batch === 1)).toBe(true);
  });

  it("computes only the new tokens of a second turn", async () => {
    const { sampler } = make();
    const start = prefix(2, 45);
    const { tokens_T } = await sampler.sample(start, options(1, { maxTokens: 10 }));
    const before = sampler.stats;
    await sampler.sample([...start, ...tokens_T, ...prefix(9, 20)], options(1));
    // The last sampled token was never fed: it is new as well.
    expect(sampler.stats.prefillTokens - before.prefillTokens).toBe(20 + 1);
    expect(sampler.stats.reusedTokens - before.reusedTokens).toBe(45 + 9);
  });

  it("shares whole pieces of a common beginning, within a batch and with kept sequences", async () => {
    const { sampler } = make();
    await Promise.all([3, 4, 5].map((seed) => sampler.sample(prefix(seed, 60, 40), options(seed))));
    // 32 of the 40 common tokens are whole pieces of 16.
    expect(sampler.stats).toMatchObject({ prefillTokens: 32 + 3 * 28 });
    await sampler.sample(prefix(6, 60, 40), options(6));
    expect(sampler.stats).toMatchObject({ prefillTokens: 32 + 4 * 28, reusedTokens: 3 * 32 });
  });

  it("keeps a trajectory for its next turn when others share its start, and evicts the oldest when rows run out", async () => {
    const { sampler } = make({ maxBatch: 2, slots: 3 });
    const start = prefix(7, 33);
    const first = await sampler.sample(start, options(1));
    await sampler.sample(start, options(2));
    await sampler.sample([...start, ...first.tokens_T, 1], options(3));
    expect(sampler.stats).toMatchObject({ prefillTokens: 33 + 1 + 2, evictions: 0 });
    for (const seed of [20, 21, 22]) await sampler.sample(prefix(seed, 30), options(seed));
    expect(sampler.stats.evictions).toBe(2);
    const before = sampler.stats.prefillTokens;
    await sampler.sample([...start, 1, 2, 3], options(4));
    expect(sampler.stats.prefillTokens - before).toBe(36);
  });

  it("does not take a prompt that was decoded for the beginning of another prompt", async () => {
    const { sampler } = make();
    for (const length of [1, 2, 20]) {
      const { tokens_T } = await sampler.sample(prefix(5, length), options(1, { maxTokens: 1 }));
      const longer = [...prefix(5, length), (tokens_T[0] + 1) % 40, 3, 4];
      expect(await sampler.sample(longer, options(2))).toEqual(await make().sampler.sample(longer, options(2)));
    }
  });

  it("forgets everything on reset, in the middle of sequences too", async () => {
    const { sampler, backend } = make({ contextLength: 2000 });
    const start = prefix(8, 20);
    const expected = await sampler.sample(start, options(1, { maxTokens: 150 }));
    sampler.reset();
    const before = sampler.stats.prefillTokens;
    expect(await sampler.sample(start, options(1, { maxTokens: 150 }))).toEqual(expected);
    expect(sampler.stats.prefillTokens - before).toBe(20);
    const running = sampler.sample(start, options(1, { maxTokens: 30 }));
    while (backend.decodes.length < 310) await new Promise((resolve) => setImmediate(resolve));
    sampler.reset();
    expect((await running).tokens_T.length).toBe(30);
    // Prompt and the tokens that had been sampled were computed anew.
    expect(sampler.stats.prefillTokens - before).toBeGreaterThan(20 + 1 + 25);
  });
});

describe("the life of a request", () => {
  it("stops at tokens, strings, maxTokens and the end of the context", async () => {
    const { sampler } = make({ contextLength: 40 });
    const long = await sampler.sample(prefix(1, 10), options(3, { maxTokens: 100 }));
    expect([long.stopReason, long.tokens_T.length, long.logprobs_T.length]).toEqual(["length", 30, 30]);
    const byToken = await sampler.sample(prefix(1, 10), options(3, { stop: { tokens: [long.tokens_T[4]] } }));
    expect(byToken).toEqual({
      tokens_T: long.tokens_T.slice(0, 5),
      logprobs_T: long.logprobs_T.slice(0, 5),
      stopReason: "stop",
    });
    const string = decode(long.tokens_T.slice(3, 7));
    const byString = await sampler.sample(prefix(1, 10), options(3, { stop: { strings: ["never", string] } }));
    expect([byString.tokens_T.length, byString.stopReason]).toEqual([7, "stop"]);
    const short = await sampler.sample(prefix(1, 10), options(3, { maxTokens: 4 }));
    expect(short).toMatchObject({ tokens_T: long.tokens_T.slice(0, 4), stopReason: "length" });
    const nothing = await sampler.sample(prefix(1, 39), options(3, { maxTokens: 0 }));
    expect(nothing).toEqual({ tokens_T: [], logprobs_T: [], stopReason: "length" });
  });

  it("never prefills a lone token, and decodes text only for stop strings", async () => {
    let decoded = 0;
    const { sampler, backend } = make({ decode: () => `${++decoded}` });
    await sampler.sample([3], options(1));
    await sampler.sample([3, 4], options(1, { temperature: 0 }));
    expect(new Set(backend.decodes)).toEqual(new Set([1]));
    expect(backend.prefills).toEqual([{ batch: 1, length: 8 }]);
    expect(decoded).toBe(0);
  });

  it("rejects what makes no sense, with a reason", async () => {
    const { sampler } = make({ contextLength: 64 });
    await expect(sampler.sample(prefix(1, 64), options(1))).rejects.toThrow(/64 tokens.*context of 64 leaves no room/);
    await expect(sampler.sample([], options(1))).rejects.toThrow(UserError);
    await expect(sampler.sample([1, 40], options(1))).rejects.toThrow(/Token 1 .* vocabulary has 40/);
    await expect(sampler.sample([1], options(1, { topP: 0 }))).rejects.toThrow(/topP/);
    await expect(sampler.sample([1], options(1, { temperature: Number.NaN }))).rejects.toThrow(/temperature/);
    await expect(sampler.sample([1], options(1, { maxTokens: 1.5 }))).rejects.toThrow(/maxTokens/);
    expect(() => make({ memoryLimitBytes: 1000 })).toThrow(/Raise the limit/);
  });

  it("cancels one sequence and leaves the others alone", async () => {
    const { sampler, backend } = make();
    const expected = await make().sampler.sample(prefix(1, 20), options(1, { maxTokens: 40 }));
    const running = new AbortController();
    const waiting = new AbortController();
    const survivor = sampler.sample(prefix(1, 20), options(1, { maxTokens: 40 }));
    const cancelled = sampler.sample(prefix(2, 20), options(2, { maxTokens: 400, signal: running.signal }));
    while (backend.decodes.length < 5) await new Promise((resolve) => setImmediate(resolve));
    const neverStarted = sampler.sample(prefix(3, 20), options(3, { signal: waiting.signal }));
    waiting.abort(new Error("no more"));
    running.abort();
    await expect(neverStarted).rejects.toThrow("no more");
    await expect(cancelled).rejects.toThrow(/abort/);
    await expect(sampler.sample([1], options(1, { signal: running.signal }))).rejects.toThrow(/abort/);
    expect(await survivor).toEqual(expected);
    expect(sampler.stats.sampledTokens).toBeLessThan(60);
  });

  it("reports diverged weights and is sound again after a reset", async () => {
    const { sampler, backend } = make();
    const expected = await make().sampler.sample(prefix(1, 90), options(1));
    backend.diverged = true;
    const both = [1, 2].map((seed) => sampler.sample(prefix(seed, 90), options(seed)));
    for (const one of both) await expect(one).rejects.toThrow(/diverged/);
    backend.diverged = false;
    sampler.reset();
    expect(await sampler.sample(prefix(1, 90), options(1))).toEqual(expected);
  });

  it("passes a backend's failure on to those who were running, and lives on", async () => {
    let failing = true;
    const fail = () => {
      if (failing) throw new Error("out of memory");
    };
    const { sampler } = make({}, { onCall: fail });
    const both = [1, 2].map((seed) => sampler.sample(prefix(seed, 30), options(seed)));
    for (const one of both) await expect(one).rejects.toThrow("out of memory");
    failing = false;
    expect(await sampler.sample(prefix(1, 30), options(1))).toEqual(
      await make().sampler.sample(prefix(1, 30), options(1)),
    );
  });

  it("rejects what is pending when it is closed", async () => {
    const { sampler } = make();
    const pending = sampler.sample(prefix(1, 30), options(1, { maxTokens: 400 }));
    const rejected = expect(pending).rejects.toThrow(/closed/);
    await sampler.close();
    await rejected;
    await expect(sampler.sample([1], options(1))).rejects.toThrow(/closed/);
  });
});
