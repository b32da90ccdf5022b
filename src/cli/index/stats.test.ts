import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { lastJson, sleuthHere } from "../../../test/run-sleuth.js";
import { PassagesInMemory } from "../../search/passages.js";
import { histogramOf, passageStats, quantileOf } from "../../search/index-stats.js";

const folder = mkdtempSync(join(tmpdir(), "sleuth-stats-"));
const index = join(folder, "the index");
const words = (count: number): string => "word ".repeat(count).trim();
const passages = [
  { id: "a.md#1", title: "A", text: words(10) },
  { id: "a.md#2", title: "A", text: words(20) },
  { id: "b.md#1", title: "B", text: `${words(9)}  word\n` },
  { id: "c", title: "C", text: words(100) },
];

beforeAll(async () => {
  const corpus = join(folder, "corpus.jsonl");
  writeFileSync(corpus, passages.map((passage) => `${JSON.stringify(passage)}\n`).join(""));
  expect((await sleuthHere(["index", corpus, "--out", index, "--k1", "1.2"])).status).toBe(0);
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe("sleuth index --stats", () => {
  it.skipIf(!existsSync("models/atlas-base"))("counts tokens with a model's tokenizer", async () => {
    const args = ["index", "--stats", index, "--tokenizer", "models/atlas-base", "--chunk-tokens", "60", "--json"];
    const { tokens } = lastJson<{ tokens: Record<string, number> }>(await sleuthHere(args));
    expect(tokens).toMatchObject({ within: 60, measured: passages.length });
    expect(tokens.p50).toBeGreaterThan(20);
    expect(tokens.shareWithin).toBe(0.75);
  });

  it("tells what an index holds, and does not count what was deleted", async () => {
    const before = await sleuthHere(["index", "--stats", index]);
    expect(before.status).toBe(0);
    expect(before.stdout).toContain("the index  bm25\n");
    expect(before.stdout).toMatch(/k1 1\.2, b 0\.4, .*stopWords 33 words, stemmer porter/);
    expect(before.stdout).toContain(
      "passages   4\ndocuments  3, 1.3 passages each\nrepeated   1, 25.0 % of the passages\n" +
        "words      half have at most 10, 90 % 100, 99 % 100, the longest 100\n",
    );
    expect(before.stdout).toMatch(/^ +▁▁▁▁█▁▁▁▅▁+▅ {2}0 to 100$/m);
    expect((await sleuthHere(["index", "--out", index, "--delete", "c"])).status).toBe(0);
    expect(lastJson(await sleuthHere(["index", "--stats", index, "--json"]))).toMatchObject({
      ...{ engines: ["bm25"], passages: 3, documents: 2, repeated: 1 },
      words: { p50: 10, max: 20 },
    });
  });

  it.each<[what: string, args: string[], status: number, message: string]>([
    ["a folder without an index", ["--stats", folder], 1, "There is no index in"],
    ["neither --out nor --stats", [index], 2, "required option '--out'"],
  ])("refuses %s", async (_, args, status, message) => {
    const ended = await sleuthHere(["index", ...args]);
    expect(ended).toMatchObject({ status, stderr: expect.stringContaining(message) as string });
  });
});

it("an index without passages has numbers, too", async () => {
  const stats = await passageStats(new PassagesInMemory([]), { lengthOf: () => 1, documentOf: (id) => id });
  expect(stats).toMatchObject({ passages: 0, documents: 0, repeated: 0 });
  expect(quantileOf(stats.lengths, 0.9)).toBe(0);
  expect(histogramOf(stats.lengths, 3)).toEqual([0, 0, 0]);
  expect(histogramOf(Uint32Array.from([0, 1, 5, 9, 10]), 2)).toEqual([2, 3]);
});
