/** @file Conformance of `critic`. */
import { expect } from "vitest";
import { Random } from "../random.js";
import type { ConformanceCase } from "./conformance.js";
import { expectNear, prefixOf } from "./conformance-sampling.js";
import {
  adam,
  behindOnePrompt,
  crossEntropy,
  expectGradientOf,
  expectSameGradient,
  makeData,
  restoring,
  sequencesOf,
  still,
  trainSteps,
  withFolder,
} from "./conformance-training.js";
import type { Critic, ValueDatum } from "../contracts/critic.js";
import type { Policy } from "../contracts/policy.js";

const free = { clip: 0 };

/** Returns that depend on the token before, so that a critic which sees no more can learn them. */
export function makeValueData(policy: Policy, count: number): ValueDatum[] {
  const sequences = Array.from({ length: count }, (_, row) => prefixOf(policy, 5 + 3 * (row % 6), 200 + row));
  return sequences.map(valueDatum);
}

function valueDatum(tokens_T: readonly number[], row: number): ValueDatum {
  const random = new Random("value", row);
  return {
    tokens_T,
    mask_T: Uint8Array.from(tokens_T, () => (random.next() < 0.7 ? 1 : 0)),
    returns_T: Float32Array.from(tokens_T, (_, t) => (t === 0 ? 0 : Math.sin(tokens_T[t - 1]))),
    oldValues_T: new Float32Array(tokens_T.length),
    weights_T: Float32Array.from(tokens_T, () => 0.05 + 0.1 * random.next()),
  };
}

const masksOf = (data_D: readonly ValueDatum[]): Uint8Array[] => data_D.map(({ mask_T }) => mask_T);
const isWanted = ({ mask_T }: ValueDatum, t: number): boolean => t > 0 && mask_T[t] === 1;
const negated = (datum: ValueDatum): ValueDatum => ({ ...datum, weights_T: datum.weights_T.map((weight) => -weight) });

/** Conforming policies have one, or the cases are skipped by name. */
function criticOf(policy: Policy): Critic {
  if (!policy.critic) throw new Error("The policy has no critic: open it with one, or skip the cases of critics.");
  return policy.critic;
}

export async function regress(critic: Critic, data_D: readonly ValueDatum[], steps: number): Promise<number[]> {
  const losses: number[] = [];
  for (let step = 0; step < steps; step++) {
    losses.push((await critic.forwardBackward(data_D, free)).loss);
    await critic.optimStep({ ...adam, learningRate: 0.02 });
  }
  return losses;
}

