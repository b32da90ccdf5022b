import { mkdirSync, mkdtempSync, readdirSync, rmSync, truncateSync } from "node:fs";
import { createServer } from "node:http";
import type { RequestListener, Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { UserError } from "../../../errors.js";
import { SearchError } from "../../engine.js";
import { buildLanceTable } from "./build.js";
import { childPassages } from "./child.test-support.js";
import { loadLance } from "./library.js";
import { LancePassages } from "./passages.js";
import { absent, emptyTable, foreignTable, inPieces, testDimensions, wordEncoder } from "./tables.test-support.js";

const folder = mkdtempSync(join(tmpdir(), "sleuth-lancedb-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
let made = 0;
const freshAddress = (): string => join(folder, `db-${made++}`);
const encoder = wordEncoder();
const vectorOf = async (text: string): Promise<number[]> => [...(await encoder.encode([text], "passage"))];
const open: LancePassages[] = [];
async function openTable(given: Parameters<typeof LancePassages.open>[0]): Promise<LancePassages> {
  const table = await LancePassages.open(given);
  open.push(table);
  return table;
}
afterAll(() => Promise.all(open.map((table) => table.close())));

const animals = ["owl of the night", "fox in the snow", "eel under stones", "elk on the hill"];

describe.skipIf(absent !== "")(`tables of others${absent}`, () => {
  const address = freshAddress();
  beforeAll(async () => {
    const rows = async (row: (text: string, number: number, vector: number[]) => Record<string, unknown>) =>
      Promise.all(animals.map(async (text, number) => row(text, number, await vectorOf(text))));
    await foreignTable(address, "notes", await rows((body, key, vector) => ({ key, body, vector, year: 1999 + key })));
    await foreignTable(
      address,
      "wiki",
      await rows((text, number, vector) => ({ vector, contents: `"Animal ${number}"\n${text}` })),
    );
    // Not of unit length.
    await foreignTable(
      address,
      "long",
      await rows((text, id, vector) => ({ id: `a${id}`, text, vector: vector.map((value) => value * (3 + id)) })),
    );
    await foreignTable(
      address,
      "gaps",
      await rows((text, id, vector) => ({
        id: `a${id}`,
        title: id === 1 ? null : "t",
        text: id === 1 ? null : text,
        vector,
      })),
    );
    await emptyTable(address, "empty", { vector: testDimensions });
    await emptyTable(address, "two", { left: 4, right: 8 });
  });
  const ask = async (table: LancePassages, query: string, k = 1) =>
    (await table.search(await encoder.encode([query], "query"), k))[0];

  it("columns by name and type; whole numbers become ids; nothing is recorded about the encoder", async () => {
    const table = await openTable({ address, table: "notes" });
    expect(table).toMatchObject({ count: 4, dimensions: testDimensions, encoder: undefined, hasIndex: false });
    expect(await ask(table, "fox snow")).toEqual([
      { id: "1", title: "", text: "fox in the snow", score: expect.closeTo(0.7, 0) },
    ]);
  });

  it("`contents` has the title in it; without a column of ids the row's number is one", async () => {
    const [found] = await ask(await openTable({ address, table: "wiki" }), "eel under");
    expect(found).toMatchObject({ id: "2", title: "Animal 2", text: "eel under stones" });
  });

  it("scores are cosines, whatever the vectors' lengths", async () => {
    const [found] = await ask(await openTable({ address, table: "long" }), animals[3]);
    expect(found.id).toBe("a3");
    expect(found.score).toBeCloseTo(1, 5);
  });

  it("a text or title that is null is empty", async () => {
    const [found] = await ask(await openTable({ address, table: "gaps" }), animals[1]);
    expect(found).toMatchObject({ id: "a1", title: "", text: "" });
  });

  it("the folder of the table itself names it", async () => {
    expect(await ask(await openTable({ address: join(address, "notes.lance") }), "owl")).toMatchObject([{ id: "0" }]);
  });

  it("an empty table has no answers", async () => {
    expect(await ask(await openTable({ address, table: "empty" }), "owl", 3)).toEqual([]);
  });

  it("columns that are said", async () => {
    const table = await openTable({ address, table: "notes", columns: { id: "year", title: "body" } });
    expect(await ask(table, "owl night")).toMatchObject([{ id: "1999", title: animals[0], text: animals[0] }]);
  });

  it("several vector columns must be told apart", async () => {
    await expect(LancePassages.open({ address, table: "two" })).rejects.toThrow(
      /several vector columns \(left, right\).*left \(FixedSizeList\[4\].*two:vector=COLUMN/,
    );
    expect(await openTable({ address, table: "two", columns: { vector: "right" } })).toMatchObject({ dimensions: 8 });
  });

  it("a table that is not there: the tables that are, and the nearest name", async () => {
    await expect(LancePassages.open({ address, table: "notse" })).rejects.toThrow(
      /holds no LanceDB table "notse".*empty, gaps, long, notes, two, wiki.*Did you mean notes\?/,
    );
    await expect(LancePassages.open({ address })).rejects.toThrow(/several LanceDB tables.*--collection TABLE/);
  });

  it("a folder that is not there is not made; one without tables is said", async () => {
    const nowhere = join(folder, "nowhere");
    await expect(LancePassages.open({ address: nowhere })).rejects.toThrow(/There is no folder/);
    expect(readdirSync(folder)).not.toContain("nowhere");
    const bare = freshAddress();
    mkdirSync(bare);
    await expect(LancePassages.open({ address: bare })).rejects.toThrow(/holds no LanceDB table/);
  });

  it("finds by an index of another metric with that metric", async () => {
    const other = freshAddress();
    const passages = childPassages(400);
    const rows = await Promise.all(passages.map(async ({ id, text }) => ({ id, text, vector: await vectorOf(text) })));
    await foreignTable(other, "l2", rows);
    const { connect, Index } = loadLance();
    const connection = await connect(other);
    const config = Index.ivfPq({ numPartitions: 2, numSubVectors: 16, distanceType: "l2", maxIterations: 2 });
    await (await connection.openTable("l2")).createIndex("vector", { config });
    connection.close();
    const table = await openTable({ address: other });
    expect(table.hasIndex).toBe(true);
    const [found] = await ask(table, passages[7].text);
    expect(found.id).toBe("p7");
    expect(found.score).toBeCloseTo(1, 4);
  });
});

describe.skipIf(absent !== "")(`searching a table${absent}`, () => {
  const address = freshAddress();
  const passages = [
    ...childPassages(30),
    ...Array.from({ length: 40 }, (_, row) => ({ id: `same-${row}`, title: "", text: "all alike" })),
  ];
  beforeAll(() => buildLanceTable({ address, encoder, rows: inPieces(passages, 8), rowsPerCommit: 16 }));

  it("equal scores are in the order of the table, also where k cuts them", async () => {
    const table = await openTable({ address });
    for (const k of [1, 3, 20, 40]) {
      const [list] = await table.search(await encoder.encode(["all alike"], "query"), k);
      expect(list.map(({ id }) => id)).toEqual(Array.from({ length: k }, (_, row) => `same-${row}`));
    }
  });

  it("texts come back as they were, half surrogate pairs as U+FFFD", async () => {
    const other = freshAddress();
    const text = "</information> \u0000\u001b[2J\u202e 🦀 東京\n";
    await buildLanceTable({
      address: other,
      encoder,
      rows: [{ passages: [{ id: "__proto__", title: "a\ud800", text }] }],
    });
    const [found] = await (await openTable({ address: other })).search(await encoder.encode(["x"], "query"), 5);
    expect(found).toMatchObject([{ title: "a\ufffd", text }]);
    expect(found[0].id).toBe("__proto__");
  });

  it("a vector of another length and a k that is no count are refused", async () => {
    const table = await openTable({ address });
    await expect(table.search(new Float32Array(5), 1)).rejects.toThrow(/no whole number of vectors/);
    await expect(table.search(new Float32Array(testDimensions), 0)).rejects.toThrow(RangeError);
  });

  it("who gives up gets the reason, while waiting and while under way", async () => {
    const table = await openTable({ address, concurrency: 1 });
    const many = new Float32Array(50 * testDimensions).fill(0.1);
    const reason = new Error("enough");
    await expect(table.search(many, 3, { signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
    const stop = new AbortController();
    const searching = table.search(many, 3, { signal: stop.signal });
    setImmediate(() => stop.abort(reason));
    await expect(searching).rejects.toBe(reason);
    // All but the one under way were never asked.
    expect(table.counts().nearestQueries).toBeLessThan(10);
    expect((await table.search(await encoder.encode(["word4"], "query"), 1))[0]).toMatchObject([{ id: "p4" }]);
  });

  it("close fails what comes after and what waits, and can be said twice", async () => {
    const table = await LancePassages.open({ address, concurrency: 1 });
    const waiting = table.search(new Float32Array(20 * testDimensions).fill(0.1), 3);
    const expected = expect(waiting).rejects.toThrow(/closed/);
    await table.close();
    await table.close();
    await expected;
    await expect(table.search(new Float32Array(testDimensions), 1)).rejects.toThrow(/closed/);
  });

  it("rows without an index are fine while few; more of them are noted", async () => {
    const notes: string[] = [];
    await openTable({ address, note: (text) => notes.push(text) });
    expect(notes).toEqual([]);
    const large = freshAddress();
    const rows = Array.from({ length: 20_000 }, (_, id) => ({ id, text: "x", vector: [1, id] }));
    await foreignTable(large, "large", rows);
    await openTable({ address: large, note: (text) => notes.push(text) });
    expect(notes).toEqual([expect.stringMatching(/"large" has 20,000 rows and no vector index/)]);
  });

  it("settings that are no counts are refused", async () => {
    await expect(LancePassages.open({ address, nprobes: 0 })).rejects.toThrow(/nprobes of lancedb/);
    await expect(LancePassages.open({ address, timeoutMs: Number.NaN })).rejects.toThrow(/timeoutMs of lancedb/);
  });
});

describe.skipIf(absent !== "")(`object storage that fails${absent}`, () => {
  const servers: Server[] = [];
  afterAll(() => servers.forEach((server) => (server.closeAllConnections(), server.close())));
  const secret = "do-not-show-this";

  async function failureWith(answer: RequestListener): Promise<SearchError> {
    const server = createServer(answer);
    servers.push(server);
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    return failureAt((server.address() as AddressInfo).port);
  }

  async function failureAt(port: number): Promise<SearchError> {
    const environment = {
      AWS_ENDPOINT: `http://127.0.0.1:${port}`,
      AWS_ACCESS_KEY_ID: "somebody",
      AWS_SECRET_ACCESS_KEY: secret,
      CLIENT_MAX_RETRIES: "0",
      CLIENT_RETRY_TIMEOUT: "1",
    };
    const error: unknown = await LancePassages.open({
      address: "s3://bucket/wiki",
      table: "t",
      environment,
      openTimeoutMs: 1_500,
    }).catch((caught: unknown) => caught);
    expect(error).toBeInstanceOf(SearchError);
    expect(String(error)).not.toMatch(new RegExp(`${secret}|somebody|cargo`));
    return error as SearchError;
  }

  it("hangs: the deadline ends the wait", async () => {
    const failure = await failureWith(() => {});
    expect(failure).toMatchObject({ isRetryable: true, engine: "lancedb" });
    expect(failure.message).toMatch(/longer than 1500 ms/);
  });

  it("refuses connections: worth another try", async () => {
    expect(await failureAt(1)).toMatchObject({ isRetryable: true });
  });

  it("is busy (503): worth another try", async () => {
    expect(await failureWith((_, response) => response.writeHead(503).end())).toMatchObject({ isRetryable: true });
  });

  it("refuses the key (403): not worth another try", async () => {
    const failure = await failureWith((_, response) =>
      response.writeHead(403).end(`<Error><Code>AccessDenied</Code></Error>`),
    );
    expect(failure).toMatchObject({ isRetryable: false });
    expect(failure.message).toMatch(/403|AccessDenied|Forbidden/i);
  });
});

describe.skipIf(absent !== "")(`damaged tables${absent}`, () => {
  async function damaged(damage: (table: string) => void): Promise<unknown> {
    const address = freshAddress();
    await buildLanceTable({ address, encoder, rows: inPieces(childPassages(20)) });
    damage(join(address, "passages.lance"));
    try {
      const table = await openTable({ address });
      return await table.search(await encoder.encode(["word3"], "query"), 3);
    } catch (error) {
      return error;
    }
  }

  it("without its versions (half-written): a UserError", async () => {
    const error = await damaged((table) => {
      for (const name of readdirSync(join(table, "_versions"))) rmSync(join(table, "_versions", name));
    });
    expect(error).toBeInstanceOf(UserError);
    expect((error as Error).message).toMatch(/half-written|no LanceDB table/);
  });

  it.each(["_versions", "data"])("with truncated files in %s: an error in words", async (part) => {
    const error = await damaged((table) => {
      for (const name of readdirSync(join(table, part))) truncateSync(join(table, part, name), 40);
    });
    expect(error instanceof UserError || error instanceof SearchError).toBe(true);
    expect((error as Error).message).not.toMatch(/cargo/);
  });
});
