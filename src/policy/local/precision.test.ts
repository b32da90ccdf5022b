/** @file In what frozen weights are multiplied: what decides, what 8-bit weights are fitted to, and adapters over the other kind. */
import { existsSync } from "node:fs";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { channelRangesFile, loadChannelRanges } from "../../engine/io/adapter-folder.js";
import type { ModelConfig } from "../../engine/model/config.js";
import { tinyConfig } from "../../engine/model/tiny-config.test-support.js";
import { LocalEngine } from "./engine.js";
import { openEngineModel } from "./open-model.js";
import { choosePrecision, type Machine } from "./precision.js";
import type { LocalOptions } from "./protocol.js";
import { makeTinyModel, type TinyModel } from "./tiny-model.test-support.js";

/** SmolLM2's shape. */
const large = tinyConfig({ vocabSize: 49152, hiddenSize: 576, intermediateSize: 1536, layers: 30 });
const little = tinyConfig({});

function machine(speedup: number | "unasked", isExact = true): Machine {
  return {
    isExact: () => Promise.resolve(isExact),
    speedup: () => (speedup === "unasked" ? Promise.reject(new Error("measured")) : Promise.resolve(speedup)),
  };
}

type Opening = Parameters<typeof choosePrecision>[0];
const choose = (opening: Partial<Opening>, on: Machine) =>
  choosePrecision({ asked: "auto", model: "M", config: large, isAdapted: true, trains: true, ...opening }, on);

describe("the precision of frozen weights", () => {
  it.each<[string, Partial<Opening>, Machine, "int8" | "float32", RegExp | undefined]>([
    [
      "8 bits where they are much faster",
      {},
      machine(2.44),
      "int8",
      /^precision int8: 8-bit products are 2\.4 times as/,
    ],
    ["float32 where they are not", {}, machine(1.14), "float32", /^precision float32: .* only 1\.1 times as fast/],
    ["float32 where sums are not exact", {}, machine("unasked", false), "float32", /float32: sums .* not exact here/],
    ["float32 where all is trained", { isAdapted: false }, machine("unasked"), "float32", undefined],
    ["float32 in small models", { config: little }, machine("unasked"), "float32", undefined],
    ["float32 in a model that is read", { trains: false }, machine("unasked"), "float32", undefined],
    [
      "as the adapter was trained",
      { trainedOnInt8: true },
      machine("unasked"),
      "int8",
      /int8, over which M was trained/,
    ],
    [
      "as the adapter was, float32",
      { trainedOnInt8: false },
      machine("unasked"),
      "float32",
      /^precision float32, over/,
    ],
    ["as an adapter that is read", { trainedOnInt8: true, trains: false }, machine("unasked"), "int8", undefined],
    ["the adapter's unless inexact", { trainedOnInt8: true }, machine("unasked", false), "float32", /not exact/],
    ["int8 where asked for", { asked: "int8", config: little }, machine("unasked"), "int8", undefined],
    ["float32 where asked for", { asked: "float32", trainedOnInt8: true }, machine("unasked"), "float32", undefined],
  ])("is %s", async (_, opening, on, precision, note) => {
    const chosen = await choose(opening, on);
    expect(chosen.precision).toBe(precision);
    expect(chosen.notes).toEqual(note === undefined ? [] : [expect.stringMatching(note)]);
  });

  it("is refused as int8 where sums are not exact, and where no weight is frozen", async () => {
    await expect(choose({ asked: "int8" }, machine(2, false))).rejects.toThrow(
      /^precision is int8, but this machine's sums of 8-bit products are not exact \(.+\): set run.precision=float32/,
    );
    await expect(choose({ asked: "int8", isAdapted: false }, machine(2))).rejects.toThrow(
      /of M all weights are trained/,
    );
  });
});

describe("an adapter over 8-bit weights", () => {
  let model: TinyModel;
  const saved: Record<"int8" | "float32", string> = { int8: "", float32: "" };
  const text = (seed: number): number[] => Array.from({ length: 60 }, (_, i) => (seed * i * i + 3 * i + seed) % 250);
  const open = (options: Partial<LocalOptions>) =>
    LocalEngine.open({ model: model.folder, adapt: "lora", threads: 1, ...options });
  const config = (): Promise<ModelConfig> =>
    openEngineModel({ model: model.folder, threads: 1 }).then((opened) => opened.model.config);

  beforeAll(async () => {
    model = await makeTinyModel(3, {}, { sharpness: 5 });
    for (const precision of ["int8", "float32"] as const) {
      saved[precision] = path.join(model.folder, precision);
      const engine = await open({ precision, calibration: [text(1)] });
      expect([engine.precision, engine.notes]).toEqual([precision, []]);
      await engine.save(saved[precision]);
      await engine.close();
    }
  });
  afterAll(() => model.remove());

  async function rangesWith(options: Partial<LocalOptions>): Promise<number[]> {
    const engine = await open({ precision: "int8", ...options });
    const folder = path.join(model.folder, "ranges");
    await engine.save(folder, { optimizer: false });
    await engine.close();
    return Array.from(
      [...((await loadChannelRanges(folder, await config())) ?? [])].flatMap(([, range]) => [...range]),
    );
  }

  it("is fitted to the texts that it is given, to the same numbers each time, and in a checkpoint to that checkpoint's", async () => {
    const first = await rangesWith({ calibration: [text(1)] });
    expect(await rangesWith({ calibration: [text(1)] })).toEqual(first);
    expect(await rangesWith({ calibration: [text(2)] })).not.toEqual(first);
    expect(await rangesWith({ calibration: [] })).toEqual(await rangesWith({}));
    expect(await rangesWith({ calibration: [text(2)], continues: saved.int8 })).toEqual(first);
    expect(await rangesWith({ calibration: [text(2)], model: saved.int8, base: model.folder })).toEqual(first);
  });

  it("is opened as it was trained, and over the other kind with a word on the difference, once", async () => {
    for (const [own, other] of [
      ["int8", "float32"],
      ["float32", "int8"],
    ] as const) {
      const adapter = { model: saved[own], base: model.folder };
      const as = async (options: Partial<LocalOptions>) => {
        const engine = await open({ ...adapter, ...options });
        await engine.close();
        return [engine.precision, engine.notes];
      };
      expect(await as({ workload: { training: false } })).toEqual([own, []]);
      const names = { int8: "8-bit", float32: "float32" };
      const note = new RegExp(
        `trained over ${names[own]} weights and is opened over ${names[other]} ones, .* by 0\\.\\d*[1-9]\\d* nats .*run.precision=${own}`,
      );
      expect(await as({ precision: other })).toEqual([other, [expect.stringMatching(note)]]);
      expect(await as({ precision: other, continues: saved[other] })).toEqual([other, []]);
    }
    expect(existsSync(path.join(saved.float32, channelRangesFile))).toBe(false);
  });
});
