/** @file The metrics of a step: what its attempts, its judge, its search engine and its policy have to say. */
import type { PolicyStats } from "../contracts/policy.js";
import { finishShares } from "../eval/evaluation.js";
import { mean } from "../eval/intervals.js";
import type { Task } from "../eval/run-evaluation.js";
import type { Group, SearchCall, Trajectory } from "../types.js";
import type { MetricValues } from "./metrics.js";
import type { Run } from "./run.js";
import { repeatedShare } from "./watch/repetition.js";

/** What a step's groups say about the policy that made them. */
export function rolloutMetrics(
  groups: readonly Group[],
  task: Pick<Task, "exactMatch" | "isWellFormed">,
): MetricValues {
  const trajectories = groups.flatMap((group) => group.trajectories_G);
  const searches = trajectories.flatMap((trajectory) => trajectory.searches);
  const finish = Object.entries(finishShares(trajectories)).map(([reason, share]) => [`finish/${reason}`, share]);
  const logprobs = trajectories.flatMap(logprobsOf);
  const matches = groups.flatMap((group) =>
    group.trajectories_G.map((trajectory) => task.exactMatch(group.question, trajectory)),
  );
  const correctLogprobs = trajectories.flatMap((trajectory, index) =>
    matches[index] === 1 ? logprobsOf(trajectory) : [],
  );
  return {
    "reward/mean": mean(groups.flatMap((group) => group.rewards_G)),
    "em/train": mean(matches),
    "searches/perQuestion": searches.length / trajectories.length,
    "searches/failed": mean(searches.map((search) => (search.error === undefined ? 0 : 1))),
    "searches/waitMs": mean(searches.map((search) => search.waitedMs)),
    "passages/omitted": mean(searches.map((search) => search.omittedPassages)),
    "passages/omittedShare": omittedShare(searches),
    "passages/sanitized": mean(searches.map((search) => search.sanitized)),
    ...(Object.fromEntries(finish) as MetricValues),
    "turns/cut": cutShare(trajectories),
    ...formMetrics(trajectories, task),
    "tokens/policy": logprobs.length / trajectories.length,
    "tokens/total": mean(trajectories.map(tokenCount)),
    "tokens/repeated": repeatedShare(trajectories),
    "groups/zeroVariance": mean(
      groups.map(({ rewards_G }) => (rewards_G.every((reward) => reward === rewards_G[0]) ? 1 : 0)),
    ),
    "policy/surprise": -mean(logprobs),
    ...(correctLogprobs.length === 0 ? {} : { "policy/correctLogprob": mean(correctLogprobs) }),
  };
}

/** Of the policy's turns, those that were cut at the most tokens of a turn; 0 where there are none. */
export function cutShare(trajectories: readonly Trajectory[]): number {
  const turns = trajectories.flatMap(({ segments }) => segments.filter(({ role }) => role === "policy")).length;
  return sum(trajectories.map(({ cutTurns = 0 }) => cutTurns)) / Math.max(1, turns);
}

/** Of the passages that came up, those that were left out; 0 where none did. */
export function omittedShare(searches: readonly SearchCall[]): number {
  const omitted = sum(searches.map(({ omittedPassages }) => omittedPassages));
  return omitted / Math.max(1, omitted + sum(searches.map(({ passages }) => passages.length)));
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}

/** How many keep to the protocol; nothing for an environment without one. */
function formMetrics(trajectories: readonly Trajectory[], { isWellFormed }: Pick<Task, "isWellFormed">): MetricValues {
  if (isWellFormed === undefined) return {};
  const share = (thinkRequired: boolean): number =>
    mean(trajectories.map((trajectory) => (isWellFormed(trajectory, { thinkRequired }) ? 1 : 0)));
  return { "format/wellFormed": share(false), "format/withThoughts": share(true) };
}

function logprobsOf({ segments }: Trajectory): number[] {
  return segments.flatMap(({ logprobs_T }) => logprobs_T ?? []);
}

function tokenCount(trajectory: Trajectory): number {
  return trajectory.segments.reduce((sum, segment) => sum + segment.tokens_T.length, 0);
}

/** The metrics of what was judged since the last call; none without a judge. Failures become a warning. */
export function judgeMetrics(
  { parts, emit }: Pick<Run, "emit"> & { parts: Pick<Run["parts"], "task"> },
  when: string,
): MetricValues {
  const report = parts.task.takeJudgeReport?.();
  if (report === undefined || report.scored === 0) return {};
  const { scored, failed, reason } = report;
  if (failed > 0) {
    const message = `${failed} of ${scored} judgements ${when} failed and were scored by exact match instead. The last one: ${reason}`;
    emit({ kind: "warning", message });
  }
  return { "reward/judgeFailed": failed / scored };
}

/** What an engine had counted at the last call of `searchMetrics` for its task. */
const countsBefore = new WeakMap<object, Readonly<Record<string, number>>>();

/**
 * The metrics of what was searched since the last call for this task: differences, so that lines of a run that was started several times add
 * up. Money alone is a total. Nothing for engines that count none of it.
 */
export function searchMetrics(task: Pick<Task, "searchCounts">): MetricValues {
  const counts = task.searchCounts?.() ?? {};
  const earlier = countsBefore.get(task) ?? {};
  countsBefore.set(task, counts);
  const since = (name: string): number => (counts[name] ?? 0) - (earlier[name] ?? 0);
  const looked = since("cacheHits") + since("cacheMisses");
  return {
    ...("requests" in counts ? { "search/requests": since("requests") } : {}),
    ...(looked === 0 ? {} : { "search/cacheHitRate": since("cacheHits") / looked }),
    ...("memberFailures" in counts ? { "search/memberFailures": since("memberFailures") } : {}),
    ...((counts.spentUsd ?? 0) === 0 ? {} : { "search/spentUsd": counts.spentUsd }),
  };
}

/** What the policy computed in a step of so many seconds, and what it needed not. */
export function workMetrics(before: PolicyStats, after: PolicyStats, seconds: number): MetricValues {
  const done = (counter: keyof PolicyStats): number => (after[counter] ?? 0) - (before[counter] ?? 0);
  const shareOf = (part: number, rest: number): number | undefined => (part === 0 ? undefined : part / (part + rest));
  return {
    "tokens/uniqueShare": shareOf(done("computedTokens"), done("sharedTokens")),
    "tokens/prefillShare": shareOf(done("prefillTokens"), done("reusedTokens")),
    "time/outsideRuntime": 1 - (done("sampleRuntimeMs") + done("trainRuntimeMs")) / 1000 / seconds,
  };
}
