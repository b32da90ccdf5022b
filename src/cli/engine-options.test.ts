import { Command } from "commander";
import { describe, expect, it } from "vitest";
import { defaultEngineSettings } from "../search/settings.js";
import { addEngineOptions, engineSettings } from "./engine-options.js";

function settingsOf(...args: string[]) {
  const command = new Command().exitOverride().configureOutput({ writeErr: () => undefined });
  addEngineOptions(command);
  return engineSettings(command.parse(args, { from: "user" }).opts());
}

describe("options of a search engine", () => {
  it("leaves what was not given to the engine's defaults", () => {
    expect(settingsOf()).toEqual({});
    expect(settingsOf("--index", "folder")).toEqual({ index: "folder" });
  });

  it("takes every setting, as the type that openEngine wants", () => {
    const line =
      "--engine bm25+dense --index i --url http://h --collection c --encoder e --encoder-model m --k1 1.2 --b 0.75 " +
      "--weights 1,0.5 --rerank r --rerank-from 30 --pages --cache folder --cache-mode replay --max-requests 9 " +
      "--price-per-thousand 0.5 --requests-per-second 2.5 --timeout-ms 500 --seed 3";
    const settings = settingsOf(...line.split(" "));
    expect(settings).toEqual({
      engine: "bm25+dense",
      index: "i",
      url: "http://h",
      collection: "c",
      encoder: "e",
      encoderModel: "m",
      k1: 1.2,
      b: 0.75,
      weights: "1,0.5",
      rerank: "r",
      rerankFrom: 30,
      pages: true,
      cache: "folder",
      cacheMode: "replay",
      maxRequests: 9,
      pricePerThousand: 0.5,
      requestsPerSecond: 2.5,
      timeoutMs: 500,
      seed: 3,
    });
    const missing = Object.keys(defaultEngineSettings).filter((key) => !(key in settings));
    expect(missing).toEqual([]);
  });

  it("an address alone means a /retrieve server; a named engine stays", () => {
    expect(settingsOf("--url", "http://h")).toEqual({ url: "http://h", engine: "http" });
    expect(settingsOf("--url", "http://h", "--engine", "qdrant")).toMatchObject({ engine: "qdrant" });
  });

  it.each([["--rerank-from=0"], ["--cache-mode=sometimes"], ["--k1=high"], ["--timeout-ms=1.5"]])("refuses %s", (arg) =>
    expect(() => settingsOf(arg)).toThrow(),
  );
});
