import { describe, expect, it } from "vitest";
import type { Question, SearchCall } from "../types.js";
import { compareEvaluations, differingSettings, signTest, type Side } from "./compare.js";
import type { EvaluationRecord } from "./evaluation.js";
import type { EvaluationHead } from "./folder.js";
import { headOf, recordOf } from "./folder.test-support.js";

interface Given {
  right: number;
  index?: number;
  attempt?: number;
  searches?: SearchCall[];
  question?: Partial<Question>;
}

function record(id: string, { right, question, ...given }: Given): EvaluationRecord {
  return recordOf({ id, question: `question ${id}?`, answers: ["yes"], ...question }, right ? "yes" : "no", given);
}

/** Questions 0, 1, … of which each is right or wrong. */
function side(name: string, rights: readonly number[], question: Partial<Question> = {}): Side {
  const answers = question.answers ?? ["yes"];
  const records = rights.map((right, index) => ({
    ...record(`${index}`, { right, index }),
    ...{ question: { id: `${index}`, question: `question ${index}?`, ...question, answers } },
  }));
  return { name, records };
}

const head: EvaluationHead = headOf([], {
  settings: { reward: { weights: { f1: 1 } }, train: { steps: 1 }, rollout: { maxSearches: 4 } },
});
const times = <T>(count: number, value: T): T[] => new Array<T>(count).fill(value);

describe("compareEvaluations", () => {
  it("pairs questions whatever their order, and counts what is gained and lost", () => {
    const [a, b] = [side("a", [1, 1, 0, 0, 0]), side("b", [1, 0, 1, 1, 0])];
    const { n, metrics, pairs, names } = compareEvaluations([a, { ...b, records: [...b.records].reverse() }]);
    expect([n, names]).toEqual([5, ["a", "b"]]);
    const [exact] = metrics;
    expect(exact).toMatchObject({ metric: "exactMatch", n: 5, values: [{ value: 0.4 }, { value: 0.6 }] });
    expect(exact.differences).toMatchObject([{ value: 0.2, gained: 2, lost: 1, signTest: 1 }]);
    expect(pairs[0].flips.map(({ question: { id }, isGained, scores }) => [id, isGained, ...scores])).toEqual([
      ["1", false, 1, 0],
      ["2", true, 0, 1],
      ["3", true, 0, 1],
    ]);
  });

  it("has a narrower interval than the columns, since each question is compared with itself", () => {
    const rights = [...times(60, 1), ...times(60, 0)];
    const better = rights.map((right, index) => (index % 12 === 11 ? 1 : right));
    const [{ values, differences }] = compareEvaluations([side("a", rights), side("b", better)]).metrics;
    expect(differences[0].low).toBeGreaterThan(0);
    expect(values[1].low).toBeLessThan(values[0].high);
  });

  it("shows no difference where as much is lost as gained, and is sure of none where all is equal", () => {
    const [exact] = compareEvaluations([
      side("a", [...times(9, 1), ...times(9, 0)]),
      side("b", [...times(9, 0), ...times(9, 1)]),
    ]).metrics;
    expect(exact.differences[0]).toMatchObject({ value: 0, gained: 9, lost: 9, signTest: 1 });
    expect(exact.differences[0].low).toBeLessThan(0);
    const [same] = compareEvaluations([side("a", [1, 0]), side("b", [1, 0])]).metrics;
    expect(same.differences).toEqual([{ value: 0, low: 0, high: 0, gained: 0, lost: 0, signTest: 1 }]);
  });

  it("averages attempts at a question, and shows those that differ most", () => {
    const attempts = (rights: readonly number[]): EvaluationRecord[] =>
      rights.map((right, attempt) => record("q", { right, attempt }));
    const sides = [
      { name: "a", records: attempts([1, 0, 0, 0]) },
      { name: "b", records: attempts([0, 0, 1, 1]) },
    ];
    const { metrics, pairs } = compareEvaluations(sides);
    expect(metrics[0].differences[0]).toMatchObject({ value: 0.25, gained: 1, lost: 0 });
    expect(metrics[0].differences[0].signTest).toBeUndefined();
    const [{ scores, attempts: shown }] = pairs[0].flips;
    expect([scores, shown.map(({ attempt }) => attempt)]).toEqual([
      [0.25, 0.5],
      [1, 2],
    ]);
  });

  it("divides by what the first side answers: the check of what needs no search", () => {
    const { pairs } = compareEvaluations([side("closed book", [1, 1, 0, 0, 0]), side("search", [1, 1, 1, 0, 0])]);
    expect(pairs[0].split).toMatchObject({ answered: { n: 2, value: 1 }, others: { n: 3, value: 1 / 3 } });
  });

  it("compares any number of sides with the first, and by datasets and hops where there are several", () => {
    const of = (name: string, rights: readonly number[]): Side => ({
      name,
      records: rights.map((right, index) =>
        record(`${index % 2}`, {
          ...{ right, index },
          question: { source: index < 2 ? "nq/test" : `set ${index}`, hops: 1 + (index % 2) },
        }),
      ),
    });
    const { metrics, groups, pairs } = compareEvaluations([of("a", [0, 0, 0]), of("b", [1, 0, 0]), of("c", [1, 1, 1])]);
    expect(metrics[0].differences.map(({ gained }) => gained)).toEqual([1, 3]);
    expect(pairs.map(({ name }) => name)).toEqual(["b", "c"]);
    expect(groups.map(({ group, n, differences }) => [group, n, ...differences.map(({ gained }) => gained)])).toEqual([
      ["nq/test", 2, 1, 2],
      ["set 2", 1, 0, 1],
      ["1 hop", 2, 1, 2],
      ["2 hops", 1, 0, 1],
    ]);
  });

  it("leaves out what a side has not measured, and refuses to compare by it", () => {
    const judged = { ...side("a", [1, 0]) };
    judged.records = judged.records.map((one) => ({ ...one, judge: 1 }));
    const sides = [judged, side("b", [1, 0])];
    expect(compareEvaluations(sides).metrics.map(({ metric }) => metric)).not.toContain("judge");
    expect(() => compareEvaluations(sides, { metric: "judge" })).toThrow(
      /Compare by one of exactMatch, squadMatch, .*--metric/,
    );
  });

  it("leaves the reward out where it was computed by other settings", () => {
    const [a, b] = [side("a", [1, 0]), side("b", [1, 0])];
    const other = { ...head, settings: { ...head.settings, reward: { weights: { "exact-match": 1 } } } };
    const measured = (first: EvaluationHead, second: EvaluationHead): string[] =>
      compareEvaluations([
        { ...a, head: first },
        { ...b, head: second },
      ]).metrics.map(({ metric }) => metric);
    expect(measured(head, head)).toContain("reward");
    expect(measured(head, other)).not.toContain("reward");
  });

  it.each([
    [
      "fewer questions",
      side("b", [1, 0]),
      "a has 3, b has 2, all have 2. For example, not all have",
      "compare the 2 that all have with --common",
    ],
    [
      "other questions",
      side("b", [1, 0, 1], { source: "other" }),
      "a has 3, b has 3, all have 0.",
      "Evaluate the same questions, then compare.",
    ],
    [
      "other answers",
      side("b", [1, 0, 1], { answers: ["maybe"] }),
      "the set has changed between them",
      "Evaluate the same questions",
    ],
    [
      "an interrupted one",
      { ...side("b", [1]), isFinished: false },
      "b is not finished. The command that began it goes on",
      "--common",
    ],
  ])("refuses %s with words", (_, other, says, advises) => {
    const compare = (): unknown => compareEvaluations([side("a", [1, 0, 1]), other]);
    expect(compare).toThrow(says);
    expect(compare).toThrow(advises);
  });

  it("compares the common ones on request, and says what it left out", () => {
    const { n, notes } = compareEvaluations([side("a", [1, 0, 1]), side("b", [1, 0])], { common: true });
    expect(n).toBe(2);
    expect(notes).toEqual(["Compared is what all have. Left out: 1 of a, 0 of b."]);
  });

  it("refuses a file in which questions share a name, or two evaluations lie", () => {
    const twice = side("a", [1, 0]);
    twice.records = [...twice.records, ...twice.records];
    expect(() => compareEvaluations([twice, side("b", [1, 0])])).toThrow('a has two questions called "0"');
  });

  it("refuses one evaluation alone, and empty ones", () => {
    expect(() => compareEvaluations([side("a", [1])])).toThrow("Name two or more");
    expect(() => compareEvaluations([side("a", []), side("b", [])])).toThrow("hold no attempt");
  });
});

