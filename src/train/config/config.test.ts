import { mkdtemp, rm, writeFile } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { presets } from "../../recipes/presets.js";
import { faithful } from "../../recipes/search-r1/faithful.js";
import { atlasDemo } from "../../recipes/search-r1/recipe.js";
import { findConfigFile, loadConfig } from "./file.js";
import { applySets, configDifferences, configKeys, mergeConfig, parseConfig, type Config } from "./config.js";

describe("parseConfig", () => {
  it("fills in every default", () => {
    const config = parseConfig({});
    expect(config.algorithm.groupSize).toBe(8);
    for (const key of configKeys()) {
      const [group, name] = key.path.split(".");
      expect((config as unknown as Record<string, Record<string, unknown>>)[group][name]).toEqual(key.default);
    }
  });

  it.each([
    [{ optimiser: {} }, /optimiser in .* is not a known key. Did you mean optimizer\?/],
    [{ optimizer: { learningrate: 1 } }, /optimizer.learningrate .* Did you mean optimizer.learningRate\?/],
    [{ train: { groupSize: 4 } }, /train.groupSize .* Did you mean algorithm.groupSize\?/],
    [{ train: { zzzzzzzzzzzz: 4 } }, /train.zzzzzzzzzzzz in .* is not a known key/],
    [{ train: 3 }, /train in .* must be an object/],
    [[], /must be an object of groups/],
    [{ train: { steps: "many" } }, /train.steps: .*expected number/],
    [{ train: { steps: -1 } }, /train.steps: /],
    [{ search: { engine: "bing" } }, /search.engine: must be one of bm25, dense/],
    [{ search: { engine: "bm25+bing" } }, /search.engine: must be one of bm25, dense/],
    [{ algorithm: { groupSize: 1 } }, /groupSize is 1: grpo compares.*algorithm.name=reinforce/],
    [{ search: { engine: "http" } }, /search.url is empty/],
    [{ search: { url: "http://x" } }, /search.engine is bm25 and would not use it/],
    [{ search: { engine: "bm25+bm25" } }, /names bm25 twice/],
    [{ search: { engine: "bm25+none" } }, /none stands for no search at all/],
    [{ search: { engine: "http+searxng", url: "http://x" } }, /one search.url for http and searxng/],
    [{ search: { weights: "1,2" } }, /nothing to weigh/],
    [{ search: { engine: "bm25+dense", weights: "1" } }, /one weight for each of the 2 engines/],
    [{ search: { engine: "bm25+dense", weights: "1,-1" } }, /numbers of 0 or more, not all of them 0/],
    [{ search: { engine: "bm25+dense", weights: "0,0" } }, /numbers of 0 or more, not all of them 0/],
    [{ search: { engine: "bm25+dense", weights: "1," } }, /numbers of 0 or more, not all of them 0/],
    [
      { search: { collection: "wiki" } },
      /search.collection is set, but search.engine is bm25 and would not use it. .*lancedb, opensearch, qdrant/,
    ],
    [{ search: { engine: "opensearch", url: "http://x" } }, /search.collection is empty. Name the index/],
    [{ search: { engine: "qdrant", url: "http://x" } }, /search.collection is empty. Name the collection/],
    [{ search: { engine: "qdrant", url: "http://x", collection: "wiki" } }, /search.encoder is empty/],
    [{ search: { encoder: "hf:a/b" } }, /search.encoder is set, .* goes with dense, lancedb, qdrant/],
    [{ search: { encoderModel: "m" } }, /search.encoderModel is set, .* goes with dense, lancedb, qdrant/],
    [{ search: { engine: "dense", encoder: "hf:a/b", encoderModel: "m" } }, /only .*endpoints are asked for a model/],
    [{ search: { rerankFrom: 30 } }, /rerankFrom is 30, but search.rerank is empty/],
    [{ search: { rerank: "folder", rerankFrom: 3, topK: 5 } }, /rerankFrom \(3\) is below search.topK \(5\)/],
    [
      { search: { pages: true } },
      /search.pages is true, but search.engine is bm25 and would not use it. It goes with serper, serpapi/,
    ],
    [{ search: { cacheMode: "replay" } }, /cacheMode is replay, but search.cache is empty/],
    [{ search: { maxRequests: 5 } }, /maxRequests is 5, but search.engine is bm25, which asks no server/],
    [{ search: { pricePerThousand: 1 } }, /pricePerThousand is 1, .* asks no server/],
    [
      { search: { engine: "dense", encoder: "hf:a/b", requestsPerSecond: 1 } },
      /requestsPerSecond is 1, .* asks no server/,
    ],
    [{ rollout: { context: "question" }, search: { engine: "none" } }, /nothing to search the question in.*RAG/],
    [
      { rollout: { method: "ircot" }, search: { engine: "none" } },
      /method is ircot, which searches.*without search: direct, cot, r1/,
    ],
    [{ rollout: { method: "guess" } }, /rollout.method: .*"search-r1"\|"direct"/],
    [{ rollout: { topP: 0 } }, /rollout.topP: /],
    [{ rollout: { templateVariables: { messages: "" } } }, /templateVariables: the names must be/],
    [{ rollout: { templateVariables: { bos_token: "" } } }, /templateVariables: the names must be/],
    [{ rollout: { templateVariables: { "a b": true } } }, /templateVariables: the names must be/],
    [{ rollout: { templateVariables: { enable_thinking: { a: 1 } } } }, /rollout.templateVariables.enable_thinking: /],
    [{ run: { executionProvider: "webgpu" } }, /run.executionProvider: only cpu computes right gradients .*engine.md/],
    [{ run: { executionProvider: "" } }, /run.executionProvider: only cpu/],
    [{ run: { precision: "int4" } }, /run.precision: .*"auto"\|"int8"\|"float32"/],
    [{ rollout: { maxTokensPerTurn: 600, maxTokens: 512 } }, /maxTokensPerTurn \(600\) is larger/],
    [{ rollout: { maxObservationTokens: 0 } }, /rollout.maxObservationTokens: /],
    [{ reward: { weights: { "exact-match": 0 } } }, /nothing to learn/],
    [{ train: { updatesPerBatch: 17 } }, /updatesPerBatch \(17\) exceeds/],
    [{ train: { evalModes: "greedy" } }, /keepBest is average, which needs/],
    [
      { algorithm: { name: "rloo", std: "none" } },
      /algorithm.std is none, .* no effect .*goes with algorithm.advantage=group/,
    ],
    [{ algorithm: { baseline: "group-mean" } }, /algorithm.baseline is group-mean, .* \(grpo, with advantage=group/],
    [{ algorithm: { gamma: 0.99 } }, /algorithm.gamma is 0.99, .*algorithm.advantage=gae or reinforce\+\+/],
    [{ algorithm: { name: "reinforce++", lambda: 0.9 } }, /algorithm.lambda is 0.9, .*algorithm.advantage=gae/],
    [
      { algorithm: { name: "reinforce", clip: 0.1 } },
      /algorithm.clip is 0.1, .*importance-sampling, which clips nothing/,
    ],
    [{ algorithm: { loss: "importance-sampling", clipHigh: 0.28 } }, /algorithm.clipHigh is 0.28/],
    [{ algorithm: { klEstimator: "k2" } }, /algorithm.klEstimator is k2, .*kl=0\): it goes with algorithm.kl above 0/],
    [{ algorithm: { name: "ppo", kl: 0, klIn: "loss" } }, /algorithm.klIn is loss, .*algorithm.kl above 0/],
    [{ algorithm: { aggregation: "sequence-mean" }, faithful: { microBatchMean: 8 } }, /aggregation is sequence-mean/],
    [
      { algorithm: { name: "reinforce", groupSize: 1, dynamicSampling: 2 } },
      /dynamicSampling is 2, but .*groupSize is 1/,
    ],
    [{ algorithm: { name: "ppo" }, critic: { headStart: 50 } }, /headStart \(50\) is not below train.steps \(50\)/],
    [{ optimizer: { beta1: 1 } }, /optimizer.beta1: /],
  ])("refuses %j", (input, message) => expect(() => parseConfig(input)).toThrow(message));

  it("allows searches that are put together sensibly", () => {
    const sensible: Partial<Config["search"]>[] = [
      { engine: "bm25+dense+lancedb", weights: "1, 0.5,0", collection: "table", encoder: "hf:a/b" },
      { engine: "bm25+serper", pages: true, cache: "folder", cacheMode: "replay", maxRequests: 9 },
      { engine: "qdrant", url: "http://x", collection: "wiki", encoder: "http://y/v1", encoderModel: "m" },
      { rerank: "https://x/rerank", rerankFrom: 5, topK: 5, requestsPerSecond: 0.5 },
      { engine: "dense", encoder: "https://x/v1/embeddings", pricePerThousand: 2 },
    ];
    for (const search of sensible) expect(parseConfig({ search }).search).toMatchObject(search);
  });

  it("allows a group of one where it makes sense", () => {
    expect(parseConfig({ algorithm: { name: "reinforce", groupSize: 1 } }).algorithm.groupSize).toBe(1);
    expect(parseConfig({ algorithm: { groupSize: 1 }, faithful: { groupOfOne: true } }).algorithm.name).toBe("grpo");
  });

  it("allows what has no effect where it is what the name has anyway, and where something reads it", () => {
    const spelled = { std: "sample", clip: 0.2, gamma: 1, lambda: 1, klIn: "reward", klEstimator: "k1" } as const;
    expect(parseConfig({ algorithm: { name: "reinforce", kl: 0, ...spelled } }).algorithm.name).toBe("reinforce");
    const used = { name: "ppo", gamma: 0.99, lambda: 0.95, clip: 0.1, klEstimator: "k2" } as const;
    expect(parseConfig({ algorithm: used, critic: { headStart: 5 } }).algorithm.lambda).toBe(0.95);
    expect(parseConfig({ algorithm: { advantage: "gae", lambda: 0.95 } }).algorithm.lambda).toBe(0.95);
    expect(parseConfig({ algorithm: { kl: 0.001, klEstimator: "k2" } }).algorithm.kl).toBe(0.001);
  });

  it("accepts the recipes", () => {
    for (const { config } of Object.values(presets)) expect(parseConfig(config).algorithm.maskRetrieved).toBe(true);
  });

  it("knows no switch of the faithful mode that --faithful would leave off", () => {
    const off = configKeys().filter(({ group }) => group === "faithful");
    expect(off.map(({ path }) => path)).toEqual(Object.keys(faithful).map((key) => `faithful.${key}`));
    for (const { path, default: usual } of off) {
      expect(usual, path).toBeOneOf([false, 0]);
      expect(faithful[path.slice("faithful.".length) as keyof typeof faithful], path).toBeTruthy();
    }
    expect(parseConfig({ faithful }).faithful).toEqual(faithful);
  });

  it("names the keys in which two configurations differ", () => {
    const unmasked = mergeConfig(atlasDemo, { algorithm: { maskRetrieved: false } });
    expect(configDifferences(parseConfig(atlasDemo), parseConfig(unmasked))).toEqual(["algorithm.maskRetrieved"]);
  });
});

