/**
 * @file Tables on a real S3-compatible server. `node scripts/servers/s3.mjs npx vitest run src/search/dense/lancedb/s3.test.ts` starts one
 * (MinIO) for the time of the tests; any other does with SLEUTH_TEST_S3=s3://bucket/folder and AWS_ENDPOINT, AWS_ACCESS_KEY_ID and
 * AWS_SECRET_ACCESS_KEY.
 */
import { connect, createServer } from "node:net";
import type { AddressInfo, Socket } from "node:net";
import { describe, expect, it } from "vitest";
import { searchConformance } from "../../conformance.js";
import { SearchError } from "../../engine.js";
import { LanceTable, buildLanceTable } from "./build.js";
import { childPassages } from "./child.test-support.js";
import { LancePassages } from "./passages.js";
import {
  absent,
  inPieces,
  indexedLanceEngine,
  lanceEngine,
  objectStorage,
  wordEncoder,
} from "./tables.test-support.js";

const reason =
  absent !== "" ? absent : objectStorage === "" ? " (skipped: SLEUTH_TEST_S3 names no address on a server)" : "";
const encoder = wordEncoder();
let made = 0;
const freshAddress = (): string => `${objectStorage}/${process.pid}-${Date.now()}-${made++}`;

describe.skipIf(reason !== "")(`LanceDB on object storage${reason}`, () => {
  searchConformance("lancedb on object storage", (passages) => lanceEngine(freshAddress(), passages), {
    ranking: "own",
  });

  searchConformance(
    "lancedb on object storage, by an index",
    (passages) => indexedLanceEngine(freshAddress(), passages),
    { ranking: "own" },
  );

  it("build, index, resume, add, delete, optimise: as in a folder", async () => {
    const address = freshAddress();
    const options = { address, encoder, source: "s3", rowsPerCommit: 100, indexFrom: 500 };
    await buildLanceTable({ ...options, rows: inPieces(childPassages(250), 50) });
    const built = await buildLanceTable({ ...options, rows: inPieces(childPassages(600), 50) });
    expect(built).toEqual({ passages: 600, resumedFrom: 250, leftOut: [], leftOutBefore: 0, hasIndex: true });

    const open = await LancePassages.open({ address, refreshSeconds: 0 });
    expect(open).toMatchObject({ count: 600, encoder: "words", hasIndex: true });
    const find = async (query: string) => (await open.search(await encoder.encode([query], "query"), 1))[0][0].id;
    expect(await find("word77 of many")).toBe("p77");
    const table = await LanceTable.open({ address, encoder });
    await table.add({ passages: [{ id: "new", title: "", text: "quokka island" }] });
    expect(await find("quokka island")).toBe("new");
    await table.optimize();
    expect(table.unindexed).toBe(0);
    await table.delete(["new"]);
    expect(await find("quokka island")).not.toBe("new");
    await table.close();
    await open.close();
  });

  it("two writers at once: both are heard (the server's conditional puts)", async () => {
    const address = freshAddress();
    await buildLanceTable({ address, encoder, rows: inPieces(childPassages(10)) });
    const writers = [await LanceTable.open({ address, encoder }), await LanceTable.open({ address, encoder })];
    await Promise.all(
      writers.map(async (table, writer) => {
        for (let row = 0; row < 5; row++)
          await table.add({ passages: [{ id: `w${writer}-${row}`, title: "", text: `row ${row}` }] });
      }),
    );
    await Promise.all(writers.map((table) => table.close()));
    const all = await LancePassages.open({ address });
    expect(all.count).toBe(20);
    await all.close();
  });

  const checksNoKeys = process.env.SLEUTH_TEST_S3_CHECKS_NO_KEYS !== undefined;
  const why = checksNoKeys ? " (skipped: this server checks no keys)" : "";
  it.skipIf(checksNoKeys)(`a wrong key is an error without the key, and not worth another try${why}`, async () => {
    const environment = { ...process.env, AWS_SECRET_ACCESS_KEY: "quite-wrong-secret" };
    const error: unknown = await LancePassages.open({ address: freshAddress(), table: "t", environment }).catch(
      (caught: unknown) => caught,
    );
    expect(error).toBeInstanceOf(SearchError);
    expect(error).toMatchObject({ isRetryable: false });
    expect(String(error)).not.toContain("quite-wrong-secret");
  });

  it("storage that goes away in the middle fails searches in words, and within their deadline; when it is back they succeed", async () => {
    const address = freshAddress();
    await buildLanceTable({ address, encoder, rows: inPieces(childPassages(50)) });
    const way = await openWay(new URL(process.env.AWS_ENDPOINT ?? ""));
    const environment = { ...process.env, AWS_ENDPOINT: way.url, CLIENT_MAX_RETRIES: "1", CLIENT_RETRY_TIMEOUT: "1" };
    const table = await LancePassages.open({ address, environment, timeoutMs: 3_000, refreshSeconds: 0 });
    const query = await encoder.encode(["word7 of many"], "query");
    const ask = async () => (await table.search(query, 1))[0][0].id;
    expect(await ask()).toBe("p7");
    for (const state of ["hanging", "closed"] as const) {
      way.set(state);
      await expect(ask()).rejects.toMatchObject({ name: "SearchError", isRetryable: true });
      way.set("open");
      expect(await ask()).toBe("p7");
    }
    await table.close();
    way.end();
  }, 30_000);

  it("an address without tables is said", async () => {
    await expect(LancePassages.open({ address: freshAddress() })).rejects.toThrow(/holds no LanceDB table/);
  });
});

/** A way to the server that can be cut: "hanging" takes connections and says nothing, "closed" breaks them off. */
async function openWay(
  to: URL,
): Promise<{ url: string; set: (state: "open" | "hanging" | "closed") => void; end: () => void }> {
  let state: "open" | "hanging" | "closed" = "open";
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on("error", () => {});
    socket.on("close", () => sockets.delete(socket));
    if (state === "closed") socket.destroy();
    if (state !== "open") return;
    const onward = connect(Number(to.port), to.hostname);
    onward.on("error", () => socket.destroy());
    socket.on("close", () => onward.destroy());
    socket.pipe(onward).pipe(socket);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    set: (next) => {
      state = next;
      for (const socket of sockets) socket.destroy();
    },
    end: () => {
      server.close();
      for (const socket of sockets) socket.destroy();
    },
  };
}
