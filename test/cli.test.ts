/** @file The command line as its users meet it: as a process, from any folder. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { lastJson, sleuth, sleuthHere } from "./run-sleuth.js";

let folder: string;
const file = (name: string): string => join(folder, name);

const passages = [
  { id: "1", contents: '"Ferry times"\nThe ferry to Hven leaves Landskrona at 9:05.' },
  { id: "2", title: "Harbour office", text: "The harbour office of Landskrona opens at 8:00." },
  { id: "3", title: "Library", text: "The library opens at 10:00." },
];

function writeLines(name: string, records: readonly object[]): string {
  writeFileSync(file(name), records.map((record) => `${JSON.stringify(record)}\n`).join(""));
  return file(name);
}

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "sleuth-cli-"));
  writeLines("passages.jsonl", passages);
});

afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe("help", () => {
  const verbs = [["index"], ["search"], ["serve", "search"], ["bench"]];

  it.each(verbs.map((words) => words.join(" ")))("%s --help has examples and --json", async (verb) => {
    const { status, stdout } = await sleuthHere([...verb.split(" "), "--help"]);
    expect(status).toBe(0);
    expect(stdout).toContain("Examples:\n  $ sleuth ");
    expect(stdout).toContain("--json");
  });

  it("without a verb lists the verbs", async () => {
    const { status, stdout } = await sleuthHere([]);
    expect(status).toBe(0);
    for (const [verb] of verbs) expect(stdout).toMatch(new RegExp(`^  ${verb} `, "m"));
  });
});

describe("wrong usage", () => {
  it.each([
    [["serch"], "Did you mean search?"],
    [["search", "x", "--indx", "y"], "Did you mean --index?"],
    [["index", "a.jsonl"], "--out"],
    [["search", "x", "--index", "y", "--top", "none"], "Expected an integer of at least 1."],
  ])("%j ends with status 2 and says %s", async (args, hint) => {
    const { status, stdout, stderr } = await sleuthHere(args);
    expect(stderr).toContain(hint);
    expect(stderr).toContain("--help");
    expect(status).toBe(2);
    expect(stdout).toBe("");
  });

  it("is an object under --json", async () => {
    const ended = await sleuthHere(["search", "x", "--json"]);
    expect(ended.status).toBe(2);
    expect(lastJson(ended)).toMatchObject({ error: { kind: "usage" } });
  });
});

describe("index, search, serve search", () => {
  it("indexes, finds, serves", async () => {
    const built = await sleuth(["index", "passages.jsonl", "--out", "index", "--json"], { cwd: folder });
    expect(built.stderr).toContain("Indexing: 100 %");
    expect(lastJson(built)).toMatchObject({ passages: 3, out: "index" });

    const found = await sleuth(["search", "ferries", "to", "Landskrona", "--index", "index"], { cwd: folder });
    expect(found.status).toBe(0);
    expect(found.stdout).toMatch(/^ 1\. Ferry times/);

    const answer = await sleuthHere(["search", "ferry", "--index", file("index"), "--json"]);
    expect(lastJson(answer)).toMatchObject({ query: "ferry", hits: [{ id: "1", title: "Ferry times" }] });
    expect(answer.stdout.trim().split("\n")).toHaveLength(1);
  });

  it("serves Search-R1's format until it is asked to stop", async () => {
    await sleuthHere(["index", file("passages.jsonl"), "--out", file("served")]);
    let reply: unknown;
    const ended = await sleuth(["serve", "search", "--index", file("served"), "--port", "0"], {
      onStart: (child) =>
        child.stdout?.once("data", (text: string) => {
          const url = /http:\S+retrieve/.exec(text)?.[0] ?? "";
          const body = JSON.stringify({ queries: ["ferry", "library"], topk: 1, return_scores: true });
          void fetch(url, { method: "POST", headers: { "content-type": "application/json" }, body })
            .then((response) => response.json())
            .then((value) => (reply = value))
            .finally(() => child.kill("SIGINT"));
        }),
    });
    expect(ended.status).toBe(0);
    expect(reply).toEqual({
      result: [
        [{ document: { id: "1", contents: passages[0].contents }, score: expect.any(Number) }],
        [{ document: { id: "3", contents: '"Library"\nThe library opens at 10:00.' }, score: expect.any(Number) }],
      ],
    });
  });

  it("names file, line and field of a malformed line, and exits with 1 without a stack", async () => {
    writeFileSync(file("bad.jsonl"), '{"id": "1", "text": "fine"}\n{"id": "2"}\n');
    const { status, stderr } = await sleuth(["index", file("bad.jsonl"), "--out", file("bad")]);
    expect(status).toBe(1);
    expect(stderr).toContain(`${file("bad.jsonl")}:2: field "text"`);
    expect(stderr).not.toContain("    at ");
  });

  it("says how to make an index where there is none", async () => {
    const ended = await sleuthHere(["search", "x", "--index", file("nowhere"), "--json"]);
    expect(ended.status).toBe(1);
    expect(lastJson(ended)).toMatchObject({
      error: { kind: "user", message: expect.stringContaining("sleuth index") },
    });
  });
});
