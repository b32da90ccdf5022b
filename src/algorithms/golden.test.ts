/** @file Every estimator, loss, KL and mean against numbers that test/golden/algorithms.py computed with PyTorch, in another way. */
import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import type { Datum, Group } from "../types.js";
import type { AdvantageRow, Algorithm, Rows } from "./algorithm.js";
import { trajectoryOfShape } from "./batches.test-support.js";
import type { Choices } from "./choices.js";
import { type AlgorithmName, choicesOf } from "./named.js";
import { klGradient, klValue, type KlName } from "./kl.js";
import { dataLoss, type AnyLoss } from "./losses.js";
import { makeAlgorithm } from "./make.js";
import { objectiveGradient } from "./objective.js";
import { makeData } from "./make-data.js";

interface Attempt {
  group: number;
  id: string;
  shape: string;
  reward: number;
  finish?: "out-of-tokens" | "cancelled";
}
type Ragged = number[][];
interface Case {
  name: AlgorithmName;
  choices: Partial<Choices>;
}
interface Gradient {
  loss: number;
  gradients: Ragged;
}
interface Golden {
  attempts: Attempt[];
  sampler: Ragged;
  trainer: Ragged;
  current: Ragged;
  reference: Ragged;
  values: Ragged;
  weighted: Ragged;
  advantages: (Case & { advantages: Ragged; returns?: Ragged })[];
  losses: (Gradient & { spec: AnyLoss })[];
  kl: { estimator: KlName; difference: number; value: number; gradient: number }[];
  means: { choices: Partial<Choices>; mean: number }[];
  whole: (Case & Gradient)[];
}

const golden = JSON.parse(
  readFileSync(new URL("../../test/golden/algorithms.json", import.meta.url), "utf8"),
) as Golden;

const floats = (values: Ragged): Float32Array[] => values.map((row) => Float32Array.from(row));

/** Float32 arrays hold what was computed; nothing else may differ. */
function expectClose(actual: number, expected: number, what: string): void {
  const tolerance = 2e-6 * Math.max(1, Math.abs(expected));
  if (!(Math.abs(actual - expected) <= tolerance)) expect.fail(`${what}: ${actual} is not ${expected}`);
}

function expectRows(actual_D_T: readonly ArrayLike<number>[], expected_D_T: Ragged, what: string): void {
  expect(actual_D_T.length, what).toBe(expected_D_T.length);
  expected_D_T.forEach((expected_T, d) => {
    expect(actual_D_T[d].length, what).toBe(expected_T.length);
    expected_T.forEach((expected, t) => expectClose(actual_D_T[d][t], expected, `${what} [${d}, ${t}]`));
  });
}

/** The recorded batch; the attempt that was cancelled has no row. */
function recordedGroups(): Group[] {
  const groups: Group[] = [];
  let row = 0;
  for (const { group, id, shape, reward, finish } of golden.attempts) {
    const logprobs_T = finish === "cancelled" ? undefined : golden.sampler[row++];
    groups[group] ??= { question: { id, question: "?", answers: ["x"] }, trajectories_G: [], rewards_G: [] };
    groups[group].trajectories_G.push(trajectoryOfShape(shape, { finishReason: finish ?? "answered", logprobs_T }));
    groups[group].rewards_G.push(reward);
  }
  return groups;
}

/** The recorded batch with the recorded evidence. */
function recordedRows(algorithm: Algorithm): Rows {
  const batch = algorithm.rows(recordedGroups());
  const { needs } = algorithm;
  const [trainer, reference, values] = [golden.trainer, golden.reference, golden.values].map(floats);
  const current = needs.currentLogprobs ? algorithm.withCurrentLogprobs(batch.rows, trainer) : batch.rows;
  const rows = current.map((row, d) => ({
    ...row,
    ...(needs.reference ? { referenceLogprobs_T: reference[d] } : {}),
    ...(needs.values ? { values_T: values[d] } : {}),
  }));
  return { ...batch, rows };
}

