/** @file The parts of an algorithm on plain numbers: advantages, losses, KL, aggregates. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { LossSpec } from "../policy/policy.js";
import type { Datum } from "../types.js";
import { groupAdvantages } from "./advantage/group.js";
import { reinforceAdvantages } from "./advantage/reinforce.js";
import { tokenShares } from "./aggregate.js";
import { k1, k2, k3, klEstimators } from "./kl/estimators.js";
import { withKl } from "./kl/with-kl.js";
import { ppo } from "./loss/ppo.js";
import { ratioStats } from "./loss/ratio-stats.js";
import { dataLoss, tokenLoss } from "./loss/table.js";

describe("group advantages", () => {
  it("match Search-R1's numbers", () => {
    const { advantages_G } = groupAdvantages([1, 0, 0, 0, 0]);
    expect(advantages_G[0]).toBeCloseTo(1.7889, 4);
    for (const advantage of advantages_G.slice(1)) expect(advantage).toBeCloseTo(-0.4472, 4);
  });

  it("offer the population's deviation and none", () => {
    expect(groupAdvantages([1, 0], { std: "population", epsilon: 0 }).advantages_G).toEqual([1, -1]);
    expect(groupAdvantages([1, 0, 0, 0], { std: "none" }).advantages_G).toEqual([0.75, -0.25, -0.25, -0.25]);
  });

  it("are exactly 0 without variance, and say why for a group of one", () => {
    expect(groupAdvantages([0.1, 0.1, 0.1])).toMatchObject({ advantages_G: [0, 0, 0], zeroVariance: true });
    const one = groupAdvantages([1]);
    expect(one).toMatchObject({ advantages_G: [0], zeroVariance: true });
    expect(one.explanation).toMatch(/one trajectory/);
  });

  it("sum to 0, follow the order of the rewards, and ignore a shift", () => {
    const rewards = fc.array(fc.double({ min: -10, max: 10, noNaN: true }), { minLength: 2, maxLength: 16 });
    fc.assert(
      fc.property(rewards, fc.constantFrom("sample", "population", "none"), (rewards_G, std) => {
        const { advantages_G } = groupAdvantages(rewards_G, { std });
        expect(Math.abs(advantages_G.reduce((sum, advantage) => sum + advantage, 0))).toBeLessThan(1e-6);
        rewards_G.forEach((reward, i) =>
          rewards_G.forEach((other, j) => {
            if (reward > other) expect(advantages_G[i]).toBeGreaterThanOrEqual(advantages_G[j]);
          }),
        );
      }),
    );
  });
});

describe("reinforce advantages", () => {
  it("subtract the running mean of earlier batches only", () => {
    const first = reinforceAdvantages([1, 0], {}, { decay: 0.5 });
    expect(first).toEqual({ advantages: [1, 0], state: { baseline: 0.5 } });
    const second = reinforceAdvantages([1], first.state, { decay: 0.5 });
    expect(second).toEqual({ advantages: [0.5], state: { baseline: 0.75 } });
  });

  it("keep raw rewards without a baseline, and the state of an empty batch", () => {
    expect(reinforceAdvantages([1, 0], { baseline: 0.5 }, { baseline: "none" }).advantages).toEqual([1, 0]);
    expect(reinforceAdvantages([], { baseline: 0.5 }).state).toEqual({ baseline: 0.5 });
  });
});

describe("KL estimators", () => {
  it("match the reference's number", () => {
    expect(k3(-1, -1.5).value).toBeCloseTo(0.10653, 5);
    expect(k1(-1, -1.5)).toEqual({ value: 0.5, gradient: 1 });
    expect(k2(-1, -1.5)).toEqual({ value: 0.125, gradient: 0.5 });
  });

  it("have the gradients of their values", () => {
    for (const estimate of Object.values(klEstimators)) {
      for (const [logprob, reference] of [
        [-1, -1.5],
        [-2, -0.3],
        [-0.7, -0.7],
        [-4, -1.8],
      ]) {
        // prettier-ignore
        const numeric = (estimate(logprob + 1e-5, reference).value - estimate(logprob - 1e-5, reference).value) / 2e-5;
        expect(estimate(logprob, reference).gradient).toBeCloseTo(numeric, 6);
      }
    }
  });

  it("k3 is never negative, and stops at 10", () => {
    expect(k3(-20, -1)).toEqual({ value: 10, gradient: 0 });
    const logprob = fc.double({ min: -30, max: 0, noNaN: true });
    fc.assert(fc.property(logprob, logprob, (a, b) => k3(a, b).value >= 0));
  });

  it("are right on average where they are unbiased", () => {
    const p = [0.5, 0.3, 0.2];
    const q = [0.2, 0.2, 0.6];
    const truth = p.reduce((sum, mass, i) => sum + mass * Math.log(mass / q[i]), 0);
    for (const estimate of [k1, k3]) {
      const average = p.reduce((sum, mass, i) => sum + mass * estimate(Math.log(mass), Math.log(q[i])).value, 0);
      expect(average).toBeCloseTo(truth, 12);
    }
  });
});

const specs: LossSpec[] = [
  { kind: "cross_entropy" },
  { kind: "importance_sampling" },
  { kind: "ppo", clipLow: 0.2, clipHigh: 0.3 },
  { kind: "cispo", clipLow: 0.2, clipHigh: 0.3 },
];

/** Current log-probabilities, and a datum with old ones around them so that ratios lie on both sides of the clip. */
function example(length: number, salt = 0): { datum: Datum; logprobs_T: number[] } {
  const wave = (t: number, k: number): number => Math.sin(1.7 * t * k + k + salt);
  const indices = Array.from({ length }, (_, t) => t);
  const logprobs_T = indices.map((t) => -1 - 0.5 * wave(t, 1));
  const datum = {
    tokens_T: indices,
    sampledMask_T: Uint8Array.from(indices, (t) => (t % 3 === 1 ? 0 : 1)),
    weights_T: Float32Array.from(indices, (t) => wave(t, 2)),
    logprobs_T: Float32Array.from(logprobs_T, (logprob, t) => logprob + 0.6 * wave(t, 3)),
    advantages_T: Float32Array.from(indices, (t) => wave(t, 4)),
  };
  return { datum, logprobs_T };
}

