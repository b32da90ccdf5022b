/** @file Learning curves of several settings in one picture: the mean over seeds with its interval, for light and dark pages. */
import { overSeeds, type SeedEstimate } from "./statistics.js";

export interface Curve {
  title: string;
  /** By step: one value per seed, in [0, 1]. */
  values: ReadonlyMap<number, readonly number[]>;
}

const width = 720;
const left = 52;
const inner = width - left - 24;
const top = 46;
const height = 240;
const legendRow = 20;

/** Blue, orange, green, purple, red, grey: light page, dark page. */
const colours = [
  ["#0969da", "#58a6ff"],
  ["#bc4c00", "#f0883e"],
  ["#1a7f37", "#3fb950"],
  ["#8250df", "#bc8cff"],
  ["#cf222e", "#ff7b72"],
  ["#818b98", "#8b949e"],
] as const;

const rulesFor = (dark: 0 | 1): string =>
  colours.map((pair, index) => `.l${index}{stroke:${pair[dark]}}.f${index}{fill:${pair[dark]}}`).join("");

const style = `
  .bg{fill:#ffffff}.ink{fill:#1f2328}.soft{fill:#59636e}.grid{stroke:#d9dee3}
  .line{fill:none;stroke-width:2.2;stroke-linejoin:round}.band{opacity:.12;stroke:none}
  ${rulesFor(0)}
  text{font-family:ui-sans-serif,system-ui,-apple-system,"Segoe UI",Roboto,Helvetica,Arial,sans-serif}
  @media (prefers-color-scheme:dark){
    .bg{fill:#0d1117}.ink{fill:#e6edf3}.soft{fill:#9198a1}.grid{stroke:#2b323b}.band{opacity:.18}
    ${rulesFor(1)}
  }`;

/** The picture as one self-contained SVG; at most six curves. */
export function curvesSvg(title: string, curves: readonly Curve[]): string {
  if (curves.length > colours.length) throw new Error(`internal: ${curves.length} curves, ${colours.length} colours`);
  const last = Math.max(1, ...curves.flatMap(({ values }) => [...values.keys()]));
  const x = (step: number): number => round(left + (step / last) * inner);
  const y = (share: number): number => round(top + height * (1 - Math.min(1, Math.max(0, share))));
  const total = top + height + 44 + legendRow * Math.ceil(curves.length / 2);
  const drawn = curves.map(({ values }) =>
    [...values].sort(([a], [b]) => a - b).map(([step, of]) => ({ step, ...overSeeds(of) })),
  );
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${total}" width="${width}" height="${total}" role="img" aria-label="${escape(title)}">`,
    `<style>${style}</style>`,
    `<rect class="bg" width="${width}" height="${total}" rx="8"/>`,
    `<text class="ink" x="${left}" y="28" font-size="15" font-weight="600">${escape(title)}</text>`,
    ...[0, 0.25, 0.5, 0.75, 1].map(
      (share) =>
        `<line class="grid" x1="${left}" x2="${left + inner}" y1="${y(share)}" y2="${y(share)}"/>` +
        `<text class="soft" x="${left - 8}" y="${y(share) + 4}" font-size="11" text-anchor="end">${share}</text>`,
    ),
    ...[...new Set(drawn.flatMap((points) => points.map(({ step }) => step)))].map(
      (step) =>
        `<text class="soft" x="${x(step)}" y="${top + height + 16}" font-size="11" text-anchor="middle">${step}</text>`,
    ),
    ...drawn.map((points, index) => band(points, index, x, y)),
    ...drawn.map(
      (points, index) =>
        `<path class="line l${index}" d="M${points.map(({ step, value }) => `${x(step)} ${y(value)}`).join("L")}"/>`,
    ),
    ...curves.map(({ title: name }, index) => legend(name, index)),
    "</svg>\n",
  ].join("\n");
}

type Scale = (value: number) => number;

function band(points: readonly (SeedEstimate & { step: number })[], index: number, x: Scale, y: Scale): string {
  const known = points.filter(({ n }) => n > 1);
  if (known.length < 2) return "";
  const upper = known.map(({ step, high }) => `${x(step)} ${y(high)}`);
  const lower = known.map(({ step, low }) => `${x(step)} ${y(low)}`).reverse();
  return `<path class="band f${index}" d="M${[...upper, ...lower].join("L")}Z"/>`;
}

function legend(name: string, index: number): string {
  const x = left + (index % 2) * (inner / 2);
  const y = top + height + 40 + legendRow * Math.floor(index / 2);
  return (
    `<line class="line l${index}" x1="${x}" x2="${x + 18}" y1="${y - 4}" y2="${y - 4}"/>` +
    `<text class="soft" x="${x + 24}" y="${y}" font-size="12">${escape(name)}</text>`
  );
}

function round(value: number): number {
  return Math.round(value * 10) / 10;
}

function escape(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;").replaceAll('"', "&quot;");
}
