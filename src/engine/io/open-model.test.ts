/** @file Opening models: one file or several, every type of number, what ends a text, how much memory loading takes, what is refused. */
import { spawnSync } from "node:child_process";
import {
  closeSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { cp } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { afterAll, beforeEach, describe, expect, it } from "vitest";
import { UserError } from "../../errors.js";
import { elementCount, parameterShapes } from "../model/parameters.js";
import { tinyConfig } from "../model/tiny-config.test-support.js";
import { toConfigJson } from "./config-json.js";
import { loadModelFolder, saveModelFolder } from "./model-folder.js";
import { openModel } from "./open-model.js";
import { floatTypes, writeSafetensors } from "./safetensors.js";
import { addedToken } from "./tokenizer-json.js";
import { loadTokenizer } from "./tokenizer.js";
import { readTokenizerFiles } from "./tokenizer-files.js";

const golden = fileURLToPath(new URL("../../../test/golden/", import.meta.url));
const root = mkdtempSync(path.join(tmpdir(), "sleuth-open-"));
afterAll(() => rmSync(root, { recursive: true }));
const folder = path.join(root, "model");
const file = (name: string): string => path.join(folder, name);
const whole = await loadModelFolder(path.join(golden, "qwen2"));
const tensors = whole.parameters.shapes.map(({ name, shape }) => ({
  name,
  shape,
  data: whole.parameters.views.get(name) as Float32Array,
}));

function edit(name: string, change: (json: Record<string, unknown>) => void): void {
  const json = JSON.parse(readFileSync(file(name), "utf8")) as Record<string, unknown>;
  change(json);
  writeFileSync(file(name), JSON.stringify(json));
}

/** Spreads the model over two files. */
async function shard(): Promise<void> {
  rmSync(file("model.safetensors"));
  const halves = [tensors.slice(0, 9), tensors.slice(9)];
  const names = ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"];
  for (const [index, half] of halves.entries()) await writeSafetensors(file(names[index]), half);
  const places = halves.flatMap((half, index) => half.map(({ name }) => [name, names[index]]));
  writeFileSync(file("model.safetensors.index.json"), JSON.stringify({ weight_map: Object.fromEntries(places) }));
}

async function refusal(location = folder): Promise<string> {
  const error: unknown = await openModel(location).catch((reason: unknown) => reason);
  expect(error).toBeInstanceOf(UserError);
  return (error as UserError).message;
}

beforeEach(async () => {
  rmSync(folder, { recursive: true, force: true });
  await cp(path.join(golden, "qwen2"), folder, { recursive: true });
  rmSync(file("model.gguf"));
});

describe("a model's weights", () => {
  it.each(floatTypes)("may be stored as %s", async (dtype) => {
    await writeSafetensors(file("model.safetensors"), tensors, { dtype });
    const { flat } = (await loadModelFolder(folder)).parameters;
    const tolerance = { F32: 0, F16: 2 ** -11, BF16: 2 ** -8 }[dtype];
    for (const [index, value] of whole.parameters.flat.entries())
      expect(Math.abs(value - flat[index])).toBeLessThanOrEqual(tolerance * Math.abs(value));
  });

  it("may be spread over several files", async () => {
    await shard();
    expect((await loadModelFolder(folder)).parameters.flat).toEqual(whole.parameters.flat);
  });

  it("are read one by one, into a place that is given", async () => {
    const source = await openModel(folder);
    const target = new Float32Array(16);
    expect(await source.read("model.norm.weight", target)).toBe(target);
    expect(target).toEqual(whole.parameters.views.get("model.norm.weight"));
    await expect(source.read("model.norm.weight", new Float32Array(3))).rejects.toThrow(/"model.norm.weight"/);
    await source.close();
  });

  it("are refused when files are missing, or do not agree with their index", async () => {
    await shard();
    const [first, second] = ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"];
    const index = readFileSync(file("model.safetensors.index.json"));
    const bytes = readFileSync(file(second));
    const placed = (name: string, place: unknown) =>
      edit("model.safetensors.index.json", (json) => ((json.weight_map as Record<string, unknown>)[name] = place));
    rmSync(file(second));
    expect(await refusal()).toMatch(/model-00002-of-00002.safetensors is missing: .* of which 1 is not there/);
    writeFileSync(file(second), bytes.subarray(0, bytes.length - 4));
    expect(await refusal()).toMatch(/model-00002-of-00002.safetensors is damaged.*is cut off: 4 bytes/);
    writeFileSync(file(second), bytes);
    placed("model.norm.weight", first);
    expect(await refusal()).toMatch(/index.json says that model-00001.* holds the tensor "model.norm.weight", but/);
    placed("model.norm.weight", "../elsewhere.safetensors");
    expect(await refusal()).toMatch(/"weight_map" names "\.\.\/elsewhere.safetensors"/);
    placed("model.norm.weight", 7);
    expect(await refusal()).toMatch(/index.json: field "weight_map"/);
    writeFileSync(file("model.safetensors.index.json"), "{");
    expect(await refusal()).toMatch(/index.json is not valid JSON/);
    writeFileSync(file("model.safetensors.index.json"), index);
    await writeSafetensors(file(second), [...tensors.slice(9), tensors[0]]);
    expect(await refusal()).toMatch(/both hold the tensor "model.embed_tokens.weight"/);
    rmSync(file("model.safetensors.index.json"));
    expect(await refusal()).toMatch(/lacks model.safetensors.index.json/);
  });

  it("are refused in types that are no floats, before any is read", async () => {
    const header = JSON.parse(
      readFileSync(file("model.safetensors")).subarray(8).toString("latin1").split("}}")[0] + "}}",
    ) as Record<string, { dtype?: string; data_offsets: [number, number] }>;
    for (const [name, entry] of Object.entries(header)) if (name === "model.norm.weight") entry.dtype = "I32";
    const text = Buffer.from(JSON.stringify(header));
    const length = Buffer.alloc(8);
    length.writeBigUInt64LE(BigInt(text.length));
    const numbers = Math.max(...Object.values(header).map(({ data_offsets }) => data_offsets?.[1] ?? 0));
    writeFileSync(file("model.safetensors"), Buffer.concat([length, text, Buffer.alloc(numbers)]));
    expect(await refusal()).toMatch(/model.safetensors: tensor "model.norm.weight" is of type I32.*F32, F16, BF16/);
  });

  it("are refused in formats that can run code, and when they lie elsewhere", async () => {
    rmSync(file("model.safetensors"));
    writeFileSync(file("pytorch_model.bin"), "");
    expect(await refusal()).toMatch(/has no model.safetensors, but pytorch_model.bin.*save_pretrained/);
    writeFileSync(file("weights.gguf"), "");
    expect(await refusal()).toMatch(/but weights.gguf: give the path of that file/);
    expect(await refusal(file("config.json"))).toMatch(/is a file, but a model is a folder or a .gguf file/);
    expect(await refusal(path.join(root, "none"))).toMatch(/There is no model folder or file/);
    rmSync(file("config.json"));
    expect(await refusal()).toMatch(/Cannot read .*config.json/);
    writeFileSync(file("adapter_config.json"), "{}");
    expect(await refusal()).toMatch(/holds an adapter/);
  });
});

describe("a head beside embeddings that are said to be tied", () => {
  const embeddings = tensors.find(({ name }) => name === "model.embed_tokens.weight")!;
  const others = tensors.filter(({ name }) => name !== "lm_head.weight");
  const withHead = async (data: Float32Array, shape = embeddings.shape): Promise<void> => {
    edit("config.json", (json) => (json.tie_word_embeddings = true));
    await writeSafetensors(file("model.safetensors"), [...others, { name: "lm_head.weight", shape, data }]);
  };

  it("is left out when it is a copy of them", async () => {
    await withHead(embeddings.data);
    const { config, parameters } = await loadModelFolder(folder);
    expect(config.tieWordEmbeddings).toBe(true);
    expect(parameters.views.has("lm_head.weight")).toBe(false);
  });

  it.each([0, embeddings.data.length - 1])(
    "is used when it is another matrix, be it in number %i alone",
    async (at) => {
      const head = embeddings.data.slice();
      head[at] += 0.5;
      await withHead(head);
      const { config, parameters } = await loadModelFolder(folder);
      edit("config.json", (json) => (json.tie_word_embeddings = false));
      expect(config).toEqual((await loadModelFolder(folder)).config);
      expect(parameters.views.get("lm_head.weight")).toEqual(head);
    },
  );

  it("is compared across files, too", async () => {
    edit("config.json", (json) => (json.tie_word_embeddings = true));
    rmSync(file("model.safetensors"));
    const halves = { "a.safetensors": others, "b.safetensors": [{ ...embeddings, name: "lm_head.weight" }] };
    for (const [name, half] of Object.entries(halves)) await writeSafetensors(file(name), half);
    const places = Object.entries(halves).flatMap(([name, half]) => half.map((tensor) => [tensor.name, name]));
    writeFileSync(file("model.safetensors.index.json"), JSON.stringify({ weight_map: Object.fromEntries(places) }));
    expect((await loadModelFolder(folder)).config.tieWordEmbeddings).toBe(true);
  });

  it("is refused when it does not fit", async () => {
    const [rows, width] = embeddings.shape;
    await withHead(embeddings.data.subarray(width), [rows - 1, width]);
    expect(await refusal()).toMatch(/"lm_head.weight" has the shape/);
  });
});

describe("a tensor that nobody would use", () => {
  const with_ = (name: string): Promise<void> =>
    writeSafetensors(file("model.safetensors"), [...tensors, { name, shape: [2], data: Float32Array.of(1, 2) }]);

  it.each([
    "model.layers.0.self_attn.o_proj.bias",
    "model.layers.1.mlp.up_proj.bias",
    "model.layers.2.self_attn.q_proj.weight",
    "model.layers.0.self_attn.q_norm.weight",
    "model.layers.0.self_attn.q_proj.lora_A.weight",
    "score.weight",
    "value_head.weight",
  ])("is refused by name: %s", async (name) => {
    await with_(name);
    expect(await refusal()).toContain(`unexpected tensor "${name}"`);
  });

  it("may be a table of rotary frequencies, which old files hold", async () => {
    await with_("model.layers.0.self_attn.rotary_emb.inv_freq");
    expect((await loadModelFolder(folder)).parameters.flat).toEqual(whole.parameters.flat);
  });
});

describe("what ends a text", () => {
  it("is known from config.json, generation_config.json and the tokenizer together", async () => {
    const { tokenizer } = await readTokenizerFiles(path.join(golden, "qwen2", "model.gguf"));
    writeFileSync(file("tokenizer.json"), JSON.stringify(tokenizer));
    edit("config.json", (json) => (json.eos_token_id = [3]));
    writeFileSync(file("generation_config.json"), JSON.stringify({ eos_token_id: [5, 3] }));
    writeFileSync(file("tokenizer_config.json"), JSON.stringify({ eos_token: { content: "6" } }));
    const source = await openModel(folder);
    expect(source.config.eosTokenIds).toEqual([3, 8, 5]);
    await source.close();
    expect(new Set((await loadTokenizer(folder)).eosIds)).toEqual(new Set([3, 5, 8]));
  });

  it("must be in the vocabulary, as every token must have an embedding", async () => {
    writeFileSync(file("generation_config.json"), JSON.stringify({ eos_token_id: 37 }));
    expect(await refusal()).toMatch(/generation_config.json: field "eos_token_id" is 37, but the vocabulary has 37/);
    rmSync(file("generation_config.json"));
    writeFileSync(file("tokenizer_config.json"), JSON.stringify({ eos_token: "</s>" }));
    expect(await refusal()).toMatch(/tokenizer_config.json.*lacks the token "<\/s>"/);
    rmSync(file("tokenizer_config.json"));
    edit("tokenizer.json", (json) => (json.added_tokens = [{ id: 37, content: "<x>" }]));
    expect(await refusal()).toMatch(/tokenizer.json has token ids up to 37, but .* vocab_size 37/);
  });

  it("may lie beyond the embeddings if it pads alone, and then no text becomes it", async () => {
    const { tokenizer } = await readTokenizerFiles(path.join(golden, "qwen2", "model.gguf"));
    writeFileSync(file("tokenizer.json"), JSON.stringify(tokenizer));
    const ids = async (): Promise<number[]> => (await loadTokenizer(folder)).encode("1<x>A");
    const before = await ids();
    const added = [...(tokenizer.added_tokens as object[]), addedToken(37, "<x>", true)];
    edit("tokenizer.json", (json) => (json.added_tokens = added));
    writeFileSync(file("tokenizer_config.json"), JSON.stringify({ pad_token: "<x>" }));
    writeFileSync(file("generation_config.json"), JSON.stringify({ pad_token_id: 37, eos_token_id: 1 }));
    const source = await openModel(folder);
    expect(source.tokenizer.generation).toEqual({ eos_token_id: 1 });
    await source.close();
    expect(await ids()).toEqual(before);
    expect((await loadTokenizer(folder)).padId).toBe(1);
    // It is read after all where a text ends with it, or where the chat template writes it.
    writeFileSync(file("chat_template.jinja"), "{{ pad_token }}");
    expect(await refusal()).toMatch(/token ids up to 37.*only a padding token/);
    rmSync(file("chat_template.jinja"));
    writeFileSync(file("tokenizer_config.json"), JSON.stringify({ pad_token: "<x>", eos_token: "<x>" }));
    expect(await refusal()).toMatch(/token ids up to 37/);
    edit("tokenizer.json", (json) => (json.added_tokens = [...added, addedToken(38, "<y>", true)]));
    writeFileSync(file("tokenizer_config.json"), JSON.stringify({ pad_token: "<x>" }));
    expect(await refusal()).toMatch(/token ids up to 38/);
  });
});

describe("what an adapter brings along", () => {
  const adapter = path.join(root, "adapter");
  const write = (name: string, json: object): void => writeFileSync(path.join(adapter, name), JSON.stringify(json));
  const gguf = path.join(golden, "qwen2", "model.gguf");

  beforeEach(async () => {
    rmSync(adapter, { recursive: true, force: true });
    mkdirSync(adapter);
    const { tokenizer } = await readTokenizerFiles(gguf);
    writeFileSync(file("tokenizer.json"), JSON.stringify(tokenizer));
    writeFileSync(file("chat_template.jinja"), "of the base");
  });

  it("is nothing, as a rule: then all is the base's", async () => {
    expect(await readTokenizerFiles(folder, adapter)).toEqual(await readTokenizerFiles(folder));
  });

  it.each(["a folder", "a GGUF file"])("comes before what the base has: %s", async (kind) => {
    const base = kind === "a folder" ? folder : gguf;
    const plain = await openModel(base);
    const tokenizer = structuredClone(plain.tokenizer.tokenizer) as { added_tokens: { id: number; content: string }[] };
    await plain.close();
    // Another name for a token, which then ends a turn.
    const [first] = tokenizer.added_tokens;
    const vocab = (tokenizer as unknown as { model: { vocab: Record<string, number> } }).model.vocab;
    delete vocab[first.content];
    first.content = "<turn>";
    vocab["<turn>"] = first.id;
    write("tokenizer.json", tokenizer);
    write("tokenizer_config.json", { eos_token: "<turn>", chat_template: "of the adapter" });
    const opened = await openModel(base, adapter);
    expect(opened.tokenizer).toMatchObject({ location: adapter, tokenizer, chatTemplate: "of the adapter" });
    expect(opened.config.eosTokenIds).toContain(first.id);
    await opened.close();
    const loaded = await loadTokenizer(base, adapter);
    expect(loaded.encode("<turn>")).toEqual([first.id]);
    expect((await loadTokenizer(base)).encode("<turn>")).not.toEqual([first.id]);
  });

  it("may be a chat template alone", async () => {
    write("tokenizer_config.json", { eos_token: "<unknown>", chat_template: "of the adapter" });
    const { chatTemplate, settings } = await readTokenizerFiles(folder, adapter);
    expect(chatTemplate).toBe("of the adapter");
    expect(settings.eos_token).not.toBe("<unknown>");
  });

  it("must fit the embeddings of the base", async () => {
    write("tokenizer.json", { model: { vocab: { a: 37 } } });
    await expect(openModel(folder, adapter)).rejects.toThrow(/adapter\/tokenizer.json has token ids up to 37/);
  });
});

describe("a saved folder", () => {
  const gguf = path.join(golden, "qwen2", "model.gguf");

  it.each([
    ["a GGUF file", () => Promise.resolve(gguf)],
    ["its files", () => readTokenizerFiles(gguf)],
  ])("has the tokenizer of %s", async (_, from) => {
    const target = path.join(root, "saved");
    rmSync(target, { recursive: true, force: true });
    const files = { ...(await readTokenizerFiles(gguf)), chatTemplate: "{{ bos_token }}" };
    const tokenizerFrom = await from();
    await saveModelFolder(target, {
      ...whole,
      tokenizerFrom: typeof tokenizerFrom === "string" ? tokenizerFrom : files,
    });
    const [saved, original] = await Promise.all([loadTokenizer(target), loadTokenizer(gguf)]);
    expect(saved.encode("Hello 123 AB<|im_end|>")).toEqual(original.encode("Hello 123 AB<|im_end|>"));
    expect(saved.eosIds).toEqual(original.eosIds);
    expect((await loadModelFolder(target)).parameters.flat).toEqual(whole.parameters.flat);
    const written = readdirSync(target).sort();
    expect(written).toEqual(
      [
        ...(typeof tokenizerFrom === "string" ? [] : ["chat_template.jinja"]),
        ...["config.json", "generation_config.json", "model.safetensors", "special_tokens_map.json"],
        ...["tokenizer.json", "tokenizer_config.json"],
      ].sort(),
    );
    if (typeof tokenizerFrom !== "string")
      expect((await readTokenizerFiles(target)).chatTemplate).toBe("{{ bos_token }}");
  });
});

describe("memory", () => {
  const large = path.join(root, "large");
  const config = tinyConfig({ hiddenSize: 1024, intermediateSize: 3072, layers: 4, headDim: 256, vocabSize: 4096 });
  const shapes = parameterShapes(config);
  const bytes = shapes.reduce((sum, { shape }) => sum + 4 * elementCount(shape), 0);

  /** As bfloat16 in two files, with the same megabyte of small numbers over and over. */
  function writeLarge(): void {
    mkdirSync(large, { recursive: true });
    const piece = Uint16Array.from({ length: 1 << 19 }, (_, index) => ((index * 40503) & 0x807f) | 0x3c00);
    const weightMap: Record<string, string> = {};
    for (const [index, half] of [shapes.slice(0, 20), shapes.slice(20)].entries()) {
      const name = `model-0000${index + 1}-of-00002.safetensors`;
      let offset = 0;
      const header: Record<string, unknown> = {};
      for (const { name: tensor, shape } of half) {
        header[tensor] = { dtype: "BF16", shape, data_offsets: [offset, (offset += 2 * elementCount(shape))] };
        weightMap[tensor] = name;
      }
      const text = Buffer.from(JSON.stringify(header));
      const length = Buffer.alloc(8);
      length.writeBigUInt64LE(BigInt(text.length));
      const handle = openSync(path.join(large, name), "w");
      writeSync(handle, Buffer.concat([length, text]));
      for (let done = 0; done < offset; done += piece.byteLength)
        writeSync(handle, new Uint8Array(piece.buffer, 0, Math.min(piece.byteLength, offset - done)));
      closeSync(handle);
    }
    writeFileSync(path.join(large, "model.safetensors.index.json"), JSON.stringify({ weight_map: weightMap }));
    writeFileSync(path.join(large, "config.json"), JSON.stringify(toConfigJson(config)));
    writeFileSync(path.join(large, "tokenizer.json"), JSON.stringify({ model: { vocab: { a: 0 } } }));
  }

  /** By how many bytes a process grows that loads the model. */
  function growth(before: string): number {
    const module = pathToFileURL(fileURLToPath(new URL("model-folder.ts", import.meta.url))).href;
    const code = `
      import { readFileSync } from "node:fs";
      const { loadModelFolder } = await import(${JSON.stringify(module)});
      const peak = () => process.resourceUsage().maxRSS * 1024;
      const start = peak();
      const held = ${before};
      const { parameters } = await loadModelFolder(${JSON.stringify(large)});
      if (parameters.flat[1] === 0 || held === 0) throw new Error("not loaded");
      console.log(peak() - start);`;
    const { stdout, stderr } = spawnSync(process.execPath, ["--import", "tsx", "--input-type=module", "--eval", code], {
      encoding: "utf8",
      cwd: fileURLToPath(new URL("../../../", import.meta.url)),
    });
    expect(stderr).not.toMatch(/Error/);
    return Number(stdout);
  }

  it("of loading stays below 1.3 times the float32 weights, which whole files in memory would break", () => {
    writeLarge();
    expect(bytes).toBeGreaterThan(200e6);
    const streamed = growth("1");
    expect(streamed).toBeGreaterThan(bytes * 0.9);
    expect(streamed).toBeLessThan(bytes * 1.3);
    const files = ["1", "2"].map((index) => path.join(large, `model-0000${index}-of-00002.safetensors`));
    expect(growth(`${JSON.stringify(files)}.map((file) => readFileSync(file))`)).toBeGreaterThan(bytes * 1.3);
    rmSync(large, { recursive: true });
  });
});
