import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { appender, cutTornLine, openJournal, wholeLines } from "./journal.js";

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), "sleuth-journal-"));
});
afterAll(() => rm(folder, { recursive: true }));

async function linesOf(file: string): Promise<string[]> {
  const texts: string[] = [];
  for await (const lines of wholeLines(file)) texts.push(...lines.map(({ text }) => text));
  return texts;
}

it("an appender keeps the order of its calls, and each promise waits for its own records", async () => {
  const file = path.join(folder, "appended.jsonl");
  const append = appender(file, "Make room.");
  const all = Array.from({ length: 50 }, (_, n) => append([{ n }]));
  await all[0];
  const more = append([{ n: 50 }, { n: 51 }]);
  await Promise.all([...all, more]);
  expect(await linesOf(file)).toEqual(Array.from({ length: 52 }, (_, n) => `{"n":${n}}`));
  const refused = appender(path.join(folder, "no", "such"), "Make room.");
  await expect(refused([{ n: 0 }])).rejects.toThrow("Make room.");
  await expect(refused([{ n: 1 }])).rejects.toThrow("Make room.");
});

// A kill may tear a line in the middle of a character, and lines may be longer than what is read at once.
const long = JSON.stringify({ text: "ü".repeat(200_000) });
it.each([
  ["nothing torn", '{"n":1}\n', ""],
  ["a torn line", '{"n":1}\n{"n":2}\n', '{"n":'],
  ["a torn character", '{"n":1}\n', Buffer.from('{"t":"ü').subarray(0, 7)],
  ["a torn line alone", "", '{"n"'],
  ["a long torn line", `${long}\n`, long.slice(0, -3)],
])("%s: whole lines are read, and what is behind them is cut off", async (name, whole, torn) => {
  const file = path.join(folder, `${name}.jsonl`);
  await writeFile(file, Buffer.concat([Buffer.from(whole), Buffer.from(torn)]));
  const lines = whole.split("\n").filter((line) => line !== "");
  expect(await linesOf(file)).toEqual(lines);
  await cutTornLine(file);
  expect(await readFile(file, "utf8")).toBe(whole);
  await cutTornLine(path.join(folder, "not there"));
});

it("a last line that somebody wrote without a break is whole", async () => {
  const file = path.join(folder, "by hand.jsonl");
  await writeFile(file, '{"n":1}\n{"n":2}');
  expect(await linesOf(file)).toEqual(['{"n":1}', '{"n":2}']);
});

it("an opened journal begins a line of its own behind a torn one", async () => {
  const file = path.join(folder, "opened.jsonl");
  await writeFile(file, '{"n":1}\n{"n"');
  const { earlier, append } = await openJournal(file, "Make room.");
  expect(earlier).toEqual([{ n: 1 }, undefined]);
  await append([{ n: 3 }]);
  expect(await readFile(file, "utf8")).toBe('{"n":1}\n{"n"\n{"n":3}\n');
});
