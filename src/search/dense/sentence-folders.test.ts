import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, describe, expect, it, vi } from "vitest";
import { UserError } from "../../errors.js";
import { openComputation, type TextModelData } from "../text-model/computation.js";
import { readPrompts } from "../text-model/sentence-folder.js";
import { asNamed, encoderSourceSchema } from "./encoder.js";
import { OnnxEncoder } from "./onnx-encoder.js";
import { writeBagModel, writeTinyBert } from "./tiny-models.test-support.js";

// A worker for each of thirty encoders would take longer than all else; `onnx-encoder.test.ts` tests them.
vi.mock("../../workers/pool.js", () => ({
  WorkerPool: {
    open: async ({ data }: { data: TextModelData }) => ({
      ...(await openComputation(data)),
      close: () => Promise.resolve(),
    }),
  },
}));

interface Golden {
  texts: string[];
  cases: Record<string, { maxTokens: number; query: number[][]; passage: number[][] }>;
}

/** Made by `test/golden/sentence_folders.py` with sentence-transformers. */
const folders = fileURLToPath(new URL("../../../test/golden/sentence-folders/", import.meta.url));
const golden = JSON.parse(readFileSync(path.join(folders, "golden.json"), "utf8")) as Golden;
const root = mkdtempSync(path.join(tmpdir(), "sleuth-sentence-"));
afterAll(() => rmSync(root, { recursive: true, force: true }));

let copies = 0;

/** The folder of a case with the weights in their place. */
function copy(name: string): string {
  const folder = path.join(root, `${name}-${copies++}`);
  cpSync(path.join(folders, name), folder, { recursive: true });
  const transformer = readdirSync(folder).includes("0_Transformer") ? path.join(folder, "0_Transformer") : folder;
  cpSync(path.join(folders, "model.safetensors"), path.join(transformer, "model.safetensors"));
  return folder;
}

/** A copy with JSON files changed: fields laid over what is there, or `undefined` for a file that is left out. */
function changed(name: string, changes: Record<string, object | undefined>): string {
  const folder = copy(name);
  for (const [file, fields] of Object.entries(changes)) {
    const place = path.join(folder, file);
    if (fields === undefined) rmSync(place);
    else if (Array.isArray(fields)) writeFileSync(place, JSON.stringify(fields));
    else writeFileSync(place, JSON.stringify({ ...(JSON.parse(readFileSync(place, "utf8")) as object), ...fields }));
  }
  return folder;
}

async function vectors(folder: string): Promise<{ query: number[]; passage: number[]; encoder: OnnxEncoder }> {
  const encoder = await OnnxEncoder.open({ location: folder }, { threads: 1 });
  try {
    const [query, passage] = [
      await encoder.encode(golden.texts, "query"),
      await encoder.encode(golden.texts, "passage"),
    ];
    return { query: [...query], passage: [...passage], encoder };
  } finally {
    await encoder.close();
  }
}

const furthest = (found: readonly number[], expected: readonly number[]): number =>
  Math.max(...found.map((value, index) => Math.abs(value - expected[index])));

