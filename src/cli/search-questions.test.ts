import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { PassThrough } from "node:stream";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { lastJson, sleuth, sleuthHere, type Ended } from "../../test/run-sleuth.js";
import { Bm25Engine } from "../search/bm25/engine.js";
import { answerPiped } from "./search-piped.js";
import { measureWorth, type WorthOptions } from "./search-questions.js";
import { Terminal } from "./terminal/terminal.js";

const folder = mkdtempSync(join(tmpdir(), "sleuth-worth-"));
const file = (name: string): string => join(folder, name);
const passages = [
  { id: "1", title: "Peru", text: "Lima is the capital of Peru." },
  { id: "2", title: "Chile", text: "Santiago is the capital of Chile." },
  { id: "3", title: "秘鲁", text: "利马是秘鲁的首都。" },
];
const questions = [
  { id: "a", question: "capital of Peru", answers: ["lima!"], evidence: [{ id: "1" }] },
  { id: "b", question: "capital of Chile", answers: ["Santiago"], evidence: [{ id: "9" }] },
  { id: "c", question: "秘鲁的首都", answers: ["利马"] },
  { id: "d", question: "capital of Faust\u001b[2J", answers: ["Goethe", "J. W. Goethe"] },
];

function lines(records: readonly object[]): string {
  return records.map((record) => `${JSON.stringify(record)}\n`).join("");
}

