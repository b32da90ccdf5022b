import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { openOnnxPairScorer } from "../rerank/onnx-pair-scorer.js";
import { minilm, minilmIsAbsent, minilmReason } from "./minilm.test-support.js";
import { OnnxEncoder } from "./onnx-encoder.js";

interface Golden {
  texts: string[];
  vectors: { mean: number[]; cls: number[] }[];
  pairs: [string, string][];
  logits: number[];
}

/** Made by `testdata/bert-golden.py` with transformers and torch. */
const testdata = fileURLToPath(new URL("./testdata/", import.meta.url));
const read = (name: string): Golden => JSON.parse(readFileSync(path.join(testdata, name), "utf8")) as Golden;

function cosines(vectors: Float32Array, expected: readonly number[][]): number[] {
  const width = expected[0].length;
  return expected.map((vector, row) =>
    vector.reduce((sum, value, index) => sum + value * vectors[row * width + index], 0),
  );
}

const root = mkdtempSync(path.join(tmpdir(), "sleuth-golden-"));
afterAll(() => rmSync(root, { recursive: true, force: true }));

describe("BERT from weights, against transformers", () => {
  const golden = read("bert-golden/golden.json");
  beforeAll(() => {
    const { wordPiece } = JSON.parse(readFileSync(path.join(testdata, "tokenizer-golden.json"), "utf8")) as {
      wordPiece: { tokenizer: object };
    };
    cpSync(path.join(testdata, "bert-golden"), root, { recursive: true });
    for (const kind of ["encoder", "cross-encoder"])
      writeFileSync(path.join(root, kind, "tokenizer.json"), JSON.stringify(wordPiece.tokenizer));
  });

  it.each(["mean", "cls"] as const)("vectors, %s pooling", async (pooling) => {
    const encoder = await OnnxEncoder.open({ location: path.join(root, "encoder"), pooling }, { threads: 1 });
    const vectors = await encoder.encode(golden.texts, "query");
    const expected = golden.vectors.map((vector) => vector[pooling]);
    for (const [index, value] of expected.flat().entries()) expect(Math.abs(vectors[index] - value)).toBeLessThan(1e-5);
    // The other pooling is another vector: the bound is no formality.
    const other = golden.vectors.map((vector) => vector[pooling === "mean" ? "cls" : "mean"]);
    expect(Math.min(...cosines(vectors, other))).toBeLessThan(0.99);
    await encoder.close();
  });

  it("logits of pairs", async () => {
    const scorer = await openOnnxPairScorer(path.join(root, "cross-encoder"), { threads: 1 });
    const scores = await scorer.score(golden.pairs.map(([query, passage]) => ({ query, passage })));
    for (const [index, logit] of golden.logits.entries()) expect(Math.abs(scores[index] - logit)).toBeLessThan(1e-5);
    await scorer.close();
  });
});

describe.skipIf(minilmIsAbsent)(`all-MiniLM-L6-v2${minilmReason}`, () => {
  const { texts, vectors } = read("minilm-golden.json");
  const expected = vectors.map(({ mean }) => mean);

  it("gives transformers' vectors within 1e-5, alone and together", async () => {
    const encoder = await OnnxEncoder.open({ location: minilm });
    expect(encoder.name).toContain("mean pooling, 256 tokens");
    const together = await encoder.encode(texts, "passage");
    for (const [index, value] of expected.flat().entries())
      expect(Math.abs(together[index] - value)).toBeLessThan(1e-5);
    for (const cosine of cosines(together, expected)) expect(Math.abs(cosine - 1)).toBeLessThan(1e-5);
    for (const [row, text] of texts.entries()) {
      const alone = await encoder.encode([text], "passage");
      for (const [index, value] of alone.entries())
        expect(Math.abs(value - together[row * 384 + index])).toBeLessThan(1e-6);
    }
    await encoder.close();
  });

  it("exported by others in int8 with int64 inputs, it is near", async () => {
    const encoder = await OnnxEncoder.open({ location: minilm, model: "int8" });
    const found = cosines(await encoder.encode(texts, "passage"), expected);
    expect(Math.min(...found)).toBeGreaterThan(0.95);
    // Other weights: were it the same file as above, this would be 1.
    expect(Math.min(...found)).toBeLessThan(0.99999);
    await encoder.close();
  });

  it("finds what words alone would not", async () => {
    const encoder = await OnnxEncoder.open({ location: minilm });
    const vectors = await encoder.encode(
      ["Where do they bury monarchs?", "Kings and queens rest in Westminster Abbey.", "Where do they sell monitors?"],
      "query",
    );
    const cosine = (a: number, b: number): number => {
      let sum = 0;
      for (let index = 0; index < 384; index++) sum += vectors[a * 384 + index] * vectors[b * 384 + index];
      return sum;
    };
    expect(cosine(0, 1)).toBeGreaterThan(cosine(0, 2));
    await encoder.close();
  });
});
