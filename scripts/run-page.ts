/** @file What pages about training runs have in common: tables of steps, and chosen transcripts. */
import { plural } from "../src/cli/terminal/format.js";
import { renderTrace, type TraceRecord } from "../src/rollout/trace.js";
import type { AttemptPair } from "../src/train/report/gain.js";
import type { MetricLine } from "../src/train/metrics.js";

export const number = (value: number | null | undefined, digits = 2): string =>
  value == null ? "–" : value.toFixed(digits);
/** `41 s`, or `12.3 min`. */
export const minutes = (seconds: number): string =>
  seconds < 90 ? `${Math.round(seconds)} s` : `${(seconds / 60).toFixed(1)} min`;
export const signed = (value: number): string => `${value < 0 ? "−" : "+"}${Math.abs(value).toFixed(3)}`;

export const metricHeading = `| steps | reward | searches | zero variance | gradient norm | tokens | rollout s | training s | validation |
| --- | --- | --- | --- | --- | --- | --- | --- | --- |`;

/** Averages over so many steps a row: single steps of eight questions are noisy. */
export const stepsPerRow = 5;

/** Rows of a table of Markdown, without its heading (`metricHeading`). */
export function metricRows(lines: readonly MetricLine[]): string[] {
  const steps = lines.filter(({ step }) => step > 0);
  const rows: string[] = [];
  for (let start = 0; start < steps.length; start += stepsPerRow) {
    const part = steps.slice(start, start + stepsPerRow);
    const mean = (name: keyof MetricLine): number | undefined => {
      const values = part.flatMap((line) => (typeof line[name] === "number" ? [line[name]] : []));
      return values.length === 0 ? undefined : values.reduce((sum, value) => sum + value, 0) / values.length;
    };
    const validation = part.map((line) => line["em/validation"]).find((value) => value !== undefined);
    const columns = [
      `${part[0].step}–${part[part.length - 1].step}`,
      number(mean("reward/mean"), 3),
      number(mean("searches/perQuestion")),
      number(mean("groups/zeroVariance")),
      number(mean("gradNorm"), 3),
      number(mean("tokens/total"), 0),
      number(mean("time/rollout"), 1),
      number(mean("time/train"), 1),
      number(validation),
    ];
    rows.push(`| ${columns.join(" | ")} |`);
  }
  return rows;
}

/** Five attempts after training: what changed for the better and for the worse, what stayed right and what stayed wrong. */
export function chosenTranscripts(pairs: readonly AttemptPair[]): { title: string; record: TraceRecord }[] {
  const kinds: [string, (before: number, after: number) => boolean, number][] = [
    ["wrong before, right after", (before, after) => before < after, 2],
    ["right before and after", (before, after) => before === 1 && after === 1, 1],
    ["wrong before and after", (before, after) => before === 0 && after === 0, 1],
    ["right before, wrong after", (before, after) => before > after, 1],
  ];
  const chosen = kinds.flatMap(([title, fits, count]) =>
    pairs
      .filter(({ before, after }) => fits(before.exactMatch, after.exactMatch))
      .sort((a, b) => (b.after.question?.hops ?? 0) - (a.after.question?.hops ?? 0))
      .slice(0, count)
      .map(({ after }) => ({ title, record: after })),
  );
  const spare = pairs.filter(({ after }) => !chosen.some(({ record }) => record === after)).map(({ after }) => after);
  for (const record of spare.slice(0, Math.max(0, 5 - chosen.length))) chosen.push({ title: "one more", record });
  return chosen.slice(0, 5);
}

/** In Markdown. */
export function transcript({ title, record }: { title: string; record: TraceRecord }): string {
  const hops = record.question?.hops;
  return `**${title}**${hops === undefined ? "" : ` (${plural(hops, "hop")})`}\n\n\`\`\`\n${renderTrace(record, { colors: false })}\n\`\`\`\n`;
}
