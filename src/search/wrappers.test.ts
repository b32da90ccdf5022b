/** @file What stands around engines runs the conformance suite of engines. */
import { mkdtempSync, rmSync } from "node:fs";
import type { PairScorer } from "./engine.js";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll } from "vitest";
import type { Passage } from "../types.js";
import { Bm25Engine } from "./bm25/engine.js";
import { RecordedEngine, absentEngine, type RecordedSettings } from "./middleware/recorded.js";
import { searchConformance } from "./conformance.js";
import type { MakeEngine } from "./conformance.js";
import { FailingEngine } from "../../scripts/failing-engine.js";
import { HybridEngine } from "./middleware/hybrid.js";
import { openEngine } from "./open.js";
import { RandomEngine } from "./controls.js";
import { RerankEngine } from "./middleware/rerank.js";
import { SingleFlightEngine } from "./middleware/coalesce.js";

const folder = mkdtempSync(join(tmpdir(), "sleuth-wrappers-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
let made = 0;

const bm25: MakeEngine = async (passages, settings) => Bm25Engine.fromPassages(passages, settings);

/** By the letters that a pair shares: nothing that BM25 knows of. */
const letters: PairScorer = {
  name: "letters",
  score: (pairs) =>
    Promise.resolve(
      pairs.map(({ query, passage }) => new Set([...query].filter((letter) => passage.includes(letter))).size),
    ),
  close: () => Promise.resolve(),
};

function recording(mode: RecordedSettings["mode"], own: string): RecordedSettings {
  return { folder: join(folder, own), mode, identity: "world" };
}

/** Every answer is recorded, and read again by a cache that has just been opened and may ask nobody. */
const replayed: MakeEngine = async (...given) => {
  const own = `replayed-${made++}`;
  const recorder = await RecordedEngine.open(await bm25(...given), recording("use", own));
  return {
    name: "replayed",
    searchBatch: async (queries, k, options): Promise<Passage[][]> => {
      await recorder.searchBatch(queries, k, options);
      const player = await RecordedEngine.open(absentEngine("bm25"), recording("replay", own));
      try {
        return await player.searchBatch(queries, k, options);
      } finally {
        await player.close();
      }
    },
    close: () => recorder.close(),
  };
};

searchConformance(
  "hybrid",
  async (passages, settings) =>
    new HybridEngine([
      { engine: await bm25(passages, settings) },
      { engine: new RandomEngine(passages, 3), weight: 0.5 },
    ]),
  { ranking: "own" },
);
searchConformance("rerank", async (...given) => new RerankEngine(await bm25(...given), letters), { ranking: "own" });
searchConformance(
  "recorded",
  async (...given) => RecordedEngine.open(await bm25(...given), recording("use", `recorded-${made++}`)),
  { runs: 12 },
);
searchConformance(
  "recorded anew",
  async (...given) => RecordedEngine.open(await bm25(...given), recording("refresh", `refreshed-${made++}`)),
  { runs: 6 },
);
searchConformance("replayed", replayed, { runs: 6 });
searchConformance("single flight", async (...given) => new SingleFlightEngine(await bm25(...given)), { runs: 12 });
searchConformance(
  "failing, share 0",
  async (...given) => new FailingEngine(await bm25(...given), { share: 0, seed: 1 }),
  { runs: 12 },
);
searchConformance(
  "all of it, from settings",
  (passages) =>
    openEngine(
      { engine: "bm25+random", weights: "1,0.25", cache: join(folder, "all") },
      { passages: () => Promise.resolve(passages) },
    ),
  { ranking: "own" },
);
