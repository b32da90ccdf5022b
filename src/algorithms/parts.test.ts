/** @file The parts of an algorithm on plain numbers: advantages, losses, KL, aggregates. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { Datum } from "../types.js";
import { tokenShares } from "./aggregate.js";
import { gae, groupAdvantages, reinforceAdvantages, returnsToGo, rlooAdvantages, whiten } from "./estimators.js";
import { klGradient, klNames, klValue, nextCoefficient } from "./kl.js";
import { dataLoss, isEngineLoss, isMoved, tokenLoss, type AnyLoss, type PolicyLoss } from "./losses.js";
import { objectiveGradient } from "./objective.js";
import { compress, expand, positionsOf, spread } from "./positions.js";
import { ratioStats } from "./ratio-stats.js";

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
    expect(rlooAdvantages([1])).toEqual(one);
    expect(groupAdvantages([0.5], { groupOfOne: "raw" })).toEqual({ advantages_G: [0.5], zeroVariance: false });
  });

  it("sum to 0, follow the order of the rewards, and ignore a shift", () => {
    const rewards = fc.array(fc.double({ min: -10, max: 10, noNaN: true }), { minLength: 2, maxLength: 16 });
    fc.assert(
      fc.property(rewards, fc.constantFrom("sample", "population", "none", "rloo"), (rewards_G, std) => {
        const { advantages_G } = std === "rloo" ? rlooAdvantages(rewards_G) : groupAdvantages(rewards_G, { std });
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

describe("leave-one-out advantages", () => {
  it("subtract the mean of the others", () => {
    const { advantages_G } = rlooAdvantages([1, 0, 0.5]);
    [0.75, -0.75, 0].forEach((expected, member) => expect(advantages_G[member]).toBeCloseTo(expected, 12));
  });
});

describe("reinforce advantages", () => {
  it("subtract the running mean of earlier batches only", () => {
    const first = reinforceAdvantages([1, 0], [0, 1], {}, { baselineDecay: 0.5 });
    expect(first).toMatchObject({ advantages_D: [1, 0], state: { baseline: 0.5 } });
    const second = reinforceAdvantages([1], [0], first.state, { baselineDecay: 0.5 });
    expect(second).toMatchObject({ advantages_D: [0.5], state: { baseline: 0.75 } });
    expect(reinforceAdvantages([1], [0], { baseline: 0.5 }, { baselineDecay: 0.75 }).state).toEqual({
      baseline: 0.625,
    });
  });

  it("keep raw rewards without a baseline, and the state of an empty batch", () => {
    const before = { baseline: 0.5 };
    const raw = reinforceAdvantages([1, 0], [0, 0], before, { baseline: "none" });
    expect(raw).toMatchObject({ advantages_D: [1, 0], state: before });
    expect(reinforceAdvantages([], [], before).state).toEqual(before);
  });

  it("subtract the mean of the batch or of the group", () => {
    const rewards_D = [1, 0, 0, 0];
    const ofBatch = reinforceAdvantages(rewards_D, [0, 1, 0, 1], {}, { baseline: "batch-mean" });
    expect(ofBatch).toMatchObject({ advantages_D: [0.75, -0.25, -0.25, -0.25], zeroVarianceGroups: 0, state: {} });
    const ofGroup = reinforceAdvantages(rewards_D, [0, 1, 0, 1], {}, { baseline: "group-mean" });
    expect(ofGroup).toMatchObject({
      advantages_D: [0.5, 0, -0.5, 0],
      zeroVariance_D: [false, true, false, true],
      zeroVarianceGroups: 1,
      explanations: ["all 2 rewards are equal"],
    });
  });
});

describe("positions", () => {
  it("leave out what the mask leaves out, and put values back", () => {
    const masks = [Uint8Array.of(0, 1, 1, 0, 1), Uint8Array.of(0, 0), Uint8Array.of(0, 1)];
    const positions = positionsOf(masks);
    expect([...positions.at_N]).toEqual([1, 2, 4, 1]);
    expect([...positions.starts_D]).toEqual([0, 3, 3, 4]);
    const values = [Float32Array.of(9, 1, 2, 9, 3), Float32Array.of(9, 9), Float32Array.of(9, 4)];
    const values_N = compress(values, positions);
    expect([...values_N]).toEqual([1, 2, 3, 4]);
    expect(expand(values_N, positions, [5, 2, 2]).map((row) => [...row])).toEqual([
      [0, 1, 2, 0, 3],
      [0, 0],
      [0, 4],
    ]);
    expect([...spread([7, 8, 9], positions)]).toEqual([7, 7, 7, 9]);
  });
});

describe("token advantages", () => {
  const close = (actual: Float64Array, expected: number[]): void => {
    expect(actual).toHaveLength(expected.length);
    expected.forEach((value, n) => expect(actual[n]).toBeCloseTo(value, 12));
  };

  it("GAE matches Search-R1's numbers", () => {
    const { advantages_N, returns_N } = gae(Float64Array.of(0, 0, 1), Float64Array.of(0.2, 0.3, 0.4), {
      gamma: 1,
      lambda: 1,
    });
    close(advantages_N, [0.8, 0.7, 0.6]);
    close(returns_N, [1, 1, 1]);
  });

  it("GAE with λ = 0 is the temporal difference, with γ = 0 the error of the value", () => {
    const rewards_N = Float64Array.of(0, 0, 1);
    const values_N = Float64Array.of(0.2, 0.3, 0.4);
    close(gae(rewards_N, values_N, { gamma: 0.5, lambda: 0 }).advantages_N, [-0.05, -0.1, 0.6]);
    close(gae(rewards_N, values_N, { gamma: 0, lambda: 1 }).advantages_N, [-0.2, -0.3, 0.6]);
  });

  it("returns are discounted sums of what comes", () => {
    close(returnsToGo(Float64Array.of(1, 0, 2), 0.5), [1.5, 1, 2]);
  });

  it("whitening gives mean 0 and unbiased deviation 1, and survives one value or equal ones", () => {
    const whitened_N = whiten(Float64Array.of(1, 2, 3, 4));
    expect(whitened_N.reduce((sum, value) => sum + value, 0)).toBeCloseTo(0, 12);
    expect(whitened_N.reduce((sum, value) => sum + value * value, 0) / 3).toBeCloseTo(1, 7);
    close(whiten(Float64Array.of(5)), [0]);
    close(whiten(Float64Array.of(2, 2)), [0, 0]);
    expect([...whiten(new Float64Array(3).fill(0.1))]).toEqual([0, 0, 0]);
    close(whiten(new Float64Array(0)), []);
  });
});

describe("KL estimators", () => {
  it("match the reference's number", () => {
    expect(klValue("k3", 0.5)).toBeCloseTo(0.10653, 5);
    expect([klValue("k1", 0.5), klGradient("k1", 0.5)]).toEqual([0.5, 1]);
    expect([klValue("k2", 0.5), klGradient("k2", 0.5)]).toEqual([0.125, 0.5]);
    expect([klValue("abs", -0.5), klGradient("abs", -0.5)]).toEqual([0.5, -1]);
  });

  it("have the gradients of their values", () => {
    for (const name of klNames) {
      for (const difference of [0.5, -1.7, 0.01, -2.2]) {
        const numeric = (klValue(name, difference + 1e-5) - klValue(name, difference - 1e-5)) / 2e-5;
        expect(klGradient(name, difference)).toBeCloseTo(numeric, 6);
      }
    }
  });

  it("k3 is never negative, and stops at 10", () => {
    expect([klValue("k3", -19), klGradient("k3", -19)]).toEqual([10, 0]);
    fc.assert(fc.property(fc.double({ min: -30, max: 30, noNaN: true }), (d) => klValue("k3", d) >= 0));
  });

  const p = [0.5, 0.3, 0.2];
  const q = [0.2, 0.2, 0.6];
  const expectation = (f: (difference: number, token: number) => number): number =>
    p.reduce((sum, mass, token) => sum + mass * f(Math.log(mass / q[token]), token), 0);

  it("are right on average where they are unbiased", () => {
    const truth = expectation((difference) => difference);
    expect(expectation((difference) => klValue("k3", difference))).toBeCloseTo(truth, 12);
    expect(expectation((difference) => klValue("k2", difference))).not.toBeCloseTo(truth, 3);
  });

  it("in the loss, k2's gradient is that of KL(π ‖ ref), k3's that of KL(ref ‖ π), and k1's is none", () => {
    // ∂log p[token]/∂logit[0] of a softmax.
    const score = (token: number): number => (token === 0 ? 1 : 0) - p[0];
    const mean = (name: "k1" | "k2" | "k3"): number => expectation((d, token) => klGradient(name, d) * score(token));
    const reverse = expectation((difference, token) => difference * score(token));
    expect(mean("k1")).toBeCloseTo(0, 12);
    expect(mean("k2")).toBeCloseTo(reverse, 12);
    expect(mean("k3")).toBeCloseTo(p[0] - q[0], 12);
    expect(Math.abs(reverse)).toBeGreaterThan(0.1);
  });
});

describe("the controller of β", () => {
  it("moves β by the clipped error, in proportion to the batch", () => {
    const steering = { target: 0.1, horizon: 100 };
    expect(nextCoefficient(1, { kl: 0.11, trajectories: 10 }, steering)).toBeCloseTo(1.01, 12);
    expect(nextCoefficient(1, { kl: 5, trajectories: 10 }, steering)).toBeCloseTo(1.02, 12);
    expect(nextCoefficient(2, { kl: 0, trajectories: 10 }, steering)).toBeCloseTo(1.96, 12);
    expect(nextCoefficient(2, { kl: 0.1, trajectories: 10 }, steering)).toBe(2);
    expect(nextCoefficient(2, { kl: 0, trajectories: 1000 }, steering)).toBeCloseTo(1.6, 12);
  });
});

const clips = { clipLow: 0.2, clipHigh: 0.3 };
const specs: AnyLoss[] = [
  { kind: "cross_entropy" },
  { kind: "importance_sampling" },
  { kind: "ppo", ...clips },
  { kind: "cispo", ...clips },
  { kind: "dual-clip", ...clips, dualClip: 1.4 },
  // Wide enough that the example's sequence is inside, narrow enough that others are not.
  { kind: "gspo", clipLow: 0.2, clipHigh: 0.3 },
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

/** The largest distance of a gradient from central differences of its loss. */
function gradientError(
  value: (logprobs_T: number[]) => number,
  gradient_T: ArrayLike<number>,
  logprobs_T: number[],
): number {
  const errors = logprobs_T.map((_, t) => {
    const moved = (step: number): number[] => logprobs_T.map((logprob, u) => (u === t ? logprob + step : logprob));
    return Math.abs((value(moved(1e-5)) - value(moved(-1e-5))) / 2e-5 - gradient_T[t]);
  });
  return Math.max(...errors);
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
    const lossesAt = (advantage: number): number[] => {
      datum.advantages_T[1] = advantage;
      return specs.map((spec) => tokenLoss(spec, logprobs_T, datum).loss);
    };
    const up = [-2 * logprobs_T[1], -2, -1.3, -1.3 * logprobs_T[1], -1.3, -1.3];
    lossesAt(1).forEach((loss, kind) => expect(loss).toBeCloseTo(up[kind], 6));
    // Bad and liked more than before: PPO does not clip that, dual clip does.
    const down = [-2 * logprobs_T[1], 2, 2, 1.3 * logprobs_T[1], 1.4, 2];
    lossesAt(-1).forEach((loss, kind) => expect(loss).toBeCloseTo(down[kind], 6));
  });

  it.each(specs)("$kind has the gradient of its value, by central differences; a broken rule has not", (spec) => {
    const { datum, logprobs_T } = example(24);
    const { gradLogprobs_T } = tokenLoss(spec, logprobs_T, datum);
    // CISPO's ratio is a constant to the gradient, so it is frozen in the numeric one too.
    const value = (moved_T: number[]): number =>
      spec.kind === "cispo"
        ? moved_T.reduce((sum, logprob, t) => sum + logprob * gradLogprobs_T[t], 0)
        : tokenLoss(spec, moved_T, datum).loss;
    expect(gradientError(value, gradLogprobs_T, logprobs_T)).toBeLessThan(1e-6);
    expect(gradLogprobs_T.some((gradient) => Math.abs(gradient) > 0.05)).toBe(true);
    // Negative controls: a gradient that is a thousandth too large, one that stands a token too late, one with the sign turned.
    if (spec.kind === "cispo") return;
    const broken = [
      gradLogprobs_T.map((gradient) => 1.001 * gradient),
      Float32Array.from(gradLogprobs_T, (_, t) => gradLogprobs_T[Math.max(0, t - 1)]),
      gradLogprobs_T.map((gradient) => -gradient),
    ];
    for (const rule of broken) expect(gradientError(value, rule, logprobs_T)).toBeGreaterThan(2e-5);
  });

  it("gspo stops a sequence as a whole, and its gradient stands on all tokens alike", () => {
    const { datum, logprobs_T } = example(24);
    datum.advantages_T?.fill(0.1);
    const spec: AnyLoss = { kind: "gspo", clipLow: 0.1, clipHigh: 0.1 };
    const inside = tokenLoss(spec, logprobs_T, datum).gradLogprobs_T;
    const carried = [...inside].filter((_, t) => t > 0 && datum.sampledMask_T[t] === 1);
    expect(new Set(carried).size).toBe(1);
    expect(carried[0]).toBeLessThan(0);
    const liked_T = logprobs_T.map((logprob) => logprob + 0.3);
    expect(tokenLoss(spec, liked_T, datum).gradLogprobs_T.every((gradient) => gradient === 0)).toBe(true);
    const none = { ...datum, sampledMask_T: new Uint8Array(24) };
    expect(tokenLoss(spec, logprobs_T, none)).toEqual({ loss: 0, gradLogprobs_T: new Float32Array(24) });
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

  it("do not depend on padding, on the order of data or on how they are split (property)", () => {
    const padded = (datum: Datum, width: number): Datum => ({
      tokens_T: [...datum.tokens_T, ...Array<number>(width).fill(0)],
      sampledMask_T: Uint8Array.from([...datum.sampledMask_T, ...Array<number>(width).fill(0)]),
      weights_T: Float32Array.from([...(datum.weights_T ?? []), ...Array<number>(width).fill(9)]),
      logprobs_T: Float32Array.from([...(datum.logprobs_T ?? []), ...Array<number>(width).fill(9)]),
      advantages_T: Float32Array.from([...(datum.advantages_T ?? []), ...Array<number>(width).fill(9)]),
    });
    const rows = fc.array(fc.tuple(fc.integer({ min: 1, max: 20 }), fc.integer({ min: 0, max: 99 })), { minLength: 2, maxLength: 6 }); // prettier-ignore
    fc.assert(
      fc.property(rows, fc.constantFrom(...specs), fc.nat(5), fc.nat(5), (lengths, spec, width, cut) => {
        const made = lengths.map(([length, salt]) => example(length, salt));
        const data = made.map(({ datum }) => datum);
        const logprobs = made.map(({ logprobs_T }) => logprobs_T);
        const whole = dataLoss(spec, data, logprobs);
        const at = cut % data.length;
        const [first, second] = [
          dataLoss(spec, data.slice(0, at), logprobs.slice(0, at)),
          dataLoss(spec, data.slice(at), logprobs.slice(at)),
        ];
        expect(first.loss + second.loss).toBeCloseTo(whole.loss, 10);
        expect([...first.gradLogprobs_D_T, ...second.gradLogprobs_D_T]).toEqual(whole.gradLogprobs_D_T);
        const reversed = dataLoss(spec, [...data].reverse(), [...logprobs].reverse());
        expect(reversed.loss).toBeCloseTo(whole.loss, 10);
        expect(reversed.gradLogprobs_D_T.reverse()).toEqual(whole.gradLogprobs_D_T);
        const wide = dataLoss(
          spec,
          data.map((datum) => padded(datum, width)),
          logprobs.map((row_T) => [...row_T, ...Array<number>(width).fill(-3)]),
        );
        expect(wide.loss).toBe(whole.loss);
        wide.gradLogprobs_D_T.forEach((row_T, d) =>
          expect(row_T.subarray(0, row_T.length - width)).toEqual(whole.gradLogprobs_D_T[d]),
        );
      }),
    );
  });

  it("refuse what they cannot compute with", () => {
    const { datum, logprobs_T } = example(4);
    expect(() => tokenLoss(specs[0], [0], datum)).toThrow(/internal: 4 tokens with 1/);
    expect(() => tokenLoss(specs[1], logprobs_T, { ...datum, advantages_T: undefined })).toThrow(/advantages_T/);
    expect(() => tokenLoss(specs[0], logprobs_T, { ...datum, weights_T: undefined })).toThrow(/weights_T/);
    const missing = { ...datum, logprobs_T: new Float32Array(4).fill(NaN) };
    for (const spec of specs.slice(1)) {
      expect(() => tokenLoss(spec, logprobs_T, missing)).toThrow(/token 2 carries loss but .* withCurrentLogprobs/);
    }
    expect(() => dataLoss(specs[0], [datum], [])).toThrow(/internal/);
  });
});

