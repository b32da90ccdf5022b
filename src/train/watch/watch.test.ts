import { describe, expect, it } from "vitest";
import type { MetricLine, MetricValues } from "../metrics.js";
import {
  freshWatch,
  learningRateScaleAt,
  rolledBack,
  watchStep,
  type Decision,
  type Verdict,
  type WatchSettings,
  type WatchState,
} from "./watch.js";

const settings: WatchSettings = { action: "rollback", patience: 3, window: 20, rollbackFactor: 0.5, maxRollbacks: 2 };
const target = { folder: "best" as const, step: 6, algorithm: { baseline: 0.25 } };

const healthy: MetricValues = { "format/wellFormed": 0.95, "tokens/repeated": 0, "policy/surprise": 0.1 };
const repeat = (values: MetricValues, times: number): MetricValues[] => Array.from({ length: times }, () => values);

/** Steps 1 to 9 with a format that is kept, then these values. */
function watchRun(
  after: readonly MetricValues[],
  over: Partial<WatchSettings> = {},
  start: Partial<WatchState> = {},
): Verdict[] {
  let state: WatchState = { ...freshWatch, target, ...start };
  return [...repeat(healthy, 9), ...after].map((values, index) => {
    const line: MetricLine = { step: index + 1, ...values };
    const verdict = watchStep(state, line, { ...settings, ...over });
    state = verdict.state;
    return verdict;
  });
}

const made = { step: 4, to: 2, cause: "x" };
const frayed = { "format/wellFormed": 0.75, "policy/surprise": 0.5 };
const broken = { "format/wellFormed": 0.3, "policy/surprise": 0.5 };
const decisions = (verdicts: readonly Verdict[]): (string | undefined)[] =>
  verdicts.map(({ decision }) => decision?.kind);

describe("the watch", () => {
  it("leaves a healthy run alone", () => {
    const verdicts = watchRun(repeat(healthy, 10));
    expect(
      verdicts
        .flatMap(({ news, decision }) => [news, decision])
        .flat()
        .filter(Boolean),
    ).toEqual([]);
  });

  it("acts on an alarm at once", () => {
    const verdicts = watchRun(repeat(broken, 2));
    expect(decisions(verdicts).slice(9)).toEqual([undefined, "rollback"]);
    expect(verdicts[10].decision?.cause).toMatch(/format breaks: 30 %.*95 % \(since step 9\)$/);
  });

  it("warns once, and acts when the warning stays for longer than watch.patience", () => {
    const verdicts = watchRun(repeat(frayed, 6));
    expect(verdicts.map(({ news }) => news.length).slice(9)).toEqual([0, 1, 0, 0, 0, 0]);
    const [nothing, acts] = [repeat({}, 4).map(() => undefined), "rollback"];
    expect(decisions(verdicts).slice(9)).toEqual([...nothing, acts, acts]);
    expect(decisions(watchRun(repeat(frayed, 6), { patience: 5 }))).toEqual(verdicts.map(() => undefined));
    expect(decisions(watchRun(repeat(frayed, 7), { patience: 5 })).at(-1)).toBe("rollback");
  });

  it("forgets a warning that ends", () => {
    const verdicts = watchRun([...repeat(frayed, 2), ...repeat(healthy, 8)]);
    expect(verdicts[10].state.open).toHaveLength(1);
    expect(verdicts.at(-1)?.state.open).toEqual([]);
    expect(decisions(verdicts)).toEqual(verdicts.map(() => undefined));
  });

  it("takes three warnings at once for an alarm", () => {
    const usual = { ...healthy, "kl/sampler": 0.001 };
    const three = { ...frayed, "kl/sampler": 0.2, "tokens/repeated": 0.15 };
    const run = (values: MetricValues): Verdict[] =>
      watchRun([...repeat(usual, 6), ...repeat(values, 2)], { patience: 9 });
    expect(run(three).at(-1)?.decision?.signals.sort()).toEqual(["drift", "format", "repetition"]);
    expect(run({ ...three, "tokens/repeated": 0 }).at(-1)?.decision).toBeNull();
  });

  it("never acts on a note, and with watch.action=warn on nothing", () => {
    const silent = repeat({ "groups/zeroVariance": 1, "em/train": 0, "policy/surprise": 1 }, 12);
    const verdicts = watchRun(silent);
    expect(verdicts.flatMap(({ news }) => news.map(({ severity }) => severity))).toEqual(["note"]);
    expect(decisions(verdicts)).toEqual(verdicts.map(() => undefined));
    const warned = watchRun(repeat(broken, 8), { action: "warn" });
    expect(warned.flatMap(({ news }) => news.map(({ severity }) => severity))).toEqual(["alarm"]);
    expect(decisions(warned)).toEqual(warned.map(() => undefined));
  });

  it("stops where it may not roll back, cannot, or has done so too often", () => {
    const lastOf = (over: Partial<WatchSettings>, start: Partial<WatchState>): string | undefined =>
      watchRun(repeat(broken, 2), over, start).at(-1)?.decision?.kind;
    expect(lastOf({}, {})).toBe("rollback");
    expect(lastOf({ action: "stop" }, {})).toBe("stop");
    expect(lastOf({}, { target: null })).toBe("stop");
    expect(lastOf({}, { rollbacks: [made, made] })).toBe("stop");
    expect(lastOf({ maxRollbacks: 0 }, {})).toBe("stop");
  });

  it("keeps no more of the past than its window, and only what detectors read", () => {
    const { state } = watchRun(repeat({ "em/train": 1, "time/step": 4 }, 40)).at(-1) as Verdict;
    expect(state.lines).toHaveLength(20);
    expect(state.lines.at(-1)).toEqual({ step: 49, "em/train": 1 });
  });

  it("goes on from its saved state as if it had not stopped", () => {
    const values = [...repeat(frayed, 3), ...repeat(broken, 4)];
    const expected = watchRun(values);
    let state: WatchState = { ...freshWatch, target };
    const lines = [...repeat(healthy, 9), ...values];
    const again = lines.map((line, index) => {
      const verdict = watchStep(
        JSON.parse(JSON.stringify(state)) as WatchState,
        { step: index + 1, ...line },
        settings,
      );
      state = verdict.state;
      return verdict;
    });
    expect(again).toEqual(expected);
  });
});

