/** @file The learning curve as one self-contained SVG that reads well on light and dark pages, and as a page around it. */
import type { MetricLine, MetricName } from "../metrics.js";

/** One line of a panel: a metric, with the metrics of its interval where it has one. */
interface Series {
  metric: MetricName;
  label: string;
  /** One of the five colours of the style sheet below. */
  colour: "blue" | "orange" | "green" | "grey" | "purple";
  low?: MetricName;
  high?: MetricName;
  dashed?: boolean;
}

interface Panel {
  title: string;
  height: number;
  /** Top of the axis; without it the data's own maximum. */
  maximum?: number;
  percent?: boolean;
  series: Series[];
}

const panels: Panel[] = [
  {
    title: "Exact match",
    height: 230,
    maximum: 1,
    percent: true,
    series: [
      {
        metric: "em/validation",
        label: "held-out, greedy",
        colour: "blue",
        low: "em/validation/low",
        high: "em/validation/high",
      },
      {
        metric: "em/validation/sampled",
        label: "held-out, T = 1",
        colour: "orange",
        low: "em/validation/sampled/low",
        high: "em/validation/sampled/high",
      },
      { metric: "em/train", label: "training, T = 1", colour: "grey", dashed: true },
    ],
  },
  {
    title: "Searches per question",
    height: 110,
    series: [
      { metric: "searches/validation", label: "held-out, greedy", colour: "green" },
      { metric: "searches/perQuestion", label: "training, T = 1", colour: "grey", dashed: true },
    ],
  },
  {
    title: "Supervised loss, nats per token of the policy",
    height: 230,
    series: [
      { metric: "loss/validation", label: "transcripts set aside", colour: "blue" },
      { metric: "loss/perToken", label: "training", colour: "grey", dashed: true },
    ],
  },
  {
    title: "Reward in training",
    height: 110,
    series: [{ metric: "reward/mean", label: "mean of the step", colour: "purple" }],
  },
];

interface CurveOptions {
  title?: string;
  /** Horizontal axis: completed steps, or seconds of training without evaluations. Default steps. */
  against?: "step" | "seconds";
}

const width = 720;
const margin = { left: 52, right: 24 };
const inner = width - margin.left - margin.right;

const style = `
  .bg{fill:#ffffff}.ink{fill:#1f2328}.soft{fill:#59636e}.grid{stroke:#d9dee3}
  .line{fill:none;stroke-width:2.2;stroke-linejoin:round;stroke-linecap:round}.dash{stroke-width:1.4;stroke-dasharray:4 3;opacity:.85}
  .band{opacity:.16;stroke:none}.mark{stroke:#cf222e;stroke-width:1.2;stroke-dasharray:2 3}
  .s-blue{stroke:#0969da}.s-orange{stroke:#bc4c00}.s-green{stroke:#1a7f37}.s-grey{stroke:#818b98}.s-purple{stroke:#8250df}
  .f-blue{fill:#0969da}.f-orange{fill:#bc4c00}.f-green{fill:#1a7f37}.f-grey{fill:#818b98}.f-purple{fill:#8250df}
  text{font-family:ui-sans-serif,system-ui,-apple-system,"Segoe UI",Roboto,Helvetica,Arial,sans-serif}
  @media (prefers-color-scheme:dark){
    .bg{fill:#0d1117}.ink{fill:#e6edf3}.soft{fill:#9198a1}.grid{stroke:#2b323b}.band{opacity:.24}
    .s-blue{stroke:#58a6ff}.s-orange{stroke:#f0883e}.s-green{stroke:#3fb950}.s-grey{stroke:#8b949e}.s-purple{stroke:#bc8cff}
    .f-blue{fill:#58a6ff}.f-orange{fill:#f0883e}.f-green{fill:#3fb950}.f-grey{fill:#8b949e}.f-purple{fill:#bc8cff}
  }`;

