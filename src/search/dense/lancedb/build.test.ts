import { spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, describe, expect, it } from "vitest";
import { UserError } from "../../../errors.js";
import { SearchError } from "../../engine.js";
import { passageText } from "../encoder.js";
import { refusing } from "../word-encoder.test-support.js";
import { LanceTable, buildLanceTable, planIndex } from "./build.js";
import type { LanceRows } from "./build.js";
import { childPassages } from "./child.test-support.js";
import type { ChildTask } from "./child.test-support.js";
import { loadLance } from "./library.js";
import { LancePassages } from "./passages.js";
import { absent, emptyTable, inPieces, testDimensions, wordEncoder } from "./tables.test-support.js";

const folder = mkdtempSync(join(tmpdir(), "sleuth-lancedb-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
let made = 0;
const freshAddress = (): string => join(folder, `db-${made++}`);
const encoder = wordEncoder();

/** All ids of the table, sorted. */
async function idsOf(address: string, table = "passages"): Promise<string[]> {
  const connection = await loadLance().connect(address);
  const rows = await (await connection.openTable(table)).query().select(["id"]).toArray();
  connection.close();
  return rows.map(({ id }: { id: string }) => id).sort();
}

async function best(address: string, query: string, k = 1): Promise<string[]> {
  const table = await LancePassages.open({ address });
  const [list] = await table.search(await encoder.encode([query], "query"), k);
  await table.close();
  return list.map(({ id }) => id);
}

describe("planIndex", () => {
  it.each([
    [1_000_000, 384, { partitions: 500, subVectors: 48 }],
    [100_000, 768, { partitions: 158, subVectors: 96 }],
    [300, 100, { partitions: 9, subVectors: 20 }],
    [1, 7, { partitions: 1, subVectors: 1 }],
    [256, 13, { partitions: 8, subVectors: 13 }],
  ])("of %i rows of %i dimensions", (rows, dimensions, expected) => {
    expect(planIndex(rows, dimensions)).toMatchObject(expected);
  });
});

describe.skipIf(absent !== "")(`making a table${absent}`, () => {
  it("goes on with a table of before it had columns for where a passage is from", async () => {
    const address = freshAddress();
    await emptyTable(address, "passages", { vector: testDimensions }, ["id", "title", "text"]);
    const passages = [{ id: "a", title: "Owls", text: "hunt at night", url: "https://a.example/" }];
    const table = await LanceTable.open({ address });
    await table.add({ passages, vectors_N_E: await encoder.encode(["hunt at night"], "passage") });
    await table.close();
    expect(await best(address, "night owls")).toEqual(["a"]);
  });

  it("writes all passages, makes an index from a size on, and says how far it is", async () => {
    const address = freshAddress();
    const passages = childPassages(600);
    const progress: string[] = [];
    const built = await buildLanceTable({
      address,
      encoder,
      rows: inPieces(passages, 90),
      rowsPerCommit: 250,
      indexFrom: 500,
      onProgress: ({ stage, passages }) => progress.push(`${stage} ${passages}`),
    });
    expect(built).toEqual({ passages: 600, resumedFrom: 0, leftOut: [], leftOutBefore: 0, hasIndex: true });
    expect(progress).toEqual(["writing 270", "writing 540", "indexing 600"]);
    const table = await LancePassages.open({ address });
    expect(table).toMatchObject({ count: 600, dimensions: testDimensions, encoder: "words", hasIndex: true });
    const [list] = await table.search(await encoder.encode(["word7"], "query"), 3);
    expect(list[0]).toMatchObject(passages[7]);
    await table.close();
  });

  it("the same call again writes nothing; with more at the end it writes the rest", async () => {
    const address = freshAddress();
    const options = { address, encoder, source: "corpus", rowsPerCommit: 10, indexFrom: 1_000 };
    await buildLanceTable({ ...options, rows: inPieces(childPassages(25), 7) });
    const again = await buildLanceTable({ ...options, rows: inPieces(childPassages(25), 4) });
    expect(again).toEqual({ passages: 25, resumedFrom: 25, leftOut: [], leftOutBefore: 0, hasIndex: false });
    const more = await buildLanceTable({ ...options, rows: inPieces(childPassages(40), 9) });
    expect(more).toEqual({ passages: 40, resumedFrom: 25, leftOut: [], leftOutBefore: 0, hasIndex: false });
    expect(await idsOf(address)).toEqual(
      childPassages(40)
        .map(({ id }) => id)
        .sort(),
    );
  });

  it("leaves out and names what the encoder's endpoint refuses, also when it goes on; the table stays in step", async () => {
    const address = freshAddress();
    const passages = childPassages(60);
    const lacking = new Set(["p3", "p17", "p31", "p59"]);
    const choosy = refusing(encoder, (text) =>
      lacking.has(passages.find((passage) => text === passageText(passage))?.id ?? ""),
    );
    const options = { address, encoder: choosy, source: "corpus", rowsPerCommit: 10, indexFrom: 1_000 };
    async function* until(end: number): AsyncGenerator<LanceRows> {
      yield* inPieces(passages.slice(0, end), 7);
      if (end < passages.length) throw new Error("stop");
    }
    await expect(buildLanceTable({ ...options, rows: until(42) })).rejects.toThrow("stop");
    const built = await buildLanceTable({ ...options, rows: until(60) });
    expect(built).toMatchObject({ passages: 56, resumedFrom: 39, leftOutBefore: 3 });
    expect(built.leftOut.map(({ id, place }) => [id, place])).toEqual([["p59", 59]]);
    const ids = passages.map(({ id }) => id).filter((id) => !lacking.has(id));
    expect(await idsOf(address)).toEqual([...ids].sort());
    const again = await buildLanceTable({ ...options, rows: until(60) });
    expect(again).toMatchObject({ passages: 56, resumedFrom: 56, leftOutBefore: 3 });
    expect(again.leftOut.map(({ id }) => id)).toEqual(["p59"]);
    const table = await LanceTable.open({ address, encoder: choosy });
    const more = [{ ...passages[4], text: "another" }, passages[3]];
    expect((await table.add({ passages: more })).map(({ id }) => id)).toEqual(["p3"]);
    await expect(table.add({ passages: [more[0], more[0]] })).rejects.toThrow(/id "p4" stands for two passages/);
    expect(table.count).toBe(56);
    await table.close();
    const none = refusing(encoder, () => true);
    const all = buildLanceTable({ address: freshAddress(), encoder: none, rows: inPieces(passages.slice(0, 3)) });
    await expect(all).rejects.toThrow(/refuses 3 of the first 3 passages, among them "p0" \(too long\), "p1", "p2"/);
  });

  it("takes vectors as they come, whatever their pieces", async () => {
    const address = freshAddress();
    const passages = childPassages(2_500);
    const vectors_N_E = await encoder.encode(
      passages.map(({ text }) => text),
      "passage",
    );
    const before = vectors_N_E.slice();
    await buildLanceTable({ address, encoderName: "words", rows: [{ passages, vectors_N_E }], indexFrom: 10_000 });
    expect(vectors_N_E).toEqual(before);
    expect(await best(address, "word2321")).toEqual(["p2321"]);
  });

  it("another source, another encoder and passages in another order are errors, and change nothing", async () => {
    const address = freshAddress();
    const options = { address, encoder, source: "one", rows: inPieces(childPassages(20)) };
    await buildLanceTable(options);
    const failing = async (changed: object): Promise<string> => {
      const error: unknown = await buildLanceTable({ ...options, ...changed }).catch((caught: unknown) => caught);
      expect(error).toBeInstanceOf(UserError);
      return (error as Error).message;
    };
    expect(await failing({ source: "two" })).toMatch(/made with the source one, not two/);
    expect(await failing({ encoder: wordEncoder("other") })).toMatch(/made with the encoder words, not other/);
    const reversed = () => ({ rows: inPieces(childPassages(30).reverse()) });
    expect(await failing(reversed())).toMatch(/last with id "p19", but the source has no passage with this id there/);
    expect(await failing({ ...reversed(), source: undefined })).toMatch(/last with id "p19".*"p10"/);
    const later = [...childPassages(19), ...childPassages(120).slice(60), ...childPassages(20).slice(19)];
    expect(await failing({ rows: inPieces(later) })).toMatch(/last with id "p19", but the source has no passage/);
    expect(await failing({ rows: inPieces(childPassages(3)) })).toMatch(/holds 20 passages, and the source only 3/);
    expect(await idsOf(address)).toHaveLength(20);
  });

  it("a vector without a direction names its passage, and vectors of another length are refused", async () => {
    const address = freshAddress();
    await buildLanceTable({ address, encoder, rows: inPieces(childPassages(5)) });
    const table = await LanceTable.open({ address });
    const passages = childPassages(3);
    const vectorsWith = (value: number): Float32Array => {
      const vectors_N_E = new Float32Array(3 * testDimensions).fill(0.1);
      if (value === 0) return vectors_N_E.fill(0, testDimensions);
      vectors_N_E[testDimensions + 7] = value;
      return vectors_N_E;
    };
    const add = (vectors_N_E: Float32Array) => table.add({ passages, vectors_N_E });
    await expect(add(vectorsWith(Number.NaN))).rejects.toThrow(/vector of passage 6 \(id "p1"\) holds NaN/);
    await expect(add(vectorsWith(Number.POSITIVE_INFINITY))).rejects.toThrow(
      /passage 6 \(id "p1"\) holds NaN or infinity/,
    );
    await expect(add(vectorsWith(0))).rejects.toThrow(/passage 6 \(id "p1"\) is zero/);
    await expect(add(new Float32Array(3 * 2).fill(1))).rejects.toThrow(/6 numbers for 3 passages.*64 dimensions/);
    expect(table.count).toBe(5);
    await table.close();
    expect(await idsOf(address)).toHaveLength(5);
  });

  it("nothing to write, and passages that nothing can encode, are errors", async () => {
    await expect(buildLanceTable({ address: freshAddress(), encoder, rows: [] })).rejects.toThrow(/source is empty/);
    await expect(buildLanceTable({ address: freshAddress(), rows: inPieces(childPassages(2)) })).rejects.toThrow(
      /need an encoder/,
    );
  });

  it("a table of others is not written to", async () => {
    const address = freshAddress();
    await emptyTable(address, "theirs", { vector: 4 });
    await expect(LanceTable.open({ address, table: "theirs" })).rejects.toThrow(
      /other columns \(number, text, vector\).*another table name/,
    );
  });

  it("who gives up gets the reason; what was committed stays", async () => {
    const address = freshAddress();
    const reason = new Error("enough");
    const stop = new AbortController();
    async function* rows(): AsyncGenerator<LanceRows> {
      for (const piece of inPieces(childPassages(100), 10)) {
        if (piece.passages[0].id === "p50") stop.abort(reason);
        yield piece;
      }
    }
    const building = buildLanceTable({ address, encoder, rows: rows(), rowsPerCommit: 20, signal: stop.signal });
    await expect(building).rejects.toBe(reason);
    expect(await idsOf(address)).toHaveLength(40);
  });

  it("who gives up while the index is made is not kept waiting for it", async () => {
    const address = freshAddress();
    const reason = new Error("enough");
    const stop = new AbortController();
    const building = buildLanceTable({
      address,
      encoder,
      rows: inPieces(childPassages(600), 200),
      indexFrom: 300,
      signal: stop.signal,
      onProgress: ({ stage }) => void (stage === "indexing" && setTimeout(() => stop.abort(reason), 5)),
    });
    await expect(building).rejects.toBe(reason);
    // LanceDB goes on by itself; the folder must not go before it.
    const hasIndex = async (): Promise<boolean> => {
      const table = await LancePassages.open({ address });
      await table.close();
      return table.hasIndex;
    };
    await expect.poll(hasIndex, { timeout: 10_000 }).toBe(true);
  });

  it("a failing encoder fails the build with its own error, and the same call goes on later", async () => {
    const address = freshAddress();
    const failure = new SearchError("encoder: busy", { engine: "dense", isRetryable: true });
    let calls = 0;
    const flaky = {
      ...encoder,
      encode: (...given: Parameters<typeof encoder.encode>) =>
        ++calls === 4 ? Promise.reject(failure) : encoder.encode(...given),
    };
    const options = { address, encoder: flaky, rowsPerCommit: 10 };
    await expect(buildLanceTable({ ...options, rows: inPieces(childPassages(50), 10) })).rejects.toBe(failure);
    const built = await buildLanceTable({ ...options, rows: inPieces(childPassages(50), 10) });
    expect(built).toMatchObject({ passages: 50, resumedFrom: 30 });
    // Nothing was encoded twice.
    expect(calls).toBe(4 + 2);
  });
});

describe.skipIf(absent !== "")(`changing a table${absent}`, () => {
  it("added passages are found at once, by tables that are open too; ids that are there are replaced; deleted ones are gone", async () => {
    const address = freshAddress();
    await buildLanceTable({ address, encoder, rows: inPieces(childPassages(600), 100), indexFrom: 256 });
    const open = await LancePassages.open({ address, refreshSeconds: 0 });
    const find = async (query: string) => (await open.search(await encoder.encode([query], "query"), 1))[0][0];
    const table = await LanceTable.open({ address, encoder });

    await table.add({
      passages: [
        { id: "o'brien", title: "", text: "quokka island" },
        { id: "p3", title: "", text: "wombat burrow" },
      ],
    });
    expect(table.count).toBe(601);
    expect((await find("quokka island")).id).toBe("o'brien");
    expect(await find("wombat burrow")).toMatchObject({ id: "p3", title: "" });

    await table.delete(["o'brien", "nobody", "p5"]);
    expect(table.count).toBe(599);
    expect((await find("quokka island")).id).not.toBe("o'brien");
    expect(await idsOf(address)).not.toContain("p5");

    await table.optimize();
    expect(table.unindexed).toBe(0);
    expect((await find("wombat burrow")).id).toBe("p3");
    await table.close();
    await open.close();
  });
});

const child = fileURLToPath(new URL("./child.test-support.ts", import.meta.url));

/** Runs the child; kills it -9 once it says that so many rows are durable. Its last word is what it had acknowledged. */
async function runChild(
  task: ChildTask,
  { killAt = Infinity, mostFileKb = 0 } = {},
): Promise<{ acknowledged: number; status: number | null; said: string }> {
  const command = [process.execPath, "--import", "tsx", child, JSON.stringify(task)];
  const running =
    mostFileKb > 0
      ? spawn("bash", ["-c", `ulimit -f ${mostFileKb}; exec "$@"`, "bash", ...command])
      : spawn(command[0], command.slice(1));
  let out = "";
  let said = "";
  const acknowledged = (): number => Number(out.trimEnd().split("\n").at(-1));
  running.stdout.on("data", (chunk: Buffer) => {
    out += chunk.toString();
    if (out.endsWith("\n") && acknowledged() >= killAt) running.kill("SIGKILL");
  });
  running.stderr.on("data", (chunk: Buffer) => (said += chunk.toString()));
  const status = await new Promise<number | null>((resolve) => running.on("close", resolve));
  return { acknowledged: acknowledged(), status, said };
}

describe.skipIf(absent !== "" || process.platform === "win32")(`processes that end in the middle${absent}`, () => {
  it("kill -9 while building: what was said to be durable is there, and the same call goes on", async () => {
    const address = freshAddress();
    const { acknowledged, status } = await runChild(
      { address, do: "build", passages: 5_000, rowsPerCommit: 100 },
      { killAt: 300 },
    );
    expect(status).toBeNull();
    const kept = (await idsOf(address)).length;
    expect(kept).toBeGreaterThanOrEqual(acknowledged);
    expect(kept % 100).toBe(0);
    expect(kept).toBeLessThan(5_000);
    const all = childPassages(kept + 300);
    const built = await buildLanceTable({ address, encoder, source: "children", rows: inPieces(all, 50) });
    expect(built).toMatchObject({ resumedFrom: kept, passages: all.length });
    expect(await idsOf(address)).toEqual(all.map(({ id }) => id).sort());
  });

  it("kill -9 while adding: every acknowledged passage is there, and no half of a call", async () => {
    const address = freshAddress();
    await buildLanceTable({ address, encoder, rows: inPieces(childPassages(10)) });
    const { acknowledged } = await runChild(
      { address, do: "add", passages: 20_000, rowsPerCommit: 20 },
      { killAt: 100 },
    );
    const ids = await idsOf(address);
    expect(ids.length).toBeGreaterThanOrEqual(acknowledged);
    expect(ids.length % 20).toBe(0);
    expect(new Set(ids).size).toBe(ids.length);
    for (const { id } of childPassages(acknowledged)) expect(ids).toContain(id);
    expect(await best(address, "word42 of many")).toEqual(["p42"]);
  });

  it.skipIf(process.platform !== "linux")(
    "a full disk (here: a bound on files) is an error in words; the same call goes on",
    async () => {
      const address = freshAddress();
      const task: ChildTask = { address, do: "build", passages: 1_200, rowsPerCommit: 400 };
      // A commit of 400 vectors of 64 numbers takes 100 kB.
      const { status, said } = await runChild(task, { mostFileKb: 48 });
      expect(said).toMatch(
        /SearchError: lancedb: writing passages in "passages" failed: .*(File too large|os error 27)/,
      );
      expect(status).toBe(3);
      const done = await runChild(task);
      expect(done).toMatchObject({ status: 0, said: "" });
      expect(await idsOf(address)).toHaveLength(1_200);
    },
  );
});
