/** @file What attempts give away of settings that are too small: told at once, with the key to turn, before a learning curve or a score would. */
import { budgetsOf } from "../rollout/settings.js";
import type { SearchCall, Trajectory } from "../types.js";
import type { Config } from "./config/config.js";
import type { Run } from "./run.js";
import { cutShare, omittedShare } from "./step-metrics.js";

/** Above these shares. */
const most = { omitted: 0.02, cut: 0.25 };

/** Kinds of warnings that a start of a run has given. */
const given = new WeakMap<Run, Set<string>>();

/** Warns of what a step shows: that all searches failed at every such step, of everything else once per start of the run. */
export function warnOfStep(run: Run, step: number, trajectories: readonly Trajectory[]): void {
  const warn = (message: string): void => run.emit({ kind: "warning", message });
  const failure = allSearchesFailed(step, searchesOf(trajectories));
  if (failure !== null) warn(failure);
  const known = given.get(run) ?? new Set<string>();
  given.set(run, known);
  for (const [kind, message] of Object.entries(tooSmall(run.config, trajectories, `step ${step}`))) {
    if (known.has(kind)) continue;
    known.add(kind);
    warn(message);
  }
}

/**
 * What is too small, by its kind.
 * @param where the attempts belong, for the messages
 */
export function tooSmall(
  { rollout }: Pick<Config, "rollout">,
  trajectories: readonly Trajectory[],
  where: string,
): Record<string, string> {
  const searches = searchesOf(trajectories);
  const [omitted, cut] = [omittedShare(searches), cutShare(trajectories)];
  const found: Record<string, string> = {};
  if (omitted > most.omitted) {
    const { maxTokens, maxObservationTokens } = budgetsOf(rollout);
    const remedy = isRowTooShort(searches)
      ? `attempts are full. Raise rollout.maxTokens (now ${maxTokens}), as far as the model's context allows`
      : `searches have no room for them. Raise rollout.maxObservationTokens (now ${maxObservationTokens}), or set it to auto in a new run`;
    found.omitted = `${percent(omitted)} of the passages found in ${where} were left out whole, and never read: ${remedy}.`;
  }
  if (cut > most.cut) {
    found.cut =
      `${percent(cut)} of the turns of ${where} were cut at rollout.maxTokensPerTurn=${rollout.maxTokensPerTurn} tokens, before they held a search or an answer. ` +
      "Raise it, or teach the model to write shorter turns first (sleuth sft).";
  }
  return found;
}

/** Whether most searches with passages left out were made in rows that were nearly full. */
function isRowTooShort(searches: readonly SearchCall[]): boolean {
  const short = searches.filter(({ omittedPassages }) => omittedPassages > 0);
  return 2 * short.filter(({ rowWasFull }) => rowWasFull).length > short.length;
}

/** A dead search engine does not stop the run; the warning says so before the learning curve does. */
function allSearchesFailed(step: number, searches: readonly SearchCall[]): string | null {
  const reasons = searches.flatMap(({ error }) => error ?? []);
  if (reasons.length === 0 || reasons.length < searches.length) return null;
  return `Every search of step ${step} failed (${reasons[0]}). The run goes on without passages: see to the search engine, or stop with Ctrl-C.`;
}

function searchesOf(trajectories: readonly Trajectory[]): SearchCall[] {
  return trajectories.flatMap(({ searches }) => searches);
}

function percent(share: number): string {
  return `${Math.round(100 * share)} %`;
}
