/** @file The short form of `npm run fuzz`: a few damaged files for every loader that needs no thread or library of its own, and the watch over processes. */
import { expect, it } from "vitest";
import { UserError } from "../../src/errors.js";
import { Random } from "../../src/random.js";
import type { Loader } from "./loader.js";
import { loaders } from "./loaders.js";
import { mutate } from "./mutate.js";
import { runCases, type CaseResult } from "./run-cases.js";
import { writeFile, readFile } from "node:fs/promises";
import path from "node:path";

async function resultsOf(loader: Loader, count: number): Promise<CaseResult[]> {
  const results: CaseResult[] = [];
  const options = { seed: 1, from: 0, to: count, mostMegabytes: 500 };
  await runCases(loader, { ...options, onResult: (result) => results.push(result) });
  return results;
}

const isFine = ({ outcome }: CaseResult): boolean => outcome === "read" || outcome === "refused";
const slow = ["encoder", "dense", "lancedb", "pdf", "chat-template", "html"];

it("every loader reads damaged files or refuses them in words", async () => {
  for (const loader of loaders.filter(({ name }) => !slow.includes(name))) {
    const results = await resultsOf(loader, 8);
    expect(
      results.filter((result) => !isFine(result)),
      loader.name,
    ).toEqual([]);
    expect(results, loader.name).toHaveLength(8);
  }
});

const made = (folder: string): Promise<void> => writeFile(path.join(folder, "a.json"), '{"a":[1,{"b":2}]}');

it("sees errors without a type, wrong content and files that no message names", async () => {
  const careless: Loader = {
    name: "careless",
    make: made,
    load: async (folder) =>
      (JSON.parse(await readFile(path.join(folder, "a.json"), "utf8")) as { a: number[] }).a.length,
  };
  expect(new Set((await resultsOf(careless, 40)).map(({ outcome }) => outcome))).toContain("untyped error");
  const trusting: Loader = { ...careless, load: (folder) => readFile(path.join(folder, "a.json")), isChecked: true };
  expect(new Set((await resultsOf(trusting, 20)).map(({ outcome }) => outcome))).toContain("wrong content");
  const mute: Loader = {
    ...careless,
    load: async (folder) => {
      if ((await readFile(path.join(folder, "a.json"), "utf8").catch(() => "")).length !== 17)
        throw new UserError("damaged");
    },
  };
  expect(new Set((await resultsOf(mute, 20)).map(({ outcome }) => outcome))).toContain("no file named");
});

it("a case is a function of its seed", () => {
  const bytes = Buffer.from('{"a":[1,{"b":2}],"c":"text"}\n');
  const of = (seed: number): unknown[] =>
    Array.from({ length: 15 }, (_, index) => mutate(bytes, [Buffer.from("other")], new Random(seed, index)));
  expect(of(1)).toEqual(of(1));
  expect(of(1)).not.toEqual(of(2));
});
