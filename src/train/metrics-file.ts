/** @file `metrics.jsonl`: one line per step, on the disk before the next step begins. */
import { open } from "node:fs/promises";
import path from "node:path";
import { z } from "zod";
import { writeError, writeFileDurably } from "../files/durable.js";
import { readOptionalText } from "../files/json-file.js";
import { parseJsonLines, toJsonLines } from "../files/lines.js";
import type { MetricLine } from "./metrics.js";

const fileName = "metrics.jsonl";

/**
 * Appends the line of a step.
 * @throws UserError when it cannot be written
 */
export async function appendMetrics(runFolder: string, line: MetricLine): Promise<void> {
  const file = path.join(runFolder, fileName);
  try {
    const handle = await open(file, "a");
    try {
      await handle.writeFile(toJsonLines([line]));
      await handle.datasync();
    } finally {
      await handle.close();
    }
  } catch (error) {
    throw writeError(file, error, "Make room, then start the same run again: it continues from its last checkpoint.");
  }
}

/** Metrics that had another name in older runs. */
const renamed: Readonly<Record<string, keyof MetricLine>> = { "passages/neutralised": "passages/sanitized" };

/** JSON has null for numbers that are not finite. */
const lineSchema = z.record(z.string(), z.number().nullable()).and(z.looseObject({ step: z.int() }));

/**
 * All lines of a run, oldest first; a torn last line, as a crash leaves it, is left out, and so is what is no line of metrics.
 * @throws UserError when the file cannot be read
 */
export async function readMetrics(runFolder: string): Promise<MetricLine[]> {
  const file = path.join(runFolder, fileName);
  const text = await readOptionalText(file);
  if (text === undefined) return [];
  return parseJsonLines(text).flatMap((line) => {
    const parsed = lineSchema.safeParse(line);
    return parsed.success ? [withNewNames(parsed.data as MetricLine)] : [];
  });
}

/** Drops the lines after `step` (all of them for −1), which the continued run writes again. */
export async function truncateMetrics(runFolder: string, step: number): Promise<void> {
  const lines = (await readMetrics(runFolder)).filter((line) => line.step <= step);
  await writeFileDurably(path.join(runFolder, fileName), toJsonLines(lines));
}

function withNewNames(line: MetricLine): MetricLine {
  return Object.fromEntries(Object.entries(line).map(([name, value]) => [renamed[name] ?? name, value])) as MetricLine;
}
