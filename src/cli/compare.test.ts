import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { lastJson, sleuthHere, type Ended } from "../../test/run-sleuth.js";
import type { EvaluationRecord } from "../eval/evaluation.js";
import { recordOf, writeEvaluation } from "../eval/folder.test-support.js";
import { attemptOf, searchCall } from "../rewards/attempts.test-support.js";
import { traceToLine } from "../rollout/trace.js";

const folder = mkdtempSync(join(tmpdir(), "sleuth-compare-"));
const place = (name: string): string => join(folder, name);
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Attempts at questions 0, 1, …, each with these searches and what they showed. */
function records(answers: readonly (string | null)[], searches: readonly [string, string][] = []): EvaluationRecord[] {
  return answers.map((answer, index) => {
    const question = { id: `${index}`, question: `Who wrote book ${index}?\u001b[2J`, answers: ["Ada"] };
    return recordOf(question, answer, { index, searches: searches.map(([query, text]) => searchCall(query, text)) });
  });
}

beforeAll(async () => {
  await writeEvaluation(place("base"), records(["Ada", "Bob", null]));
  const found: [string, string][] = [
    ["book", "Nothing here."],
    ["author of the book", "Ada wrote it."],
  ];
  await writeEvaluation(place("trained"), records(["Bob", "Ada", "Ada"], found), { head: { model: "trained" } });
  await writeEvaluation(place("fewer"), records(["Ada"]), { report: null });
});

const compare = (...args: string[]): Promise<Ended> =>
  sleuthHere(["compare", ...args.map((arg) => (/^(base|trained|fewer|.*\.jsonl)$/.test(arg) ? place(arg) : arg))]);

describe("sleuth compare", () => {
  it("shows what is gained and lost with answers and searches, then the table", async () => {
    const { status, stdout } = await compare("base", "trained");
    expect(status).toBe(0);
    const lines = stdout.split("\n").map((line) => line.trimEnd());
    expect(lines.slice(0, 9)).toEqual([
      "trained against base, by exact match: 2 gained, 1 lost of 3 questions",
      "  gained  Who wrote book 1? [2J  1",
      "    expected  Ada",
      "    base  Bob · no search",
      '    trained  Ada · "book" · "author of the book" ✓',
      "  gained  Who wrote book 2? [2J  2",
      "    expected  Ada",
      "    base  none (out-of-turns) · no search",
      '    trained  Ada · "book" · "author of the book" ✓',
    ]);
    expect(stdout).toMatch(/^ {2}trained +0\.667 \[0\.208, 0\.939\] +\+0\.333 \[.*\] +2 +1 +1\.000$/m);
    expect(stdout).toContain("Of the 1 question that base has right, trained has 0.000");
    expect(stdout).toContain(": the interval holds 0, so no difference is shown");
    expect(stdout).toContain("  model: atlas-base | trained\n");
    expect(stdout).not.toContain("\u001b[2J");
  });

  it("writes every change, tells programs what it found, and prints other formats alone", async () => {
    const ended = await compare("base", "trained", "--json", "--show", "1", "--out", "flips.jsonl");
    expect(ended.status).toBe(0);
    expect(lastJson(ended)).toMatchObject({
      ...{ names: ["base", "trained"], n: 3, metric: "exactMatch" },
      pairs: [
        { name: "trained", gained: [{ id: "1", change: "gained" }], lost: [{ id: "0" }], split: { others: { n: 2 } } },
      ],
    });
    const flips = readFileSync(place("flips.jsonl"), "utf8").trimEnd().split("\n");
    expect(flips).toHaveLength(3);
    expect(JSON.parse(flips[0])).toMatchObject({
      ...{ metric: "exactMatch", id: "0", answers: ["Ada"], change: "lost" },
      sides: [
        { name: "base", score: 1, answer: "Ada", searches: [] },
        {
          name: "trained",
          score: 0,
          answer: "Bob",
          searches: [{ query: "book", answerShown: false }, { answerShown: true }],
        },
      ],
    });
    const markdown = await compare("base", "trained", "--format", "markdown");
    expect(markdown.stdout).toMatch(/^\|/);
    const csv = await compare("base", "trained", "--format", "csv");
    expect(csv.stdout.split("\n").slice(0, 3)).toEqual([
      "measure,evaluation,value,value low,value high,minus base,minus base low,minus base high,gained,lost,p",
      expect.stringMatching(/^exact match,base,0\.333\d+,0\.06\d+,0\.79\d+,,,,,,$/),
      expect.stringMatching(/^exact match,trained,0\.666\d+,0\.20\d+,0\.93\d+,0\.333\d+,-?[\d.]+,[\d.]+,2,1,1$/),
    ]);
  });

  it("takes files of attempts, as runs keep them", async () => {
    for (const [name, answers] of Object.entries({ "before.jsonl": ["Bob", "Ada"], "after.jsonl": ["Ada", "Ada"] })) {
      const written = records(answers).map(({ question, exactMatch, trajectory: { answer } }) => {
        const trajectory = { ...attemptOf(["turn"], answer), questionId: question.id };
        return `${traceToLine({ question, trajectory, reward: exactMatch, exactMatch })}\n`;
      });
      writeFileSync(place(name), written.join(""));
    }
    const ended = await compare("before.jsonl", "after.jsonl", "--json", "--traces", "1");
    expect(lastJson(ended)).toMatchObject({
      names: ["before", "after"],
      n: 2,
      pairs: [{ gained: [{ id: "0" }], lost: [] }],
    });
    expect(ended.stderr).toContain("expected: Ada");
  });

  it.each([
    ["one alone", ["base"], "Name two or more"],
    ["one twice", ["base", "base"], "named twice"],
    ["different questions", ["base", "fewer"], "fewer is not finished. The command that began it goes on with it."],
    ["no such file", ["base", "none.jsonl"], "There is no "],
    ["no such measure", ["base", "trained", "--metric", "judge"], "Not every evaluation has a comparable judge"],
  ])("refuses %s with words", async (_, args, says) => {
    const { status, stderr } = await compare(...args);
    expect(status).toBe(1);
    expect(stderr).toContain(says);
  });

  it("compares the questions that all have on request", async () => {
    const { status, stdout } = await compare("base", "fewer", "--common", "--show", "0");
    expect(status).toBe(0);
    expect(stdout).toContain("Compared is what all have. Left out: 2 of base, 0 of fewer.");
  });
});
