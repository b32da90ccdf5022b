import { readFileSync } from "node:fs";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Random } from "../../random.js";
import type { MetricLine, MetricName, MetricValues } from "../metrics.js";
import { detect, type Finding } from "./detectors.js";
import { median, seriesOf } from "./series.js";
import { freshWatch, watchStep, type Verdict, type WatchSettings } from "./watch.js";

/** A run that has learned most of its task, with some noise. */
function healthyLine(step: number, random: Random): MetricLine {
  const around = (value: number, spread: number): number => value + spread * (2 * random.next() - 1);
  return {
    step,
    "em/train": around(0.85, 0.05),
    "reward/mean": around(0.85, 0.05),
    "searches/perQuestion": around(2, 0.2),
    "format/wellFormed": around(0.95, 0.03),
    "format/withThoughts": around(0.93, 0.03),
    "tokens/repeated": around(0.02, 0.01),
    "groups/zeroVariance": around(0.5, 0.2),
    "policy/surprise": around(0.08, 0.02),
    "policy/correctLogprob": around(-0.06, 0.01),
    gradNorm: around(0.3, 0.1),
    kl: around(0.1, 0.01),
    "kl/sampler": around(0.001, 0.0005),
  };
}

/** Twelve healthy steps, then `steps` with these values instead. */
function thenLines(values: MetricValues, steps = 3): MetricLine[] {
  const random = new Random(1, "watch");
  const healthy = Array.from({ length: 12 }, (_, index) => healthyLine(index + 1, random));
  const later = Array.from({ length: steps }, (_, index) => ({ ...healthyLine(13 + index, random), ...values }));
  return [...healthy, ...later];
}

const told = (findings: readonly Finding[]): string[] =>
  findings.map(({ signal, severity }) => `${severity} ${signal}`);

