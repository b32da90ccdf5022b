import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { PassThrough } from "node:stream";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { lastJson, sleuthHere } from "../../test/run-sleuth.js";
import type { Passage } from "../types.js";
import { askAgainAndAgain } from "./search-prompt.js";
import { showColumns } from "./search-view.js";
import { Terminal } from "./terminal/terminal.js";

const folder = mkdtempSync(join(tmpdir(), "sleuth-search-"));
const index = join(folder, "index");
const documents = [
  { id: "1", title: "Peru", text: "Lima is the capital of Peru." },
  { id: "2", title: "Chile", text: "Santiago is the capital of Chile." },
  { id: "3", title: "Llama", text: "A llama lives in Peru." },
];

beforeAll(async () => {
  const corpus = join(folder, "corpus.jsonl");
  writeFileSync(corpus, documents.map((document) => JSON.stringify(document) + "\n").join(""));
  expect((await sleuthHere(["index", corpus, "--out", index])).status).toBe(0);
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe("sleuth search", () => {
  it("shows what one engine finds", async () => {
    const { status, stdout, stderr } = await sleuthHere([
      "search",
      "capital",
      "of",
      "Peru",
      "--index",
      index,
      "-k",
      "2",
    ]);
    expect(status).toBe(0);
    expect(stdout).toMatch(/^ 1\. Peru {2}\d\.\d{3} {2}1\n {4}Lima is the capital of Peru\.\n 2\. /);
    expect(stderr).toMatch(/bm25 in \d/);
  });

  it("an empty query finds nothing, and asks for no other", async () => {
    const ended = await sleuthHere(["search", "", "--index", index, "--json"]);
    expect(lastJson(ended)).toMatchObject({ query: "", engine: "bm25", hits: [] });
  });

  it("refuses more passages than are ordered anew, and settings that the engine would not use", async () => {
    const args = ["search", "capital", "--index", index];
    const short = await sleuthHere([...args, "--rerank", "cross-encoder", "--top", "30"]);
    expect([short.status, short.stderr]).toEqual([1, expect.stringMatching(/Set search.rerankFrom=30/)]);
    const unused = await sleuthHere([...args, "--engine", "random", "--k1", "1.2"]);
    expect([unused.status, unused.stderr]).toEqual([1, expect.stringMatching(/search.k1 is 1.2, but.*random/)]);
  });

  it("shows several side by side, marks what they share, and goes on where one fails", async () => {
    const args = ["search", "capital of Peru", "--index", index, "--engine", "bm25,random,empty,dense"];
    const { status, stdout } = await sleuthHere(args);
    expect(status).toBe(0);
    expect(stdout).toMatch(/ 1\. [A-C] Peru/);
    expect(stdout).toContain('No passage was found for "capital of Peru".');
    expect(stdout).toContain("The same letter: the same passage.");
    // 100 columns are too few for four.
    expect(stdout).not.toContain("│");
    expect(stdout).toMatch(/^dense in .*\n.*another kind of index/m);

    const answer = await sleuthHere([...args, "--json"]);
    expect(lastJson(answer)).toMatchObject({
      query: "capital of Peru",
      engines: [
        { engine: "bm25", hits: [{ id: "1" }, {}, {}] },
        { engine: "random", hits: [{}, {}, {}] },
        { engine: "empty", hits: [] },
        { engine: "dense", error: expect.stringContaining("another kind of index") },
      ],
    });
  });

  it("fails when all engines fail", async () => {
    const { status } = await sleuthHere(["search", "x", "--index", index, "--engine", "dense,lancedb"]);
    expect(status).toBe(1);
  });

  it("says what is missing", async () => {
    const without = await sleuthHere(["search", "x"]);
    expect(without).toMatchObject({ status: 2, stderr: expect.stringContaining("--index") });
    const unknown = await sleuthHere(["search", "x", "--index", index, "--engine", "bm52"]);
    expect(unknown).toMatchObject({ status: 1, stderr: expect.stringContaining("Did you mean bm25?") });
  });
});

describe("columns", () => {
  const passage = (id: string, text = "Some words of Lima."): Passage => ({ id, title: `Title ${id}`, text, score: 1 });
  const shown = (width: number, ...columns: Parameters<typeof showColumns>[2]): string => {
    let text = "";
    const sink = { write: (piece: string) => (text += piece), columns: width };
    const terminal = new Terminal({
      json: false,
      stdout: sink,
      stderr: { ...sink, write: () => true },
      environment: {},
    });
    showColumns(terminal, "Lima", columns);
    return text;
  };

  it("stand side by side where there is room", () => {
    const text = shown(
      90,
      { engine: "bm25", ms: 1.2, hits: [passage("a", "word ".repeat(100)), passage("b")] },
      { engine: "dense", ms: 12_000, hits: [passage("b"), passage("c")] },
    );
    const lines = text.trimEnd().split("\n");
    expect(lines[0]).toMatch(/^bm25 in 1\.2 ms +│ dense in 12 s$/);
    expect(lines[1]).toMatch(/^ 1\. Title a +│ {2}1\. A Title b$/);
    expect(text).toContain(" 2. A Title b");
    for (const line of lines) expect(line.length).toBeLessThanOrEqual(90);
  });

  it("stand one below the other where there is none", () => {
    const text = shown(
      50,
      { engine: "bm25", ms: 1, hits: [passage("a")] },
      { engine: "x", ms: 1, error: "It is down.", cause: 0 },
    );
    expect(text).toBe("bm25 in 1.0 ms\n 1. Title a  1.000  a\n    Some words of Lima.\n\nx in 1.0 ms\nIt is down.\n");
  });

  it("cannot be steered by what was found", () => {
    const hostile = "a\u001b[2Jb\u202ec\r\nd\u0007";
    for (const width of [50, 120]) {
      const hits = [{ id: hostile, title: hostile, text: hostile, score: 1 }];
      const text = shown(width, { engine: "x", ms: 1, hits }, { engine: "y", ms: 1, error: hostile, cause: 0 });
      expect(text).not.toMatch(/[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u202e]/);
    }
  });
});

describe("the prompt", () => {
  const ask = async (typed: string, answer: (query: string) => Promise<unknown>): Promise<[number, string]> => {
    const input = new PassThrough();
    const output = new PassThrough();
    let said = "";
    output.on("data", (piece: Buffer) => (said += piece.toString()));
    input.end(typed);
    return [await askAgainAndAgain({ input, output }, answer), said];
  };

  it("asks until an empty line, and survives failures", async () => {
    const queries: string[] = [];
    const [asked, said] = await ask("first\nsecond\n\nnever\n", async (query) => {
      queries.push(query);
      if (query === "first") throw Object.assign(new Error("gone"), { code: "EMFILE" });
      return Promise.resolve();
    });
    expect(queries).toEqual(["first", "second"]);
    expect(asked).toBe(2);
    expect(said).toContain("gone");
  });

  it("ends with its input", async () => {
    expect((await ask("one", () => Promise.resolve()))[0]).toBe(1);
  });
});
