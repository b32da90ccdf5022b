/** @file A merged folder holds the numbers of base and adapter, to the last bit of the type that was asked for. */
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeEach, describe, expect, it } from "vitest";
import { adaptedLayers, mergeInto, type Adapter } from "../model/lora.js";
import { createParameterStore, parameter } from "../model/parameters.js";
import { loadAdapterFolder } from "./adapter-folder.js";
import { parseModelConfig } from "./config-json.js";
import { bfloat16ToFloat32, float16ToFloat32, float32ToBfloat16, float32ToFloat16 } from "./half-precision.js";
import { saveMergedFolder } from "./merged-folder.js";
import { loadModelFolder } from "./model-folder.js";
import type { ModelSource } from "./tensor-set.js";
import { type FloatType, SafetensorsFile } from "./safetensors.js";

const golden = fileURLToPath(new URL("../../../test/golden/", import.meta.url));
const folder = mkdtempSync(path.join(tmpdir(), "sleuth-merged-"));
afterAll(() => rmSync(folder, { recursive: true }));
beforeEach(() => readdirSync(folder).forEach((name) => rmSync(path.join(folder, name))));

/** Every tensor of the folder's files. */
async function stored(): Promise<Map<string, Float32Array>> {
  const numbers = new Map<string, Float32Array>();
  for (const name of readdirSync(folder).filter((entry) => entry.endsWith(".safetensors"))) {
    const file = await SafetensorsFile.open(path.join(folder, name));
    for (const tensor of file.tensors.keys()) numbers.set(tensor, await file.read(tensor));
    await file.close();
  }
  return numbers;
}

/** What a number becomes on its way through a type. */
function rounded(values: Float32Array, dtype: FloatType): Float32Array {
  if (dtype === "F32") return values;
  const bits = new Uint16Array(values.length);
  const result = new Float32Array(values.length);
  if (dtype === "F16") float16ToFloat32((float32ToFloat16(values, bits), bits), result);
  else bfloat16ToFloat32((float32ToBfloat16(values, bits), bits), result);
  return result;
}

describe.each(["llama", "qwen2", "qwen3"])("%s with an adapter", async (family) => {
  const place = path.join(golden, family);
  const { config, parameters } = await loadModelFolder(place);
  const source: ModelSource = {
    location: place,
    config,
    tokenizer: { location: place, tokenizer: {}, settings: {}, generation: {} },
    read: (name, target = new Float32Array(parameter(parameters, name).length)) => {
      target.set(parameter(parameters, name));
      return Promise.resolve(target);
    },
    close: () => Promise.resolve(),
  };
  const { adapter } = await loadAdapterFolder(path.join(golden, "peft", family), config);
  const merged = createParameterStore(parameters.shapes, parameters.flat.slice());
  for (const { name } of merged.shapes) mergeInto(parameter(merged, name), name, adapter);

  it.each<FloatType>(["F32", "F16", "BF16"])("is merged as %s", async (dtype) => {
    await saveMergedFolder(folder, { source, adapter, dtype });
    const numbers = await stored();
    expect([...numbers.keys()]).toEqual(merged.shapes.map(({ name }) => name));
    for (const [name, values] of numbers) expect(values, name).toEqual(rounded(parameter(merged, name), dtype));
    const changed = adaptedLayers(config, adapter.lora).map(({ module }) => `${module}.weight`);
    const { views } = parameters;
    for (const name of changed) expect(numbers.get(name), name).not.toEqual(views.get(name));
    const json = JSON.parse(readFileSync(path.join(folder, "config.json"), "utf8")) as object;
    expect(parseModelConfig(json, "config.json")).toEqual(config);
    expect(json).toMatchObject({ torch_dtype: { F32: "float32", F16: "float16", BF16: "bfloat16" }[dtype] });
  });

  it("is divided into files that an index lists, when it is large", async () => {
    const shardBytes = 6000;
    const reports: [number, number][] = [];
    const bytes = await saveMergedFolder(folder, {
      source,
      adapter,
      shardBytes,
      onProgress: (done, total) => reports.push([done, total]),
    });
    const index = JSON.parse(readFileSync(path.join(folder, "model.safetensors.index.json"), "utf8")) as {
      metadata: { total_size: number };
      weight_map: Record<string, string>;
    };
    const files = readdirSync(folder).filter((name) => name.endsWith(".safetensors"));
    expect(files.length).toBeGreaterThan(2);
    expect(files).toContain(`model-00001-of-0000${files.length}.safetensors`);
    expect(existsSync(path.join(folder, "model.safetensors"))).toBe(false);
    expect(new Set(Object.values(index.weight_map))).toEqual(new Set(files));
    expect(index.metadata.total_size).toBe(bytes);
    expect(bytes).toBe(4 * parameters.flat.length);
    const numbers = await stored();
    for (const { name } of merged.shapes) expect(numbers.get(name), name).toEqual(parameter(merged, name));
    for (const name of files) {
      const opened = await SafetensorsFile.open(path.join(folder, name));
      for (const tensor of opened.tensors.keys()) expect(index.weight_map[tensor]).toBe(name);
      const size = [...opened.tensors.values()].reduce((sum, { begin, end }) => sum + end - begin, 0);
      expect(size <= shardBytes || opened.tensors.size === 1).toBe(true);
      await opened.close();
      expect(statSync(path.join(folder, name)).size).toBeGreaterThan(size);
    }
    expect(reports[0]).toEqual([0, bytes]);
    expect(reports.at(-1)).toEqual([bytes, bytes]);
    expect(reports).toHaveLength(parameters.shapes.length + 1);
  });

  it("is refused as float16 when a weight does not fit", async () => {
    const { flat } = adapter.parameters;
    const large: Adapter = { ...adapter, parameters: createParameterStore(adapter.parameters.shapes, flat.slice()) };
    large.parameters.flat.fill(300);
    await expect(saveMergedFolder(folder, { source, adapter: large, dtype: "F16" })).rejects.toThrow(
      /of "model\.layers\.0\..*float16 ends at 65504.*bf16/,
    );
    await saveMergedFolder(folder, { source, adapter: large, dtype: "BF16" });
  });

  it("ends between two tensors when it is told to", async () => {
    const controller = new AbortController();
    const onProgress = (done: number): void => void (done > 0 && controller.abort(new Error("enough")));
    const { signal } = controller;
    await expect(saveMergedFolder(folder, { source, onProgress, signal })).rejects.toThrow("enough");
  });
});
