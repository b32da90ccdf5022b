/** @file Conformance of `forwardBackward`, `optimStep`, `save` and `load`. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect } from "vitest";
import { dataLoss } from "../algorithms/losses.js";
import { Random } from "../random.js";
import { customLossStep } from "../train/custom-loss.js";
import type { Datum } from "../types.js";
import type { ConformanceCase } from "./conformance.js";
import { distribution, expectNear, prefixOf } from "./conformance-sampling.js";
import type { Critic } from "../contracts/critic.js";
import type { AdamOptions, LossSpec, Policy } from "../contracts/policy.js";

export { behindOnePrompt } from "./conformance-sampling.js";

export const adam: AdamOptions = {
  learningRate: 1e-2,
  beta1: 0.9,
  beta2: 0.95,
  // Large enough that rounding in a gradient near zero does not decide the direction of a step.
  epsilon: 1e-4,
  weightDecay: 0.01,
  maxGradNorm: 1,
};

export const bold: AdamOptions = { ...adam, learningRate: 0.05 };

/** Measures the accumulated gradient and clears it; the weights stay. */
export const still: AdamOptions = { ...adam, learningRate: 0, weightDecay: 0, maxGradNorm: 0 };

export const crossEntropy: LossSpec = { kind: "cross_entropy" };
const ratioLosses: readonly LossSpec[] = [
  { kind: "importance_sampling" },
  { kind: "ppo", clipLow: 0.2, clipHigh: 0.2 },
  { kind: "cispo", clipLow: 0.3, clipHigh: 0.2 },
];

/** Sequences of different lengths with holes in their masks, and weights of both signs. */
export function makeData(policy: Policy, count: number): Datum[] {
  return Array.from({ length: count }, (_, row) => {
    const random = new Random("datum", row);
    const tokens_T = prefixOf(policy, 5 + 3 * (row % 6), 100 + row);
    return {
      tokens_T,
      sampledMask_T: Uint8Array.from(tokens_T, () => (random.next() < 0.7 ? 1 : 0)),
      weights_T: Float32Array.from(tokens_T, () => 0.1 * random.next()),
    };
  });
}

/** The same with advantages, and old log-probabilities so far from the current ones that some ratios are clipped. */
async function makeRatioData(policy: Policy, count: number): Promise<Datum[]> {
  const data_D = makeData(policy, count);
  const current_D_T = await policy.logprobs(data_D.map(({ tokens_T }) => tokens_T));
  return data_D.map(({ tokens_T, sampledMask_T }, row) => {
    const random = new Random("ratio", row);
    return {
      tokens_T,
      sampledMask_T,
      logprobs_T: current_D_T[row].map((logprob) => logprob + 0.3 * random.normal()),
      advantages_T: Float32Array.from(tokens_T, () => 0.1 * random.normal()),
    };
  });
}

/** Two ways to one gradient, the second with its sign turned: together they must cancel. */
export async function expectSameGradient(
  policy: Pick<Policy, "optimStep">,
  add: () => Promise<void>,
  subtract: () => Promise<void>,
): Promise<void> {
  await add();
  const { gradNorm } = await policy.optimStep(still);
  expect(gradNorm).toBeGreaterThan(0);
  await add();
  await subtract();
  expect((await policy.optimStep(still)).gradNorm / gradNorm, "what is left of the gradient").toBeLessThan(1e-3);
}

/** Puts the weights back after `run`, for cases that would change a shared policy. */
export async function restoring<T>(
  target: Pick<Policy | Critic, "save" | "load">,
  run: (restore: () => Promise<void>) => Promise<T>,
): Promise<void> {
  await withFolder(async (folder) => {
    await target.save(folder);
    try {
      await run(() => target.load(folder));
    } finally {
      await target.load(folder);
    }
  });
}

/**
 * The accumulated gradient against central differences: a small step along it and one against it change the loss by its squared norm.
 * The weights are put back.
 */
