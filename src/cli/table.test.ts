import { existsSync, mkdtempSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { lastJson, sleuthHere } from "../../test/run-sleuth.js";

const folder = mkdtempSync(join(tmpdir(), "sleuth-table-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const at = (...names: string[]): string => join(folder, ...names);

const grid = ["table", "--sets", "nq=atlas", "--out", at("table"), "--limit", "3"];
const shipped = [...grid, "--models", "m=atlas-base", "--methods", "direct", "rag"];

describe("sleuth table", () => {
  it("makes what is missing, each a folder of its own, and prints it beside published rows", async () => {
    const ended = await sleuthHere([...shipped, "--published", "7B", "--json"]);
    expect(ended.status).toBe(0);
    expect(lastJson(ended)).toMatchObject({
      ...{ metric: "squadMatch", finished: "2 of 2 evaluations", failed: [] },
      evaluations: [
        { model: "m", set: "nq", method: "direct", report: { n: 3 } },
        { model: "m", set: "nq", method: "rag", report: { n: 3, searchesPerQuestion: { value: 1 } } },
      ],
    });
    expect(ended.stderr).toMatch(/m, method +NQ \(n=3\) +≈/);
    expect(ended.stderr).toMatch(/Qwen2\.5-7B, RAG \(Search-R1, v5, table 2\) +0\.349 +≠/);
    expect(ended.stderr).toContain("3 of 3610 questions");
  });

  it("does nothing twice, in any form", async () => {
    const attempts = at("table", "m", "nq", "rag", "attempts.jsonl");
    const before = statSync(attempts).mtimeMs;
    const csv = await sleuthHere([...shipped, "--format", "csv", "--no-published"]);
    expect(csv.stdout).toMatch(/^"m, method",NQ \(n=3\),NQ \(n=3\) low,NQ \(n=3\) high\ndirect,0,/);
    expect(statSync(attempts).mtimeMs).toBe(before);
  });

  it("prints what is there, and leaves the rest", async () => {
    const { status, stdout } = await sleuthHere([
      ...grid,
      "--models",
      "m=atlas-base",
      "--methods",
      "cot",
      "rag",
      "--no-evaluate",
    ]);
    expect(status).toBe(0);
    expect(stdout).toMatch(/^CoT +–/m);
    expect(stdout).toContain("1 of 2 evaluations have not ended");
    expect(existsSync(at("table", "m", "nq", "cot"))).toBe(false);
  });

  it("goes on after an evaluation that fails, and names it", async () => {
    const models = ["--models", "gone=missing-folder", "m=atlas-base", "--methods", "direct"];
    const { status, stdout } = await sleuthHere([...grid, ...models]);
    expect(status).toBe(1);
    expect(stdout).toMatch(/^m, direct +0\.000/m);
    expect(stdout).toMatch(/gone, nq, direct: There is no model missing-folder/);
  });

  it.each([
    [["--models", "a/x", "b/x"], /--models has two that are called x/],
    [["--models", "x="], /--models has one without a name or a value/],
    [["--models", "x", "--methods", "guess"], /Allowed choices are search-r1, direct/],
  ])("refuses %s", async (words, message) => {
    const { status, stderr } = await sleuthHere([...grid, ...words]);
    expect(status).toBeGreaterThan(0);
    expect(stderr).toMatch(message);
  });
});