describe("applySets", () => {
  it("reads numbers, text, choices, truth values and single weights", () => {
    const config = parseConfig(
      applySets({ train: { steps: 5 } }, [
        "optimizer.learningRate=1e-4",
        "data.corpus=my file=1.jsonl",
        "search.engine=random",
        "algorithm.maskRetrieved=false",
        "reward.weights.search-cost=0.5",
        "rollout.templateVariables.enable_thinking=false",
        "model.folder=123",
      ]),
    );
    expect(config.optimizer.learningRate).toBe(1e-4);
    expect(config.data.corpus).toBe("my file=1.jsonl");
    expect(config.search.engine).toBe("random");
    expect(config.algorithm.maskRetrieved).toBe(false);
    expect(config.reward.weights).toEqual({ "exact-match": 1, "search-cost": 0.5 });
    expect(config.rollout.templateVariables).toEqual({ enable_thinking: false });
    expect(config.model.folder).toBe("123");
    expect(config.train.steps).toBe(5);
  });

  it("does not change its argument", () => {
    const before = { train: { steps: 5 } };
    applySets(before, ["train.steps=6"]);
    expect(before.train.steps).toBe(5);
  });

  it.each([
    ["train.steps", /has no value/],
    ["trian.steps=4", /trian.steps in --set is not a known key. Did you mean train.steps\?/],
    ["learningRate=1", /Did you mean critic.learningRate or optimizer.learningRate or sft.learningRate\?/],
    ["train.steps=lots", /--set train.steps=lots cannot be used: .* Expected integer/],
    ["search.engine=bm25+bing", /must be one of bm25, dense/],
    ["run.executionProvider=cuda", /cannot be used: only cpu .*, or set it to cpu\. Expected "cpu"\.$/],
    ["train.steps.more=1", /not a known key/],
  ])("refuses --set %s", (set, message) => expect(() => applySets({}, [set])).toThrow(message));
});