/** Draws the metrics of a run. Lines without a metric (steps that were not evaluated) are skipped in its curve. */
export function curveSvg(lines: readonly MetricLine[], options: CurveOptions = {}): string {
  const { title = "Learning to search", against = "step" } = options;
  const xOf = (line: MetricLine): number => (against === "step" ? line.step : (line["time/total"] ?? 0));
  const xMaximum = Math.max(1, ...lines.map(xOf));
  const shown = panels.filter((panel) =>
    panel.series.some((series) => lines.some((line) => line[series.metric] != null)),
  );
  let top = 46;
  const drawn = shown.map((panel) => {
    const svg = drawPanel(panel, lines, xOf, xMaximum, top);
    top += panel.height + 62;
    return svg;
  });
  const height = top + 4;
  const axis = against === "step" ? "training steps" : "seconds of training";
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" role="img" aria-label="${escape(title)}">`,
    `<style>${style}</style>`,
    `<rect class="bg" width="${width}" height="${height}" rx="8"/>`,
    `<text class="ink" x="${margin.left}" y="30" font-size="17" font-weight="600">${escape(title)}</text>`,
    ...drawn,
    `<text class="soft" x="${margin.left + inner / 2}" y="${height - 12}" font-size="12" text-anchor="middle">${axis}</text>`,
    "</svg>\n",
  ].join("\n");
}