describe("losses", () => {
  it("have these values on one token", () => {
    const datum = {
      tokens_T: [0, 1],
      sampledMask_T: Uint8Array.of(1, 1),
      weights_T: Float32Array.of(9, 2),
      logprobs_T: Float32Array.of(0, -1),
      advantages_T: Float32Array.of(9, 1),
    };
    const logprobs_T = [0, -1 + Math.log(2)];
    const losses = specs.map((spec) => tokenLoss(spec, logprobs_T, datum).loss);
    expect(losses[0]).toBeCloseTo(-2 * logprobs_T[1], 6);
    expect(losses[1]).toBeCloseTo(-2, 6);
    expect(losses[2]).toBeCloseTo(-1.3, 6);
    expect(losses[3]).toBeCloseTo(-1.3 * logprobs_T[1], 6);
    datum.advantages_T[1] = -1;
    expect(ppo(logprobs_T, datum, { clipLow: 0.2, clipHigh: 0.3 }).loss).toBeCloseTo(2, 6);
  });

  it.each(specs)("$kind has the gradient of its value, by central differences", (spec) => {
    const { datum, logprobs_T } = example(24);
    // CISPO's ratio is a constant to the gradient, so it is frozen in the numeric one too.
    const value = (moved_T: number[]): number =>
      spec.kind === "cispo"
        ? moved_T.reduce((sum, logprob, t) => sum + logprob * cispoWeight_T[t], 0)
        : tokenLoss(spec, moved_T, datum).loss;
    const { gradLogprobs_T } = tokenLoss(spec, logprobs_T, datum);
    const cispoWeight_T = [...gradLogprobs_T];
    const numeric_T = logprobs_T.map((_, t) => {
      const moved = (step: number): number[] => logprobs_T.map((logprob, u) => (u === t ? logprob + step : logprob));
      return (value(moved(1e-5)) - value(moved(-1e-5))) / 2e-5;
    });
    numeric_T.forEach((numeric, t) => expect(gradLogprobs_T[t]).toBeCloseTo(numeric, 5));
    expect(gradLogprobs_T.some((gradient) => Math.abs(gradient) > 0.1)).toBe(true);
  });

  it("cispo's gradient is minus clip(ratio) times advantage", () => {
    const { datum, logprobs_T } = example(24);
    const { gradLogprobs_T } = tokenLoss({ kind: "cispo", clipLow: 0.2, clipHigh: 0.3 }, logprobs_T, datum);
    logprobs_T.forEach((logprob, t) => {
      const ratio = Math.exp(logprob - datum.logprobs_T![t]);
      const expected =
        t > 0 && datum.sampledMask_T[t] ? -Math.min(1.3, Math.max(0.8, ratio)) * datum.advantages_T![t] : 0;
      expect(gradLogprobs_T[t]).toBeCloseTo(expected, 5);
    });
  });

  it.each(specs)("$kind carries nothing outside the mask or at index 0", (spec) => {
    const { datum, logprobs_T } = example(24);
    const before = tokenLoss(spec, logprobs_T, datum);
    const changed_T = logprobs_T.map((logprob, t) => (t === 0 || datum.sampledMask_T[t] === 0 ? -99 : logprob));
    expect(tokenLoss(spec, changed_T, datum)).toEqual(before);
  });

  it("do not depend on the order of data or on how they are split", () => {
    const rows = [0, 1, 2, 3].map((salt) => example(8 + salt, salt));
    const data = rows.map(({ datum }) => datum);
    const logprobs = rows.map(({ logprobs_T }) => logprobs_T);
    for (const spec of specs) {
      const whole = dataLoss(spec, data, logprobs);
      const split = dataLoss(spec, data.slice(0, 1), logprobs.slice(0, 1)).loss + dataLoss(spec, data.slice(1), logprobs.slice(1)).loss; // prettier-ignore
      const reversed = dataLoss(spec, [...data].reverse(), [...logprobs].reverse());
      expect(split).toBeCloseTo(whole.loss, 12);
      expect(reversed.loss).toBeCloseTo(whole.loss, 12);
      expect(reversed.gradLogprobs_D_T.reverse()).toEqual(whole.gradLogprobs_D_T);
    }
  });

  it("refuse what they cannot compute with", () => {
    const { datum, logprobs_T } = example(4);
    expect(() => tokenLoss(specs[0], [0], datum)).toThrow(/internal: 4 tokens with 1/);
    expect(() => tokenLoss(specs[1], logprobs_T, { ...datum, advantages_T: undefined })).toThrow(/advantages_T/);
    expect(() => tokenLoss(specs[0], logprobs_T, { ...datum, weights_T: undefined })).toThrow(/weights_T/);
    const missing = { ...datum, logprobs_T: new Float32Array(4).fill(NaN) };
    expect(() => tokenLoss(specs[2], logprobs_T, missing)).toThrow(/fillEnvironmentLogprobs/);
  });
});

