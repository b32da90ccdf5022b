import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import fc from "fast-check";
import { afterAll, describe, expect, it } from "vitest";
import { UserError } from "../../errors.js";
import { busyWorker } from "../../workers/busy-workers.test-support.js";
import { SearchError } from "../engine.js";
import { modelNameOf, poolingOf, prefixesOf } from "./encoder.js";
import type { EncoderSource } from "./encoder.js";
import { OnnxEncoder, type OnnxEncoderOptions } from "./onnx-encoder.js";
import { batchesOf } from "../text-model/text-tokenizer.js";
import { writeBagModel, writeTinyBert } from "./tiny-models.test-support.js";

const root = mkdtempSync(path.join(tmpdir(), "sleuth-encoder-"));
const bert = await writeTinyBert(path.join(root, "tiny-bert"));
const bag = writeBagModel(path.join(root, "bag"));
/** Starting a worker takes longer than most tests: those of one kind are shared. */
const opened = new Map<string, Promise<OnnxEncoder>>();

afterAll(async () => {
  for (const encoder of opened.values()) await (await encoder.catch(() => undefined))?.close();
  rmSync(root, { recursive: true, force: true });
});

function open(source: EncoderSource, options: OnnxEncoderOptions = { threads: 1 }): Promise<OnnxEncoder> {
  const key = JSON.stringify([source, options]);
  const encoder = opened.get(key) ?? OnnxEncoder.open(source, options);
  opened.set(key, encoder);
  return encoder;
}

const rowOf = (vectors: Float32Array, row: number, width: number): number[] => [
  ...vectors.subarray(row * width, (row + 1) * width),
];
const dot = (a: readonly number[], b: readonly number[]): number =>
  a.reduce((sum, value, index) => sum + value * b[index], 0);
const largest = (a: readonly number[], b: readonly number[]): number =>
  Math.max(...a.map((value, index) => Math.abs(value - b[index])));

const texts = [
  "owl",
  "Lima is the capital of Peru. The currency is the Peruvian sol.",
  "",
  "running runs runner ran; the trees of the red, green and blue forest",
  "the capital of Chile",
  "Owls hunt at night, and owls see well. An owl hoots. ".repeat(10),
  "東京",
  "a song of 1977",
];

