/** @file What the search engine has counted, as metrics. */
import type { Task } from "../eval/run-evaluation.js";
import type { MetricValues } from "./metrics.js";

type Counts = Readonly<Record<string, number>>;

/** What an engine had counted when its task was last asked. */
const before = new WeakMap<object, Counts>();

/**
 * The metrics of what was searched since the last call for this task: differences, so that lines of a run that was started several times add
 * up. Money alone is a total. Nothing for engines that count none of it.
 */
export function searchMetrics(task: Pick<Task, "searchCounts">): MetricValues {
  const counts = task.searchCounts?.() ?? {};
  const earlier = before.get(task) ?? {};
  before.set(task, counts);
  const since = (name: string): number => (counts[name] ?? 0) - (earlier[name] ?? 0);
  const looked = since("cacheHits") + since("cacheMisses");
  return {
    ...("requests" in counts ? { "search/requests": since("requests") } : {}),
    ...(looked === 0 ? {} : { "search/cacheHitRate": since("cacheHits") / looked }),
    ...("memberFailures" in counts ? { "search/memberFailures": since("memberFailures") } : {}),
    ...((counts.spentUsd ?? 0) === 0 ? {} : { "search/spentUsd": counts.spentUsd }),
  };
}