beforeAll(async () => {
  writeFileSync(file("corpus.jsonl"), lines(passages));
  writeFileSync(file("q.jsonl"), lines(questions));
  expect((await sleuthHere(["index", file("corpus.jsonl"), "--out", file("index")])).status).toBe(0);
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function worth(...more: string[]): Promise<Ended> {
  return sleuthHere(["search", "--questions", file("q.jsonl"), "--index", file("index"), ...more]);
}

describe("sleuth search --questions", () => {
  it("tells how often an answer is found, and where not", async () => {
    const { status, stdout } = await worth();
    expect(status).toBe(0);
    expect(stdout).toMatch(/^4 questions +hit@1 +hit@3 +hit@10\n/);
    expect(stdout).toMatch(/^bm25 +0\.750 \[0\.301, 0\.954\]/m);
    expect(stdout).toMatch(/^ {2}its evidence +0\.500 /m);
    expect(stdout).toContain("That need not make the passage evidence");
    expect(stdout).toContain("1 question without a hit\n  capital of Faust [2J → Goethe | J. W. Goethe\n");
  });

  it("says when the questions were made from another index", async () => {
    const made = Array.from({ length: 8 }, (_, place) => ({
      ...questions[0],
      id: `${place}`,
      evidence: [{ id: "x" }],
    }));
    writeFileSync(file("foreign.jsonl"), lines(made));
    const { status, stdout } = await worth("--questions", file("foreign.jsonl"));
    expect(status).toBe(0);
    expect(stdout).toContain("bm25: Of 8 questions not one found the passage that it was made from");
  });

  it("compares engines over the same questions, and writes a line for each", async () => {
    const ended = await worth("--engine", "bm25,empty,dense", "--out", file("hits.jsonl"), "--json", "-k", "2");
    expect(ended.status).toBe(0);
    expect(lastJson(ended)).toMatchObject({
      questions: 4,
      engines: [
        {
          engine: "bm25",
          hits: { 1: { value: 0.75 }, 2: { value: 0.75 } },
          withoutHit: 1,
          refused: 0,
          questionsWithEvidence: 2,
          evidence: { 1: { value: 0.5 } },
        },
        { engine: "empty", hits: { 1: { value: 0 }, 2: { value: 0 } }, withoutHit: 4 },
        { engine: "dense", error: expect.stringContaining("another kind of index") as string },
      ],
      differences: [{ engine: "empty", against: "bm25", hits: { 1: { value: -0.75 } } }],
      withoutHit: ["d"],
    });
    const written = readFileSync(file("hits.jsonl"), "utf8").trimEnd().split("\n");
    expect(written).toHaveLength(4);
    expect(JSON.parse(written[0])).toMatchObject({
      ...{ id: "a", question: "capital of Peru", answers: ["lima!"] },
      engines: { bm25: { rank: 1, evidenceRank: 1, passages: [{ id: "1" }, { id: "2" }] }, empty: { rank: null } },
    });
  });

  it("takes a folder of questions, all parts of it, and no more than --limit", async () => {
    mkdirSync(file("questions"));
    for (const [place, part] of ["train", "validation", "test"].entries())
      writeFileSync(file(`questions/${part}.jsonl`), lines([questions[place]]));
    const asked = (...more: string[]) =>
      sleuthHere(["search", "--questions", file("questions"), "--index", file("index"), "--json", ...more]);
    expect(lastJson(await asked())).toMatchObject({ questions: 3, engines: [{ hits: { 1: { value: 1 } } }] });
    expect(lastJson(await asked("--limit", "1"))).toMatchObject({ questions: 1 });
  });

  it.each<[what: string, args: string[], status: number, message: string]>([
    ["a query beside questions", ["--questions", "q.jsonl", "Lima"], 2, "a query and --questions"],
    ["--out without questions", ["Lima", "--out", "x.jsonl"], 2, "--out goes with --questions"],
    ["a file that is not there", ["--questions", "none.jsonl"], 1, "none.jsonl"],
    ["an engine that has no index here", ["--questions", "q.jsonl", "--engine", "dense"], 1, "another kind of index"],
  ])("refuses %s", async (_, args, status, message) => {
    const given = args.map((arg) => (arg.endsWith(".jsonl") ? file(arg) : arg));
    const ended = await sleuthHere(["search", ...given, "--index", file("index")]);
    expect(ended).toMatchObject({ status, stderr: expect.stringContaining(message) as string });
    expect(existsSync(file("x.jsonl"))).toBe(false);
  });

  it("keeps its numbers in a narrow terminal", async () => {
    let text = "";
    const sink = { write: (piece: string) => (text += piece), columns: 40 };
    const terminal = new Terminal({ json: false, stdout: sink, stderr: { ...sink, write: () => true } });
    const columns = [{ name: "bm25", timeoutMs: 1000, engine: Bm25Engine.fromPassages(passages) }];
    const options: WorthOptions = { questions: file("q.jsonl") };
    await measureWorth(terminal, columns, options, new AbortController().signal);
    expect(text).toContain("bm25\n  hit@1   0.750 [0.301, 0.954]\n  hit@3   0.750 [0.301, 0.954]\n");
  });
});

describe("piped queries", () => {
  it("are answered in order, each before the next one must come", async () => {
    const input = new PassThrough();
    const order: string[] = [];
    const answered = answerPiped(
      input,
      // The first takes longest.
      (query) => new Promise<number>((resolve) => setTimeout(() => resolve(query.length), 12 - 4 * query.length)),
      (query, found) => {
        order.push(`${query}:${found}`);
        if (query === "bb") input.end("\r\nccc");
      },
      new AbortController().signal,
    );
    input.write("\ufeffa\n bb \n");
    expect(await answered).toBe(4);
    expect(order).toEqual(["a:1", "bb:2", ":0", "ccc:3"]);
  });

  it("end with the signal", async () => {
    const controller = new AbortController();
    const ended = answerPiped(
      new PassThrough(),
      () => Promise.resolve(0),
      () => {},
      controller.signal,
    );
    controller.abort(new Error("enough"));
    await expect(ended).rejects.toThrow("enough");
  });

  it("get a line of JSON each, and nothing behind them", async () => {
    const args = ["search", "--index", file("index"), "--engine", "bm25,empty", "--json", "-k", "1"];
    const ended = await sleuth(args, { input: "capital of Peru\n\n" });
    expect(ended.status).toBe(0);
    const told = ended.stdout
      .trimEnd()
      .split("\n")
      .map((line) => JSON.parse(line) as object);
    expect(told).toMatchObject([
      {
        query: "capital of Peru",
        engines: [
          { engine: "bm25", hits: [{ id: "1" }] },
          { engine: "empty", hits: [] },
        ],
      },
      { query: "", engines: [{ hits: [] }, { hits: [] }] },
    ]);
  });

  it("that do not come are an error, and nothing to ask with is another", async () => {
    const args = ["search", "--index", file("index"), "--json"];
    const [nothing, noPipe] = await Promise.all([sleuth(args, { input: "" }), sleuth(args)]);
    expect(nothing).toMatchObject({ status: 1, stderr: expect.stringContaining("No query came") as string });
    expect(noPipe).toMatchObject({ status: 2, stderr: expect.stringContaining("missing argument 'query'") as string });
  });
});
