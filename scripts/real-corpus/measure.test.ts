import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { byteTokenizer } from "../../src/policy/testing.js";
import { searchR1Short } from "../../src/prompts/protocol.js";
import { renderObservation } from "../../src/prompts/render.js";
import { hitsWithin, normalized, observationTokens, parseQuestions, PassageCounts, rankOfHit } from "./measure.js";
import { section, withSection, type Result } from "./page.js";
import { packages } from "./fetch.js";

const file = fileURLToPath(new URL("questions.jsonl", import.meta.url));
const passage = (text: string, title = "") => ({ title, text });
const question = { id: "a", question: "Where?", answers: ["New  York"], evidence: "npm/a/b.md", place: "table" };

describe("the questions about real documentation", () => {
  const questions = parseQuestions(readFileSync(file, "utf8"), file);

  it("are 40 with ids of their own, about the packages that are fetched", () => {
    expect(new Set(questions.map(({ id }) => id)).size).toBe(40);
    expect(questions).toHaveLength(40);
    const folders = packages.map(({ registry, name }) => (registry === "npm" ? `npm/${name}/` : `${name}/`));
    for (const { evidence } of questions) expect(folders.filter((name) => evidence.startsWith(name))).toHaveLength(1);
  });

  it("do not hold their answers", () => {
    for (const { question: asked, answers } of questions)
      expect(answers.filter((answer) => normalized(asked).includes(normalized(answer)))).toEqual([]);
  });

  it("are refused with the line where one is malformed", () => {
    const line = JSON.stringify(question);
    expect(parseQuestions(`${line}\n`, "q")).toEqual([question]);
    for (const wrong of [{ answers: [] }, { answers: [""] }, { id: "" }, { more: 1 }])
      expect(() => parseQuestions(`${line}\n${JSON.stringify({ ...question, ...wrong })}\n`, "q")).toThrow("q, line 2");
  });
});

describe("the measures of an index", () => {
  it("a hit is the first passage that holds an answer, whatever its case and white space", () => {
    const found = [passage("York"), passage("in NEW\n  york today"), passage("New York")];
    expect(rankOfHit(found, ["Boston", "new york"])).toBe(2);
    expect(rankOfHit([passage("", "New York")], question.answers)).toBe(1);
    expect(rankOfHit(found, ["Boston"])).toBeNull();
    expect([1, 3, 10].map((k) => hitsWithin([1, 3, 4, null], k))).toEqual([1, 2, 3]);
  });

  it("counts repeated texts, answers that stand somewhere, and what fits the budget", () => {
    const tokenizer = byteTokenizer(searchR1Short);
    const room = observationTokens - tokenizer.encode(renderObservation(searchR1Short, [passage("")])).length;
    const counts = new PassageCounts([question, { ...question, id: "b", answers: ["Oslo"] }], tokenizer);
    for (const [text, title] of [["x"], ["x"], ["x", "t"], ["in new york"], ["y".repeat(room)]])
      counts.add(passage(text, title));
    expect(counts).toMatchObject({ passages: 5, withinBudget: 5, repeated: { text: 2, titleAndText: 1 } });
    for (const length of [room + 1, 100_000]) counts.add(passage("z".repeat(length)));
    expect(counts).toMatchObject({ passages: 7, withinBudget: 5 });
    expect([...counts.answerable]).toEqual(["a"]);
    expect(new PassageCounts([]).withinBudget).toBeNull();
  });

  it("a page holds one section for each commit", () => {
    const result: Result = {
      commit: "abc1234",
      command: "npm run real-corpus",
      packages: ["a 1"],
      ...{ documents: 2, skipped: 0, passages: 4, indexSeconds: 1, withinBudget: 3 },
      repeated: { text: 1, titleAndText: 0 },
      asked: [
        { question, rank: 1, isAnswerable: true, first: "t" },
        { question: { ...question, question: "a | b?" }, rank: null, isAnswerable: false, first: "u" },
      ],
    };
    const made = section(result);
    expect(made).toContain("| hit@3 | 1 of 2: **0.500** [0.095, 0.905] |");
    expect(made).toContain("| a \\| b? | New York | a/b.md, table | – | no | u |");
    const page = withSection("", made);
    const two = withSection(page, section({ ...result, commit: "def5678", withinBudget: null }));
    expect(two.match(/^## .*/gm)).toEqual(["## At abc1234", "## At def5678"]);
    expect(withSection(two, made)).toBe(two);
  });
});
