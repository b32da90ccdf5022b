import { describe, expect, it } from "vitest";
import { toEvaluation, toReport } from "../../src/eval/evaluation.js";
import { recordOf } from "../../src/eval/folder.test-support.js";
import { differenceOf, renderPage } from "./page.js";
import { sizes, stagesIn, type Precision, type Series, type SeriesRun, type Tested } from "./series.js";

/** A test of as many questions as there are outcomes, 1 for a right answer; every second one has two hops. */
function testedLike(outcomes: readonly number[], words: readonly string[] = ["eval"]): Tested {
  const records = outcomes.map((exactMatch, index) => {
    const question = { id: `q${index}`, question: "?", answers: ["!"], hops: 1 + (index % 2) };
    return recordOf(question, exactMatch === 1 ? "!" : "?", { index });
  });
  const report = toReport(toEvaluation(records, { temperature: 0, seconds: 1 }));
  return { words, report, attempts: records };
}

/** Of n outcomes those right whose number is not among the lost. */
const rightBut = (n: number, lost: readonly number[] = []): number[] =>
  Array.from({ length: n }, (_, index) => (lost.includes(index) ? 0 : 1));

function runLike(precision: Precision, seed: number, own: Tested, overFloat?: Tested): SeriesRun {
  const seconds = precision === "int8" ? 2 : 4;
  const lines = [1, 2].map((step) => ({
    ...{ step, "reward/mean": 0.25 * step + 0.1 * seed, "memory/peak": 1000 + step, "policy/samplerGap": 1e-6 },
    ...{ "time/rollout": seconds, "time/train": 2 * seconds, "time/step": 3 * seconds },
  }));
  const result = { peakMemoryMb: 900 } as SeriesRun["result"];
  return { precision, seed, words: ["train", precision, `${seed}`], lines, result, own, overFloat };
}

function seriesLike(float32: readonly Tested[], int8: readonly Tested[]): Series {
  return {
    commits: ["abcdef0123"],
    processors: ["A processor, 2 cores"],
    warmUp: {
      words: ["sft"],
      result: { steps: 4, transcripts: { training: 28 } } as unknown as Series["warmUp"]["result"],
      tested: testedLike(rightBut(4, [0, 1])),
    },
    runs: [0, 1].flatMap((seed) => [
      runLike("float32", seed, float32[seed]),
      runLike("int8", seed, int8[seed], testedLike(rightBut(int8[seed].report.n))),
    ]),
    questionsPerStep: 8,
    groupSize: 8,
  };
}

describe("the difference", () => {
  it("pairs the same question of the same seed: what the seeds differ in cancels out", () => {
    const easy = testedLike(rightBut(40));
    const hard = testedLike(Array<number>(40).fill(0));
    expect(differenceOf([[easy, easy] as const, [hard, hard] as const])).toMatchObject({
      ...{ value: 0, low: 0, high: 0, n: 80, won: 0, lost: 0 },
    });
    const crossed = differenceOf([[easy, hard] as const, [hard, easy] as const]);
    expect(crossed).toMatchObject({ value: 0, n: 80, won: 40, lost: 40 });
    expect(crossed.low).toBeLessThan(-0.1);
  });

  it("is the second minus the first, and wider where both seeds lose the same questions", () => {
    const [all, some] = [testedLike(rightBut(40)), testedLike(rightBut(40, [3, 5, 8, 13]))];
    const { value, low, high, won, lost, byQuestion } = differenceOf([
      [all, some],
      [all, some],
    ]);
    expect({ value, won, lost }).toEqual({ value: -0.1, won: 0, lost: 8 });
    expect(byQuestion.value).toBeCloseTo(-0.1);
    expect(byQuestion.high - byQuestion.low).toBeGreaterThan(1.2 * (high - low));
  });
});

describe("the page", () => {
  const perfect = testedLike(rightBut(60));

  it.each([
    ["at least −0.05: a loss of more than 5 points is ruled out", [7]],
    ["below −0.05: a loss of more than 5 points is not ruled out", [...Array(20).keys()]],
  ])("says what the interval says: %s", (sentence, lost) => {
    const some = testedLike(rightBut(60, lost));
    const text = renderPage(seriesLike([perfect, perfect], [some, some]), "npm run results:int8");
    expect(text).toContain(`The interval's lower end is ${sentence}.`);
    expect(text).toContain(`120 pairs of the same question and the same seed: 0 won, ${2 * lost.length} lost`);
    expect(text).not.toMatch(/NaN|Infinity|undefined|null|\[object/);
  });

  it("has times, memory, rewards and commands of every run", () => {
    const text = renderPage(seriesLike([perfect, perfect], [perfect, perfect]), "npm run results:int8");
    expect(text).toContain(
      "12.0 s over float32 and 6.0 s over 8 bits: 2.00 times as fast, rollout 2.00, training 2.00.",
    );
    expect(text).toContain("| int8, seed 1 | 2 | 2.0 | 4.0 | 6.0 | 1002 | 0.0000010 |");
    expect(text).toContain("| mean | 0.375 | 0.375 | 0.475 | 0.475 |");
    expect(text).toContain("    npx sleuth train int8 1\n");
    expect(text).toContain("No pair differs");
    expect(text).not.toContain("ruled out");
    expect(text).toContain("at commit abcdef0123, on A processor, 2 cores.");
  });
});

describe("the stages", () => {
  it("train both precisions of a seed side by side, and test every adapter in its own and the 8-bit ones over float32", () => {
    const names = stagesIn("runs", sizes.full).map(({ name }) => name);
    expect(names.slice(0, 5)).toEqual(["warm-up", "float32-0", "int8-0", "float32-1", "int8-1"]);
    expect(names.slice(5)).toEqual([
      "warm-up-over-float32",
      ...["float32-0-over-float32", "int8-0-over-int8", "float32-1-over-float32", "int8-1-over-int8"],
      ...["int8-0-over-float32", "int8-1-over-float32"],
    ]);
    expect(new Set(names).size).toBe(names.length);
  });

  it("differ between precisions in nothing else", () => {
    const stages = stagesIn("runs", sizes.full);
    const words = (name: string): string => stages.find((stage) => stage.name === name)!.words.join(" ");
    expect(words("int8-1").replaceAll("int8", "float32")).toBe(words("float32-1"));
    expect(words("float32-0").replace("--seed 0", "--seed 1").replace("float32-0", "float32-1")).toBe(
      words("float32-1"),
    );
  });
});