describe("ratio statistics", () => {
  const datum = {
    tokens_T: [0, 1, 2, 3],
    sampledMask_T: Uint8Array.of(0, 1, 1, 0),
    logprobs_T: Float32Array.of(0, -1, -1, 0),
    advantages_T: Float32Array.of(0, 1, 1, 0),
  };
  const logprobs_T = [0, -1, -1 + Math.log(2), 0];

  it("count clipped tokens and estimate the distance", () => {
    const stats = ratioStats([datum], [logprobs_T], { kind: "ppo", ...clips });
    expect(stats).toMatchObject({ tokens: 2, clipFraction: 0.5 });
    expect(stats.meanRatio).toBeCloseTo(1.5, 6);
    expect(stats.maxRatio).toBeCloseTo(2, 6);
    expect(stats.kl).toBeCloseTo((2 - Math.log(2) - 1) / 2, 6);
    expect(ratioStats([datum], [logprobs_T], { kind: "importance_sampling" }).clipFraction).toBe(0);
    expect(ratioStats([], [], { kind: "importance_sampling" })).toMatchObject({ tokens: 0, meanRatio: 0 });
  });

  it("leave out tokens whose log-probability was not computed", () => {
    const row = { ...datum, advantages_T: Float32Array.of(0, 1, 0, 0) };
    const computed = [0, -1, 0, 0];
    const polluted = ratioStats([row], [computed], { kind: "ppo", ...clips });
    expect(polluted.maxRatio).toBeCloseTo(Math.E, 6);
    expect(ratioStats([row], [computed], { kind: "ppo", ...clips }, isMoved)).toEqual({
      ...{ tokens: 1, meanRatio: 1, maxRatio: 1, clipFraction: 0, kl: 0 },
    });
    // An entropy bonus has them computed.
    const bonus = { ...row, entropyWeights_T: Float32Array.of(0, 0.1, 0.1, 0) };
    expect(ratioStats([bonus], [logprobs_T], { kind: "ppo", ...clips }, isMoved).tokens).toBe(2);
  });

  it("are those of whole sequences with GSPO", () => {
    const stats = ratioStats([datum], [logprobs_T], { kind: "gspo", ...clips });
    expect(stats).toMatchObject({ tokens: 2, clipFraction: 1 });
    expect(stats.meanRatio).toBeCloseTo(Math.SQRT2, 6);
  });
});

