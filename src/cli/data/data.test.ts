/** @file `sleuth data` on the command line. */
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, describe, expect, it } from "vitest";
import { lastJson, sleuthHere } from "../../../test/run-sleuth.js";

const samples = fileURLToPath(new URL("../../data/sets/testdata", import.meta.url));
const folder = mkdtempSync(path.join(tmpdir(), "sleuth-data-"));
const out = (name: string): string => path.join(folder, name);
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe("sleuth data", () => {
  it("lists the sets", async () => {
    const { stdout } = await sleuthHere(["data", "list"]);
    expect(stdout).toMatch(/^nq +Natural Questions \(open\) +single +79,168 \* +8,757 +3,610 † +CC BY-SA 3\.0$/m);
  });

  it("gets, says what has changed against the papers' set, and checks", async () => {
    const given = ["data", "get", "nq", "--from", path.join(samples, "flashrag"), "--out", out("nq")];
    const got = await sleuthHere(given);
    expect(got.status, got.stderr).toBe(0);
    expect(got.stdout).toMatch(/^6 questions of .*nq → /m);
    expect(got.stdout).toMatch(/^ {2}test\.jsonl +nq +test +3/m);
    expect(got.stderr).toMatch(/nq test has 3 records at .*, and had 3,610 when papers measured on it/);
    expect(readdirSync(out("nq")).sort()).toEqual(["data.json", "test.jsonl", "train.jsonl", "validation.jsonl"]);
    const again = await sleuthHere([...given, "--limit", "1", "--seed", "3", "--json"]);
    expect(lastJson(again)).toMatchObject({
      questions: { train: 1, validation: 1, test: 1 },
      changed: expect.stringContaining("test.jsonl had 3"),
    });
    const checked = await sleuthHere(["data", "check", out("nq"), "--json"]);
    expect(lastJson(checked)).toMatchObject({
      parts: { test: { questions: 1, found: { "trained-on": { count: 0 } } } },
    });
    expect((await sleuthHere(["data", "check", out("nq")])).stdout).toMatch(/^test: 1 question, nothing found$/m);
  });

  it("mixes sets of different layouts, so many of each", async () => {
    const sets = [`${path.join(samples, "flashrag", "nq")}=2`, path.join(samples, "search-r1.parquet")];
    const mixed = await sleuthHere(["data", "mix", ...sets, "--out", out("mixed"), "--json"]);
    expect(lastJson(mixed), mixed.stderr).toMatchObject({
      questions: { train: 3, validation: 1, test: 2 },
      repeated: 2,
    });
    const lines = readFileSync(path.join(out("mixed"), "train.jsonl"), "utf8")
      .trim()
      .split("\n");
    expect(lines.map((line) => (JSON.parse(line) as { id: string }).id)).toEqual([
      "nq-train-0",
      "nq-train-1",
      "hotpotqa-train-0",
    ]);
  });

  it("names malformed records of the user's files, or counts them when told to", async () => {
    writeFileSync(
      out("mine.jsonl"),
      '{"id":"1","question":"q","answers":["x"]}\n{"id":"2","question":"r","answers":[]}\n',
    );
    const given = ["data", "get", out("mine.jsonl"), "--out", out("mine")];
    const refused = await sleuthHere(given);
    expect(refused.status).toBe(1);
    expect(refused.stderr).toMatch(/1 of 2 records are no questions:\n.*mine\.jsonl:2: field "answers"/);
    const taken = await sleuthHere([...given, "--skip-malformed"]);
    expect(taken.stderr).toMatch(/1 of 2 records of .* were left out: 1 has no answer\./);
    expect(taken.stdout).toMatch(/^1 question of /m);
    const wrong = await sleuthHere(["data", "get", "nq", "--out", folder]);
    expect(wrong.stderr).toMatch(/has other files in it and no data\.json/);
  });
});
