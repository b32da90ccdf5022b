import { describe, expect, it } from "vitest";
import type { Question } from "../types.js";
import { toEvaluation, toReport } from "./evaluation.js";
import { headOf, recordOf } from "./folder.test-support.js";
import { gridTable, type GridCell } from "./grid.js";

const questions = (count: number): Question[] =>
  Array.from({ length: count }, (_, n) => ({ id: `${n}`, question: `q${n}`, answers: ["a"] }));

/** An evaluation of `n` questions of which `right` were answered. */
function cell(
  [model, set, method]: [string, string, GridCell["method"]],
  n: number,
  right: number | null,
  head: Parameters<typeof headOf>[1] = {},
): GridCell {
  const all = questions(n);
  const records = all.map((question, index) => recordOf(question, index < (right ?? 0) ? "a" : "b", { index }));
  const report = right === null ? null : toReport(toEvaluation(records, { temperature: 0, seconds: 1 }));
  return {
    ...{ model, set, method },
    saved: { head: headOf(all, { model, method, ...head }), spent: { seconds: 0, costUsd: 0 }, report },
  };
}

const texts = (table: ReturnType<typeof gridTable>): string[][] => table.rows.map((row) => row.map(({ text }) => text));

describe("a grid", () => {
  it("has models and methods as rows, sets as columns, and an average", () => {
    const cells = [
      cell(["m", "one", "direct"], 4, 1),
      cell(["m", "two", "direct"], 4, 3),
      cell(["m", "one", "rag"], 4, 2),
      cell(["m", "two", "rag"], 4, null),
    ];
    const table = gridTable(cells, { metric: "exactMatch", published: "" });
    expect(table.header).toEqual(["m, method", "one (n=4)", "two (n=4)", "average"]);
    const [direct, rag] = texts(table);
    expect(direct).toEqual(["direct", "0.250 [0.046, 0.699]", "0.750 [0.301, 0.954]", "0.500 [0.253, 0.747]"]);
    expect(rag.slice(2)).toEqual(["–", "–"]);
    expect(table.notes).toEqual([expect.stringMatching(/^1 of 4 evaluations have not ended/)]);
    expect(table.rules).toEqual([]);
  });

  it("names models where there are several, and says how often an answer is in the passages", () => {
    const [first, second] = [cell(["m", "one", "rag"], 2, 1), cell(["n", "one", "rag"], 2, 1)];
    if (first.saved?.report) first.saved.report.answerInCorpus = { value: 0.5, low: 0.1, high: 0.9 };
    const table = gridTable([first, second], { metric: "exactMatch", published: null });
    expect(texts(table).map(([name]) => name)).toEqual(["m, RAG", "n, RAG", "an answer stands in the passages"]);
    expect(texts(table)[2]).toEqual(["an answer stands in the passages", "0.500 [0.100, 0.900]"]);
  });

  it("has published rows of its sets and methods below a line, marked", () => {
    const settings = { engine: "http", settings: { search: { topK: 3 } } };
    const cells = [
      cell(["hf:Qwen/Qwen2.5-3B@c", "bamboogle", "rag"], 125, 10, settings),
      cell(["hf:Qwen/Qwen2.5-3B@c", "laptop", "rag"], 4, 2, settings),
    ];
    const table = gridTable(cells, { metric: "squadMatch", published: "qwen2.5-3b" });
    expect(table.header).toEqual(["hf:Qwen/Qwen2.5-3B@c, method", "Bamboogle (n=125)", "laptop (n=4)", "average", "≈"]);
    expect(table.rules).toEqual([1]);
    expect(texts(table)[1]).toEqual(["Qwen2.5-3B, RAG (Search-R1, v5, table 2)", "0.080", "–", "–", "≈"]);
    expect(table.rows).toHaveLength(2);
    const seven = gridTable(cells, { metric: "exactMatch", published: "7B" });
    expect(texts(seven)[1].at(-1)).toBe("≠");
    expect(seven.notes?.join(" ")).toMatch(/--metric squadMatch.*differ by: another model\./);
    expect(gridTable(cells.slice(1), { metric: "exactMatch", published: "" }).rows).toHaveLength(1);
    expect(gridTable(cells, { metric: "exactMatch", published: null }).rows).toHaveLength(1);
  });
});