export const criticCases: readonly ConformanceCase[] = [
  {
    name: "critic: values start at 0",
    async run({ policy }) {
      const values_D_T = await criticOf(policy).values(sequencesOf(makeValueData(policy, 3)));
      for (const values_T of values_D_T) expect([...values_T]).toEqual(Array(values_T.length).fill(0));
    },
  },
  {
    name: "critic: regression to given returns converges",
    async run({ practised }) {
      const policy = await practised();
      const critic = criticOf(policy);
      const data_D = makeValueData(policy, 4).map((datum) => ({
        ...datum,
        returns_T: datum.returns_T.map((value) => 0.5 - value),
      }));
      let losses: number[] = [];
      await restoring(critic, async () => {
        losses = await regress(critic, data_D, 80);
      });
      expect(losses[0]).toBeGreaterThan(0.01);
      expect(losses.at(-1)).toBeLessThan(0.1 * losses[0]);
    },
  },
  {
    name: "critic: masked values are those without masks, behind a common prompt too",
    async run({ practised }) {
      const policy = await practised();
      const critic = criticOf(policy);
      const data_D = [...behindOnePrompt(policy).map(valueDatum), ...makeValueData(policy, 2)];
      const all_D_T = await critic.values(sequencesOf(data_D));
      const masked_D_T = await critic.values(sequencesOf(data_D), masksOf(data_D));
      const trained = await critic.forwardBackward(data_D, free);
      await critic.optimStep(still);
      data_D.forEach((datum, row) => {
        const expected = all_D_T[row].map((value, t) => (isWanted(datum, t) ? value : 0));
        expect(Math.max(...expected.map(Math.abs))).toBeGreaterThan(1e-3);
        expect(all_D_T[row][0]).toBe(0);
        for (const values_T of [masked_D_T[row], trained.values_D_T[row]]) {
          expectNear(values_T, expected, 1e-5);
          expect([...values_T].every((value, t) => isWanted(datum, t) || value === 0)).toBe(true);
        }
      });
    },
  },
  {
    name: "critic: the value loss is its definition",
    async run({ practised }) {
      const policy = await practised();
      const critic = criticOf(policy);
      const data_D = makeValueData(policy, 3);
      const values_D_T = await critic.values(sequencesOf(data_D));
      for (const clip of [0, 0.05]) {
        let expected = 0;
        data_D.forEach((datum, row) => {
          values_D_T[row].forEach((value, t) => {
            if (!isWanted(datum, t)) return;
            const clipped = clip === 0 ? value : Math.min(clip, Math.max(-clip, value));
            const target = datum.returns_T[t];
            expected += 0.5 * datum.weights_T[t] * Math.max((value - target) ** 2, (clipped - target) ** 2);
          });
        });
        const { loss } = await critic.forwardBackward(data_D, { clip });
        await critic.optimStep(still);
        expect(loss / expected).toBeCloseTo(1, 4);
      }
    },
  },
  {
    name: "critic: the gradient of the value loss is that of central differences",
    async run({ practised }) {
      const policy = await practised();
      const critic = criticOf(policy);
      const data_D = [...behindOnePrompt(policy).map(valueDatum), ...makeValueData(policy, 3)];
      for (const clip of [0, 0.1]) {
        await expectGradientOf(critic, async () => (await critic.forwardBackward(data_D, { clip })).loss);
      }
    },
  },
  {
    name: "critic: a value that has moved as far as the clip stops, and only towards its return",
    async run({ policy }) {
      const critic = criticOf(policy);
      const gradNorm = async (oldValue: number, clip: number): Promise<number> => {
        const data_D = makeValueData(policy, 2).map((datum) => ({
          ...datum,
          returns_T: datum.returns_T.map(() => 1),
          oldValues_T: datum.oldValues_T.map(() => oldValue),
        }));
        await critic.forwardBackward(data_D, { clip });
        return (await critic.optimStep(still)).gradNorm;
      };
      // Values are 0 and wanted at 1: from −1 they have come far enough, from 1 they have gone astray.
      expect(await gradNorm(-1, 0.5)).toBe(0);
      for (const [oldValue, clip] of [
        [-1, 0],
        [-1, 1.5],
        [1, 0.5],
      ]) {
        expect(await gradNorm(oldValue, clip), `from ${oldValue} with ${clip}`).toBeGreaterThan(0.01);
      }
    },
  },
  {
    name: "critic: tokens outside the mask carry no value loss",
    async run({ practised }) {
      const policy = await practised();
      const critic = criticOf(policy);
      const data_D = makeValueData(policy, 3);
      const noisy_D = data_D.map((datum) => ({
        ...negated(datum),
        returns_T: datum.returns_T.map((value, t) => (isWanted(datum, t) ? value : 50)),
      }));
      await expectSameGradient(
        critic,
        async () => void (await critic.forwardBackward(data_D, free)),
        async () => void (await critic.forwardBackward(noisy_D, free)),
      );
    },
  },
  {
    name: "critic: neither the batch nor its padding changes gradients or values",
    async run({ practised }) {
      const policy = await practised();
      const critic = criticOf(policy);
      const data_D = [...makeValueData(policy, 5), ...behindOnePrompt(policy).map(valueDatum)];
      const together_D_T = await critic.values(sequencesOf(data_D), masksOf(data_D));
      for (const [row, datum] of data_D.entries()) {
        const [alone_T] = await critic.values([datum.tokens_T], [datum.mask_T]);
        expectNear(together_D_T[row], alone_T, 1e-5);
      }
      await expectSameGradient(
        critic,
        async () => void (await critic.forwardBackward(data_D, { clip: 0.1 })),
        async () => {
          for (const datum of data_D) await critic.forwardBackward([negated(datum)], { clip: 0.1 });
        },
      );
    },
  },
  {
    name: "critic: a restored critic continues bit for bit",
    async run({ practised, make }) {
      const policy = await practised();
      const [critic, other] = [criticOf(policy), criticOf(await make())];
      const data_D = makeValueData(policy, 3);
      const expectSame = async (): Promise<void> =>
        expect(await other.values(sequencesOf(data_D))).toEqual(await critic.values(sequencesOf(data_D)));
      await restoring(critic, async () => {
        await withFolder(async (folder) => {
          await critic.save(folder);
          await other.load(folder);
        });
        await expectSame();
        expect(await regress(other, data_D, 2)).toEqual(await regress(critic, data_D, 2));
        await expectSame();
      });
    },
  },
  {
    name: "critic: its steps leave the policy as it was",
    async run({ practised }) {
      const policy = await practised();
      const critic = criticOf(policy);
      const data_D = makeData(policy, 3);
      const prefix_T = prefixOf(policy, 6);
      /** A sample, and how many tokens had to be computed for it. */
      const sample = async () => {
        const before = await policy.stats();
        const sampled = await policy.sample(prefix_T, { maxTokens: 8, seed: 1 });
        return { sampled, computed: (await policy.stats()).prefillTokens - before.prefillTokens };
      };
      await sample();
      const expected = { logprobs_D_T: await policy.logprobs(sequencesOf(data_D)), sample: await sample() };
      await policy.forwardBackward(data_D, crossEntropy);
      const { gradNorm } = await policy.optimStep(still);
      await policy.forwardBackward(data_D, crossEntropy);
      await restoring(critic, async () => {
        await regress(critic, makeValueData(policy, 3), 2);
        expect((await policy.optimStep(still)).gradNorm).toBe(gradNorm);
        expect(await policy.logprobs(sequencesOf(data_D))).toEqual(expected.logprobs_D_T);
      });
      // The same tokens, from the same cache.
      await sample();
      await restoring(critic, () => regress(critic, makeValueData(policy, 3), 1));
      expect(await sample()).toEqual(expected.sample);
    },
  },
  {
    name: "critic: the policy's steps leave it as it was",
    async run({ practised }) {
      const policy = await practised();
      const critic = criticOf(policy);
      const data_D = makeValueData(policy, 3);
      const expected = await critic.values(sequencesOf(data_D));
      await critic.forwardBackward(data_D, free);
      const { gradNorm } = await critic.optimStep(still);
      await critic.forwardBackward(data_D, free);
      await restoring(policy, async () => {
        await trainSteps(policy, makeData(policy, 3), 2);
        expect(await critic.values(sequencesOf(data_D))).toEqual(expected);
        expect((await critic.optimStep(still)).gradNorm).toBe(gradNorm);
      });
    },
  },
];
