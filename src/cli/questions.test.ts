/** @file `sleuth questions make` from the command line: by rules, by a server, at a price; and what is refused. */
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { lastJson, sleuthHere, type Ended } from "../../test/run-sleuth.js";
import { toJsonLines } from "../files/lines.js";

const folder = mkdtempSync(join(tmpdir(), "sleuth-questions-"));
const file = (name: string): string => join(folder, name);
const towns = ["Arvik", "Bruneholm", "Castrup", "Drivsund", "Elverdal", "Fjellby", "Grimsted", "Holmevik"];
let server: Server;
let url: string;
let asked = 0;

beforeAll(async () => {
  const passages = towns.map((town, index) => ({
    ...{ id: `${town}.md#1`, title: town },
    text: `The harbour of ${town} was built by engineer Sten${town.toLowerCase()} in the year ${1850 + index}. Its pier is ${100 + index} metres long, and every winter the people carry their boats over the hill.`,
  }));
  writeFileSync(file("corpus.jsonl"), toJsonLines(passages));
  expect((await sleuthHere(["index", file("corpus.jsonl"), "--out", file("index")])).status).toBe(0);
  server = createServer((request, response) => {
    let text = "";
    request.on("data", (piece) => (text += String(piece)));
    request.on("end", () => {
      asked++;
      const town = /harbour of (\w+)/.exec(text)?.[1] ?? "";
      const content = text.includes("at most four words")
        ? "unknown"
        : JSON.stringify({ question: `Who built the harbour of ${town}?`, answer: `Sten${town.toLowerCase()}` });
      const usage = { prompt_tokens: 300, completion_tokens: 30 };
      response.end(JSON.stringify({ choices: [{ message: { role: "assistant", content } }], usage }));
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1`;
});
afterAll(() => {
  server.closeAllConnections();
  server.close();
  rmSync(folder, { recursive: true, force: true });
});

const make = (...more: string[]): Promise<Ended> =>
  sleuthHere(["questions", "make", "--index", file("index"), ...more]);

describe("sleuth questions make", () => {
  it("makes a folder that search takes, and does not make what was struck", async () => {
    const out = file("cloze");
    const ended = await make("--out", out, "--per-document", "1", "--json");
    expect(ended.status).toBe(0);
    expect(lastJson(ended)).toMatchObject({ kept: 8, documents: 8, rejected: expect.any(Object) as object });
    const worth = await sleuthHere(["search", "--questions", out, "--index", file("index"), "--json"]);
    expect(worth.status).toBe(0);
    const told = await sleuthHere(["search", "--questions", out, "--index", file("index")]);
    expect(told.stdout).toContain("only what its engine found among the first 3 passages: from hit@3 on");
    const [line] = readFileSync(join(out, "train.jsonl"), "utf8").split("\n");
    writeFileSync(join(out, "struck.jsonl"), `${line}\n`);
    const again = await make("--out", out, "--per-document", "1");
    expect(again.stdout).toMatch(/to train on, \d+ of \d documents? for validation, \d+ of \d documents? for test/);
    expect(again.stdout).toMatch(/\d+ of \d+ candidates were tried\. Not kept:/);
    expect(readFileSync(join(out, "train.jsonl"), "utf8")).not.toContain(line);
  });

  it("leads from an index to questions, and from questions to transcripts", async () => {
    const indexed = await sleuthHere(["index", file("corpus.jsonl"), "--out", file("again")]);
    expect(indexed.stdout).toContain(`npx sleuth questions make --index ${file("again")} --out questions`);
    const { stdout } = await make("--out", file("next"));
    const where = `--questions ${file("next")} --index ${file("index")}`;
    expect(stdout).toContain(`npx sleuth questions review ${file("next")} --index ${file("index")}`);
    expect(stdout).toContain(`npx sleuth collect --preset documents ${where} --out transcripts.jsonl --limit 800`);
  });

  it("says with counts that no question is left, and leaves no folder behind", async () => {
    const same = towns.map((town) => ({ id: town, title: "", text: `Boats must call the station ${town} at night.` }));
    writeFileSync(file("same.jsonl"), toJsonLines(same));
    expect((await sleuthHere(["index", file("same.jsonl"), "--out", file("same")])).status).toBe(0);
    const ended = await make("--index", file("same"), "--out", file("none"));
    expect(ended.status).toBe(1);
    expect(ended.stderr).toMatch(/No question could be made of 8 passages|None of \d+ possible questions/);
    expect(existsSync(file("none"))).toBe(false);
  });

  it("says what a server may cost, asks for nothing unless that is agreed to, and pays for nothing twice", async () => {
    const out = file("written");
    const served = ["--out", out, "--model-url", url, "--model", "m", "--price", "1,10", "--count", "8"];
    const refused = await make(...served);
    expect([refused.status, asked]).toEqual([1, 0]);
    expect(refused.stderr).toMatch(/At most \d+ requests of about [\d,]+ tokens in, [\d,]+ out: about \$0\.\d{4}/);
    expect(refused.stderr).toContain("Agree with --yes");
    expect(existsSync(join(out, "train.jsonl"))).toBe(false);
    const ended = await make(...served, "--yes");
    expect(ended.status).toBe(0);
    expect(ended.stdout).toContain("Asked for 16 replies: 4,800 tokens in, 480 out, $0.0096");
    expect(lastJson(await make(...served, "--yes", "--json"))).toMatchObject({ kept: 8, usage: { replies: 0 } });
    expect(asked).toBe(16);
  });

  it.each<[string, string[], number, RegExp]>([
    ["no index", ["--out", file("x")], 1, /--index FOLDER/],
    ["a folder with other files", ["--index", "index", "--out", folder], 1, /was not made by sleuth questions make/],
    [
      "a server without a model's name",
      ["--index", "index", "--out", file("x"), "--model-url", "http://h"],
      1,
      /--model/,
    ],
    ["a price of one number", ["--index", "index", "--out", file("x"), "--price", "1"], 2, /two prices/],
    ["no --out", ["--index", "index"], 2, /--out/],
  ])("refuses %s", async (_, options, status, message) => {
    const given = options.map((option) => (option === "index" ? file("index") : option));
    const ended = await sleuthHere(["questions", "make", ...given]);
    expect(ended.stderr).toMatch(message);
    expect(ended.status).toBe(status);
  });
});
