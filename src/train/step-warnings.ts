/** @file What a step's attempts give away of settings that are too small, told at once and with the key to turn, before the learning curve would. */
import { budgetsOf } from "../rollout/settings.js";
import type { Group } from "../types.js";
import type { Config } from "./config/config.js";
import type { MetricValues } from "./metrics.js";
import type { Run } from "./run.js";

/** Above these shares. */
const most = { omitted: 0.02, cut: 0.2 };

/** Kinds of warnings that a start of a run has given. */
const given = new WeakMap<Run, Set<string>>();

/** Warns of what a step shows: that all searches failed at every such step, of everything else once per start of the run. */
export function warnOfStep(run: Run, step: number, metrics: MetricValues, groups: readonly Group[]): void {
  const warn = (message: string): void => run.emit({ kind: "warning", message });
  if (metrics["searches/failed"] === 1) warn(allSearchesFailed(step, groups));
  const known = given.get(run) ?? new Set<string>();
  given.set(run, known);
  for (const [kind, message] of Object.entries(tooSmall(run.config, step, metrics, groups))) {
    if (known.has(kind)) continue;
    known.add(kind);
    warn(message);
  }
}

/** By the kind of what is too small. */
function tooSmall(
  { rollout }: Config,
  step: number,
  metrics: MetricValues,
  groups: readonly Group[],
): Record<string, string> {
  const { "passages/omittedShare": omitted = 0, "turns/cut": cut = 0 } = metrics;
  const found: Record<string, string> = {};
  if (omitted > most.omitted) {
    const { maxTokens, maxObservationTokens } = budgetsOf(rollout);
    const remedy = isRowTooShort(groups)
      ? `attempts are full. Raise rollout.maxTokens (now ${maxTokens}), as far as the model's context allows`
      : `searches have no room for them. Raise rollout.maxObservationTokens (now ${maxObservationTokens}), or set it to auto in a new run`;
    found.omitted = `${percent(omitted)} of the passages found in step ${step} were left out whole, and never read: ${remedy}.`;
  }
  if (cut > most.cut) {
    found.cut =
      `${percent(cut)} of the turns of step ${step} were cut at rollout.maxTokensPerTurn=${rollout.maxTokensPerTurn} tokens, before they held a search or an answer: ` +
      "nothing can be learned from them. Raise it, or teach the model to write shorter turns first (sleuth sft).";
  }
  return found;
}

/** Whether most searches with passages left out were made in rows that were nearly full. */
function isRowTooShort(groups: readonly Group[]): boolean {
  const short = searchesOf(groups).filter(({ omittedPassages }) => omittedPassages > 0);
  return 2 * short.filter(({ rowWasFull }) => rowWasFull).length > short.length;
}

/** A dead search engine does not stop the run; the warning says so before the learning curve does. */
function allSearchesFailed(step: number, groups: readonly Group[]): string {
  const reason = searchesOf(groups).find(({ error }) => error !== undefined)?.error ?? "no reason given";
  return `Every search of step ${step} failed (${reason}). The run goes on without passages: see to the search engine, or stop with Ctrl-C.`;
}

function searchesOf(groups: readonly Group[]) {
  return groups.flatMap(({ trajectories_G }) => trajectories_G.flatMap(({ searches }) => searches));
}

function percent(share: number): string {
  return `${Math.round(100 * share)} %`;
}
