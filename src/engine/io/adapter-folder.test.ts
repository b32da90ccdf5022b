/** @file Adapter folders: those that PEFT wrote (test/golden/peft_adapters.py), our own, and broken ones. */
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeEach, describe, expect, it } from "vitest";
import { UserError } from "../../errors.js";
import { allInputs } from "../model/int8.js";
import { initAdapter, allLoraTargets, mergeInto, type Adapter } from "../model/lora.js";
import { createParameterStore, parameter, type ParameterStore } from "../model/parameters.js";
import { Trainer } from "../optim/forward-backward.js";
import { isAdapterFolder, loadAdapterFolder, readAdapterConfig, saveAdapterFolder } from "./adapter-folder.js";
import { loadModelFolder } from "./model-folder.js";
import { SafetensorsFile, writeSafetensors } from "./safetensors.js";

const golden = fileURLToPath(new URL("../../../test/golden/", import.meta.url));
const runtime = { threads: 1, provider: "cpu", onRun: () => {} };
const root = mkdtempSync(path.join(tmpdir(), "sleuth-adapter-"));
afterAll(() => rmSync(root, { recursive: true }));

async function numbersOf(file: string): Promise<Map<string, Float32Array>> {
  const opened = await SafetensorsFile.open(file);
  const numbers = new Map<string, Float32Array>();
  for (const name of opened.tensors.keys()) numbers.set(name, await opened.read(name));
  await opened.close();
  return numbers;
}

function merged(base: ParameterStore, adapter: Adapter): ParameterStore {
  const store = createParameterStore(base.shapes, base.flat.slice());
  for (const { name } of store.shapes) mergeInto(parameter(store, name), name, adapter);
  return store;
}

/** Largest difference, as a share of the largest expected number. */
function relativeError(actual: ArrayLike<number>, expected: ArrayLike<number>): number {
  expect(actual.length).toBe(expected.length);
  const scale = Math.max(...Array.from(expected, Math.abs), 1e-3);
  return Math.max(...Array.from(expected, (value, index) => Math.abs(value - actual[index]))) / scale;
}

describe.each(["llama", "qwen2", "qwen3"])("an adapter of %s that PEFT wrote", async (family) => {
  const folder = path.join(golden, "peft", family);
  const { config, parameters } = await loadModelFolder(path.join(golden, family));
  const sequences = await numbersOf(path.join(golden, family, "expected.safetensors"));
  const expected = await numbersOf(path.join(folder, "expected.safetensors"));
  const tokens_D_T = ["0", "1"].map((index) => Array.from(sequences.get(`tokens.${index}`) as Float32Array));

  it("computes what PEFT computes", async () => {
    expect(isAdapterFolder(folder)).toBe(true);
    const { adapter } = await loadAdapterFolder(folder, config);
    const trainer = new Trainer({ config, trainable: parameters }, { ...runtime, microBatchTokens: 64 });
    const errors = async (store: ParameterStore): Promise<number[]> =>
      (await trainer.logprobs(tokens_D_T, { parameters: store })).map((row, index) =>
        relativeError(row, expected.get(`logprobs.${index}`) as Float32Array),
      );
    expect(Math.max(...(await errors(merged(parameters, adapter))))).toBeLessThan(2e-5);
    // A scale that is off by a thousandth is seen, and so is an adapter that is left out.
    const off = { ...adapter, lora: { ...adapter.lora, alpha: adapter.lora.alpha * 1.001 } };
    expect(Math.min(...(await errors(merged(parameters, off))))).toBeGreaterThan(2e-5);
    expect(Math.min(...(await errors(parameters)))).toBeGreaterThan(1e-2);
    await trainer.release();
  });

  it("is written again with the same tensors, and settings that mean the same", async () => {
    const { adapter, base } = await loadAdapterFolder(folder, config);
    const again = path.join(root, `again-${family}`);
    await saveAdapterFolder(again, { adapter, base: base as string, config });
    const weights = (place: string): Promise<Map<string, Float32Array>> =>
      numbersOf(path.join(place, "adapter_model.safetensors"));
    const [theirs, ours] = [await weights(folder), await weights(again)];
    expect([...ours.keys()].sort()).toEqual([...theirs.keys()].sort());
    for (const [name, values] of theirs) expect(ours.get(name), name).toEqual(values);
    expect((await readAdapterConfig(again)).lora).toEqual(adapter.lora);
  });
});

