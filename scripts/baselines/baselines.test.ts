import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { recordOf, writeEvaluation } from "../../src/eval/folder.test-support.js";
import type { Question } from "../../src/types.js";
import { readSection, renderPage } from "./page.js";
import { evaluationStages, laptopPart, sizes, worldPart } from "./stages.js";

const folder = mkdtempSync(join(tmpdir(), "sleuth-baselines-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe("the stages", () => {
  it("train what is evaluated, before it is", () => {
    const part = worldPart("w", "q", sizes.quick);
    const stages = [...part.stages, ...evaluationStages("w", part, sizes.quick)];
    expect(stages.map(({ name }) => name)).toEqual([
      ...["search-r1", "r1", "sft", "rejection-attempts", "rejection"],
      ...["shipped", "SFT", "R1", "rejection-sampling", "trained"].map((name) => `table-${name}`),
    ]);
    const made = new Set(part.stages.map(({ makes }) => join("w", makes)));
    for (const { model } of part.entries) expect(model === "atlas-base" || made.has(model)).toBe(true);
  });

  it("leave out of the laptop set what needs the real run, until it is there", () => {
    const given = { questions: "q", model: "m" };
    const names = (more: object): string[] =>
      laptopPart("l", { ...given, ...more }, sizes.full).entries.map(({ name }) => name);
    expect(names({})).toEqual(["untrained", "SFT", "R1"]);
    expect(names({ warm: "w", trained: "t" })).toEqual(["untrained", "SFT", "R1", "rejection-sampling", "warm-start", "trained"]); // prettier-ignore
  });
});

it("the page says what is above what, paired by question", async () => {
  const questions: Question[] = Array.from({ length: 40 }, (_, n) => ({
    ...{ id: `${n}`, question: `q${n}` },
    answers: ["a"],
  }));
  const write = (model: string, method: string, right: number) =>
    writeEvaluation(
      join(folder, "tables", model, "atlas", method),
      questions.map((question, index) => recordOf(question, index < right ? "a" : "b", { index })),
      { head: { model, method } },
    );
  await Promise.all([write("trained", "search-r1", 30), write("trained", "rag", 10), write("shipped", "rag", 10)]);
  const part = worldPart(folder, "q", sizes.full);
  const record = { words: ["train"], commit: "abc", starts: 1, seconds: 100, answer: {} };
  const about = { title: "T", words: "W", records: { train: record } };
  const page = renderPage([await readSection(folder, part, about)], "npm run x");
  expect(page).toMatch(/trained, Search-R1 \| 0\.750 \[/);
  expect(page).toMatch(/\| atlas \| trained, Search-R1 \| shipped, RAG \| \+0\.500 \[.*\] \| yes \| 40 \|/);
  expect(page).toContain("evaluations have not ended");
  expect(page).toMatch(/\| train \| 1\.7 min \| `sleuth train` \|/);
});
