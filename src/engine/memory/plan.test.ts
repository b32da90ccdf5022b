import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { UserError } from "../../errors.js";
import type { ModelConfig } from "../model/config.js";
import { adapterShapes, allLoraTargets } from "../model/lora.js";
import { elementCount } from "../model/parameters.js";
import { tinyConfig } from "../model/tiny-config.test-support.js";
import { leastShared } from "../optim/sequence-tree.js";
import { exceedsLimit, planMemory, type MemoryRequest } from "./plan.js";
import type { MemoryPlan } from "../../contracts/policy.js";

const gb = 2 ** 30;

/** The model that is shipped: models/atlas-base/config.json. */
const atlas: ModelConfig = tinyConfig({
  hiddenSize: 128,
  intermediateSize: 352,
  layers: 4,
  headDim: 32,
  vocabSize: 1280,
  maxPositions: 512,
});

/** Of a shape for which micro-batches matter, with few layers: graphs are quick to build. */
const wide: ModelConfig = tinyConfig({
  hiddenSize: 1024,
  intermediateSize: 4096,
  layers: 3,
  heads: 16,
  kvHeads: 4,
  headDim: 64,
  vocabSize: 32000,
  maxPositions: 2048,
});

const lora = { rank: 8, alpha: 16, targets: allLoraTargets };

function request(over: Partial<MemoryRequest> = {}): MemoryRequest {
  return {
    config: wide,
    lora,
    sampling: true,
    training: true,
    logprobs: "never",
    rowTokens: 512,
    lossTokens: 256,
    contextLength: 512,
    maxBatch: 32,
    groupSize: 8,
    critic: false,
    entropy: false,
    heldBytes: 100 * 2 ** 20,
    limitBytes: 64 * gb,
    recompute: "auto",
    ...over,
  };
}

const part = ({ parts }: MemoryPlan, name: string): number => parts.find((one) => one.name === name)?.bytes ?? 0;

