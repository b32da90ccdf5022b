/** @file Real processes that are killed while they change an index: what they acknowledged is there, and nothing is half there. */
import { spawn } from "node:child_process";
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, expect, it } from "vitest";
import { Random } from "../../random.js";
import { generationPrefix } from "../index-folder.js";
import { buildIndex } from "./build.js";
import { deleteFromIndex } from "./change.js";
import { readManifest } from "./format.js";
import { batchOf, livingAfter } from "./killed-writer.test-support.js";
import { openIndex, readIndex, verifyIndex } from "./open.js";
import { bruteForceBm25 } from "./oracle.test-support.js";
import type { StoredPassage } from "../../types.js";

const root = mkdtempSync(join(tmpdir(), "sleuth-kill-index-"));
afterAll(() => rmSync(root, { recursive: true, force: true }));

const child = fileURLToPath(new URL("./killed-writer.test-support.ts", import.meta.url));
const random = new Random(Number(process.env.SLEUTH_KILL_SEED ?? 1), "kill index");

/** Runs the child and kills it some milliseconds after it has said so many lines and `isBusy`; returns the lines. */
function runAndKill(
  args: readonly string[],
  lines: number,
  delayMs: number,
  isBusy: () => boolean = () => true,
): Promise<string[]> {
  const running = spawn(process.execPath, ["--import", "tsx", child, ...args], { stdio: ["ignore", "pipe", "pipe"] });
  let output = "";
  let errors = "";
  let timer: NodeJS.Timeout | undefined;
  const killWhenBusy = (): void => {
    timer = isBusy() ? setTimeout(() => running.kill("SIGKILL"), delayMs) : setTimeout(killWhenBusy, 1);
  };
  running.stderr.on("data", (data: Buffer) => (errors += data.toString()));
  running.stdout.on("data", (data: Buffer) => {
    output += data.toString();
    if (output.split("\n").length > lines && timer === undefined) killWhenBusy();
  });
  return new Promise((resolve, reject) => {
    running.on("close", (status) => {
      clearTimeout(timer);
      if (status !== null && status !== 0) reject(new Error(errors));
      else resolve(output.split("\n").slice(0, -1));
    });
  });
}

async function livingIn(folder: string): Promise<StoredPassage[]> {
  const { passages } = await readIndex(folder);
  const numbers = Array.from({ length: passages.count }, (_, number) => number);
  const living = await passages.read(numbers.filter((number) => !passages.isDeleted(number)));
  await passages.close();
  return living;
}

it("killed while adding, deleting, replacing and merging", { timeout: 120_000 }, async () => {
  const folder = join(root, "changed");
  let done = 0;
  for (let kill = 0; kill < 6; kill++) {
    const said = await runAndKill(["change", folder, String(done)], 1 + random.integer(8), random.integer(40));
    const acknowledged = Number(said.at(-1)) + 1;
    expect(acknowledged).toBeGreaterThan(done);
    const living = await livingIn(folder);
    // The step under way may have been done without having been told.
    const isAhead = JSON.stringify(living) === JSON.stringify(livingAfter(acknowledged + 1));
    done = acknowledged + (isAhead ? 1 : 0);
    expect(living).toEqual(livingAfter(done));
    await verifyIndex(folder);
    const engine = await openIndex(folder);
    for (const query of ["lima", `step ${done}`, "0-2 3-0"])
      expect(await engine.searchBatch([query], 100)).toEqual([bruteForceBm25(living, query, 100)]);
    await engine.close();
  }
  // The next writer clears away what the dead ones left.
  await deleteFromIndex({ folder, ids: [livingAfter(done)[0].id], merge: false });
  const { segments } = await readManifest(folder);
  expect(readdirSync(folder)).toHaveLength(segments.length + 1);
  for (const { folder: name, files, tombstones } of segments)
    expect(readdirSync(join(folder, name))).toHaveLength(
      Object.keys(files).length + (tombstones === undefined ? 0 : 1),
    );
});

it("killed while building: the old index answers, and the next build succeeds", { timeout: 120_000 }, async () => {
  const [folder, whole, corpus] = [join(root, "built"), join(root, "whole"), join(root, "corpus.jsonl")];
  const lines = Array.from({ length: 1_500 }, (_, id) =>
    JSON.stringify({ id: `${id}`, title: `Title ${id % 7}`, text: `lima owls ${id % 31} number${id}` }),
  );
  writeFileSync(corpus, lines.join("\n"));
  await buildIndex({ out: whole, corpus: [corpus], workers: 0 });
  await buildIndex({ out: folder, passages: batchOf([{ id: "old", title: "", text: "antique" }]) });
  const old = JSON.stringify(await readManifest(folder));
  const generations = (): string[] => readdirSync(folder).filter((name) => name.startsWith(generationPrefix));
  let [kills, leftovers] = [0, 0];
  for (let start = 0; start < 4; start++) {
    // Where an earlier build was killed, its folder goes before the next one comes: the name tells them apart.
    const before = new Set(generations());
    await runAndKill(["build", folder, corpus], 1, random.integer(1 + 5 * start), () =>
      generations().some((name) => !before.has(name)),
    );
    // Killed too late: the build is done.
    if (JSON.stringify(await readManifest(folder)) !== old) break;
    kills++;
    leftovers = Math.max(leftovers, readdirSync(folder).length - 2);
    const engine = await openIndex(folder);
    expect((await engine.searchBatch(["antique"], 2))[0].map(({ id }) => id)).toEqual(["old"]);
    await engine.close();
    // What the killed ones left does not pile up: a folder of the last one, and files of its lock.
    expect(generations().length).toBeLessThanOrEqual(2);
    expect(readdirSync(folder).filter((name) => name.startsWith("lock")).length).toBeLessThanOrEqual(4);
  }
  expect(kills).toBeGreaterThan(0);
  expect(leftovers).toBeGreaterThan(0);
  await buildIndex({ out: folder, corpus: [corpus], runBytes: 4_000, workers: 0 });
  expect((await readManifest(folder)).segments[0].files).toEqual((await readManifest(whole)).segments[0].files);
  expect(readdirSync(folder)).toHaveLength(2);
  await verifyIndex(folder);
});