describe("a roll-back", () => {
  const collapsed = watchRun(repeat(broken, 2)).at(-1) as Verdict;
  const state = rolledBack(collapsed.state, 11, settings, collapsed.decision as Decision);

  it("keeps the healthy past of the policy that is put back, and forgets the rest", () => {
    expect(state.lines.map(({ step }) => step)).toEqual([1, 2, 3, 4, 5, 6]);
    expect(state).toMatchObject({ open: [], learningRateScale: 0.5, restartedAt: 11 });
    expect(state.rollbacks).toEqual([{ step: 11, to: 6, cause: collapsed.decision?.cause }]);
    expect(rolledBack(state, 20, settings, collapsed.decision as Decision).learningRateScale).toBe(0.25);
  });

  it("keeps nothing from within the trouble, though the best checkpoint may be later", () => {
    const late = rolledBack(
      { ...collapsed.state, target: { ...target, step: 10 } },
      11,
      settings,
      collapsed.decision as Decision,
    );
    expect(late.lines.map(({ step }) => step)).toEqual([1, 2, 3, 4, 5, 6, 7, 8]);
  });

  it("warms up again", () => {
    const scales = [11, 12, 13, 14, 15].map((step) => learningRateScaleAt(state, step, 3));
    expect(scales).toEqual([0.125, 0.25, 0.375, 0.5, 0.5]);
    expect(learningRateScaleAt(state, 11, 0)).toBe(0.5);
    expect(learningRateScaleAt(freshWatch, 11, 3)).toBe(1);
    expect(learningRateScaleAt(undefined, 0, 3)).toBe(1);
  });

  it("is given some steps to settle, but not for a divergence", () => {
    const run = (values: MetricValues): (string | undefined)[] => {
      let current = state;
      return [12, 13, 14].map((step) => {
        const verdict = watchStep(current, { step, ...values }, settings);
        current = verdict.state;
        return verdict.decision?.kind;
      });
    };
    expect(run(broken)).toEqual([undefined, undefined, "rollback"]);
    expect(run({ "watch/diverged": 1 })[0]).toBe("rollback");
  });
});