export async function expectGradientOf(
  target: Pick<Policy | Critic, "optimStep" | "save" | "load">,
  backward: () => Promise<number>,
): Promise<void> {
  const start = await backward();
  const { gradNorm } = await target.optimStep(still);
  expect(gradNorm).toBeGreaterThan(1e-3);
  // Without moments and with an ε far above every gradient, AdamW is plain gradient descent.
  const epsilon = 1e6;
  const rate = (0.0005 * Math.abs(start)) / gradNorm ** 2;
  const lossAfter = async (learningRate: number): Promise<number> => {
    await backward();
    await target.optimStep({ ...still, learningRate: learningRate * epsilon, beta1: 0, beta2: 0, epsilon });
    const loss = await backward();
    await target.optimStep(still);
    return loss;
  };
  await restoring(target, async (restore) => {
    const against = await lossAfter(-rate);
    await restore();
    const slope = (against - (await lossAfter(rate))) / (2 * rate);
    expect(Math.abs(slope / gradNorm ** 2 - 1), `numeric ${slope}, computed ${gradNorm ** 2}`).toBeLessThan(0.02);
  });
}

/** A loss in two passes, with its gradient's sign turned. Returns the loss. */
async function subtractSlowly(policy: Policy, data_D: readonly Datum[], spec: LossSpec): Promise<number> {
  const { loss } = await customLossStep(policy, data_D, (data, logprobs) => {
    const { loss, gradLogprobs_D_T } = dataLoss(spec, data, logprobs);
    return { loss, gradLogprobs_D_T: gradLogprobs_D_T.map((row) => row.map((gradient) => -gradient)) };
  });
  return loss;
}

export function sequencesOf<T extends { tokens_T: readonly number[] }>(data_D: readonly T[]): T["tokens_T"][] {
  return data_D.map(({ tokens_T }) => tokens_T);
}

/** With advantages of 0: nothing but the entropy bonus moves the policy. */
function makeEntropyData(policy: Policy, count: number): Datum[] {
  return makeData(policy, count).map(({ tokens_T, sampledMask_T }, row) => {
    const random = new Random("entropy", row);
    return {
      tokens_T,
      sampledMask_T,
      logprobs_T: new Float32Array(tokens_T.length).fill(-1),
      advantages_T: new Float32Array(tokens_T.length),
      entropyWeights_T: Float32Array.from(tokens_T, () => (random.next() < 0.8 ? 0.1 * random.next() : 0)),
    };
  });
}

export async function trainSteps(
  policy: Policy,
  data_D: readonly Datum[],
  steps: number,
  options = adam,
): Promise<void> {
  for (let step = 0; step < steps; step++) {
    await policy.forwardBackward(data_D, crossEntropy);
    await policy.optimStep(options);
  }
}

export async function withFolder(run: (folder: string) => Promise<void>): Promise<void> {
  const parent = await mkdtemp(join(tmpdir(), "sleuth-conformance-"));
  try {
    await run(join(parent, "checkpoint"));
  } finally {
    await rm(parent, { recursive: true, force: true });
  }
}