const state = { baseline: 0.25 };
const titled = <Item extends Case>(cases: Item[]): (Item & { title: string })[] =>
  cases.map((item) => ({ ...item, title: `${item.name} ${JSON.stringify(item.choices)}` }));

describe("against PyTorch", () => {
  it.each(titled(golden.advantages))("advantages of $title", ({ name, choices, advantages, returns }) => {
    const algorithm = makeAlgorithm(name, choices);
    const { rows } = algorithm.advantages(recordedRows(algorithm), state);
    expectRows(
      rows.map(({ advantages_T }) => advantages_T),
      advantages,
      "advantages",
    );
    if (returns) {
      const returns_D_T = rows.map(({ returns_T }) => returns_T ?? []);
      expectRows(returns_D_T, returns, "returns");
    } else expect(rows.every(({ returns_T }) => returns_T === undefined)).toBe(true);
  });

  it.each(golden.losses)("$spec.kind and its gradient", ({ spec, loss, gradients }) => {
    const { rows } = makeAlgorithm("grpo").rows(recordedGroups());
    const weighted = floats(golden.weighted);
    const data_D = rows.map((row, d): Datum => ({ ...row, advantages_T: weighted[d], weights_T: weighted[d] }));
    const result = dataLoss(spec, data_D, floats(golden.current));
    expectClose(result.loss, loss, "loss");
    expectRows(result.gradLogprobs_D_T, gradients, "gradient");
  });

  it("KL estimates and their gradients", () => {
    for (const { estimator, difference, value, gradient } of golden.kl) {
      expectClose(klValue(estimator, difference), value, `${estimator}(${difference})`);
      expectClose(klGradient(estimator, difference), gradient, `${estimator}'(${difference})`);
    }
  });

  it.each(golden.means)("the mean $choices", ({ choices, mean }) => {
    const { rows } = makeAlgorithm("grpo").rows(recordedGroups());
    const weighted = floats(golden.weighted);
    const judged = rows.map((row, d): AdvantageRow => ({ ...row, advantages_T: weighted[d], zeroVariance: false }));
    const { data_D } = makeData(judged, { ...choicesOf("grpo"), ...choices });
    let sum = 0;
    for (const { advantages_T } of data_D) for (const value of advantages_T ?? []) sum += value;
    expectClose(sum, mean, "mean");
  });

  it.each(titled(golden.whole))("the whole objective of $title", ({ name, choices, loss, gradients }) => {
    const algorithm = makeAlgorithm(name, choices);
    const batch = recordedRows(algorithm);
    const { rows, state: next } = algorithm.advantages(batch, state);
    const made = algorithm.makeData(rows, next);
    // Rows that were left out have no gradient.
    const places = made.data_D.map(({ tokens_T }) => rows.findIndex((row) => row.tokens_T === tokens_T));
    const current = floats(golden.current);
    const result = objectiveGradient(
      algorithm.objective(next),
      made,
      places.map((d) => current[d]),
    );
    expectClose(result.loss, loss, "loss");
    const gradients_D_T: Float32Array[] = rows.map(({ tokens_T }) => new Float32Array(tokens_T.length));
    places.forEach((d, index) => (gradients_D_T[d] = result.gradLogprobs_D_T[index]));
    expectRows(gradients_D_T, gradients, "gradient");
  });

  it("notices a near miss", () => {
    expect(() => expectClose(1.00001, 1, "x")).toThrow(/x: 1.00001 is not 1/);
    expect(() => expectClose(NaN, 1, "x")).toThrow();
    expect(() => expectRows([[0, 1]], [[0, 1.00001]], "x")).toThrow(/\[0, 1\]/);
    const [first] = golden.advantages;
    const other = makeAlgorithm(first.name, { ...first.choices, std: "population" });
    const { rows } = other.advantages(recordedRows(other), state);
    expect(() =>
      expectRows(
        rows.map(({ advantages_T }) => advantages_T),
        first.advantages,
        "x",
      ),
    ).toThrow();
  });
});