describe("differingSettings", () => {
  it("names what evaluations differ in, and not how their models were trained", () => {
    const other = {
      ...head,
      ...{ model: "n", temperature: 1 },
      settings: { ...head.settings, rollout: { maxSearches: 2 }, train: { steps: 9 }, search: { topK: 3 } },
    };
    expect(differingSettings([head, other])).toEqual([
      { name: "model", values: ["atlas-base", "n"] },
      { name: "temperature", values: [0, 1] },
      { name: "rollout.maxSearches", values: [4, 2] },
      { name: "search.topK", values: [undefined, 3] },
    ]);
    expect(differingSettings([head])).toEqual([]);
  });
});

describe("signTest", () => {
  // 2·P(X ≤ min) of Binomial(n, 1/2), by hand: 2·9402/2^17, 2·11/2^10, 2/2^5.
  it.each([
    [12, 5, 0.143463],
    [1, 9, 0.021484],
    [5, 0, 0.0625],
    [3, 3, 1],
    [0, 0, 1],
  ])("of %i gained and %i lost", (gained, lost, p) => {
    expect(signTest(gained, lost)).toBeCloseTo(p, 6);
    expect(signTest(lost, gained)).toBeCloseTo(p, 6);
  });

  it("comes near the normal approximation of many", () => {
    // z = (|500 − 400| − 1) / √900 = 3.3: p = 0.00097.
    expect(signTest(500, 400)).toBeCloseTo(0.00097, 4);
    expect(signTest(26_000, 24_000)).toBeLessThan(1e-15);
  });
});
