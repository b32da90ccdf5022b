/** @file GGUF files: unpacking, tensors, configurations and tokenizers against what other tools give, and everything that is refused. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { GGUFValueType } from "@huggingface/gguf";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { UserError } from "../../errors.js";
import { parameterShapes } from "../model/parameters.js";
import { GgufFields, GgufFile } from "./gguf-file.js";
import { readGgufTokenizer } from "./gguf-tokenizer.js";
import { readTestGguf, testGgufBytes, writeTestGguf, type TestGguf, type TestTensor } from "./gguf.test-support.js";
import { openModel } from "./open-model.js";
import { tokenizerFromFiles } from "./tokenizer.js";

const golden = fileURLToPath(new URL("../../../test/golden/", import.meta.url));
const folder = mkdtempSync(path.join(tmpdir(), "sleuth-gguf-"));
const file = path.join(folder, "model.gguf");
afterAll(() => rmSync(folder, { recursive: true }));

describe("packed numbers", () => {
  it.each(["F32", "F16", "BF16", "Q8_0", "Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q4_K", "Q5_K", "Q6_K"])(
    "of type %s become the numbers that the gguf package gives, to the last bit",
    async (type) => {
      const gguf = await GgufFile.open(path.join(golden, "gguf-blocks.gguf"));
      const unpacked = await gguf.read(type);
      const expected = await gguf.read(`${type}.expected`);
      expect(gguf.tensors.get(type)).toMatchObject({ type: { name: type }, shape: [3, 256] });
      expect(new Uint32Array(unpacked.buffer)).toEqual(new Uint32Array(expected.buffer));
      expect(new Set(unpacked).size).toBeGreaterThan(100);
      // Row by row in another order.
      const turned = await gguf.read(type, undefined, (row) => 2 - row);
      expect(turned.subarray(512)).toEqual(expected.subarray(0, 256));
      await gguf.close();
    },
  );
});

describe.each(["llama", "llama-scaled", "qwen2", "qwen3"])("%s as a GGUF file", (family) => {
  it("is the model of the folder beside it", async () => {
    const converted = await openModel(path.join(golden, family, "model.gguf"));
    const original = await openModel(path.join(golden, family));
    const ropeScaling = {
      type: "llama3",
      factor: 32,
      lowFrequencyFactor: 1,
      highFrequencyFactor: 4,
      originalMaxPositions: 8192,
    };
    expect(converted.config).toEqual({
      ...original.config,
      eosTokenIds: [1, 0],
      ...(family === "llama-scaled" && { ropeTheta: 500_000, ropeScaling }),
    });
    for (const { name } of parameterShapes(original.config))
      expect(await converted.read(name), name).toEqual(await original.read(name));
    const tokenizer = tokenizerFromFiles(converted.tokenizer);
    expect(tokenizer.encode("1AB<|im_end|>")).toEqual([3, 36, 1]);
    expect(tokenizer.eosIds).toEqual([1, 0]);
    await Promise.all([converted.close(), original.close()]);
  });
});

describe("a tokenizer out of a GGUF file", () => {
  const tokenizers = JSON.parse(readFileSync(path.join(golden, "gguf-tokenizers.json"), "utf8")) as Record<
    string,
    { fields: Record<string, unknown>; cases: [string, number[]][] }
  >;
  const build = (fields: Record<string, unknown>) =>
    tokenizerFromFiles(readGgufTokenizer(new GgufFields("x.gguf", fields), "llama", 512));

  it.each(Object.keys(tokenizers))("encodes as its makers' library: %s", (name) => {
    const { fields, cases } = tokenizers[name];
    const tokenizer = build(fields);
    expect(cases.length).toBeGreaterThan(30);
    for (const [text, ids] of cases) {
      expect({ text, ids: tokenizer.encode(text) }).toEqual({ text, ids });
      // NFC and invisible joiners aside, what is encoded comes back.
      if (name !== "qwen2") expect(tokenizer.decode(ids)).toBe(text);
    }
  });

  it("would not encode alike with another way to cut text", () => {
    const { fields, cases } = tokenizers["llama-bpe"];
    const other = build({ ...fields, "tokenizer.ggml.pre": "gpt-2" });
    expect(cases.some(([text, ids]) => other.encode(text).join() !== ids.join())).toBe(true);
  });

  it("knows its special tokens, what a text begins with and what ends it", () => {
    const { fields } = tokenizers["llama-bpe"];
    const files = readGgufTokenizer(
      new GgufFields("x.gguf", {
        ...fields,
        "tokenizer.ggml.eot_token_id": 5,
        "tokenizer.ggml.padding_token_id": 6,
        "tokenizer.chat_template": "{{ messages }}",
      }),
      "llama",
      512,
    );
    const tokens = fields["tokenizer.ggml.tokens"] as string[];
    const tokenizer = tokenizerFromFiles(files);
    expect(tokenizer.eosIds).toEqual([tokens.indexOf("<|im_end|>"), 5, tokens.indexOf("<|endoftext|>")]);
    expect(tokenizer.padId).toBe(6);
    expect(tokenizer.startIds).toEqual([tokens.indexOf("<|im_start|>")]);
    expect(tokenizer.vocabSize).toBe(tokens.length);
    expect(files.chatTemplate).toBe("{{ messages }}");
    expect(files.settings).toMatchObject({ bos_token: "<|im_start|>", eos_token: "<|im_end|>", model_max_length: 512 });
    expect(build({ ...fields, "tokenizer.ggml.add_bos_token": false }).startIds).toEqual([]);
  });

  it.each([
    [{ "tokenizer.ggml.model": "t5" }, /"tokenizer.ggml.model": it is "t5".*folder with its tokenizer.json/],
    [{ "tokenizer.ggml.model": undefined }, /lacks the metadata field "tokenizer.ggml.model"/],
    [{ "tokenizer.ggml.pre": "klingon" }, /"tokenizer.ggml.pre": it is "klingon".*gpt-2.*qwen2/],
    [{ "tokenizer.ggml.tokens": "abc" }, /"tokenizer.ggml.tokens": it is not a list of texts/],
    [{ "tokenizer.ggml.token_type": [1] }, /"tokenizer.ggml.token_type": it has 1 entries for \d+ tokens/],
    [{ "tokenizer.ggml.merges": ["a zzzz"] }, /"tokenizer.ggml.merges": "a zzzz" is no pair/],
    [{ "tokenizer.ggml.eos_token_id": 9999 }, /"tokenizer.ggml.eos_token_id": it is 9999/],
    [{ "tokenizer.ggml.add_bos_token": "yes" }, /"tokenizer.ggml.add_bos_token": it is not true or false/],
  ])("is refused with %o", (change, message) => {
    expect(() => build({ ...tokenizers["gpt-2"].fields, ...change })).toThrow(message);
    expect(() => build({ ...tokenizers["gpt-2"].fields, ...change })).toThrow(/x\.gguf/);
  });
});

describe("a broken GGUF file", () => {
  let whole: TestGguf;
  beforeAll(async () => {
    whole = await readTestGguf(path.join(golden, "llama", "model.gguf"));
  });
  const open = async (): Promise<void> => (await openModel(file)).close();
  /** What a user reads who opens the file. */
  const refusal = async (): Promise<string> => {
    const error: unknown = await open().catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(UserError);
    expect((error as UserError).message).toContain(file);
    return (error as UserError).message;
  };
  const withFields = (change: Record<string, unknown>): TestGguf => {
    const metadata = { ...whole.metadata };
    for (const [key, value] of Object.entries(change)) {
      if (value === undefined) delete metadata[key];
      else metadata[key] = { ...(metadata[key] ?? { type: typeOf(value) }), value, type: typeOf(value) };
    }
    return { ...whole, metadata };
  };
  const typeOf = (value: unknown): number =>
    typeof value === "string"
      ? GGUFValueType.STRING
      : typeof value === "number"
        ? GGUFValueType.UINT32
        : GGUFValueType.BOOL;

  it("is written by the tests as it should be", async () => {
    writeTestGguf(file, whole);
    await open();
  });

  it("is refused wherever it is cut off", async () => {
    const bytes = testGgufBytes(whole);
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 0, max: bytes.length - 32 }), async (length) => {
        writeFileSync(file, bytes.subarray(0, length));
        await refusal();
      }),
      { numRuns: 40 },
    );
  });

  it.each([
    ["general.architecture", "mamba", /"general.architecture": it is "mamba".*llama, qwen2, qwen3/],
    ["general.type", "adapter", /"general.type": it is "adapter", but only whole models/],
    ["general.architecture", undefined, /lacks the metadata field "general.architecture"/],
    ["llama.block_count", undefined, /lacks the metadata field "llama.block_count"/],
    ["llama.block_count", "two", /"llama.block_count": it is not a whole number/],
    ["llama.block_count", 0, /"llama.block_count": it is 0/],
    ["llama.block_count", 10_001, /"llama.block_count": it is 10001, more than any model has/],
    ["llama.block_count", 3, /lacks the tensor "model.layers.2/],
    ["llama.block_count", 1, /unexpected tensor "model.layers.1/],
    [
      "llama.feed_forward_length",
      24,
      /"model.layers.0.mlp.gate_proj.weight" has the shape \[20, 16\].*calls for \[24, 16\]/,
    ],
    ["llama.attention.head_count_kv", 3, /"llama.attention.head_count_kv": it is 3, which does not divide the 4/],
    ["llama.attention.key_length", 5, /"llama.attention.key_length": the width of a head is 5/],
    ["llama.rope.dimension_count", 2, /"llama.rope.dimension_count": it is 2, but heads are 4 wide/],
    ["llama.rope.scaling.type", "yarn", /"llama.rope.scaling.type": it asks for scaled rotary positions \(yarn\)/],
    ["llama.rope.scaling.type", "linear", /lacks the metadata field "llama.rope.scaling.factor"/],
    ["llama.rope.scaling.attn_factor", 2, /"llama.rope.scaling.attn_factor": it asks for scores of attention/],
    ["llama.attention.causal", false, /"llama.attention.causal": .*an encoder/],
    ["llama.pooling_type", 3, /"llama.pooling_type": .*an encoder/],
    ["llama.something_new", 2, /"llama.something_new": it asks for something that Sleuth does not know/],
    ["llama.expert_count", 8, /"llama.expert_count": it asks for a mixture of experts/],
    ["llama.attention.sliding_window", 4096, /sliding-window/],
    ["split.count", 2, /one of 2 pieces.*llama-gguf-split --merge/],
    ["tokenizer.ggml.model", "bert", /"tokenizer.ggml.model": it is "bert"/],
  ])("is refused with %s = %s", async (key, value, message) => {
    writeTestGguf(file, withFields({ [key]: value }));
    expect(await refusal()).toMatch(message);
  });

  it.each<[Record<string, unknown>, object | undefined]>([
    [{ "llama.rope.scaling.factor": 2 }, { type: "linear", factor: 2 }],
    [{ "llama.rope.scale_linear": 4 }, { type: "linear", factor: 4 }],
    [
      { "llama.rope.scaling.type": "linear", "llama.rope.scale_linear": 4 },
      { type: "linear", factor: 4 },
    ],
    [{ "llama.rope.scaling.type": "none", "llama.rope.scaling.factor": 2 }, undefined],
    [{ "llama.rope.scaling.attn_factor": 1, "llama.attention.causal": true }, undefined],
  ])("scales rotary positions as llama.cpp does, with %o", async (fields, scaling) => {
    writeTestGguf(file, withFields(fields));
    const source = await openModel(file);
    expect(source.config.ropeScaling).toEqual(scaling);
    await source.close();
  });

  it("is refused when it scales rotary positions twice", async () => {
    const scaled = await readTestGguf(path.join(golden, "llama-scaled", "model.gguf"));
    const metadata = { ...scaled.metadata, "llama.rope.scaling.factor": { type: GGUFValueType.UINT32, value: 2 } };
    writeTestGguf(file, { ...scaled, metadata });
    expect(await refusal()).toMatch(/scaled twice.*"rope_freqs.weight"/);
  });

  it("is refused when two of its tensors would be the same parameter", async () => {
    const norm = whole.tensors.find(({ name }) => name === "output_norm.weight") as TestTensor;
    writeTestGguf(file, { ...whole, tensors: [...whole.tensors, { ...norm, name: "model.norm.weight" }] });
    expect(await refusal()).toMatch(/two tensors for "model.norm.weight"/);
  });

  it("is refused for what its tensors are", async () => {
    const change = async (edit: (tensors: TestGguf["tensors"]) => void, message: RegExp, offsets = {}) => {
      const tensors = whole.tensors.map((tensor) => ({ ...tensor, shape: [...tensor.shape] }));
      edit(tensors);
      writeTestGguf(file, { ...whole, tensors }, offsets);
      expect(await refusal()).toMatch(message);
    };
    const [first, second] = whole.tensors.map(({ name }) => name);
    await change((tensors) => (tensors[0].type = 16), /is of type IQ2_XXS, which cannot be read.*Q8_0/);
    await change((tensors) => (tensors[0].type = 999), /is of type number 999/);
    await change((tensors) => (tensors[0].type = 8), /type Q8_0 has the impossible shape/);
    await change((tensors) => (tensors[1].name = first), /two tensors named/);
    await change((tensors) => tensors.splice(0, 1), /lacks the tensor/);
    await change(() => {}, /overlaps/, { [second]: 0 });
    await change(() => {}, /is cut off/, { [second]: 1e9 });
    await change((tensors) => {
      tensors.push({
        name: "rope_freqs.weight",
        shape: [2],
        type: 0,
        data: new Uint8Array(Float32Array.of(1, 7.5).buffer),
      });
    }, /"rope_freqs.weight" scales the rotary positions otherwise than Llama 3/);
  });

  it("is refused when a number is not finite, as soon as that is read", async () => {
    const tensors = whole.tensors.map((tensor) => ({ ...tensor, data: tensor.data.slice() }));
    const norm = tensors.find(({ name }) => name === "output_norm.weight") as TestGguf["tensors"][0];
    new Float32Array(norm.data.buffer)[3] = Infinity;
    writeTestGguf(file, { ...whole, tensors });
    const source = await openModel(file);
    await expect(source.read("model.norm.weight")).rejects.toThrow(/"model.norm.weight" holds Infinity at index 3/);
    await source.close();
  });

  it("is refused when it is no GGUF file at all", async () => {
    writeFileSync(file, "PK\u0003\u0004 something else");
    expect(await refusal()).toMatch(/does not begin with "GGUF"/);
    await expect(openModel(path.join(folder, "none.gguf"))).rejects.toThrow(/There is no model folder or file/);
  });
});
