import { describe, expect, it } from "vitest";
import type { MetricLine } from "../metrics.js";
import { curveHtml, curveSvg } from "./plot.js";

const lines: MetricLine[] = Array.from({ length: 11 }, (_, step) => ({
  step,
  "time/total": step * 3,
  ...(step === 0 ? {} : { "reward/mean": step / 10, "em/train": step / 10, "searches/perQuestion": 1 + step / 10 }),
  ...(step % 5 === 0 ? { "em/validation": step / 10, "em/validation/low": step / 12, "em/validation/high": 1 } : {}),
}));

/** The points of the first path with this class. */
function points(svg: string, className: string): number[][] {
  const path = new RegExp(`<path class="${className}" d="M([^"]*)"`).exec(svg)?.[1] ?? "";
  return path === "" ? [] : path.split("L").map((point) => point.split(" ").map(Number));
}

describe("curveSvg", () => {
  const svg = curveSvg(lines, { title: "A <run> & more" });

  it("draws a point per evaluation, rising from the bottom to the top of its panel", () => {
    const drawn = points(svg, "line s-blue");
    expect(drawn).toHaveLength(3);
    expect(drawn[0][0]).toBeLessThan(drawn[2][0]);
    const [bottom, middle, top] = drawn.map((point) => point[1]);
    expect(middle).toBeCloseTo((bottom + top) / 2, 1);
    expect(bottom - top).toBe(230);
  });

  it("draws a band only where there are intervals", () => {
    expect(svg).toContain('class="band f-blue"');
    expect(svg).not.toContain('class="band f-orange"');
  });

  it("leaves out curves that the run does not have, and says nothing that is no number", () => {
    expect(svg).not.toContain("held-out, T = 1");
    expect(svg).not.toMatch(/NaN|undefined|Infinity/);
    expect(curveSvg([])).not.toMatch(/NaN|undefined|Infinity/);
  });

  it("is well-formed and escapes its title", () => {
    expect(svg).toContain("A &lt;run&gt; &amp; more");
    const opened = svg.match(/<(svg|style|text)\b/g)?.length;
    expect(svg.match(/<\/(svg|style|text)>/g)?.length).toBe(opened);
  });

  it("can be drawn against seconds", () => {
    const again = curveSvg(lines, { against: "seconds" });
    expect(again).toContain("seconds of training");
    expect(points(again, "line s-blue")).toEqual(points(svg, "line s-blue"));
  });

  it("marks roll-backs of the collapse watch in every panel, with the step that was put back", () => {
    const marked = curveSvg(lines.map((line) => (line.step === 7 ? { ...line, "watch/rolledBackTo": 5 } : line)));
    const marks = [...marked.matchAll(/<line class="mark" x1="([\d.]+)"/g)].map((match) => Number(match[1]));
    expect(marks).toHaveLength(3);
    const [from, to] = [points(svg, "line s-blue")[0][0], points(svg, "line s-blue")[2][0]];
    expect(marks[0]).toBeCloseTo(from + 0.7 * (to - from), 1);
    expect(marked.match(/↶ 5/g)).toHaveLength(3);
    expect(svg).not.toContain("↶");
  });

  it("stands in a page with the run's figures", () => {
    expect(curveHtml(svg, { title: "x", rows: [["exact <match>", "0.9"]] })).toContain(
      "<th>exact &lt;match&gt;</th><td>0.9</td>",
    );
  });
});