describe("folders of sentence-transformers", () => {
  it.each(Object.keys(golden.cases))("%s: the library's own vectors and length", async (name) => {
    const { maxTokens, query, passage } = golden.cases[name];
    const found = await vectors(copy(name));
    expect(found.encoder.source.maxTokens).toBe(maxTokens);
    expect(found.query.length).toBe(query.flat().length);
    expect(furthest(found.query, query.flat())).toBeLessThan(1e-5);
    expect(furthest(found.passage, passage.flat())).toBeLessThan(1e-5);
  });

  it("the bound notices a prompt, a pooling, a module, a length and a case that are not as they should be", async () => {
    const wrong = [
      changed("mean-dense", { "config_sentence_transformers.json": undefined }),
      changed("mean-dense", { "1_Pooling/config.json": { pooling_mode: "cls" } }),
      changed("mean-dense", { "2_Dense/config.json": { activation_function: "torch.nn.modules.linear.Identity" } }),
      changed("cls-residual", { "2_Dense/config.json": { use_residual: false } }),
      changed("without-prompt", { "1_Pooling/config.json": { include_prompt: true } }),
      changed("short", { "tokenizer_config.json": { model_max_length: 13 } }),
      changed("old-form", { "0_Transformer/sentence_roberta_config.json": { do_lower_case: false } }),
    ];
    for (const folder of wrong) {
      const name = path.basename(folder).replace(/-\d+$/, "");
      expect(furthest((await vectors(folder)).query, golden.cases[name].query.flat()), name).toBeGreaterThan(1e-3);
    }
  });

  it("the source says which prompts, pooling and length are used, and the name tells encoders apart", async () => {
    const { encoder } = await vectors(copy("mean-dense"));
    expect(encoder.source).toMatchObject({
      queryPrefix: "the capital of: ",
      passagePrefix: "owl: ",
      pooling: "mean",
      maxTokens: 48,
    });
    const others = await Promise.all(
      [
        changed("mean-dense", { "2_Dense/config.json": { activation_function: "torch.nn.modules.linear.Identity" } }),
        changed("mean-dense", { "config_sentence_transformers.json": { prompts: { query: "x: " } } }),
        copy("old-form"),
      ].map(vectors),
    );
    const names = [encoder, ...others.map((other) => other.encoder)].map(({ name }) => name);
    expect(new Set(names).size).toBe(names.length);
    expect(names.at(-1)).toContain("lower case, 20 tokens");
  });

  it("truncate_dim keeps the beginning of what the last module gives, at length one", async () => {
    const { query } = golden.cases["mean-dense"];
    const cut = await vectors(changed("mean-dense", { "config_sentence_transformers.json": { truncate_dim: 5 } }));
    const expected = query.flatMap((vector) => {
      const length = Math.hypot(...vector.slice(0, 5));
      return vector.slice(0, 5).map((value) => value / length);
    });
    expect(cut.query.length).toBe(expected.length);
    expect(furthest(cut.query, expected)).toBeLessThan(1e-5);
    expect(cut.encoder.name).toContain("the first 5 numbers");
  });

  it.each([
    [{ query: "q: ", passage: "p: ", document: "" }, null, "q: ", "p: "],
    [{ query: "q: ", document: "d: ", passage: "p: " }, null, "q: ", "d: "],
    [{ search: "s: ", query: "", document: "" }, "search", "s: ", "s: "],
    [{ query: "q: ", other: "o: " }, "query", "q: ", ""],
    [{ query: "", document: "" }, null, "", ""],
  ])("prompts %j with the default %s", async (prompts, usual, query, passage) => {
    const folder = changed("short", { "config_sentence_transformers.json": { prompts, default_prompt_name: usual } });
    expect(await readPrompts(folder)).toEqual(query === "" ? undefined : { query, passage });
  });

  it("flags that are all off mean the mean, as in the library", async () => {
    const { query } = golden.cases.short;
    const folder = copy("short");
    writeFileSync(path.join(folder, "1_Pooling", "config.json"), '{"pooling_mode_max_tokens": false}');
    expect(furthest((await vectors(folder)).query, query.flat())).toBeLessThan(1e-5);
  });

  const moduleOf = (type: string, place: string): object => ({ idx: 0, name: "0", type, path: place });
  const transformer = moduleOf("sentence_transformers.models.Transformer", "");

  it.each([
    [
      "another pooling",
      { "1_Pooling/config.json": { pooling_mode: "lasttoken" } },
      /asks for the pooling lasttoken; Sleuth can mean and cls/,
    ],
    ["several poolings", { "1_Pooling/config.json": { pooling_mode: ["mean", "max"] } }, /pooling mean with max/],
    [
      "an activation",
      { "2_Dense/config.json": { activation_function: "torch.nn.modules.activation.GELU" } },
      /activation "torch.nn.modules.activation.GELU"/,
    ],
    ["a class of its own", { "2_Dense/config.json": { activation_function: "mine.Tanh" } }, /activation "mine.Tanh"/],
    [
      "weights of another shape",
      { "2_Dense/config.json": { out_features: 9 } },
      /"linear.weight" in the shape \[8, 16\]; .* calls for \[9, 16\]/,
    ],
    ["missing weights", { "2_Dense/model.safetensors": undefined }, /2_Dense has no model.safetensors/],
    ["a missing module", { "2_Dense/config.json": undefined }, /2_Dense/],
    [
      "a module for tokens",
      { "3_Normalize/config.json": { module_input_name: "token_embeddings" } },
      /works on "token_embeddings"/,
    ],
    [
      "an unknown module",
      { "modules.json": [transformer, moduleOf("sentence_transformers.models.LSTM", "1_LSTM")] },
      /module "LSTM" at place 2/,
    ],
    [
      "a program of the model's",
      { "modules.json": [transformer, moduleOf("custom_st.Pooling", "1_Pooling")] },
      /module "custom_st.Pooling"/,
    ],
    [
      "a folder outside",
      { "modules.json": [moduleOf("sentence_transformers.models.Transformer", "../other")] },
      /outside the model's own/,
    ],
    ["no list", { "modules.json": [] }, /begins with the module "none"/],
    [
      "another task",
      { "sentence_bert_config.json": { transformer_task: "text-generation" } },
      /makes its vectors by "text-generation"/,
    ],
    [
      "prompts for other tasks",
      { "config_sentence_transformers.json": { prompts: { s2p: "a", s2s: "b" } } },
      /prompts s2p, s2s, and none of them is named query/,
    ],
    [
      "a length that is none",
      { "config_sentence_transformers.json": { truncate_dim: "64" } },
      /has the truncate_dim "64", no size/,
    ],
  ] as [string, Record<string, object | undefined>, RegExp][])("refuses %s by name", async (_, changes, message) => {
    const failure = await OnnxEncoder.open({ location: changed("mean-dense", changes) }, { threads: 1 }).catch(
      (error: unknown) => error,
    );
    expect(failure).toBeInstanceOf(UserError);
    expect((failure as Error).message).toMatch(message);
  });
});

