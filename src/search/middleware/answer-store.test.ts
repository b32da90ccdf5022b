/** @file What becomes of a folder of answers when writes fail half-way, processes are killed and bytes change. */
import { existsSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { open, type FileHandle } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import type { Passage } from "../../types.js";
import { AnswerStore } from "./answer-store.js";

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "sleuth-answers-"));
});
afterEach(() => {
  vi.restoreAllMocks();
  rmSync(folder, { recursive: true, force: true });
});

const passage = (id: string, score: number): Passage => ({
  id,
  title: `Title ${id}`,
  text: `“text” of ${id}\n`,
  score,
});
const answers = new Map<string, Passage[]>([
  ["owls", [passage("a", 3), passage("b", 1.5)]],
  ["東京", [passage("b", 0.1), passage("c", 0.05)]],
  ["nothing", []],
  ["the capital of Peru", [passage("d", 9)]],
]);

/** A folder with the answers, and its one file. */
async function written(): Promise<string> {
  const store = await AnswerStore.open(folder, "write");
  for (const [query, passages] of answers) await store.put("engine", 2, [[query, passages]]);
  await store.close();
  return join(folder, readdirSync(folder)[0]);
}

/** Every answer is the one that was put, or none. */
async function readAll(): Promise<{ known: number; skipped: number }> {
  const store = await AnswerStore.open(folder, "read");
  let known = 0;
  for (const [query, passages] of answers) {
    const found = await store.get("engine", query, 2, true);
    if (found === undefined) continue;
    known++;
    expect(found).toEqual(passages);
  }
  return { known, skipped: store.skipped };
}

it("holds what was acknowledged, wherever a kill cuts the file: whole answers, and none that was not put", async () => {
  const file = await written();
  const bytes = readFileSync(file);
  expect(await readAll()).toEqual({ known: 4, skipped: 0 });
  let before = 0;
  for (let length = 0; length <= bytes.length; length += 13) {
    writeFileSync(file, bytes.subarray(0, length));
    const { known, skipped } = await readAll();
    expect(known).toBeGreaterThanOrEqual(before);
    expect(skipped).toBeLessThanOrEqual(1);
    before = known;
  }
});

it("never gives a wrong answer when bytes have changed", async () => {
  const file = await written();
  const bytes = readFileSync(file);
  await fc.assert(
    fc.asyncProperty(fc.nat({ max: bytes.length - 1 }), fc.integer({ min: 1, max: 255 }), async (at, change) => {
      const changed = Buffer.from(bytes);
      changed[at] ^= change;
      writeFileSync(file, changed);
      await readAll();
    }),
    { numRuns: 150, seed: 17 },
  );
});

it("goes on after a write that failed half-way: nothing of it is known, what follows is", async () => {
  const probe = await open(join(folder, "probe"), "a");
  const handles = Object.getPrototypeOf(probe) as FileHandle;
  await probe.close();
  const store = await AnswerStore.open(folder, "write");
  await store.put("engine", 2, [["owls", answers.get("owls") ?? []]]);
  const { appendFile } = handles;
  vi.spyOn(handles, "appendFile").mockImplementationOnce(async function (this: FileHandle, data) {
    await appendFile.call(this, String(data).slice(0, String(data).length / 2));
    throw Object.assign(new Error("ENOSPC: no space left on device"), { code: "ENOSPC" });
  });
  const lost = answers.get("東京") ?? [];
  await expect(store.put("engine", 2, [["東京", lost]])).rejects.toThrow("ENOSPC");
  expect(await store.get("engine", "東京", 2, true)).toBeUndefined();
  await store.put("engine", 2, [["the capital of Peru", answers.get("the capital of Peru") ?? []]]);
  expect(await store.get("engine", "the capital of Peru", 2, true)).toEqual(answers.get("the capital of Peru"));
  await store.close();
  expect(await readAll()).toEqual({ known: 2, skipped: 1 });
});

it("keeps engines and queries apart, whatever they hold", async () => {
  const store = await AnswerStore.open(folder, "write");
  await store.put("a", 1, [["b c", [passage("1", 1)]]]);
  await store.put("a b", 1, [["c", [passage("2", 1)]]]);
  expect((await store.get("a", "b c", 1, true))?.[0].id).toBe("1");
  expect((await store.get("a b", "c", 1, true))?.[0].id).toBe("2");
  expect(await store.get("a b c", "", 1, true)).toBeUndefined();
  await store.close();
});

it.skipIf(!existsSync("/proc/self/fd"))(
  "opens few files at once, whoever asks for how much (counted where /proc is)",
  async () => {
    const store = await AnswerStore.open(folder, "write");
    const queries = Array.from({ length: 500 }, (_, index) => `q${index}`);
    await store.put(
      "engine",
      1,
      queries.map((query) => [query, [passage(query, 1)]]),
    );
    const before = readdirSync("/proc/self/fd").length;
    let [most, isDone] = [0, false];
    const asked = Promise.all(queries.map((query) => store.get("engine", query, 1, true))).finally(
      () => (isDone = true),
    );
    while (!isDone) {
      most = Math.max(most, readdirSync("/proc/self/fd").length - before);
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect((await asked).map((found) => found?.[0].id)).toEqual(queries);
    expect(most).toBeLessThan(60);
    await store.close();
  },
);