describe("OnnxEncoder", () => {
  it("gives a unit vector for each text, in the caller's order, whoever else is in the batch", async () => {
    const encoder = await open({ location: bert });
    expect(encoder.dimensions).toBe(32);
    const together = await encoder.encode(texts, "passage");
    expect(together.length).toBe(texts.length * 32);
    for (const [row, text] of texts.entries()) {
      const vector = rowOf(together, row, 32);
      expect(Math.abs(Math.hypot(...vector) - 1)).toBeLessThan(1e-6);
      const alone = [...(await encoder.encode([text], "passage"))];
      expect(largest(vector, alone)).toBeLessThan(1e-6);
    }
    // The bound above would notice a mixed-up order.
    expect(largest(rowOf(together, 0, 32), rowOf(together, 1, 32))).toBeGreaterThan(1e-2);
  });

  it("the same over many tasks and several workers", async () => {
    const encoder = await open({ location: bag }, { workers: 2, threads: 1 });
    const many = Array.from({ length: 150 }, (_, index) => texts[index % texts.length]);
    const vectors = await encoder.encode(many, "passage");
    const once = await encoder.encode(texts, "passage");
    for (const row of many.keys()) expect(rowOf(vectors, row, 24)).toEqual(rowOf(once, row % texts.length, 24));
    expect(encoder.counts()).toEqual({ textsEncoded: many.length + texts.length });
  });

  it("runs exported files with int64 inputs, and texts that share words are near", async () => {
    const encoder = await open({ location: bag });
    const vectors = await encoder.encode(
      ["the capital of Peru", "Lima is the capital of Peru", "owls hunt at night"],
      "query",
    );
    const [query, near, far] = [0, 1, 2].map((row) => rowOf(vectors, row, 24));
    expect(dot(query, near)).toBeGreaterThan(dot(query, far));
  });

  it("cuts long texts, however long", async () => {
    const encoder = await open({ location: bert });
    const page = "Owls hunt at night, and owls see well. ".repeat(20);
    const [cut, whole] = [
      await encoder.encode([page], "passage"),
      await encoder.encode([page.repeat(2_000)], "passage"),
    ];
    expect(largest([...cut], [...whole])).toBeLessThan(1e-6);
  });

  it("pools as asked: the first token's vector is not the mean", async () => {
    const [mean, cls] = [await open({ location: bert }), await open({ location: bert, pooling: "cls" })];
    expect(
      largest([...(await mean.encode(["owl"], "query"))], [...(await cls.encode(["owl"], "query"))]),
    ).toBeGreaterThan(1e-2);
    expect(cls.name).toContain("cls pooling");
  });

  it("puts prefixes before queries and passages, by the model's name or as told", async () => {
    const e5 = await writeTinyBert(path.join(root, "e5-tiny"));
    const [named, told, plain] = [
      await open({ location: e5 }),
      await open({ location: bert, queryPrefix: "query: ", passagePrefix: "passage: " }),
      await open({ location: bert }),
    ];
    const asQuery = await named.encode(["owl"], "query");
    expect(asQuery).toEqual(await told.encode(["owl"], "query"));
    expect(asQuery).toEqual(await plain.encode(["query: owl"], "query"));
    expect(await named.encode(["owl"], "passage")).toEqual(await plain.encode(["passage: owl"], "passage"));
    // The same weights elsewhere are the same encoder, and another prefix is another one.
    expect(named.name).toBe(told.name);
    expect(named.name).not.toBe(plain.name);
  });

  it("takes variants by name or by file, and tells them apart", async () => {
    writeBagModel(bag, { variant: "quantized", seed: 8 });
    const [base, byName, byFile] = [
      await open({ location: bag }),
      await open({ location: bag, model: "quantized" }),
      await open({ location: path.join(bag, "onnx", "model_quantized.onnx") }),
    ];
    expect(byName.name).toBe(byFile.name);
    expect(byName.name).not.toBe(base.name);
  });

  it("reads what sentence-transformers keeps beside a model", async () => {
    const folder = await writeTinyBert(path.join(root, "with-pooling"));
    const pooling = path.join(folder, "1_Pooling");
    mkdirSync(pooling);
    writeFileSync(
      path.join(pooling, "config.json"),
      '{"pooling_mode_cls_token": true, "pooling_mode_mean_tokens": false}',
    );
    writeFileSync(path.join(folder, "sentence_bert_config.json"), '{"max_seq_length": 16}');
    const encoder = await open({ location: folder });
    expect(encoder.name).toContain("cls pooling, 16 tokens");
    writeFileSync(path.join(pooling, "config.json"), '{"pooling_mode_max_tokens": true}');
    await expect(OnnxEncoder.open({ location: folder })).rejects.toThrow(/asks for the pooling max/);
  });

  it("a caller who leaves gets its own reason, and the encoder goes on", async () => {
    const encoder = await open({ location: bert });
    const reason = new Error("changed my mind");
    const controller = new AbortController();
    const waiting = encoder.encode(
      Array.from({ length: 400 }, () => texts[5]),
      "passage",
      { signal: controller.signal },
    );
    controller.abort(reason);
    await expect(waiting).rejects.toBe(reason);
    expect((await encoder.encode(["owl"], "query")).length).toBe(32);
  });

  it("closed while it works, it fails with a SearchError that no other try mends", async () => {
    const encoder = await OnnxEncoder.open({ location: bert }, { threads: 1 });
    const waiting = encoder.encode(
      Array.from({ length: 200 }, () => texts[5]),
      "passage",
    );
    const failure = expect(waiting).rejects.toSatisfy(
      (error) =>
        error instanceof SearchError && !error.isRetryable && error.message.includes(`The model in ${bert} failed`),
    );
    await encoder.close();
    await failure;
  });

  it("a worker that dies fails what it had with a SearchError worth another try, and is replaced", async () => {
    const encoder = await open({ location: bert });
    const many = Array.from({ length: 400 }, () => texts[5]);
    const { worker, outcome } = await busyWorker(() => encoder.encode(many, "passage"));
    await worker.terminate();
    await expect(outcome).rejects.toSatisfy((error) => error instanceof SearchError && error.isRetryable);
    expect((await encoder.encode(["owl"], "query")).length).toBe(32);
  });

  it.each([
    ["a folder that is not there", path.join(root, "nowhere"), /There is no model folder/],
    ["a file that is no model", path.join(bert, "config.json"), /is no .onnx file/],
    ["a variant that is not there", bert, /has no onnx\/model_fp16.onnx/, "fp16"],
  ])("refuses %s", async (_, location, message, model = "") => {
    const failure = await open({ location, model }).catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(UserError);
    expect((failure as Error).message).toMatch(message);
  });

  it("refuses models that it cannot run, and says what to do", async () => {
    const other = await writeTinyBert(path.join(root, "other"));
    const config = JSON.parse(readFileSync(path.join(other, "config.json"), "utf8")) as object;
    writeFileSync(path.join(other, "config.json"), JSON.stringify({ ...config, model_type: "mpnet" }));
    await expect(open({ location: other })).rejects.toThrow(/model_type "mpnet"[^]*optimum-cli export onnx/);
    await expect(open({ location: bert, maxTokens: 65 })).rejects.toThrow(/has positions for 64 tokens/);
    const half = writeBagModel(path.join(root, "half"));
    const file = path.join(half, "onnx", "model.onnx");
    writeFileSync(file, readFileSync(file).subarray(0, 300));
    await expect(open({ location: half })).rejects.toBeInstanceOf(UserError);
    const cross = await writeTinyBert(path.join(root, "cross"), { labels: 1 });
    await expect(open({ location: cross })).rejects.toThrow(/cross-encoder. Name an encoder/);
    const broken = writeBagModel(path.join(root, "broken"), { isBroken: true });
    await expect(open({ location: broken })).rejects.toThrow(/zero or not finite/);
  });
});