describe("graphs that pool on their own", () => {
  it("are read at sentence_embedding where nothing else says how", async () => {
    const pooled = writeBagModel(path.join(root, "pooled"), { hasOwnPooling: true });
    const own = await OnnxEncoder.open({ location: pooled }, { threads: 1 });
    expect(own.source.pooling).toBe("model");
    // As an index keeps it.
    expect(encoderSourceSchema.parse(own.source)).toEqual(own.source);
    const mean = await OnnxEncoder.open({ location: pooled, pooling: "mean" }, { threads: 1 });
    const [a, b] = [
      await own.encode(["the capital of Peru"], "query"),
      await mean.encode(["the capital of Peru"], "query"),
    ];
    // The graph's own is the largest number of each column: neither mean nor first token.
    expect(furthest([...a], [...b])).toBeGreaterThan(1e-2);
    mkdirSync(path.join(pooled, "1_Pooling"));
    writeFileSync(path.join(pooled, "1_Pooling", "config.json"), '{"pooling_mode": "mean"}');
    const said = await OnnxEncoder.open({ location: pooled }, { threads: 1 });
    expect([said.source.pooling, said.name]).toEqual(["mean", mean.name]);
    for (const encoder of [own, mean, said]) await encoder.close();
    const plain = writeBagModel(path.join(root, "plain"));
    await expect(OnnxEncoder.open({ location: plain, pooling: "model" })).rejects.toThrow(
      /no output sentence_embedding/,
    );
  });
});

describe("indexes of earlier versions", () => {
  it("are searched as their names say, whatever the model's files say now", async () => {
    const folder = await writeTinyBert(path.join(root, "e5-old"));
    const before = 'onnx 0123456789ab, mean pooling, 32 tokens, query "query: \\"a\\", ", passage ""';
    const source = asNamed({ location: folder }, before);
    expect(source).toEqual({
      location: folder,
      pooling: "mean",
      maxTokens: 32,
      queryPrefix: 'query: "a", ',
      passagePrefix: "",
    });
    writeFileSync(path.join(folder, "config_sentence_transformers.json"), '{"prompts": {"query": "other: "}}');
    const encoder = await OnnxEncoder.open(source, { threads: 1 });
    expect(encoder.name.replace(/^onnx [0-9a-f]+/, "")).toBe(before.replace(/^onnx [0-9a-f]+/, ""));
    await encoder.close();
  });

  it("what the source says counts before the name, and other names say nothing", () => {
    const name = 'onnx 0123456789ab, cls pooling, then Tanh 0123456789ab, 64 tokens, query "", passage "p"';
    expect(asNamed({ maxTokens: 8 }, name)).toEqual({
      pooling: "cls",
      maxTokens: 8,
      queryPrefix: "",
      passagePrefix: "p",
    });
    expect([asNamed({}, "words"), asNamed({}, undefined)]).toEqual([{}, {}]);
  });
});
