/**
 * @file The collapse watch: from findings to decisions. Everything here is a pure function of plain data, which is saved with the run: a run
 * that was stopped and continued decides as one that was not. What a decision does is `act.ts`.
 */
import { z } from "zod";
import type { AlgorithmState } from "../../algorithms/algorithm.js";
import type { MetricLine, MetricName } from "../metrics.js";
import { detect, hasLearned, type Finding, type Signal } from "./detectors.js";
import { recentSteps } from "./series.js";

/** The group `watch` of a configuration. */
export const watchFields = {
  action: z
    .enum(["warn", "stop", "rollback"])
    .default("rollback")
    .describe("when a collapse is seen: only tell, end the run, or put the best checkpoint back and learn slower"),
  patience: z
    .int()
    .positive()
    .default(5)
    .describe("steps for which a warning may stay before it is acted on; alarms are at once"),
  window: z.int().min(8).default(30).describe("steps of the run's own past that the present is compared with"),
  rollbackFactor: z
    .number()
    .gt(0)
    .max(1)
    .default(0.5)
    .describe("roll-back: what learning rates are multiplied by for the rest of the run"),
  maxRollbacks: z.int().nonnegative().default(3).describe("roll-backs of one run; the next collapse ends it"),
};

export type WatchSettings = z.output<z.ZodObject<typeof watchFields>>;

/** What the watch remembers. */
export interface WatchState {
  /** The last lines, with the metrics that detectors read. */
  lines: MetricLine[];
  /** Signals that are on. */
  open: OpenSignal[];
  rollbacks: Rollback[];
  /** Multiplies learning rates. */
  learningRateScale: number;
  /** Steps completed when the last roll-back was made; warm-up begins anew there. */
  restartedAt: number | null;
  /** What a roll-back would put back: the step, and what the algorithm remembered then. */
  target: RollbackTarget | null;
  /** Why the run was stopped. */
  stopped: string | null;
}

/** One roll-back: after which step, to which, and why. */
interface Rollback {
  step: number;
  to: number;
  cause: string;
}

interface RollbackTarget {
  /** Inside the run folder. */
  folder: "best" | "healthy";
  step: number;
  algorithm: AlgorithmState | null;
}

interface OpenSignal extends Pick<Finding, "signal" | "severity" | "sinceStep"> {
  /** The steps at which it was first and last found. */
  firstStep: number;
  lastStep: number;
}

export interface Decision {
  kind: "rollback" | "stop";
  cause: string;
  signals: Signal[];
  /** The first step that shows it. */
  sinceStep: number;
}

export interface Verdict {
  state: WatchState;
  /** Of this step. */
  findings: Finding[];
  /** The findings to report: new ones, and those that have become worse. */
  news: Finding[];
  decision: Decision | null;
}

export const freshWatch: WatchState = {
  lines: [],
  open: [],
  rollbacks: [],
  learningRateScale: 1,
  restartedAt: null,
  target: null,
  stopped: null,
};

/** So many signals at once are an alarm, even if each alone is only a warning. */
const signalsTogether = 3;

/** A signal that is off for longer has ended. */
const stepsToForget = 2;

const rank = { note: 0, warn: 1, alarm: 2 } as const;

/** Looks at the line of a step that was just completed. */
export function watchStep(before: WatchState, line: MetricLine, settings: WatchSettings): Verdict {
  const lines = [...before.lines, watchedPart(line)].slice(-settings.window);
  const findings = worstPerSignal(detect(lines));
  const known = new Map(before.open.map((each) => [each.signal, each]));
  const news = findings.filter(
    ({ signal, severity }) => rank[severity] > rank[known.get(signal)?.severity ?? "note"] || !known.has(signal),
  );
  for (const { signal, severity, sinceStep } of findings) {
    const open = known.get(signal);
    const worst = open !== undefined && rank[open.severity] > rank[severity] ? open.severity : severity;
    const { sinceStep: since = sinceStep, firstStep = line.step } = open ?? {};
    known.set(signal, { signal, severity: worst, sinceStep: since, firstStep, lastStep: line.step });
  }
  const open = [...known.values()].filter(({ lastStep }) => line.step - lastStep <= stepsToForget);
  const state = { ...before, lines, open };
  return { state, findings, news, decision: decide(state, findings, line.step, settings) };
}