describe("planMemory", () => {
  it("trains the shipped model in the micro-batches with which its recorded results were made", () => {
    const plan = planMemory(
      request({ config: atlas, lora: undefined, rowTokens: 448, limitBytes: 4 * gb, maxBatch: 128 }),
    );
    expect(plan).toMatchObject({ microBatchTokens: 2383, plainTokens: 2383, recompute: false, prefillTokens: 4096 });
  });

  it("adds up, and counts weights, gradients and moments to the byte", () => {
    const plan = planMemory(request({ config: atlas, lora: undefined }));
    const weights = 4 * 902_272;
    expect(part(plan, "weights")).toBe(weights);
    expect(part(plan, "gradients and optimizer")).toBeGreaterThan(5 * weights);
    expect(part(plan, "everything else")).toBe(request().heldBytes);
    expect(plan.totalBytes).toBe(plan.parts.reduce((sum, { bytes }) => sum + bytes, 0));
  });

  it("takes the largest micro-batch that makes anything faster where there is room", () => {
    expect(planMemory(request())).toMatchObject({ microBatchTokens: 2048, plainTokens: 1024, recompute: false });
    expect(planMemory(request({ groupSize: 1 }))).toMatchObject({ microBatchTokens: 1024, recompute: false });
  });

  it("holds a whole sequence in the smallest micro-batch", () => {
    const plan = planMemory(request({ rowTokens: 1500, lossTokens: 1500, contextLength: 1500, limitBytes: 3 * gb }));
    expect(plan.microBatchTokens).toBeGreaterThanOrEqual(1500);
  });

  it("computes activations again where even one sequence would not fit otherwise, and only there", () => {
    const training = request({ sampling: false });
    const oneRow = planMemory({ ...training, microBatchTokens: 512, recompute: "never" });
    const limitBytes = oneRow.totalBytes - part(oneRow, "activations") / 4;
    expect(planMemory({ ...training, limitBytes })).toMatchObject({ recompute: true });
    expect(planMemory({ ...training, limitBytes: oneRow.totalBytes })).toMatchObject({ recompute: false });
    expect(() => planMemory({ ...training, limitBytes, recompute: "never" })).toThrow(/run\.recompute=auto/);
    expect(planMemory({ ...training, recompute: "always" })).toMatchObject({ recompute: true });
  });

  it("gives the cache a share of the limit, room for a context at least, and no more than it can use", () => {
    const position = 3 * 2 * 4 * 64 * 4;
    expect(planMemory(request()).cacheBytes).toBe(2 * 32 * 512 * position);
    expect(planMemory(request({ limitBytes: gb, training: false })).cacheBytes).toBeLessThanOrEqual(gb / 4);
    const least = 2 * 512 * position;
    expect(planMemory(request({ limitBytes: gb, training: false })).cacheBytes).toBeGreaterThanOrEqual(least);
    expect(planMemory(request({ cacheBytes: 12345678 })).cacheBytes).toBe(12345678);
  });

  it("plans for no tree where rows are too short to begin with what is worth a row", () => {
    const activations = (rowTokens: number, groupSize: number): number =>
      part(planMemory(request({ rowTokens, groupSize, microBatchTokens: 1024, recompute: "never" })), "activations");
    expect(activations(leastShared, 8)).toBe(activations(leastShared, 1));
    expect(activations(2 * leastShared, 8)).toBeGreaterThan(activations(2 * leastShared, 1));
  });

  it("leaves out what is not done", () => {
    const names = (plan: MemoryPlan): string[] => plan.parts.map(({ name }) => name);
    expect(names(planMemory(request({ training: false })))).not.toContain("activations");
    expect(names(planMemory(request({ sampling: false })))).not.toContain("keys and values");
    const started = request({ lora: undefined, logprobs: "reference" });
    const difference = planMemory(started).totalBytes - planMemory({ ...started, logprobs: "current" }).totalBytes;
    expect(difference).toBe(part(planMemory({ ...started, logprobs: "never" }), "weights"));
  });

  it("plans for a critic what it plans for the model, without logits and without another copy of frozen weights", () => {
    const adapted = planMemory(request({ critic: true }));
    const names = ["critic's weights", "critic's gradients and optimizer", "critic's activations"];
    expect(adapted.parts.map(({ name }) => name)).toEqual([
      ...planMemory(request()).parts.map(({ name }) => name),
      ...names,
    ]);
    const adapter = adapterShapes(wide, lora).reduce((sum, { shape }) => sum + 4 * elementCount(shape), 0);
    expect(part(adapted, "critic's weights")).toBe(adapter + 4 * (wide.hiddenSize + 1));
    expect(part(adapted, "critic's activations")).toBeGreaterThan(part(adapted, "activations") / 4);
    // Both have a session for training and one without gradients.
    const alike = planMemory(request({ critic: true, logprobs: "current" }));
    expect(part(alike, "critic's activations")).toBeLessThan(part(alike, "activations"));
    const untied = { ...wide, tieWordEmbeddings: false };
    const full = planMemory(request({ config: untied, lora: undefined, critic: true }));
    const head = 4 * wide.vocabSize * wide.hiddenSize;
    expect(part(full, "critic's weights")).toBe(part(full, "weights") - head + 4 * (wide.hiddenSize + 1));
    expect(part(full, "critic's gradients and optimizer")).toBeGreaterThan(5 * part(full, "critic's weights"));
    const alone = planMemory(request({ critic: true, groupSize: 1 }));
    expect(part(alone, "critic's activations")).toBeLessThan(part(adapted, "critic's activations"));
    expect(planMemory(request({ critic: true, training: false })).parts.map(({ name }) => name)).not.toContain(
      names[0],
    );
  });

  it("plans for an entropy bonus a few times the logits, of a frozen head those of one chunk", () => {
    const added = (lora: MemoryRequest["lora"]): number => {
      const common = request({ lora, microBatchTokens: 1024, recompute: "never", groupSize: 1 });
      const [without, bonus] = [false, true].map((entropy) => planMemory({ ...common, entropy }));
      return part(bonus, "activations") - part(without, "activations");
    };
    const logits = 4 * 1024 * wide.vocabSize;
    expect(added(undefined)).toBeGreaterThan(logits);
    expect(added(undefined)).toBeLessThan(5 * logits);
    expect(added(lora)).toBeGreaterThan(0);
    expect(added(lora)).toBeLessThan(logits / 4);
  });

  it("says before any compute what is needed for what, and what can be changed", () => {
    const refusal = (over: Partial<MemoryRequest>): string => {
      try {
        planMemory(request({ config: atlas, limitBytes: 2 ** 26, ...over }));
      } catch (error) {
        if (error instanceof UserError) return error.message;
      }
      return "nothing was refused";
    };
    const ofAdapter = refusal({});
    expect(ofAdapter).toMatch(/Training this model takes at least .* but 64 MB may be used: .*everything else 100 MB/);
    expect(ofAdapter).toMatch(/--memory \(run\.memory\).*rollout\.maxTokens, now 512.*a smaller model/);
    expect(ofAdapter).not.toMatch(/model\.adapt=lora/);
    expect(refusal({ lora: undefined })).toMatch(/model\.adapt=lora/);
    expect(refusal({ training: false })).toMatch(/Running this model takes/);
    expect(ofAdapter).not.toMatch(/critic/);
    expect(refusal({ critic: true })).toMatch(/critic's activations .*without a critic \(algorithm\.name=grpo\)/);
  });

  it("keeps a micro-batch that was asked for, whatever it takes", () => {
    const plan = planMemory(request({ microBatchTokens: 4096, limitBytes: gb }));
    expect(plan.microBatchTokens).toBe(4096);
    expect(exceedsLimit(plan)).toBe(true);
  });
});

describe("planMemory, for all limits and sizes", () => {
  const small = tinyConfig({ layers: 1, hiddenSize: 256, intermediateSize: 512, vocabSize: 4096, maxPositions: 1024 });
  const limits = fc.integer({ min: 20, max: 800 }).map((megabytes) => megabytes * 2 ** 20);
  const base = { config: small, heldBytes: 0, contextLength: 256, rowTokens: 256 } as const;
  const tryPlan = (over: Partial<MemoryRequest>): MemoryPlan | undefined => {
    try {
      return planMemory(request({ ...base, ...over }));
    } catch (error) {
      if (error instanceof UserError) return undefined;
      throw error;
    }
  };

  it("stays below the limit or refuses, and more memory is never worse", () => {
    fc.assert(
      fc.property(limits, limits, fc.constantFrom(undefined, lora), (a, b, adapter) => {
        const [less, more] = [Math.min(a, b), Math.max(a, b)].map((limitBytes) =>
          tryPlan({ limitBytes, lora: adapter }),
        );
        if (!less) return;
        expect(less.totalBytes).toBeLessThanOrEqual(less.limitBytes);
        expect(more).toBeDefined();
        if (more && less.cacheBytes === more.cacheBytes && less.recompute === more.recompute)
          expect(more.microBatchTokens).toBeGreaterThanOrEqual(less.microBatchTokens);
      }),
      { numRuns: 12 },
    );
  });

  it("expects more for more tokens", () => {
    const tokens = fc.integer({ min: 256, max: 5000 });
    fc.assert(
      fc.property(tokens, tokens, fc.boolean(), (a, b, again) => {
        const recompute = again ? "always" : "never";
        const [fewer, more] = [Math.min(a, b), 2 * Math.max(a, b)].map(
          (microBatchTokens) => tryPlan({ microBatchTokens, recompute, groupSize: 1 })?.totalBytes ?? NaN,
        );
        expect(more).toBeGreaterThanOrEqual(fewer);
      }),
      { numRuns: 12 },
    );
  });
});