describe("detectors", () => {
  const cases: [name: string, values: MetricValues, expected: string[], words: RegExp | null][] = [
    ["nothing new", {}, [], null],
    ["right answers fall", { "em/train": 0.6, "reward/mean": 0.6 }, ["alarm right answers"], /from 8\d % to 60 %/],
    [
      "the reward rises while right answers fall",
      { "em/train": 0.6, "reward/mean": 1.2 },
      ["alarm right answers"],
      /it pays for something else/,
    ],
    [
      "right answers grow unlikely while gradients grow",
      { "policy/correctLogprob": -0.25, gradNorm: 0.9 },
      ["alarm likelihood"],
      /2512.04220|displacement.*−0.25 nats.*times the usual/,
    ],
    ["right answers grow unlikely, gradients do not (harder questions)", { "policy/correctLogprob": -0.25 }, [], null],
    ["gradients grow as groups agree", { gradNorm: 0.9, "groups/zeroVariance": 0.95 }, [], null],
    ["gradients explode", { gradNorm: 20 }, ["alarm gradient"], /their norm is 20/],
    ["entropy rises, answers stay right", { "policy/surprise": 0.5 }, [], null],
    [
      "entropy rises and answers are lost",
      { "policy/surprise": 0.5, "em/train": 0.75, "reward/mean": 0.75 },
      ["alarm entropy"],
      /0.5\d* nats each/,
    ],
    [
      "converged: certain, agreeing and right",
      { "policy/surprise": 0.005, "groups/zeroVariance": 1, "em/train": 0.99, "reward/mean": 0.99, gradNorm: 0 },
      [],
      null,
    ],
    [
      "certain, agreeing and wrong",
      { "policy/surprise": 0.01, "groups/zeroVariance": 1, "em/train": 0, "reward/mean": 0, gradNorm: 0 },
      ["alarm right answers", "alarm certainty"],
      /certain of wrong answers/,
    ],
    [
      "format frays, and right answers grow unlikely",
      { "format/wellFormed": 0.75, "policy/correctLogprob": -0.12 },
      ["warn format"],
      /75 % of the attempts/,
    ],
    [
      "format breaks, and the policy is surprised",
      { "format/wellFormed": 0.4, "policy/surprise": 0.3 },
      ["alarm format"],
      /40 % of the attempts/,
    ],
    [
      "format breaks, and answers are lost",
      { "format/wellFormed": 0.4, "em/train": 0.76, "reward/mean": 0.76 },
      ["alarm format"],
      /40 % of the attempts/,
    ],
    [
      "format is let go, and nothing else changes",
      { "format/wellFormed": 0.4, "format/withThoughts": 0.4 },
      ["note format"],
      /40 % of the attempts/,
    ],
    ["thoughts disappear", { "format/withThoughts": 0.3 }, ["note thoughts"], /30 % of the attempts think/],
    ["the policy repeats itself", { "tokens/repeated": 0.2 }, ["warn repetition"], /20 % of its tokens/],
    ["the policy goes round in circles", { "tokens/repeated": 0.7 }, ["alarm repetition"], /70 % of its tokens/],
    ["fewer searches, answers stay right", { "searches/perQuestion": 0.5 }, [], null],
    [
      "no searches, and answers are lost",
      { "searches/perQuestion": 0.1, "em/train": 0.76, "reward/mean": 0.76 },
      ["warn searches"],
      /stops searching: 0.10 per question/,
    ],
    [
      "many searches, and answers are lost",
      { "searches/perQuestion": 3.9, "em/train": 0.76, "reward/mean": 0.76 },
      ["warn searches"],
      /searches without end: 3.90/,
    ],
    ["a batch's updates lead far away", { "kl/sampler": 0.2 }, ["warn drift"], /away from what was sampled/],
    ["the policy runs from its start", { kl: 4 }, ["alarm drift"], /away from its start/],
    ["diverged", { "watch/diverged": 1 }, ["alarm divergence"], /no longer a number/],
  ];
  it.each(cases)("%s", (_name, values, expected, words) => {
    const findings = detect(thenLines(values));
    expect(told(findings)).toEqual(expected);
    if (words !== null) expect(findings.at(-1)?.cause).toMatch(words);
    for (const { sinceStep, signal } of findings) expect(sinceStep).toBe(signal === "divergence" ? 15 : 13);
  });

  it("ask for two of three steps, so that one accident is no sign", () => {
    expect(detect(thenLines({ "format/wellFormed": 0.1, gradNorm: 99, "em/train": 0.2 }, 1))).toEqual([]);
    expect(told(detect(thenLines({ "format/wellFormed": 0.1, "policy/surprise": 0.5 }, 2)))).toEqual(["alarm format"]);
  });

  it("take validation as soon as its interval lies below the best", () => {
    const scored = (value: number): MetricValues => ({ "em/validation": value, "em/validation/high": value + 0.06 });
    const lines = thenLines({}, 3).map((line) => ({
      ...line,
      ...(line.step === 6 ? scored(0.9) : line.step === 15 ? scored(0.7) : {}),
    }));
    expect(told(detect(lines))).toEqual(["alarm right answers"]);
    const wide = lines.map((line) => (line.step === 15 ? { ...line, "em/validation/high": 0.95 } : line));
    expect(detect(wide)).toEqual([]);
    // Of an evaluation in the past nothing is told again.
    expect(detect([...lines, healthyLine(16, new Random(2, "watch"))])).toEqual([]);
  });

  it("tell a run that never finds a right answer that it learns nothing, and never act on it", () => {
    const lines = Array.from({ length: 20 }, (_, index) => ({
      ...healthyLine(index + 1, new Random(index, "watch")),
      ...{ "em/train": 0, "reward/mean": 0, "groups/zeroVariance": 1, "policy/surprise": 1, gradNorm: 0 },
    }));
    expect(told(detect(lines))).toEqual(["note no signal"]);
  });

  it.each([
    [{ "searches/failed": 1 }, /Searches fail: see to the search engine/],
    [{ "turns/cut": 0.9, "finish/out-of-turns": 1 }, /raise rollout.maxTokensPerTurn/],
    [{ "finish/out-of-tokens": 0.8 }, /raise rollout.maxTokens\b/],
    [{ "passages/omittedShare": 0.5 }, /raise rollout.maxObservationTokens/],
    [{ "finish/malformed": 0.8 }, /a warm-up \(sleuth sft\) teaches it/],
    [{ "finish/out-of-turns": 0.8 }, /a higher rollout.maxSearches/],
    [{ "finish/answered": 1 }, /answers, and wrongly: give easier questions/],
  ])("say why nothing is learned, and the remedy, of steps with %j", (metrics, message) => {
    const lines = Array.from({ length: 12 }, (_, index) => ({
      step: index + 1,
      ...{ "em/train": 0, "reward/mean": 0, "groups/zeroVariance": 1, "policy/surprise": 1, gradNorm: 0 },
      ...metrics,
    }));
    const [found] = detect(lines);
    expect(found.signal).toBe("no signal");
    expect(found.cause).toMatch(message);
  });

  it("say nothing about the first steps, and nothing about lines without their metrics", () => {
    const random = new Random(1, "watch");
    const lines = Array.from({ length: 5 }, (_, index) => healthyLine(index + 1, random));
    expect(detect([...lines.slice(0, 4), { ...lines[4], "format/wellFormed": 0, "policy/surprise": 9 }])).toEqual([]);
    expect(detect([])).toEqual([]);
    expect(detect(Array.from({ length: 30 }, (_, step) => ({ step })))).toEqual([]);
  });

  it("never fail and never speak of numbers that are none, whatever the metrics", () => {
    const names: MetricName[] = [
      "em/train",
      "reward/mean",
      "format/wellFormed",
      "tokens/repeated",
      "groups/zeroVariance",
      "policy/surprise",
      "policy/correctLogprob",
      "gradNorm",
      "kl",
      "kl/sampler",
      "searches/perQuestion",
    ];
    const values = fc.record(
      Object.fromEntries(names.map((name) => [name, fc.double({ min: -5, max: 5, noNaN: true })])),
      { requiredKeys: [] },
    );
    fc.assert(
      fc.property(fc.array(values, { maxLength: 20 }), (lines) => {
        for (const { cause } of detect(lines.map((line, step) => ({ step, ...line }))))
          expect(cause).not.toMatch(/NaN|undefined/);
      }),
    );
  });
});

