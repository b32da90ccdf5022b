import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { lastJson, sleuthHere } from "../../test/run-sleuth.js";
import { parseTranscript } from "../data/transcripts.js";
import { parseJsonLines } from "../files/lines.js";
import { searchR1Short } from "../prompts/protocol.js";

const folder = mkdtempSync(join(tmpdir(), "sleuth-collect-"));
const index = join(folder, "index");
const at = (name: string): string => join(folder, name);

/** Harbours and when their ferries leave; every second passage is about something else. */
const harbours = [
  "Landskrona",
  "Helsingborg",
  "Ystad",
  "Simrishamn",
  "Trelleborg",
  "Varberg",
  "Halmstad",
  "Falkenberg",
];
const passages = harbours.flatMap((name, place) => [
  {
    id: `f${place}`,
    title: `Ferries › ${name}`,
    text: `The ferry of ${name} leaves at ${place + 6}:15 every morning.`,
  },
  { id: `h${place}`, title: `Harbours › ${name}`, text: `The harbour master of ${name} keeps bees.` },
]);
const questions = harbours.map((name, place) => ({
  id: `q${place}`,
  question: `Which word is missing: "The ferry of ${name} leaves at ____ every morning"?`,
  answers: [`${place + 6}:15`],
}));

beforeAll(async () => {
  writeFileSync(at("passages.jsonl"), passages.map((line) => JSON.stringify(line) + "\n").join(""));
  writeFileSync(at("questions.jsonl"), questions.map((line) => JSON.stringify(line) + "\n").join(""));
  expect((await sleuthHere(["index", at("passages.jsonl"), "--out", index])).status).toBe(0);
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const collect = (out: string, ...more: string[]) =>
  sleuthHere(["collect", "--questions", at("questions.jsonl"), "--index", index, "--out", at(out), "--json", ...more]);
const linesOf = (name: string): Record<string, unknown>[] =>
  parseJsonLines(readFileSync(at(name), "utf8")) as Record<string, unknown>[];

describe("sleuth collect", () => {
  it("keeps the attempts that score, as transcripts that sft reads, and leaves test questions alone", async () => {
    const ended = await collect("a.jsonl");
    expect(ended.status).toBe(0);
    // A fifth of 8 questions is set aside for the test.
    expect(lastJson(ended)).toMatchObject({ questions: 7, solved: 7, kept: 7, outcomes: { scored: 7 } });
    expect(ended.stderr).toMatch(/scored +7 +100\.0 %/);
    const lines = linesOf("a.jsonl");
    expect(lines).toHaveLength(7);
    for (const [place, line] of lines.entries()) {
      const { turns, answers } = parseTranscript(`line ${place}`, line, searchR1Short);
      expect(turns.map(({ role }) => role)).toEqual(["policy", "environment", "policy"]);
      expect(JSON.stringify(turns[2])).toContain(`<answer> ${answers[0]} </answer>`);
    }
    expect(existsSync(at("a.jsonl.attempts"))).toBe(false);
  });

  it("names what comes next, with the settings, model, questions and index of this command", async () => {
    const config = at("settings.json");
    writeFileSync(config, JSON.stringify({ search: { topK: 2 } }));
    const { stderr } = await collect("next.jsonl", "--config", config);
    const transcripts = `--transcripts ${at("next.jsonl")}`;
    expect(stderr).toContain(`npx sleuth sft --config ${config} ${transcripts} --model … --run runs/warm`);
    const sources = `--questions ${at("questions.jsonl")} --index ${index}`;
    expect(stderr).toContain(`npx sleuth train --config ${config} --model runs/warm/best ${sources} --run runs/mine`);
    const named = await collect("next.jsonl", "--policy", "script", "--model", "models/atlas-base");
    expect(named.stderr).toContain(`npx sleuth sft ${transcripts} --model models/atlas-base --run runs/warm`);
  });

  it("makes the same again of the same seed", async () => {
    expect((await collect("b.jsonl")).status).toBe(0);
    expect(readFileSync(at("b.jsonl"), "utf8")).toBe(readFileSync(at("a.jsonl"), "utf8"));
  });

  it("says why nothing scored, with counts, and writes no transcripts", async () => {
    const wrong = questions.map((question) => ({ ...question, answers: ["42 camels"] }));
    writeFileSync(at("wrong.jsonl"), wrong.map((line) => JSON.stringify(line) + "\n").join(""));
    const ended = await collect("none.jsonl", "--questions", at("wrong.jsonl"), "--attempts", "2");
    expect(ended.status).toBe(1);
    expect(ended.stderr).toMatch(/None of 14 attempts scored \(14 no hit\), so no transcript was written/);
    expect(existsSync(at("none.jsonl"))).toBe(false);
  });

  it("goes on with what is on file, also after a torn line, and not with another collection's", async () => {
    // The attempts of a collection in which nothing scored are kept.
    const attempts = readFileSync(at("none.jsonl.attempts"), "utf8");
    writeFileSync(at("none.jsonl.attempts"), attempts.slice(0, -25));
    const again = await collect("none.jsonl", "--questions", at("wrong.jsonl"), "--attempts", "2");
    expect(again.stderr).toMatch(/Going on after 13 attempts on file/);
    const other = await collect("none.jsonl", "--attempts", "2");
    expect(other.status).toBe(1);
    expect(other.stderr).toMatch(/begun with other questions, passages or settings\. Delete it/);
  });

  it("lets a model attempt them, and counts how it failed", async () => {
    const ended = await collect(
      "model.jsonl",
      "--model",
      "atlas-base",
      "--attempts",
      "1",
      "--set",
      "rollout.maxSearches=1",
    );
    expect(ended.status).toBe(1);
    expect(ended.stderr).toMatch(/7 attempts at 7 questions by atlas-base/);
  });

  it("lets a server attempt them, and says what it has used and of how many replies it did not tell", async () => {
    const server = createServer((request, response) => {
      request.resume().on("end", () => {
        response.end(JSON.stringify({ choices: [{ message: { role: "assistant", content: "<answer> noon" } }] }));
      });
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1`;
    const ended = await collect("served.jsonl", "--server", url, "--server-model", "m", "--attempts", "1");
    server.close();
    // The trial is none of them.
    expect(ended.stderr).toContain("Asked for 7 replies: 0 tokens in, 0 out (7 replies did not say their tokens)");
    expect(ended.stderr).toMatch(/None of 7 attempts scored \(7 no hit\)/);
  });

  it.each<[string, string[], number, RegExp]>([
    ["an --out below a file", ["--out", join(at("questions.jsonl"), "a.jsonl")], 1, /Cannot write .*Name another file/],
    ["a temperature below 0", ["--temperature", "-1"], 2, /temperature/],
  ])("refuses %s", async (_, options, status, message) => {
    const ended = await collect("refused.jsonl", ...options);
    expect(ended.stderr).toMatch(message);
    expect(ended.stderr).not.toContain("bug in Sleuth");
    expect(ended.status).toBe(status);
  });

  it("keeps no more than --limit", async () => {
    const ended = await collect("few.jsonl", "--limit", "3");
    expect(lastJson(ended)).toMatchObject({ kept: 3, over: 4 });
    expect(linesOf("few.jsonl")).toHaveLength(3);
  });
});
