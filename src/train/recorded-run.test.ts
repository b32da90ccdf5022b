/** @file A run whose searches were recorded can be made again, exactly, while nothing can be asked; and a budget holds over several starts. */
import { existsSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import os from "node:os";
import path from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { toAnswer } from "../search/serving/wire.js";
import { mergeConfig, type ConfigInput } from "./config/config.js";
import { readMetrics } from "./metrics-file.js";
import { isMeasuredTime, type MetricLine } from "./metrics.js";
import { tinyConfig, tinyParts } from "./tiny-run.test-support.js";
import { train } from "./train.js";

let root: string;
let server: Server;
let requests: number;
beforeEach(async () => {
  root = await mkdtemp(path.join(os.tmpdir(), "sleuth-recorded-run-"));
  requests = 0;
  server = createServer((request, response) => {
    let text = "";
    request.on("data", (piece) => (text += String(piece)));
    request.on("end", () => {
      requests++;
      const { queries } = JSON.parse(text) as { queries: string[] };
      const passage = { id: "1", title: "Letters", text: "a is a letter.", score: 1 };
      response.end(
        JSON.stringify(
          toAnswer(
            queries.map(() => [passage]),
            true,
          ),
        ),
      );
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
});
afterEach(async () => {
  server.closeAllConnections();
  server.close();
  await rm(root, { recursive: true, force: true });
});

/** The tiny run with the server as its search engine. */
async function run(name: string, search: ConfigInput["search"], steps = 3): Promise<MetricLine[]> {
  const { policy, questions } = tinyParts();
  const folder = path.join(root, name);
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const over: ConfigInput = { search: { engine: "http", url, ...search } };
  await train(mergeConfig(tinyConfig(folder, { steps }), over), { policy, questions });
  return readMetrics(folder);
}

const repeatable = (lines: readonly MetricLine[]): object[] =>
  lines.map((line) => Object.fromEntries(Object.entries(line).filter(([name]) => !isMeasuredTime(name))));

it("repeats a run from its cache, and says in the metrics what was asked", async () => {
  const cache = path.join(root, "cache");
  const recorded = await run("recorded", { cache });
  const asked = requests;
  expect(asked).toBeGreaterThan(0);
  const steps = recorded.filter(({ step }) => step > 0);
  expect(steps.reduce((sum, line) => sum + (line["search/requests"] ?? 0), 0)).toBeLessThanOrEqual(asked);
  // All of them search for the same, which was asked once.
  expect(steps.at(-1)?.["search/cacheHitRate"]).toBe(1);
  expect(recorded.some((line) => (line["searches/perQuestion"] ?? 0) > 0)).toBe(true);

  const replayed = await run("replayed", { cache, cacheMode: "replay" });
  expect(requests).toBe(asked);
  expect(repeatable(replayed)).toEqual(repeatable(recorded));
  expect(replayed.every((line) => (line["searches/failed"] ?? 0) === 0)).toBe(true);
});

it("counts requests over all starts of a run, and goes on without searching when none are left", async () => {
  const budget = { maxRequests: 4, pricePerThousand: 1000 };
  const first = await run("bounded", budget, 1);
  expect(existsSync(path.join(root, "bounded", "search-requests.jsonl"))).toBe(true);
  const spent = first.at(-1)?.["search/spentUsd"] ?? 0;
  expect(spent).toBeGreaterThan(0);
  const lines = await run("bounded", budget, 3);
  expect(requests).toBe(4);
  expect(lines.at(-1)?.["search/spentUsd"]).toBe(4);
  expect(lines.at(-1)?.["searches/failed"]).toBe(1);
});
