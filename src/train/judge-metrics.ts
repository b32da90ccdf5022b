/** @file What became of a judge's judgements, as a metric and, where some failed, as a warning. */
import type { MetricValues } from "./metrics.js";
import type { Run } from "./run.js";

/** The metrics of what was judged since the last call; none where nobody judges. Failures are told. */
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
