/** @file The table of engines, what derives from it, and settings that make no sense with some of them. */
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { checkEngineSettings, settingsOf } from "./contradictions.js";
import { EmptyEngine } from "./controls.js";
import { identityOf } from "./middleware/identity.js";
import { openEngine } from "./open.js";
import { engineNames, engines, enginesNamed, ownSettings, readsSetting, takesOneQueryPerRequest } from "./registry.js";
import type { EngineName, EngineRow } from "./registry.js";
import { defaultEngineSettings } from "./settings.js";
import type { EngineSettings } from "./settings.js";

const over = (settings: Partial<EngineSettings>): EngineSettings => ({ ...defaultEngineSettings, ...settings });
const hunting = { passages: async () => [{ id: "0", title: "", text: "owls hunt" }] };

it.each<[string, Partial<EngineSettings>, string]>([
  ["bm25", {}, "3433bd989ee4b535d948ea39d6d3a0fb"],
  ["bm25", { k1: 1.2, b: 0.75 }, "54eff36d51ef9eedf26aeda709b1671c"],
  ["random", { seed: 7 }, "2995470917d271a695f9af0f18269bf8"],
  ["bm25+http", { url: "http://search.test", weights: "1,0.5", rerank: "folder" }, "38f1274e929bffe986bac3218c8f33b7"],
  ["qdrant", { url: "http://q", collection: "c", encoder: "hf:a/b" }, "bbd300b99c4605c09f3a7aaf79c52607"],
  ["serper", { pages: true }, "fded684dce9e49a2467650a4d3b68622"],
  ["empty", {}, "28145b34e9f2d66ef070627eb1ec2e91"],
])("answers of %s that 580f2e2 recorded with %j are found again", async (engine, settings, identity) => {
  expect(await identityOf(over({ engine, ...settings }), enginesNamed(engine), hunting)).toBe(identity);
});

it.each(ownSettings)("answers are recorded apart for another %s", async (setting) => {
  const engine = engineNames.find((name) => readsSetting(name, setting)) as EngineName;
  const other = { string: "other", boolean: true, number: 2 }[typeof defaultEngineSettings[setting] as "string"];
  // The numbers that may be "auto" are texts by default.
  const changed = over({ engine, [setting]: defaultEngineSettings[setting] === "auto" ? 0.5 : other });
  expect(await identityOf(changed, [engine], hunting)).not.toBe(await identityOf(over({ engine }), [engine], hunting));
});

it("needs are settings that may be empty texts, and every engine that asks servers says where its passages are from", () => {
  for (const name of engineNames) {
    const { needs = {}, asksServers, source } = engines[name];
    for (const setting of Object.keys(needs)) expect(defaultEngineSettings).toHaveProperty(setting, "");
    if (asksServers) expect([name, source]).not.toEqual([name, undefined]);
  }
});

it("settings that a neighbour needs are kept from an engine that would refuse them", () => {
  const all = { index: "i", url: "http://x", encoder: "e", weights: "1,2", pages: true, maxRequests: 5, k1: 1 };
  expect(settingsOf("bm25", all)).toEqual({ engine: "bm25", index: "i", k1: 1 });
  expect(settingsOf("bm25+dense", all)).toEqual({
    engine: "bm25+dense",
    index: "i",
    encoder: "e",
    weights: "1,2",
    k1: 1,
  });
  expect(settingsOf("searxng", all)).toMatchObject({ url: "http://x", pages: true, maxRequests: 5 });
  // The index may name a server that encodes.
  expect(settingsOf("dense", { maxRequests: 5 })).toEqual({ engine: "dense", maxRequests: 5 });
  expect(settingsOf("dense", { encoder: "folder", maxRequests: 5 })).toEqual({ engine: "dense", encoder: "folder" });
});

describe("a new engine", () => {
  const fake = "fake" as EngineName;
  const row: EngineRow = {
    open: async () => new EmptyEngine(),
    reads: ["seed", "k1"],
    needs: { url: "Set search.url to the moon." },
    asksServers: true,
    onePerRequest: true,
    pricePerThousand: 500,
    alone: "is shy",
  };
  beforeEach(() => void (engines[fake] = row));
  afterEach(() => void delete (engines as Partial<typeof engines>)[fake]);
  const refusing = (settings: Partial<EngineSettings>) => expect(() => checkEngineSettings(over(settings)));

  it("touches one row: names, checks, columns and the way it is asked follow", () => {
    expect(enginesNamed("bm25+fake")).toEqual(["bm25", "fake"]);
    refusing({ engine: fake }).toThrow("search.engine is fake, but search.url is empty. Set search.url to the moon.");
    refusing({ engine: fake, url: "http://x", b: 0.5 }).toThrow("search.b is 0.5, but search.engine is fake");
    refusing({ engine: "bm25+fake", url: "http://x" }).toThrow("fake is shy and cannot be fused");
    refusing({ engine: fake, url: "http://x", k1: 2, maxRequests: 1 }).not.toThrow();
    const all = { url: "http://x", collection: "c", k1: 2, b: 0.5, seed: 1, maxRequests: 5, pages: true };
    expect(settingsOf(fake, all)).toEqual({ engine: fake, url: "http://x", k1: 2, seed: 1, maxRequests: 5 });
    expect(readsSetting(fake, "url")).toBe(true);
    expect([takesOneQueryPerRequest("bm25+fake"), takesOneQueryPerRequest("bm25+no-such")]).toEqual([true, false]);
  });

  it("is opened with its price, and recorded by what it reads", async () => {
    engines[fake] = {
      ...row,
      open: async (_, { http }) => {
        await http?.beforeRequest?.(new AbortController().signal);
        return new EmptyEngine();
      },
    };
    const engine = await openEngine({ engine: fake, url: "http://x" });
    expect(engine.counts?.()).toMatchObject({ budgetedRequests: 1, spentUsd: 0.5 });
    const identity = (settings: Partial<EngineSettings>) => identityOf(over({ engine: fake, ...settings }), [fake], {});
    expect(await identity({ seed: 1 })).not.toBe(await identity({ seed: 2 }));
    expect(await identity({ index: "a" })).toBe(await identity({ index: "b" }));
  });
});