export const trainingCases: readonly ConformanceCase[] = [
  {
    name: "steps on cross-entropy lower it",
    async run({ make }) {
      const policy = await make();
      const data_D = makeData(policy, 4);
      const losses: number[] = [];
      for (let step = 0; step < 6; step++) {
        losses.push((await policy.forwardBackward(data_D, crossEntropy)).loss);
        expect((await policy.optimStep(adam)).gradNorm).toBeGreaterThan(0);
      }
      expect(losses.at(-1)).toBeLessThan(0.995 * losses[0]);
      expect((await policy.stats()).trainedTokens).toBeGreaterThan(0);
    },
  },
  {
    name: "forwardBackward reports the loss and the log-probabilities before the step",
    async run({ policy }) {
      const data_D = makeData(policy, 5);
      const expected_D_T = await policy.logprobs(sequencesOf(data_D));
      const { loss, logprobs_D_T } = await policy.forwardBackward(data_D, crossEntropy);
      expect(loss).toBeCloseTo(dataLoss(crossEntropy, data_D, expected_D_T).loss, 3);
      data_D.forEach(({ sampledMask_T }, row) => {
        const carried = (logprobs_T: Float32Array): Float32Array =>
          logprobs_T.map((logprob, t) => (t > 0 && sampledMask_T[t] ? logprob : 0));
        expectNear(carried(logprobs_D_T[row]), carried(expected_D_T[row]), 1e-4);
      });
      await policy.optimStep(still);
    },
  },
  {
    name: "tokens outside the mask carry no loss",
    async run({ policy }) {
      const data_D = makeData(policy, 3);
      const noisy_D = data_D.map((datum) => ({
        ...datum,
        weights_T: datum.weights_T?.map((weight, t) => (t > 0 && datum.sampledMask_T[t] ? -weight : 50)),
      }));
      let clean = 0;
      let noisy = 0;
      await expectSameGradient(
        policy,
        async () => {
          clean = (await policy.forwardBackward(data_D, crossEntropy)).loss;
        },
        async () => {
          noisy = -(await policy.forwardBackward(noisy_D, crossEntropy)).loss;
        },
      );
      expect(noisy).toBeCloseTo(clean, 3);
    },
  },
  {
    name: "gradients do not depend on the batch (1×8 = 8×1)",
    async run({ policy }) {
      const data_D = makeData(policy, 8);
      const negated_D = data_D.map((datum) => ({ ...datum, weights_T: datum.weights_T?.map((weight) => -weight) }));
      let whole = 0;
      let sum = 0;
      await expectSameGradient(
        policy,
        async () => {
          whole = (await policy.forwardBackward(data_D, crossEntropy)).loss;
        },
        async () => {
          for (const datum of negated_D) sum -= (await policy.forwardBackward([datum], crossEntropy)).loss;
        },
      );
      expect(sum).toBeCloseTo(whole, 3);
    },
  },
  {
    name: "a step clears the accumulated gradient",
    async run({ policy }) {
      const data_D = makeData(policy, 2);
      await policy.forwardBackward(data_D, crossEntropy);
      const { gradNorm } = await policy.optimStep(still);
      await policy.forwardBackward(data_D, crossEntropy);
      expect((await policy.optimStep(still)).gradNorm / gradNorm).toBeCloseTo(1, 4);
    },
  },
  ...ratioLosses.map((spec): ConformanceCase => ({
    name: `${spec.kind} equals its definition`,
    async run({ policy }) {
      const data_D = await makeRatioData(policy, 4);
      let fast = 0;
      let slow = 0;
      await expectSameGradient(
        policy,
        async () => {
          fast = (await policy.forwardBackward(data_D, spec)).loss;
        },
        async () => {
          slow = await subtractSlowly(policy, data_D, spec);
        },
      );
      expect(fast).toBeCloseTo(slow, 3);
    },
  })),
  {
    name: "entropy: what is reported is −Σ p·log p",
    async run({ policy }) {
      const [datum] = makeEntropyData(policy, 1);
      const { loss, entropies_D_T } = await policy.forwardBackward([datum], ratioLosses[1]);
      await policy.optimStep(still);
      const [entropies_T] = entropies_D_T ?? [];
      let expected = 0;
      for (const [t, weight] of datum.entropyWeights_T?.entries() ?? []) {
        const carries = t > 0 && datum.sampledMask_T[t] === 1 && weight !== 0;
        if (!carries) continue;
        const logprobs = await distribution(policy, datum.tokens_T.slice(0, t));
        const entropy = -logprobs.reduce((sum, logprob) => sum + Math.exp(logprob) * logprob, 0);
        expect(entropies_T[t]).toBeCloseTo(entropy, 3);
        expected -= weight * entropy;
      }
      expect(loss).toBeLessThan(-0.01);
      expect(loss).toBeCloseTo(expected, 3);
      const without = { ...datum, entropyWeights_T: undefined };
      expect((await policy.forwardBackward([without], ratioLosses[1])).entropies_D_T).toBeUndefined();
      await policy.optimStep(still);
    },
  },
  {
    name: "entropy: its gradient is that of central differences",
    async run({ make }) {
      const policy = await make();
      // Not many: differences do not see the slope of a policy that is nearly sure of everything.
      await trainSteps(policy, makeData(policy, 4), 5);
      const data_D = makeEntropyData(policy, 4);
      await expectGradientOf(policy, async () => (await policy.forwardBackward(data_D, ratioLosses[1])).loss);
    },
  },
  {
    name: "entropy: it adds to the gradient of any loss",
    async run({ practised }) {
      const policy = await practised();
      const bonus_D = makeEntropyData(policy, 4);
      const ratio_D = await makeRatioData(policy, 4);
      const joined_D = ratio_D.map((datum, row) => ({ ...datum, entropyWeights_T: bonus_D[row].entropyWeights_T }));
      const negated_D = bonus_D.map(({ tokens_T, sampledMask_T, entropyWeights_T }) => ({
        tokens_T,
        sampledMask_T,
        weights_T: new Float32Array(tokens_T.length),
        entropyWeights_T: entropyWeights_T?.map((weight) => -weight),
      }));
      for (const spec of ratioLosses) {
        let both = 0;
        let parts = 0;
        await expectSameGradient(
          policy,
          async () => {
            both = (await policy.forwardBackward(joined_D, spec)).loss;
          },
          async () => {
            parts = await subtractSlowly(policy, ratio_D, spec);
            parts -= (await policy.forwardBackward(negated_D, crossEntropy)).loss;
          },
        );
        expect(both).toBeCloseTo(parts, 3);
      }
    },
  },
  {
    name: "entropy: steps for it raise it",
    async run({ practised }) {
      const policy = await practised();
      const data_D = makeEntropyData(policy, 4);
      const losses: number[] = [];
      await restoring(policy, async () => {
        // The optimizer forgets where practice went.
        for (let step = 0; step < 30; step++) await policy.optimStep(still);
        for (let step = 0; step < 12; step++) {
          losses.push((await policy.forwardBackward(data_D, ratioLosses[1])).loss);
          await policy.optimStep(bold);
        }
      });
      expect(losses.at(-1)).toBeLessThan(1.002 * losses[0]);
    },
  },
  {
    name: "samples follow the weights",
    async run({ make }) {
      const policy = await make();
      const prefix_T = prefixOf(policy, 6);
      await policy.sample(prefix_T, { maxTokens: 8, seed: 1 });
      await trainSteps(policy, makeData(policy, 4), 4);
      const { tokens_T, logprobs_T } = await policy.sample(prefix_T, { maxTokens: 8, seed: 1 });
      const [row] = await policy.logprobs([[...prefix_T, ...tokens_T]]);
      expectNear(logprobs_T, row.subarray(prefix_T.length), 1e-4);
    },
  },
  {
    name: "the reference stays where it was",
    async run({ make }) {
      const policy = await make();
      const data_D = makeData(policy, 3);
      const start = await policy.logprobs(sequencesOf(data_D));
      await trainSteps(policy, data_D, 3);
      const now = await policy.logprobs(sequencesOf(data_D));
      const reference = await policy.logprobs(sequencesOf(data_D), { reference: true });
      reference.forEach((row, index) => expectNear(row, start[index], 1e-5));
      expect(Math.max(...now[0].map((logprob, t) => Math.abs(logprob - start[0][t])))).toBeGreaterThan(1e-3);
    },
  },
  {
    name: "load restores the weights that save wrote",
    async run({ make }) {
      const [policy, other] = [await make(), await make()];
      const data_D = makeData(policy, 3);
      await trainSteps(policy, data_D, 2);
      const expected = await policy.logprobs(sequencesOf(data_D));
      await withFolder(async (folder) => {
        await policy.save(folder);
        await other.load(folder);
      });
      expect(await other.logprobs(sequencesOf(data_D))).toEqual(expected);
    },
  },
  {
    name: "a restored policy continues bit for bit",
    async run({ make }) {
      const [policy, other] = [await make(), await make()];
      const data_D = makeData(policy, 3);
      await trainSteps(policy, data_D, 2);
      await withFolder(async (folder) => {
        await policy.save(folder, { optimizer: true });
        await other.load(folder);
      });
      await trainSteps(policy, data_D, 2);
      await trainSteps(other, data_D, 2);
      const [expected, resumed] = [
        await policy.logprobs(sequencesOf(data_D)),
        await other.logprobs(sequencesOf(data_D)),
      ];
      expect(resumed).toEqual(expected);
    },
  },
];
