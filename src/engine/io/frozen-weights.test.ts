/** @file Frozen weights on disk: the model's numbers, and nothing left behind, however a process ends. */
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { afterAll, afterEach, beforeEach, describe, expect, it } from "vitest";
import { UserError } from "../../errors.js";
import type { StoredData } from "../graph/ops.js";
import { columnsOf, dequantise, quantise } from "../int8/quantise.js";
import { headChunks } from "../model/head.js";
import { allInputs, headInput, linearInputs, linearWeights } from "../model/int8.js";
import { parameterShapes } from "../model/parameters.js";
import { freezeWeights, removeFrozenWeights } from "./frozen-weights.js";
import type { ModelSource } from "./tensor-set.js";
import { openModel } from "./open-model.js";

const root = mkdtempSync(path.join(tmpdir(), "sleuth-frozen-"));
const golden = (family: string): string => fileURLToPath(new URL(`../../../test/golden/${family}`, import.meta.url));
const source = await openModel(golden("llama"));
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

/** What lies in the file. */
function numbersAt({ file, offset, length, dtype }: StoredData): Float32Array | Int8Array {
  const size = dtype === "int8" ? 1 : 4;
  const { buffer } = new Uint8Array(readFileSync(file)).slice(offset, offset + size * length);
  return dtype === "int8" ? new Int8Array(buffer) : new Float32Array(buffer);
}

/** Of every input's channels; some get large, and one is never seen. */
function someRanges({ config }: ModelSource): Map<string, Float32Array> {
  const range = (width: number): Float32Array =>
    Float32Array.from({ length: width }, (_, i) => (i === 3 ? 0 : 1 + ((7 * i) % 11)));
  return new Map(allInputs(config).map(({ input, width }) => [input, range(width)]));
}

function leave(pid: number): string {
  const left = path.join(folder, `sleuth-weights-${pid}-abcdef`);
  mkdirSync(left);
  return left;
}

describe("frozen weights", () => {
  it("are the model's, each at its place, until they are removed", async () => {
    const frozen = await freezeWeights(source);
    for (const { name } of parameterShapes(source.config)) {
      const stored = frozen.tensors.get(name) as StoredData;
      expect(numbersAt(stored), name).toEqual(await source.read(name));
      expect(stored.offset % 64).toBe(0);
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

  // With one table, and with biases and two tables.
  it.each(["llama", "qwen2"])(
    "of %s in 8 bits are what quantise says, in place of the linear layers in float32",
    async (family) => {
      const source = await openModel(golden(family));
      const { config } = source;
      const ranges = someRanges(source);
      const { tensors, int8, remove } = await freezeWeights(source, ranges);
      const placed = [...tensors.values()];
      const expectAt = (stored: StoredData | undefined, values: Float32Array | Int8Array, what: string): void => {
        placed.push(stored as StoredData);
        expect(numbersAt(stored as StoredData), what).toEqual(values);
      };
      const read = (modules: readonly string[]) =>
        Promise.all(modules.map((module) => source.read(`${module}.weight`)));
      for (const { modules, width, wideCount } of linearInputs(config)) {
        const [name] = modules;
        const matrices = await read(modules);
        const expected = quantise(matrices, ranges.get(name) as Float32Array, wideCount);
        const layers = int8?.layers.get(name);
        expectAt(layers?.factors, expected.factors, name);
        expectAt(layers?.weight, columnsOf(expected), name);
        expectAt(layers?.weight.transposed, expected.weight, name);
        expectAt(layers?.scale, expected.scale, name);
        expect(layers?.wide).toEqual(expected.wide);
        expect(layers?.wideColumns).toEqual(expected.wideColumns);
        const outputs = matrices.map(({ length }) => length / width);
        expect(layers?.modules).toEqual(modules.map((module, place) => ({ module, outputs: outputs[place] })));
      }
      expect(int8?.layers.size).toBe(linearInputs(config).length);

      const { tensor, input, wideCount } = headInput(config);
      const matrix = quantise([await source.read(tensor)], ranges.get(input) as Float32Array, wideCount);
      const { factors } = matrix;
      expectAt(int8?.head.weight, columnsOf(matrix), "head");
      expectAt(int8?.head.scale, matrix.scale, "head");
      expectAt(int8?.head.factors, factors, "head");
      expect(int8?.head.wide).toEqual(matrix.wide);
      expect(int8?.head.wideColumns).toEqual(matrix.wideColumns);
      const restoring = factors.map((factor) => (factor === 0 ? 0 : 1 / factor));
      expectAt(int8?.head.restoring, restoring, "head");
      headChunks(config.vocabSize).forEach(({ start, end }, chunk) =>
        expectAt(int8?.head.chunks[chunk], columnsOf(matrix, start, end), "head"),
      );
      // Everything else is as it was, but for the head's table, which holds what its 8-bit numbers are worth.
      expect([...tensors.keys(), ...linearWeights(config)].sort()).toEqual(
        parameterShapes(config)
          .map(({ name }) => name)
          .sort(),
      );
      for (const [name, stored] of tensors)
        expect(numbersAt(stored), name).toEqual(name === tensor ? dequantise(matrix) : await source.read(name));
      expect(numbersAt(tensors.get(tensor) as StoredData)).not.toEqual(await source.read(tensor));

      // Each at a multiple of a cache line, and none within another.
      placed.sort((a, b) => a.offset - b.offset);
      placed.forEach(({ offset, length, dtype }, index) => {
        expect(offset % 64).toBe(0);
        expect(placed.at(index + 1)?.offset ?? Infinity).toBeGreaterThanOrEqual(
          offset + length * (dtype === "int8" ? 1 : 4),
        );
      });
      remove();
      expect(readdirSync(folder)).toEqual([]);
      await source.close();
    },
  );

  it("in 8 bits leave nothing behind either when the ranges of an input are missing or of another width, or a tensor cannot be read", async () => {
    const complete = someRanges(source);
    const without = new Map([...complete].filter(([input]) => input !== "lm_head"));
    const narrow = new Map([...complete, ["lm_head", new Float32Array(3)] as const]);
    for (const ranges of [without, narrow])
      await expect(freezeWeights(source, ranges)).rejects.toThrow(/internal: .*lm_head/);
    // The head comes after the layers.
    const read: ModelSource["read"] = (name) =>
      name.includes("layers") ? source.read(name) : Promise.reject(new UserError("damaged"));
    await expect(freezeWeights({ ...source, config: source.config, read }, complete)).rejects.toThrow("damaged");
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
