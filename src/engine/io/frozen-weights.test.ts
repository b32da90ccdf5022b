/** @file Frozen weights on disk: the model's numbers, and nothing left behind, however a process ends. */
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { afterAll, afterEach, beforeEach, describe, expect, it } from "vitest";
import { UserError } from "../../errors.js";
import { parameterShapes } from "../model/parameters.js";
import { freezeWeights, removeFrozenWeights } from "./frozen-weights.js";
import type { ModelSource } from "./tensor-set.js";
import { openModel } from "./open-model.js";

const root = mkdtempSync(path.join(tmpdir(), "sleuth-frozen-"));
const source = await openModel(fileURLToPath(new URL("../../../test/golden/llama", import.meta.url)));
const { TMPDIR, TEMP } = process.env;
let folder: string;

beforeEach(() => {
  folder = mkdtempSync(path.join(root, "tmp-"));
  process.env.TMPDIR = process.env.TEMP = folder;
});
afterEach(() => {
  restore("TMPDIR", TMPDIR);
  restore("TEMP", TEMP);
});
afterAll(async () => {
  await source.close();
  rmSync(root, { recursive: true });
});

function restore(name: string, value: string | undefined): void {
  if (value === undefined) delete process.env[name];
  else process.env[name] = value;
}

/** A process that is gone. */
const dead = spawnSync(process.execPath, ["--eval", ""]).pid;

function leave(pid: number): string {
  const left = path.join(folder, `sleuth-weights-${pid}-abcdef`);
  mkdirSync(left);
  return left;
}

describe("frozen weights", () => {
  it("are the model's, each at its place, until they are removed", async () => {
    const frozen = await freezeWeights(source);
    for (const { name } of parameterShapes(source.config)) {
      const { file, offset, length } = frozen.tensors.get(name) ?? { file: "", offset: -1, length: -1 };
      const stored = new Float32Array(new Uint8Array(readFileSync(file)).slice(offset, offset + 4 * length).buffer);
      expect(stored, name).toEqual(await source.read(name));
      expect(offset % 64).toBe(0);
    }
    frozen.remove();
    expect(readdirSync(folder)).toEqual([]);
  });

  it("leave nothing behind when a tensor cannot be read", async () => {
    let reads = 0;
    const read: ModelSource["read"] = (name) =>
      ++reads > 5 ? Promise.reject(new UserError("damaged")) : source.read(name);
    await expect(freezeWeights({ ...source, config: source.config, read })).rejects.toThrow("damaged");
    expect(readdirSync(folder)).toEqual([]);
  });

  it("of killed processes are removed at the next start, those of living ones are not", async () => {
    const [gone, alive] = [leave(dead), leave(process.ppid)];
    const frozen = await freezeWeights(source);
    expect(existsSync(gone)).toBe(false);
    expect(existsSync(alive)).toBe(true);
    // At the end of a process, only its own go.
    expect(readdirSync(folder)).toHaveLength(2);
    removeFrozenWeights();
    expect(readdirSync(folder)).toEqual([path.basename(alive)]);
    frozen.remove();
  });

  it.skipIf(process.platform === "win32" || process.getuid?.() === 0)(
    "that another user left are no reason to fail (skipped for root, who may delete everything)",
    async () => {
      const left = leave(dead);
      mkdirSync(path.join(left, "inside"));
      chmodSync(left, 0o500);
      (await freezeWeights(source)).remove();
      expect(existsSync(left)).toBe(true);
      chmodSync(left, 0o700);
    },
  );

  it("say what to do when there can be no temporary folder", async () => {
    process.env.TMPDIR = process.env.TEMP = path.join(folder, "missing");
    const failed = freezeWeights(source);
    await expect(failed).rejects.toThrow(UserError);
    await expect(failed).rejects.toThrow(/there can be none in .*missing.*TMPDIR/);
  });
});