describe("the objective", () => {
  const rows = [0, 1].map((salt) => example(12, salt));
  const data_D = rows.map(({ datum }) => datum);
  const logprobs = rows.map(({ logprobs_T }) => logprobs_T);
  const referenceLogprobs_D_T = logprobs.map((row) =>
    Float32Array.from(row, (logprob, t) => logprob + 0.4 * Math.cos(t)),
  );
  const made = { data_D, shares_D: [0.1, 0.2], referenceLogprobs_D_T, lossTokens: 0, tokens: 0 };
  const losses = specs.slice(1) as PolicyLoss[];

  it.each(losses)("adds β · share · KL and its gradient to $kind", (loss) => {
    for (const estimator of klNames) {
      const objective = { loss, kl: { coefficient: 0.3, estimator }, entropy: 0 };
      const result = objectiveGradient(objective, made, logprobs);
      const alone = dataLoss(loss, data_D, logprobs);
      expect(result.loss).toBeCloseTo(result.policyLoss + result.klLoss, 12);
      expect(result.policyLoss).toBeCloseTo(alone.loss, 12);
      for (const d of [0, 1]) {
        const klLoss = (moved_T: number[]): number =>
          objectiveGradient(objective, made, d === 0 ? [moved_T, logprobs[1]] : [logprobs[0], moved_T]).klLoss;
        const added_T = result.gradLogprobs_D_T[d].map((gradient, t) => gradient - alone.gradLogprobs_D_T[d][t]);
        expect(gradientError(klLoss, added_T, logprobs[d])).toBeLessThan(1e-6);
        expect(
          gradientError(
            klLoss,
            added_T.map((gradient) => 1.01 * gradient),
            logprobs[d],
          ),
        ).toBeGreaterThan(1e-5);
      }
    }
  });

  it("is the loss alone without a KL, and refuses to go without the reference it needs", () => {
    const plain = objectiveGradient({ loss: losses[1], entropy: 0 }, made, logprobs);
    expect(plain).toMatchObject({ loss: plain.policyLoss, klLoss: 0 });
    expect(plain.klPerToken).toBeUndefined();
    const objective = { loss: losses[1], kl: { coefficient: 1, estimator: "k3" as const }, entropy: 0 };
    expect(() => objectiveGradient(objective, { ...made, referenceLogprobs_D_T: undefined }, logprobs)).toThrow(
      /internal/,
    );
    expect(objectiveGradient(objective, made, logprobs).klPerToken).toBeGreaterThan(0);
  });

  it("knows which losses engines compute", () => {
    expect(losses.filter(isEngineLoss).map(({ kind }) => kind)).toEqual(["importance_sampling", "ppo", "cispo"]);
  });
});