/** What to do about the findings of a step. */
function decide(
  state: WatchState,
  findings: readonly Finding[],
  step: number,
  settings: WatchSettings,
): Decision | null {
  if (settings.action === "warn") return null;
  const isSettling = state.restartedAt !== null && step - state.restartedAt < recentSteps;
  const canWait = isSettling || !hasLearned(state.lines);
  if (canWait && !findings.some(({ signal }) => signal === "divergence")) return null;
  const serious = findings.filter(({ severity }) => severity !== "note");
  const lasting = serious.filter(({ signal }) => {
    const open = state.open.find((each) => each.signal === signal);
    return open !== undefined && step - open.firstStep >= settings.patience;
  });
  const isAlarm = serious.some(({ severity }) => severity === "alarm") || serious.length >= signalsTogether;
  const reasons = isAlarm ? serious : lasting;
  if (reasons.length === 0) return null;
  const sinceStep = Math.min(
    ...state.open
      .filter(({ signal }) => reasons.some((each) => each.signal === signal))
      .map(({ sinceStep }) => sinceStep),
  );
  const cause = `${reasons.map((each) => each.cause).join("; ")} (since step ${sinceStep})`;
  const canRollBack =
    settings.action === "rollback" && state.rollbacks.length < settings.maxRollbacks && state.target !== null;
  return { kind: canRollBack ? "rollback" : "stop", cause, signals: reasons.map(({ signal }) => signal), sinceStep };
}

/**
 * The state after the policy of `state.target` was put back. Lines up to its step and from before the trouble stay: they are the healthy past of
 * the very policy that goes on. Everything later is forgotten.
 */
export function rolledBack(
  state: WatchState,
  step: number,
  { rollbackFactor }: WatchSettings,
  { sinceStep, cause }: Decision,
): WatchState {
  const { target } = state;
  if (target === null) throw new Error("internal: a roll-back without a target");
  return {
    ...state,
    lines: state.lines.filter((line) => line.step <= target.step && line.step < sinceStep),
    open: [],
    rollbacks: [...state.rollbacks, { step, to: target.step, cause }],
    learningRateScale: state.learningRateScale * rollbackFactor,
    restartedAt: step,
  };
}

/** Whether a sign of trouble is on. */
export function isTroubled({ open }: WatchState): boolean {
  return open.some(({ severity }) => severity !== "note");
}

/** What learning rates of step `step` (from 0) are multiplied by: after a roll-back the optimizer is fresh, and warm-up runs again. */
export function learningRateScaleAt(state: WatchState | undefined, step: number, warmupSteps: number): number {
  if (state === undefined || state.restartedAt === null) return 1;
  const warmth = Math.min(1, (step - state.restartedAt + 1) / (warmupSteps + 1));
  return state.learningRateScale * warmth;
}

/** The metrics that detectors read. */
const watched: readonly MetricName[] = [
  "em/train",
  "em/validation",
  "em/validation/high",
  "em/validation/sampled",
  "em/validation/sampled/high",
  "reward/mean",
  "searches/perQuestion",
  "format/wellFormed",
  "format/withThoughts",
  "tokens/repeated",
  "groups/zeroVariance",
  "policy/surprise",
  "policy/correctLogprob",
  "gradNorm",
  "kl",
  "kl/sampler",
  "watch/diverged",
  // Why nothing is learned.
  "searches/failed",
  "passages/omittedShare",
  "turns/cut",
  "finish/out-of-tokens",
  "finish/malformed",
  "finish/out-of-turns",
];

function watchedPart(line: MetricLine): MetricLine {
  const part: MetricLine = { step: line.step };
  for (const name of watched) if (line[name] !== undefined) part[name] = line[name];
  return part;
}

/** One finding per signal: training and validation may both say that right answers fall. */
function worstPerSignal(findings: readonly Finding[]): Finding[] {
  const worst = new Map<Signal, Finding>();
  for (const finding of findings) {
    const other = worst.get(finding.signal);
    if (other === undefined || rank[finding.severity] > rank[other.severity]) worst.set(finding.signal, finding);
  }
  return [...worst.values()];
}
