import { mkdtempSync, renameSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { UserError } from "../../errors.js";
import { conformancePassages, searchConformance, type MakeEngine } from "../conformance.js";
import { SearchError, type SearchEngine } from "../engine.js";
import { openEngine } from "../open.js";
import { startEmbeddingsServer, type EmbeddingsServer } from "./embeddings-server.test-support.js";
import { DenseEngine } from "./engine.js";
import { exactOver } from "./exact/in-memory.test-support.js";
import { HttpEncoder } from "./http-encoder.js";
import { buildDenseIndex } from "./index/build.js";
import { OnnxEncoder } from "./onnx-encoder.js";
import { passageText } from "./encoder.js";
import { writeBagModel } from "./tiny-models.test-support.js";
import { WordEncoder, unitWordVectors, type WordEncoderOptions } from "./word-encoder.test-support.js";
import type { StoredPassage } from "../../types.js";

const root = mkdtempSync(path.join(tmpdir(), "sleuth-dense-engine-"));
afterAll(() => rmSync(root, { recursive: true, force: true }));
let server: EmbeddingsServer;
beforeAll(async () => {
  server = await startEmbeddingsServer();
});
afterAll(() => server.close());
let folders = 0;

async function* one(passages: readonly StoredPassage[]): AsyncGenerator<readonly StoredPassage[]> {
  yield passages;
}

async function inMemory(passages: readonly StoredPassage[], options?: WordEncoderOptions): Promise<DenseEngine> {
  const vectors = unitWordVectors(passages.map(passageText));
  return new DenseEngine(new WordEncoder(options), await exactOver(passages, vectors, "words"));
}

/** An index made with an endpoint, opened from settings as the command line does. */
const overEndpoint: MakeEngine = async (passages) => {
  const index = path.join(root, `endpoint-${folders++}`);
  const encoder = new HttpEncoder({ location: server.url, model: "words", passagePrefix: "about: " });
  await buildDenseIndex({ passages: one(passages), out: index, encoder });
  await encoder.close();
  return openEngine({ engine: "dense", index });
};

const bag = writeBagModel(path.join(root, "bag"));
let bagEncoder: OnnxEncoder;
beforeAll(async () => {
  bagEncoder = await OnnxEncoder.open({ location: bag }, { threads: 1 });
});
afterAll(() => bagEncoder.close());
const overOnnx: MakeEngine = async (passages) => {
  const index = path.join(root, `onnx-${folders++}`);
  await buildDenseIndex({ passages: one(passages), out: index, encoder: bagEncoder });
  return openEngine({ engine: "dense", index });
};

searchConformance("dense, vectors in memory", (passages) => inMemory(passages), { ranking: "own" });
searchConformance("dense, index folder and /v1/embeddings", overEndpoint, { ranking: "own" });
searchConformance("dense, index folder and ONNX encoder", overOnnx, { ranking: "own" });

describe("DenseEngine", () => {
  it("finds passages by their words, title included", async () => {
    const engine = await inMemory(conformancePassages);
    const [[peru], [owl]] = await engine.searchBatch(["capital of Peru", "owls hunt at night"], 1);
    expect([peru.id, owl.id]).toEqual(["peru", "owl"]);
    await engine.close();
    await expect(engine.searchBatch(["owl"], 1)).rejects.toBeInstanceOf(SearchError);
  });

  it("encodes what is asked at the same time together, and each query once", async () => {
    const encoder = new WordEncoder();
    const vectors = unitWordVectors(conformancePassages.map(passageText));
    const nearest = await exactOver(conformancePassages, vectors, "words");
    const engine = new DenseEngine(encoder, nearest);
    await Promise.all(["owl", "lima", "song", "owl"].map((query) => engine.searchBatch([query, query], 2)));
    expect(encoder.calls).toEqual([["owl", "lima", "song"]]);
    await engine.close();
  });

  it("many callers with many queries: each gets its own answer, and no call grows beyond bounds", async () => {
    const encoder = new WordEncoder();
    const vectors = unitWordVectors(conformancePassages.map(passageText));
    const nearest = await exactOver(conformancePassages, vectors, "words");
    const engine = new DenseEngine(encoder, nearest);
    const callers = [60, 300, 1, 200, 90].map((count, caller) =>
      Array.from({ length: count }, (_, query) => `owl ${caller} lima ${query}`),
    );
    const answers = await Promise.all(callers.map((queries) => engine.searchBatch(queries, 1)));
    expect(encoder.calls.map(({ length }) => length)).toEqual([60, 300, 201, 90]);
    for (const [caller, queries] of callers.entries()) {
      const last = queries.length - 1;
      expect(answers[caller]).toHaveLength(queries.length);
      expect([answers[caller][last]]).toEqual(await nearest.search(unitWordVectors([queries[last]]), 1));
    }
    await engine.close();
  });

  it("nobody pays for another's query", async () => {
    const engine = await inMemory(conformancePassages, {
      before: (texts) => {
        if (texts.includes("poison")) throw new SearchError("refused", { engine: "dense", isRetryable: false });
      },
    });
    const [good, bad] = await Promise.allSettled([engine.searchBatch(["owl"], 1), engine.searchBatch(["poison"], 1)]);
    expect(good.status).toBe("fulfilled");
    expect(bad).toMatchObject({ status: "rejected", reason: { message: "refused" } });
    await engine.close();
  });

  it("a caller who leaves while it waits gets its own reason, and the others their passages", async () => {
    const engine = await inMemory(conformancePassages, { waitMs: 30 });
    const controller = new AbortController();
    const reason = new Error("left");
    const [leaving, staying] = [
      engine.searchBatch(["owl"], 1, { signal: controller.signal }),
      engine.searchBatch(["lima"], 1),
    ];
    setTimeout(() => controller.abort(reason), 5);
    await expect(leaving).rejects.toBe(reason);
    expect((await staying)[0]).toHaveLength(1);
    await engine.close();
  });

  it("when all have left, the encoder's work ends too", async () => {
    const asked: (AbortSignal | undefined)[] = [];
    const encoder = new WordEncoder({ waitMs: 40 });
    const encode = encoder.encode.bind(encoder);
    encoder.encode = (texts, kind, options) => {
      asked.push(options?.signal);
      return encode(texts, kind, options);
    };
    const vectors = unitWordVectors(conformancePassages.map(passageText));
    const nearest = await exactOver(conformancePassages, vectors, "words");
    const engine = new DenseEngine(encoder, nearest);
    const leaving = [new AbortController(), new AbortController()];
    const searches = leaving.map(({ signal }) => engine.searchBatch(["owl"], 1, { signal }));
    setTimeout(() => leaving[0].abort(new Error("first")), 5);
    await expect(searches[0]).rejects.toThrow("first");
    expect(asked.map((signal) => signal?.aborted)).toEqual([false]);
    leaving[1].abort(new Error("second"));
    await expect(searches[1]).rejects.toThrow("second");
    expect(asked[0]?.aborted).toBe(true);
    expect((await engine.searchBatch(["owl"], 1))[0]).toHaveLength(1);
    await engine.close();
  });

  it("counts what it did", async () => {
    const engine = (await overEndpoint(conformancePassages)) as SearchEngine;
    await engine.searchBatch(["owl", "lima", "owl"], 1);
    expect(engine.counts?.()).toMatchObject({ textsEncoded: 2, encoderRequests: 1 });
    await engine.close();
  });
});

describe("openDense", () => {
  const failureOf = async (work: Promise<SearchEngine>): Promise<string> => {
    const error = await work.then(
      () => undefined,
      (reason: unknown) => reason,
    );
    expect(error).toBeInstanceOf(UserError);
    return (error as Error).message;
  };

  it("another encoder than the index's is an error that names both", async () => {
    const index = path.join(root, "named");
    await buildDenseIndex({ passages: one(conformancePassages), out: index, encoder: new WordEncoder() });
    const other = { engine: "dense", index, encoder: server.url, encoderModel: "others" };
    expect(await failureOf(openEngine(other))).toMatch(/index: words\n {2}given: endpoint others/);
    expect(await failureOf(openEngine({ engine: "dense", index }))).toMatch(/does not say which encoder/);
  });

  it("an encoder that has moved is said so, and can be named", async () => {
    const [before, after, index] = ["before", "after", "moved-index"].map((name) => path.join(root, name));
    writeBagModel(before, { seed: 4 });
    const encoder = await OnnxEncoder.open({ location: before, queryPrefix: "q " }, { threads: 1 });
    await buildDenseIndex({ passages: one(conformancePassages), out: index, encoder });
    await encoder.close();
    renameSync(before, after);
    expect(await failureOf(openEngine({ engine: "dense", index }))).toMatch(/There is no model folder[^]*--encoder/);
    const engine = await openEngine({ engine: "dense", index, encoder: after });
    expect((await engine.searchBatch(["owls"], 1))[0]).toHaveLength(1);
    await engine.close();
  });

  it("without an index it says how to make one", async () => {
    expect(await failureOf(openEngine({ engine: "dense" }))).toMatch(/sleuth index CORPUS.jsonl --engine dense/);
    expect(await failureOf(openEngine({ engine: "dense", index: root }))).toMatch(/There is no dense index/);
  });
});
