import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { loadQuestions } from "../../src/data/questions.js";
import { recordOf } from "../../src/eval/folder.test-support.js";
import { toJsonLines } from "../../src/files/lines.js";
import type { Passage, Question, SearchCall } from "../../src/types.js";
import { sizes, stagesIn, testsIn, writeParts } from "./stages.js";
import { wrongKinds, type WrongKind } from "./wrong-kinds.js";

const folder = mkdtempSync(join(tmpdir(), "sleuth-real-questions-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe("the stages of the real run", () => {
  it("set questions aside that neither warm-up nor reinforcement sees, and test on other ones", async () => {
    const made = (prefix: string, count: number): Question[] =>
      Array.from({ length: count }, (_, n) => ({ id: `${prefix}${n}`, question: `${prefix} ${n}?`, answers: ["a"] }));
    writeFileSync(join(folder, "train.jsonl"), toJsonLines(made("train", 150)));
    writeFileSync(join(folder, "test.jsonl"), toJsonLines(made("test", 40)));
    writeFileSync(join(folder, "hard.jsonl"), toJsonLines(made("hard", 3)));
    await writeParts(folder, folder, sizes.full);
    const parts = await Promise.all(
      (["train", "validation", "test"] as const).map((part) => loadQuestions(join(folder, "questions"), part)),
    );
    const ids = parts.map((part) => part.map(({ id }) => id));
    expect(ids.map((part) => part.length)).toEqual([50, 100, 40]);
    expect(new Set(ids.flat()).size).toBe(190);
    expect(ids[2].every((id) => id.startsWith("test"))).toBe(true);
  });

  it("test each model that was made, after it was made", () => {
    for (const size of Object.values(sizes)) {
      const stages = stagesIn("f", "set", size);
      const made = new Set<string>();
      for (const { words, makes } of stages) {
        const needed = words.filter(
          (word) => /^f\/(index|transcripts|warm|run-\d)/.test(word) && word !== join("f", makes),
        );
        for (const word of needed) expect(made).toContain(word.replace(/\/best$/, ""));
        made.add(join("f", makes));
      }
      expect(stages.filter(({ words }) => words[0] === "eval")).toHaveLength(testsIn("f", size).length);
    }
  });
});

it("wrong answers are of the first kind that fits", () => {
  const question: Question = { id: "1", question: "Who?", answers: ["Ada King Lovelace"] };
  const passage: Passage = { id: "p", title: "Ada King Lovelace", text: "She wrote to Charles Babbage.", score: 1 };
  const search: SearchCall = { query: "q", passages: [passage], omittedPassages: 0, sanitized: 0, waitedMs: 0 };
  const cases: [WrongKind | "right", string | null, SearchCall[]][] = [
    ["right", "ada king lovelace", [search]],
    ["no answer", null, [search]],
    ["no search", "Babbage", []],
    ["no passage that was shown holds an answer", "Babbage", [{ ...search, passages: [] }]],
    ["a right answer with other words around it", "it was Ada King Lovelace", [search]],
    ["a part of a right answer, or words in common", "Ada", [search]],
    ["another span of a passage that was shown", "Charles Babbage", [search]],
    ["words that stand in no passage", "Alan Turing", [search]],
  ];
  for (const [kind, answer, searches] of cases) {
    const record = recordOf(question, answer, { searches });
    const counts = Object.entries(wrongKinds([record])).filter(([, count]) => count > 0);
    expect(counts).toEqual(kind === "right" ? [] : [[kind, 1]]);
  }
});