/** The same picture as a page, with the run's figures below it. */
export function curveHtml(
  svg: string,
  options: { title: string; rows?: readonly (readonly [string, string])[] },
): string {
  const rows = (options.rows ?? []).map(
    ([name, value]) => `<tr><th>${escape(name)}</th><td>${escape(value)}</td></tr>`,
  );
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>${escape(options.title)}</title>
<style>
  :root{color-scheme:light dark}
  body{margin:2rem auto;max-width:46rem;padding:0 1rem;font:15px/1.5 ui-sans-serif,system-ui,sans-serif;background:Canvas;color:CanvasText}
  svg{max-width:100%;height:auto} table{border-collapse:collapse;margin-top:1.5rem} th{text-align:left;font-weight:500;padding:.2rem 1.5rem .2rem 0} td{font-variant-numeric:tabular-nums}
</style></head><body>
${svg}
<table>${rows.join("")}</table>
</body></html>
`;
}

type XOf = (line: MetricLine) => number;

function drawPanel(panel: Panel, lines: readonly MetricLine[], xOf: XOf, xMaximum: number, top: number): string {
  const present = panel.series.filter((series) => lines.some((line) => line[series.metric] != null));
  const values = present.flatMap((series) => lines.map((line) => line[series.metric] ?? 0));
  const yMaximum = panel.maximum ?? niceMaximum(Math.max(...values, 0.01));
  const yMinimum = Math.min(0, ...values);
  const frameTop = top + 30;
  const x = (value: number): number => margin.left + (value / xMaximum) * inner;
  const y = (value: number): number => frameTop + panel.height * (1 - (value - yMinimum) / (yMaximum - yMinimum));
  return [
    `<text class="ink" x="${margin.left}" y="${top + 16}" font-size="13" font-weight="600">${escape(panel.title)}</text>`,
    drawLegend(present, top + 16),
    drawGrid(panel, yMinimum, yMaximum, xMaximum, x, y),
    drawRollbacks(lines, xOf, x, frameTop, panel.height),
    ...present.map((series) => drawBand(series, lines, xOf, x, y)),
    ...present.map((series) => drawLine(series, lines, xOf, x, y)),
  ].join("\n");
}

type Scale = (value: number) => number;

function drawGrid(panel: Panel, yMinimum: number, yMaximum: number, xMaximum: number, x: Scale, y: Scale): string {
  const rows = ticks(yMinimum, yMaximum, panel.height > 150 ? 5 : 3).map((value) => {
    const label = panel.percent === true ? `${round(value * 100)} %` : String(round(value));
    return (
      `<line class="grid" x1="${margin.left}" x2="${margin.left + inner}" y1="${round(y(value))}" y2="${round(y(value))}"/>` +
      `<text class="soft" x="${margin.left - 8}" y="${round(y(value) + 4)}" font-size="11" text-anchor="end">${label}</text>`
    );
  });
  const columns = ticks(0, xMaximum, 6).map(
    (value) =>
      `<text class="soft" x="${round(x(value))}" y="${round(y(yMinimum) + 17)}" font-size="11" text-anchor="middle">${round(value)}</text>`,
  );
  return [...rows, ...columns].join("");
}

/** Where the collapse watch put an earlier policy back. */
function drawRollbacks(lines: readonly MetricLine[], xOf: XOf, x: Scale, top: number, height: number): string {
  const marks = lines.flatMap((line) => {
    const to = line["watch/rolledBackTo"];
    if (to === undefined) return [];
    const at = round(x(xOf(line)));
    return [
      `<line class="mark" x1="${at}" x2="${at}" y1="${top}" y2="${top + height}"/>` +
        `<text class="soft" x="${at + 4}" y="${top + height - 6}" font-size="10">↶ ${to}</text>`,
    ];
  });
  return marks.join("");
}

/** Right-aligned, drawn from the last entry to the first; 6.2 px is the mean width of a character at this size. */
function drawLegend(series: readonly Series[], y: number): string {
  let right = margin.left + inner;
  const entries = [...series].reverse().map(({ label, colour, dashed }) => {
    const left = right - label.length * 6.2 - 24;
    right = left - 14;
    return (
      `<line class="line s-${colour}${dashed === true ? " dash" : ""}" x1="${round(left)}" x2="${round(left + 18)}" y1="${y - 4}" y2="${y - 4}"/>` +
      `<text class="soft" x="${round(left + 24)}" y="${y}" font-size="12">${escape(label)}</text>`
    );
  });
  return entries.join("");
}

function drawLine(series: Series, lines: readonly MetricLine[], xOf: XOf, x: Scale, y: Scale): string {
  const points = lines.flatMap((line) => {
    const value = line[series.metric];
    return value == null ? [] : [[round(x(xOf(line))), round(y(value))] as const];
  });
  const dash = series.dashed === true ? " dash" : "";
  const path = `<path class="line s-${series.colour}${dash}" d="M${points.map((point) => point.join(" ")).join("L")}"/>`;
  if (series.dashed === true || points.length > 40) return path;
  return path + points.map(([cx, cy]) => `<circle class="f-${series.colour}" cx="${cx}" cy="${cy}" r="3"/>`).join("");
}

function drawBand(series: Series, lines: readonly MetricLine[], xOf: XOf, x: Scale, y: Scale): string {
  const { low, high } = series;
  if (low === undefined || high === undefined) return "";
  const known = lines.filter((line) => line[low] != null && line[high] != null);
  const upper = known.map((line) => `${round(x(xOf(line)))} ${round(y(line[high]!))}`);
  const lower = known.map((line) => `${round(x(xOf(line)))} ${round(y(line[low]!))}`).reverse();
  return known.length < 2 ? "" : `<path class="band f-${series.colour}" d="M${[...upper, ...lower].join("L")}Z"/>`;
}

/** A round number not below `value`. */
function niceMaximum(value: number): number {
  const step = niceStep(value / 4);
  return Math.ceil(value / step - 1e-9) * step;
}

/** The next of 1, 2, 2.5, 5 × 10ⁿ. */
function niceStep(rough: number): number {
  const power = 10 ** Math.floor(Math.log10(rough));
  return power * ([1, 2, 2.5, 5, 10].find((factor) => factor * power >= rough - 1e-12) ?? 10);
}

function ticks(minimum: number, maximum: number, wanted: number): number[] {
  const step = niceStep((maximum - minimum) / wanted);
  const first = Math.ceil(minimum / step - 1e-9);
  const last = Math.floor(maximum / step + 1e-9);
  return Array.from({ length: last - first + 1 }, (_, index) => (first + index) * step);
}

function round(value: number): number {
  return Math.round(value * 100) / 100;
}

function escape(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;").replaceAll('"', "&quot;");
}