describe("series", () => {
  const linesOf = (values: readonly (number | undefined)[]): MetricLine[] =>
    values.map((value, step) => (value === undefined ? { step } : { step, gradNorm: value }));

  it("compares the median of three steps with levels held before", () => {
    expect(seriesOf(linesOf([1, 2, 9, 3, 2, 5, 6, 5]), "gradNorm")).toMatchObject({
      now: 5,
      highest: 3,
      lowest: 2,
      usual: 2,
    });
  });

  it("is silent with too little to compare", () => {
    expect(seriesOf(linesOf([1, 2, 3, 4, 5]), "gradNorm")).toBeNull();
    expect(seriesOf(linesOf([1, 2, 3, 4, 5, undefined, undefined, 6]), "gradNorm")).toBeNull();
    expect(seriesOf(linesOf([1, 2, 3, 0, 0, 0, 4, 5, 6]), "gradNorm", (value) => value > 0)).not.toBeNull();
  });

  it("measures noise as the deviation of one step", () => {
    const random = new Random(3, "noise");
    const values = Array.from({ length: 4000 }, () => 10 + 2 * random.normal());
    expect(seriesOf(linesOf(values), "gradNorm")?.noise).toBeCloseTo(2, 0);
    expect(median([3, 1, 2])).toBe(2);
    expect(median([4, 1, 2, 3])).toBe(2.5);
  });
});

/** Metrics of recorded runs, as columns. */
interface RecordedRuns {
  origin: string;
  runs: Record<string, { about: string; columns: Partial<Record<MetricName | "step", (number | null)[]>> }>;
}

const recorded = JSON.parse(
  readFileSync(new URL("../../../test/golden/watched-runs.json", import.meta.url), "utf8"),
) as Record<"healthy" | "collapsing", RecordedRuns>;

function linesOf(columns: RecordedRuns["runs"][string]["columns"]): MetricLine[] {
  const steps = columns.step as number[];
  return steps.map((step, row) => {
    const entries = Object.entries(columns).flatMap(([name, values]) =>
      values[row] === null ? [] : [[name, values[row]]],
    );
    return { ...Object.fromEntries(entries), step } as MetricLine;
  });
}

const settings: WatchSettings = { action: "rollback", patience: 5, window: 30, rollbackFactor: 0.5, maxRollbacks: 3 };

function verdicts(lines: readonly MetricLine[]): Verdict[] {
  let state = { ...freshWatch, target: { folder: "best" as const, step: 0, algorithm: null } };
  return lines.map((line) => {
    const verdict = watchStep(state, line, settings);
    state = verdict.state as typeof state;
    return verdict;
  });
}

describe("recorded runs", () => {
  it.each(Object.entries(recorded.healthy.runs))("healthy: nothing is done in %s", (_name, { columns }) => {
    const all = verdicts(linesOf(columns));
    expect(all.filter(({ decision }) => decision !== null)).toEqual([]);
    expect(all.flatMap(({ findings }) => findings).filter(({ severity }) => severity === "alarm")).toEqual([]);
  });

  it.each(Object.entries(recorded.collapsing.runs))(
    "collapsing: %s is caught before validation falls by ten points",
    (_name, { columns }) => {
      const lines = linesOf(columns);
      const caughtAt =
        verdicts(lines)
          .find(({ decision }) => decision !== null)
          ?.state.lines.at(-1)?.step ?? Infinity;
      let best = 0;
      const lostAt = lines.find((line) => {
        const score = ((line["em/validation"] ?? best) + (line["em/validation/sampled"] ?? best)) / 2;
        best = Math.max(best, score);
        return best - score >= 0.1;
      })?.step;
      expect(lostAt).toBeDefined();
      expect(caughtAt).toBeLessThan(lostAt ?? 0);
    },
  );
});
