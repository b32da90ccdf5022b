import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { locateIndex } from "./locate-index.js";

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "sleuth-locate-"));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const manifest = (format: string): void => writeFileSync(join(folder, "index.json"), JSON.stringify({ format }));

it("prefers the engine's own folder, else the folder itself", async () => {
  mkdirSync(join(folder, "dense"));
  manifest("sleuth-bm25");
  expect(await locateIndex(folder, "dense")).toBe(join(folder, "dense"));
  expect(await locateIndex(folder, "bm25")).toBe(folder);
  rmSync(join(folder, "index.json"));
  mkdirSync(join(folder, "passages.lance"));
  expect(await locateIndex(folder, "lancedb")).toBe(folder);
});

it("leaves what it does not know to the engine", async () => {
  expect(await locateIndex("s3://bucket/folder", "lancedb")).toBe("s3://bucket/folder");
  expect(await locateIndex(join(folder, "missing"), "bm25")).toBe(join(folder, "missing"));
  expect(await locateIndex(folder, "bm25")).toBe(folder);
  writeFileSync(join(folder, "index.json"), "half-writ");
  expect(await locateIndex(folder, "bm25")).toBe(folder);
});

it("says what is there instead", async () => {
  manifest("sleuth-bm25");
  await expect(locateIndex(folder, "dense")).rejects.toThrow(/no index for dense, but one for bm25.*--engine bm25/);
  rmSync(join(folder, "index.json"));
  mkdirSync(join(folder, "bm25"));
  mkdirSync(join(folder, "lancedb"));
  await expect(locateIndex(folder, "dense")).rejects.toThrow("some for bm25 and lancedb");
});