describe("conventions", () => {
  it.each([
    ["intfloat/e5-base-v2", "query: ", "passage: "],
    ["intfloat/multilingual-e5-small", "query: ", "passage: "],
    ["BAAI/bge-small-en-v1.5", "Represent this sentence for searching relevant passages: ", ""],
    ["BAAI/bge-m3", "", ""],
    ["sentence-transformers/all-MiniLM-L6-v2", "", ""],
    ["a1e5b2c3", "", ""],
  ])("prefixes of %s", (name, query, passage) => {
    expect(prefixesOf(name)).toEqual({ query, passage });
  });

  it("bge reads the first token, others the mean", () => {
    expect([poolingOf("BAAI/bge-base-en"), poolingOf("intfloat/e5-base")]).toEqual(["cls", "mean"]);
  });

  it.each([
    ["hf:intfloat/e5-base-v2@main", "intfloat/e5-base-v2"],
    ["/models/e5-base-v2/onnx/model.onnx", "e5-base-v2"],
    ["/cache/models--intfloat--e5-base-v2/snapshots/0123456789abcdef0123456789abcdef01234567", "intfloat/e5-base-v2"],
  ])("the name of %s", (location, name) => {
    expect(modelNameOf(location)).toBe(name);
  });
});

describe("batchesOf", () => {
  it("holds every row once, never above its bound, longest first", () =>
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 1, max: 90 })), fc.integer({ min: 1, max: 300 }), (lengths, most) => {
        const batches = batchesOf(lengths, most);
        expect(batches.flat().sort((a, b) => a - b)).toEqual(lengths.map((_, row) => row));
        expect(batches.flat().map((row) => lengths[row])).toEqual([...lengths].sort((a, b) => b - a));
        for (const batch of batches)
          if (batch.length > 1)
            expect(batch.length * Math.max(...batch.map((row) => lengths[row]))).toBeLessThanOrEqual(most);
      }),
    ));
});
