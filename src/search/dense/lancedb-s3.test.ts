/**
 * @file Tables on a real S3-compatible server. `node scripts/servers/s3.mjs npx vitest run src/search/dense/lancedb-s3.test.ts` starts one
 * (MinIO) for the time of the tests; any other does with SLEUTH_TEST_S3=s3://bucket/folder and AWS_ENDPOINT, AWS_ACCESS_KEY_ID and
 * AWS_SECRET_ACCESS_KEY.
 */
import { describe, expect, it } from "vitest";
import { searchConformance } from "../conformance.js";
import { SearchError } from "../engine.js";
import { LanceTable, buildLanceTable } from "./lancedb-build.js";
import { childPassages } from "./lancedb-child.test-support.js";
import { LancePassages } from "./lancedb.js";
import { absent, inPieces, lanceEngine, objectStorage, wordEncoder } from "./lancedb.test-support.js";

const reason =
  absent !== "" ? absent : objectStorage === "" ? " (skipped: SLEUTH_TEST_S3 names no address on a server)" : "";
const encoder = wordEncoder();
let made = 0;
const freshAddress = (): string => `${objectStorage}/${process.pid}-${Date.now()}-${made++}`;

describe.skipIf(reason !== "")(`LanceDB on object storage${reason}`, () => {
  searchConformance("lancedb on object storage", (passages) => lanceEngine(freshAddress(), passages), {
    ranking: "own",
  });

  it("build, index, resume, add, delete, optimise: as in a folder", async () => {
    const address = freshAddress();
    const options = { address, encoder, source: "s3", rowsPerCommit: 100, indexFrom: 500 };
    await buildLanceTable({ ...options, rows: inPieces(childPassages(250), 50) });
    const built = await buildLanceTable({ ...options, rows: inPieces(childPassages(600), 50) });
    expect(built).toEqual({ passages: 600, resumedFrom: 250, hasIndex: true });

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

  it("a wrong key is an error without the key, and not worth another try", async () => {
    const environment = { ...process.env, AWS_SECRET_ACCESS_KEY: "quite-wrong-secret" };
    const error: unknown = await LancePassages.open({ address: freshAddress(), table: "t", environment }).catch(
      (caught: unknown) => caught,
    );
    expect(error).toBeInstanceOf(SearchError);
    expect(error).toMatchObject({ isRetryable: false });
    expect(String(error)).not.toContain("quite-wrong-secret");
  });

  it("an address without tables is said", async () => {
    await expect(LancePassages.open({ address: freshAddress() })).rejects.toThrow(/holds no LanceDB table/);
  });
});