describe("an adapter folder of ours", async () => {
  const { config } = await loadModelFolder(path.join(golden, "llama"));
  const adapter = initAdapter(config, { rank: 2, alpha: 4.5, targets: ["q_proj", "down_proj"] }, 1);
  adapter.parameters.flat.forEach((_, index, flat) => (flat[index] = Math.cos(index)));
  const folder = path.join(root, "ours");

  it.each([
    ["hf:ORG/Some.Model-1B", "ORG/Some.Model-1B", null],
    ["hf:ORG/NAME@v2", "ORG/NAME", "v2"],
    [path.join(golden, "llama"), path.join(golden, "llama"), null],
    [path.join(root, "model.gguf"), path.join(root, "model.gguf"), null],
  ])("comes back as it was, for %s", async (base, name, revision) => {
    await saveAdapterFolder(folder, { adapter, base, config });
    const loaded = await loadAdapterFolder(folder, config);
    expect(loaded.base).toBe(base);
    expect(loaded.adapter.lora).toEqual(adapter.lora);
    expect(loaded.adapter.parameters.flat).toEqual(adapter.parameters.flat);
    expect(JSON.parse(readFileSync(path.join(folder, "adapter_config.json"), "utf8"))).toMatchObject({
      peft_type: "LORA",
      task_type: "CAUSAL_LM",
      base_model_name_or_path: name,
      revision,
      r: 2,
      lora_alpha: 4.5,
      target_modules: ["q_proj", "down_proj"],
      bias: "none",
    });
  });

  it("names its base by an absolute path, when it was given a relative one", async () => {
    await saveAdapterFolder(folder, { adapter, base: path.relative(process.cwd(), golden), config });
    expect((await readAdapterConfig(folder)).base).toBe(path.resolve(golden));
  });

  it("may be stored in half the space", async () => {
    await saveAdapterFolder(folder, { adapter, base: "hf:a/b", config, dtype: "F16" });
    const { flat } = (await loadAdapterFolder(folder, config)).adapter.parameters;
    expect(relativeError(flat, adapter.parameters.flat)).toBeLessThan(1e-3);
    expect(flat).not.toEqual(adapter.parameters.flat);
  });
});

describe("ranges beside an adapter", async () => {
  const { config } = await loadModelFolder(path.join(golden, "llama"));
  const adapter = initAdapter(config, { rank: 2, alpha: 4, targets: ["q_proj"] }, 1);
  const folder = path.join(root, "ranges");
  const file = path.join(folder, "channel_ranges.safetensors");
  const ranges = new Map(
    allInputs(config).map(({ input, width }, place) => [
      input,
      Float32Array.from({ length: width }, (_, i) => Math.exp(Math.sin(place + i) * 9)),
    ]),
  );
  beforeEach(async () => {
    rmSync(folder, { recursive: true, force: true });
    await saveAdapterFolder(folder, { adapter, base: "hf:a/b", config, ranges });
  });

  async function expectRefused(message: RegExp, of = config): Promise<void> {
    const loading = loadAdapterFolder(folder, of);
    await expect(loading).rejects.toThrow(UserError);
    await expect(loading).rejects.toThrow(message);
    await expect(loading).rejects.toThrow(file);
  }

  it("come back to the bit, in whatever type the adapter is stored, and are absent where there were none", async () => {
    expect((await loadAdapterFolder(folder, config)).ranges).toEqual(ranges);
    await saveAdapterFolder(folder, { adapter, base: "hf:a/b", config, dtype: "F16", ranges });
    expect((await loadAdapterFolder(folder, config)).ranges).toEqual(ranges);
    rmSync(file);
    expect((await loadAdapterFolder(folder, config)).ranges).toBeUndefined();
  });

  it("of another model are refused", async () => {
    await expectRefused(/ranges of model.layers.0.mlp.down_proj have the shape \[20\].*needs \[22\].*another model/s, {
      ...config,
      intermediateSize: 22,
    });
    const others = [...ranges].map(([name, data]) => ({
      name: name.replace("lm_head", "head"),
      shape: [data.length],
      data,
    }));
    await writeSafetensors(file, others);
    await expectRefused(/ranges of lm_head are missing.*another model/s);
  });

  it("of a truncated file, or with numbers that are not finite, are refused", async () => {
    const bytes = readFileSync(file);
    writeFileSync(file, bytes.subarray(0, bytes.length - 3));
    await expectRefused(/damaged.*cut off/);
    for (const value of [NaN, Infinity]) {
      const broken = [...ranges].map(([name, data]) => ({
        name,
        shape: [data.length],
        data: Float32Array.from(data, (range, i) => (i === 5 ? value : range)),
      }));
      await writeSafetensors(file, broken);
      await expectRefused(/at index 5/);
    }
  });
});

