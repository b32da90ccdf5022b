/** @file Every engine runs the one conformance suite. */
import { rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, describe } from "vitest";
import { scratchFolder } from "../files/failing-disk.test-support.js";
import { buildIndex } from "./bm25/build.js";
import { addToIndex, deleteFromIndex } from "./bm25/change.js";
import { Bm25Engine } from "./bm25/engine.js";
import { openIndex } from "./bm25/open.js";
import { searchConformance } from "./conformance.js";
import type { MakeEngine } from "./conformance.js";
import type { Bm25Settings } from "./bm25/settings.js";
import type { SearchEngine } from "./engine.js";
import {
  absent as lanceIsMissing,
  foreignLanceEngine,
  indexedLanceEngine,
  lanceEngine,
} from "./dense/lancedb/tables.test-support.js";
import { EmptyEngine, NoneEngine, RandomEngine } from "./controls.js";
import { HttpEngine } from "./remote/http.js";
import { openOver, remoteProtocols } from "./remote/servers.test-support.js";
import { serve } from "./serving/server.js";
import { inProcess } from "./serving/in-process.test-support.js";
import type { StoredPassage } from "../types.js";

const folder = scratchFolder("sleuth-search-");
afterAll(() => rmSync(folder, { recursive: true, force: true }));
let built = 0;

const inMemory: MakeEngine = async (passages, settings) => Bm25Engine.fromPassages(passages, settings);

/** Through a corpus file and an index folder; runs of 100 bytes, so that every build spills and merges. */
const fromFiles: MakeEngine = async (passages, settings) => {
  const corpus = join(folder, `corpus-${built}.jsonl`);
  const out = join(folder, `index-${built++}`);
  writeFileSync(corpus, passages.map((passage) => JSON.stringify(passage)).join("\n"));
  await buildIndex({ corpus: [corpus], out, settings, runBytes: 100, workers: 0 });
  return openIndex(out);
};

/** Through an index that grew piece by piece, with passages in between that are deleted or replaced, and never merged. */
const fromChanges = async (
  passages: readonly StoredPassage[],
  settings?: Partial<Bm25Settings>,
  workers = 0,
): Promise<SearchEngine> => {
  const index = join(folder, `index-${built++}`);
  const options = { folder: index, merge: false } as const;
  const batches = async function* (...batch: StoredPassage[]): AsyncGenerator<StoredPassage[]> {
    yield batch;
  };
  const gone = (id: string): StoredPassage => ({ id, title: "Lima", text: "capital of Peru, owl song" });
  await buildIndex({ out: index, passages: batches(gone("gone-1"), gone("gone-2")), settings });
  for (let first = 0; first < passages.length; first += 5) {
    const piece = passages.slice(first, first + 5);
    await addToIndex({ ...options, passages: batches(gone(piece[0].id), gone(`gone-at-${first}`)) });
    await addToIndex({ ...options, passages: batches(...piece), replace: true });
    await deleteFromIndex({ ...options, ids: [`gone-at-${first}`] });
  }
  await deleteFromIndex({ ...options, ids: ["gone-1", "gone-2"] });
  return openIndex(index, {}, { workers });
};

/** The client against our own server, without a port between them. */
const overHttp: MakeEngine = async (passages, settings) => {
  const { fetch } = inProcess(Bm25Engine.fromPassages(passages, settings));
  return new HttpEngine({ url: "http://search.test", chunkSize: 2 }, { fetch });
};

/** Over a real connection. */
const overPort: MakeEngine = async (passages, settings) => {
  const server = await serve({ engine: Bm25Engine.fromPassages(passages, settings), port: 0 });
  const engine = new HttpEngine({ url: server.url });
  const close = engine.close.bind(engine);
  engine.close = async () => {
    await close();
    await server.close();
  };
  return engine;
};

searchConformance("bm25 in memory", inMemory);
searchConformance("bm25 from files", fromFiles, { runs: 25 });
searchConformance("bm25 from an index that grew and lost passages", (...given) => fromChanges(...given), { runs: 10 });
searchConformance(
  "bm25 from such an index, read in a worker",
  (passages, settings) => fromChanges(passages, settings, 1),
  {
    runs: 2,
  },
);
searchConformance("http, app in process", overHttp);
searchConformance("http, real port", overPort, { runs: 6 });
for (const protocol of [remoteProtocols.openSearch, remoteProtocols.qdrant])
  searchConformance(
    `${protocol.name}, a server in the test`,
    async (...given) => openOver(protocol, ...given),
    protocol === remoteProtocols.qdrant ? { ranking: "own" } : { runs: 10 },
  );
const address = (): string => join(folder, `lancedb-${built++}`);
describe.skipIf(lanceIsMissing !== "")(`tables${lanceIsMissing}`, () => {
  searchConformance("lancedb", (passages) => lanceEngine(address(), passages), { ranking: "own" });
  searchConformance("lancedb, by an index", (passages) => indexedLanceEngine(address(), passages), { ranking: "own" });
  searchConformance("lancedb, a table of others", (passages) => foreignLanceEngine(address(), passages), {
    ranking: "own",
    shown: ({ id, title, text }) => ({ id, title, text }),
  });
});
searchConformance("random", async (passages) => new RandomEngine(passages, 7), { ranking: "own" });
searchConformance("none", async () => new NoneEngine(), { ranking: "own" });
searchConformance("empty", async () => new EmptyEngine(), { ranking: "own" });