describe("aggregates", () => {
  it("share a batch's loss", () => {
    expect(tokenShares([1, 3], "token-mean")).toEqual([0.25, 0.25]);
    expect(tokenShares([1, 3], "sequence-mean")).toEqual([0.5, 1 / 6]);
    expect(tokenShares([1, 3], "constant", { constantTokens: 10 })).toEqual([0.05, 0.05]);
    expect(tokenShares([0, 2], "sequence-mean")).toEqual([0, 0.5]);
    expect(tokenShares([0, 0], "token-mean")).toEqual([0, 0]);
  });

  it("average micro-batches, leaving out empty ones", () => {
    expect(tokenShares([1, 3, 5, 0, 0], "micro-batch-mean", { microBatchRows: 2 })).toEqual([1 / 8, 1 / 8, 1 / 10, 0, 0]); // prettier-ignore
    expect(tokenShares([0], "micro-batch-mean", { microBatchRows: 2 })).toEqual([0]);
  });

  it("sum to 1 over tokens but for the constant (property)", () => {
    const kinds = fc.constantFrom("token-mean" as const, "sequence-mean" as const, "micro-batch-mean" as const);
    fc.assert(
      fc.property(fc.array(fc.nat(9), { minLength: 1 }), kinds, fc.integer({ min: 1, max: 4 }), (tokens_D, kind, microBatchRows) => {
        const shares_D = tokenShares(tokens_D, kind, { microBatchRows });
        const sum = shares_D.reduce((total, share, d) => total + share * tokens_D[d], 0);
        expect(sum).toBeCloseTo(tokens_D.some((tokens) => tokens > 0) ? 1 : 0, 10);
      }), // prettier-ignore
    );
  });
});