describe("an adapter is refused", async () => {
  const { config } = await loadModelFolder(path.join(golden, "llama"));
  const folder = path.join(root, "broken");
  const configFile = path.join(folder, "adapter_config.json");
  const weights = path.join(folder, "adapter_model.safetensors");

  beforeEach(() => {
    rmSync(folder, { recursive: true, force: true });
    cpSync(path.join(golden, "peft", "llama"), folder, { recursive: true });
  });

  function edit(fields: Record<string, unknown>): void {
    const json = JSON.parse(readFileSync(configFile, "utf8")) as object;
    writeFileSync(configFile, JSON.stringify({ ...json, ...fields }));
  }

  it.each<[Record<string, unknown>, RegExp]>([
    [{ use_dora: true }, /"use_dora" asks for weight-decomposed updates \(DoRA\).*merge_and_unload/s],
    [{ bias: "lora_only" }, /"bias" asks for trained biases \(lora_only\)/],
    [{ modules_to_save: ["lm_head"] }, /"modules_to_save" asks for layers that were trained whole/],
    [{ rank_pattern: { q_proj: 8 } }, /"rank_pattern"/],
    [{ alpha_pattern: { q_proj: 8 } }, /"alpha_pattern"/],
    [{ layers_to_transform: [0] }, /"layers_to_transform" asks for updates of some layers only/],
    [{ lora_bias: true }, /"lora_bias"/],
    [{ init_lora_weights: "pissa_niter_16" }, /"init_lora_weights".*pissa_niter_16/],
    [{ use_something_new: true }, /"use_something_new" asks for something that Sleuth does not know/],
    [{ something_new: 3 }, /"something_new"/],
    [{ peft_type: "IA3" }, /"peft_type" asks for an adapter of the kind IA3/],
    [{ target_modules: ".*_proj" }, /"target_modules" is the pattern "\.\*_proj"/],
    [{ target_modules: ["q_proj", "lm_head"] }, /"target_modules" names "lm_head"/],
    [{ target_modules: ["model.embed_tokens"] }, /"target_modules" names "model.embed_tokens"/],
    [{ target_modules: [] }, /"target_modules" must be a list/],
    [{ target_modules: null }, /"target_modules" must be a list/],
    [{ r: 0 }, /field "r"/],
    [{ r: "3" }, /field "r"/],
    [{ lora_alpha: undefined }, /field "lora_alpha"/],
    [{ base_model_name_or_path: 7 }, /field "base_model_name_or_path"/],
  ])("for %j", async (fields, message) => {
    edit(fields);
    const loading = loadAdapterFolder(folder, config);
    await expect(loading).rejects.toThrow(UserError);
    await expect(loading).rejects.toThrow(message);
    await expect(loading).rejects.toThrow(configFile);
  });

  it.each<Record<string, unknown>>([
    { target_modules: allLoraTargets.filter((target) => ["q_proj", "v_proj", "down_proj"].includes(target)) },
    { target_modules: ["self_attn.q_proj", "model.layers.0.self_attn.v_proj", "mlp.down_proj"] },
    { init_lora_weights: "gaussian" },
    { use_something_new: false, something_newer: null, newest: {} },
    { base_model_name_or_path: null },
  ])("but not for %j", async (fields) => {
    edit(fields);
    expect((await loadAdapterFolder(folder, config)).adapter.lora.targets).toEqual(["q_proj", "v_proj", "down_proj"]);
  });

  it("that covers every linear layer is one of seven kinds", async () => {
    edit({ target_modules: "all-linear" });
    expect((await readAdapterConfig(folder)).lora.targets).toEqual(allLoraTargets);
    await expect(loadAdapterFolder(folder, config)).rejects.toThrow(/lacks the tensor.*k_proj.lora_A.weight/);
  });

  it("that belongs to another base", async () => {
    await expect(loadAdapterFolder(folder, { ...config, layers: 3 })).rejects.toThrow(
      /lacks the tensor "base_model.model.model.layers.2.*test\/golden\/llama: open it with that model/s,
    );
    await expect(loadAdapterFolder(folder, { ...config, layers: 1 })).rejects.toThrow(
      /unexpected tensor "base_model.model.model.layers.1/,
    );
    await expect(loadAdapterFolder(folder, { ...config, hiddenSize: 18 })).rejects.toThrow(
      /lora_A.weight" has the shape \[3, 16\].*\[3, 18\].*test\/golden\/llama/s,
    );
  });

  it("with other tensors, a broken number, or a part of its file", async () => {
    const file = await SafetensorsFile.open(weights);
    const tensors = await Promise.all(
      [...file.tensors].map(async ([name, { shape }]) => ({ name, shape, data: await file.read(name) })),
    );
    await file.close();
    const head = { name: "base_model.model.lm_head.weight", shape: [1], data: Float32Array.of(1) };
    await writeSafetensors(weights, [...tensors, head]);
    await expect(loadAdapterFolder(folder, config)).rejects.toThrow(
      /unexpected tensor "base_model.model.lm_head.weight"/,
    );
    await writeSafetensors(weights, tensors.slice(1));
    await expect(loadAdapterFolder(folder, config)).rejects.toThrow(`lacks the tensor "${tensors[0].name}"`);
    const [{ data }] = tensors;
    data[4] = Infinity;
    await writeSafetensors(weights, tensors);
    await expect(loadAdapterFolder(folder, config)).rejects.toThrow(/holds Infinity at index 4/);
    const bytes = readFileSync(weights);
    writeFileSync(weights, bytes.subarray(0, bytes.length - 3));
    await expect(loadAdapterFolder(folder, config)).rejects.toThrow(/adapter_model.safetensors is damaged.*cut off/);
    rmSync(weights);
    await expect(loadAdapterFolder(folder, config)).rejects.toThrow(/has no adapter_model.safetensors. Copy/);
    cpSync(path.join(golden, "llama", "model.safetensors"), path.join(folder, "model.safetensors"));
    await expect(loadAdapterFolder(folder, config)).rejects.toThrow(/weights of a whole model.*delete adapter_config/);
    rmSync(path.join(folder, "model.safetensors"));
    writeFileSync(path.join(folder, "adapter_model.bin"), "");
    await expect(loadAdapterFolder(folder, config)).rejects.toThrow(/adapter_model.bin, a format that can run code/);
  });

  it("without readable settings", async () => {
    writeFileSync(configFile, "{");
    await expect(loadAdapterFolder(folder, config)).rejects.toThrow(/adapter_config.json is not valid JSON/);
    rmSync(configFile);
    expect(isAdapterFolder(folder)).toBe(false);
    await expect(loadAdapterFolder(folder, config)).rejects.toThrow(/Cannot read .*adapter_config.json/);
  });
});
