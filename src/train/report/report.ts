/** @file The pictures of a run: `curve.svg` and `curve.html`, drawn from its metrics. */
import path from "node:path";
import { formatShare } from "../../eval/table.js";
import { writeFileDurably } from "../../files/durable.js";
import { readMetrics } from "../metrics-file.js";
import { curveHtml, curveSvg } from "./plot.js";
import { readRunConfig } from "../run-folder.js";
import { bestInWords, type TestReports, type TrainResult } from "../result.js";

/** Draws the curve of a run that ended. */
export async function writeReport(result: TrainResult): Promise<void> {
  const title = `Learning to search: ${result.steps} steps, ${Math.round(result.seconds)} s of training`;
  const rows: [string, string][] = [
    ...testRows("before", result.before),
    ...testRows("after", result.after),
    [
      "best checkpoint",
      bestInWords(result.best) + (result.best === null ? "" : `, validation score ${result.best.score.toFixed(3)}`),
    ],
    await precisionRow(result.folder),
    ["peak memory", `${result.peakMemoryMb} MB`],
  ];
  await writePictures(result.folder, title, rows);
}

/** In what a run's frozen weights were multiplied. */
export async function precisionRow(folder: string): Promise<[string, string]> {
  const { precision } = (await readRunConfig(folder)).run;
  return ["precision of frozen weights", precision];
}

/** Draws a run's metrics, with a table of `rows` under the picture in the page. */
export async function writePictures(
  folder: string,
  title: string,
  rows: readonly (readonly [string, string])[],
): Promise<void> {
  const svg = curveSvg(await readMetrics(folder), { title });
  await writeFileDurably(path.join(folder, "curve.svg"), svg);
  await writeFileDurably(path.join(folder, "curve.html"), curveHtml(svg, { title, rows }));
}

function testRows(when: string, reports: TestReports | null): [string, string][] {
  if (reports === null) return [];
  const { greedy, sampled } = reports;
  return [
    [`exact match ${when}, greedy, ${greedy.n} test questions`, formatShare(greedy.exactMatch)],
    ...(sampled === undefined
      ? []
      : [[`exact match ${when}, T = 1`, formatShare(sampled.exactMatch)] as [string, string]]),
    [`searches per question ${when}`, greedy.searchesPerQuestion.value.toFixed(2)],
  ];
}
