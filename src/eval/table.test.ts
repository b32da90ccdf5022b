import { describe, expect, it } from "vitest";
import { toEvaluation, toReport } from "./evaluation.js";
import { recordOf } from "./folder.test-support.js";
import {
  differenceCell,
  evaluationMarkdown,
  evaluationsTable,
  evaluationTable,
  numberCell,
  renderTable,
  shareCell,
  textCell,
  type Table,
} from "./table.js";

const ask = (id: string, hops: number) => ({ id, question: "?", answers: ["yes"], hops });
const search = { query: "?", passages: [], omittedPassages: 0, sanitized: 0, waitedMs: 1 };
const records = [
  recordOf(ask("1", 1), "yes", { index: 0 }),
  recordOf(ask("2", 2), "yes", { index: 1, searches: [search, search, search] }),
  recordOf(ask("3", 2), "no", { index: 2, searches: [search, search, search] }),
  recordOf(ask("4", 1), null, { index: 3 }),
];
const report = toReport(toEvaluation(records, { temperature: 0, seconds: 2 }));

it("a run's tests line up, in text and in Markdown", () => {
  const columns = [
    { name: "before", report },
    { name: "after", report },
  ];
  expect(evaluationTable(columns)).toMatchInlineSnapshot(`
    "                       before                    after
    ─────────────────────────────────────────────────────────────────────────
    exact match            0.500 [0.150, 0.850]      0.500 [0.150, 0.850]
      1 hop                0.500 [0.095, 0.905] n=2  0.500 [0.095, 0.905] n=2
      2 hops               0.500 [0.095, 0.905] n=2  0.500 [0.095, 0.905] n=2
    em/squad               0.500 [0.150, 0.850]      0.500 [0.150, 0.850]
    answered               0.750 [0.301, 0.954]      0.750 [0.301, 0.954]
    searches per question  1.50                      1.50
    searches ÷ needed      1.00                      1.00
    questions              4                         4
    "
  `);
  expect(evaluationMarkdown(columns).split("\n")[0]).toBe("|  | before | after |");
});

it("an evaluation shows its scores side by side, and nothing that was not measured", () => {
  const names = evaluationsTable([{ name: "greedy", report }]).rows.map(([{ text }]) => text.trim());
  expect(names).toEqual([
    ...["exact match", "1 hop", "2 hops", "em/squad", "F1", "cover match", "reward", "answered"],
    ...[
      "ended answered",
      "ended out-of-turns",
      "answer in a passage shown",
      "searches per question",
      "searches ÷ needed",
    ],
    ...["tokens of the prompt", "tokens written", "tokens retrieved", "seconds", "questions"],
  ]);
  const { exactMatch, reward, answered, searchesPerQuestion, finish, perHop, ...rest } = report;
  const old = { exactMatch, reward, answered, searchesPerQuestion, finish, perHop };
  const { n, searchesToNeeded, failedSearches, temperature, seconds } = rest;
  const ofOldVersion = { ...old, n, searchesToNeeded, failedSearches, temperature, seconds };
  expect(evaluationsTable([{ name: "old", report: ofOldVersion }]).rows.map(([{ text }]) => text)).not.toContain("F1");
});

describe("a table", () => {
  const table: Table = {
    title: "NQ & 2Wiki",
    header: ["model", "EM, %", "gain"],
    rows: [
      [
        textCell("a|b_c"),
        shareCell({ value: 0.5, low: 0.25, high: 0.75 }),
        differenceCell({ value: -0.1, low: -0.2, high: 0.04 }),
      ],
      [textCell('  said "so"'), shareCell(undefined), numberCell(3.14159)],
    ],
    rules: [1],
    notes: ["One note."],
  };

  it("for a terminal", () => {
    expect(renderTable(table, "terminal")).toMatchInlineSnapshot(`
      "NQ & 2Wiki
      model        EM, %                 gain
      ──────────────────────────────────────────────────────────
      a|b_c        0.500 [0.250, 0.750]  −0.100 [−0.200, +0.040]
      ──────────────────────────────────────────────────────────
        said "so"  –                     3.14
      One note.
      "
    `);
  });

  it("in Markdown, CSV, JSON and LaTeX, with what each would take for its own marks escaped", () => {
    expect(renderTable(table, "markdown")).toContain("| a\\|b_c | 0.500 [0.250, 0.750] |");
    expect(renderTable(table, "csv")).toBe(
      [
        'model,"EM, %","EM, % low","EM, % high",gain,gain low,gain high',
        "a|b_c,0.5,0.25,0.75,-0.1,-0.2,0.04",
        '"said ""so""",,,,3.14159,,',
        "",
      ].join("\n"),
    );
    const { columns, rows } = JSON.parse(renderTable(table, "json")) as { columns: string[]; rows: object[][] };
    expect([columns[1], rows[0][1]]).toEqual([
      "EM, %",
      { text: "0.500 [0.250, 0.750]", value: 0.5, low: 0.25, high: 0.75 },
    ]);
    expect(renderTable(table, "latex")).toMatchInlineSnapshot(`
      "% NQ & 2Wiki
      \\begin{tabular}{lrr}
      \\toprule
      model & EM, \\% & gain \\\\
      \\midrule
      a|b\\_c & 0.500 [0.250, 0.750] & $-$0.100 [$-$0.200, +0.040] \\\\
      \\midrule
      \\quad said "so" & -- & 3.14 \\\\
      \\bottomrule
      \\end{tabular}
      % One note.
      "
    `);
  });
});