describe("the table of keys", () => {
  it("has a meaning for every key, and a row in the docs table", () => {
    const keys = configKeys();
    expect(keys.length).toBeGreaterThan(50);
    for (const key of keys) {
      expect(key.help.length).toBeGreaterThan(5);
    }
  });

  it("mergeConfig keeps the keys that are not overridden", () => {
    const merged = mergeConfig({ train: { steps: 1, seed: 2 } }, { train: { steps: 3 }, search: { topK: 2 } });
    expect(merged).toEqual({ train: { steps: 3, seed: 2 }, search: { topK: 2 } });
  });
});

describe("loadConfig", () => {
  let folder: string;
  beforeEach(async () => {
    folder = await mkdtemp(path.join(os.tmpdir(), "sleuth-config-"));
  });
  afterEach(() => rm(folder, { recursive: true, force: true }));
  const write = async (name: string, text: string): Promise<string> => {
    await writeFile(path.join(folder, name), text);
    return path.join(folder, name);
  };

  it("reads TypeScript with types and imports, in folders with and without a package.json", async () => {
    await write("steps.ts", "export const steps: number = 7;");
    const source =
      'import { steps } from "./steps.js"; const c: { train: { steps: number } } = { train: { steps } }; export default c;';
    const file = await write("sleuth.config.ts", source);
    expect(await loadConfig(file)).toEqual({ train: { steps: 7 } });
    await write("package.json", '{"type":"module"}');
    const second = await write("other.config.ts", source);
    expect(await loadConfig(second)).toEqual({ train: { steps: 7 } });
  });

  it("reads JSON and finds a folder's file", async () => {
    expect(findConfigFile(folder)).toBeUndefined();
    const file = await write("sleuth.config.json", '{"train":{"steps":3}}');
    expect(findConfigFile(folder)).toBe(file);
    expect(await loadConfig(file)).toEqual({ train: { steps: 3 } });
  });

  it("explains what is wrong with a file", async () => {
    await expect(loadConfig(path.join(folder, "none.ts"))).rejects.toThrow(/does not exist/);
    await expect(loadConfig(await write("a.json", "{train:"))).rejects.toThrow(/a.json is not valid JSON/);
    await expect(loadConfig(await write("b.ts", "export const x = 1;"))).rejects.toThrow(/exports no configuration/);
    await expect(loadConfig(await write("c.ts", "throw new Error('my mistake');"))).rejects.toThrow(
      /does not run: my mistake/,
    );
    await expect(loadConfig(await write("d.ts", "export default {{;"))).rejects.toThrow(/d.ts does not run/);
  });
});