describe("ratio statistics", () => {
  it("count clipped tokens and estimate the distance", () => {
    const datum = {
      tokens_T: [0, 1, 2, 3],
      sampledMask_T: Uint8Array.of(0, 1, 1, 0),
      logprobs_T: Float32Array.of(0, -1, -1, 0),
      advantages_T: Float32Array.of(0, 1, 1, 0),
    };
    const stats = ratioStats([datum], [[0, -1, -1 + Math.log(2), 0]], specs[2]);
    expect(stats).toMatchObject({ tokens: 2, clipFraction: 0.5 });
    expect(stats.meanRatio).toBeCloseTo(1.5, 6);
    expect(stats.maxRatio).toBeCloseTo(2, 6);
    expect(stats.kl).toBeCloseTo((2 - Math.log(2) - 1) / 2, 6);
  });
});

describe("withKl", () => {
  it("adds β · share · k3 and its gradient", () => {
    const rows = [0, 1].map((salt) => example(12, salt));
    const data = rows.map(({ datum }) => datum);
    const logprobs = rows.map(({ logprobs_T }) => logprobs_T);
    const reference = rows.map(({ logprobs_T }) => logprobs_T.map((logprob, t) => logprob + 0.4 * Math.cos(t)));
    const options = { loss: specs[2], beta: 0.3, shares_D: [0.1, 0.2] };
    const result = withKl(data, logprobs, reference, options);
    expect(result.loss).toBeCloseTo(result.policyLoss + result.klLoss, 12);
    expect(result.policyLoss).toBeCloseTo(dataLoss(specs[2], data, logprobs).loss, 12);
    expect(result.klPerToken).toBeGreaterThan(0);
    const lossAt = (row: number, t: number, step: number): number => {
      const moved = logprobs.map((row_T, r) =>
        row_T.map((logprob, u) => (r === row && u === t ? logprob + step : logprob)),
      );
      return withKl(data, moved, reference, options).loss;
    };
    for (const row of [0, 1])
      for (let t = 0; t < 12; t++) {
        const numeric = (lossAt(row, t, 1e-5) - lossAt(row, t, -1e-5)) / 2e-5;
        expect(result.gradLogprobs_D_T[row][t]).toBeCloseTo(numeric, 5);
      }
    expect(() => withKl(data, logprobs, reference.slice(1), options)).toThrow(/internal/);
  });
});

describe("aggregates", () => {
  it("share a batch's loss", () => {
    expect(tokenShares([1, 3], "token-mean")).toEqual([0.25, 0.25]);
    expect(tokenShares([1, 3], "sequence-mean")).toEqual([0.5, 1 / 6]);
    expect(tokenShares([1, 3], "constant", 10)).toEqual([0.05, 0.05]);
    expect(tokenShares([0, 2], "sequence-mean")).toEqual([0, 0.5]);
    expect(tokenShares([0, 0], "token-mean")).toEqual([0, 0]);
  });
});
