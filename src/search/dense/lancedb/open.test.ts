import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { UserError } from "../../../errors.js";
import type { SearchEngine } from "../../engine.js";
import { openEngine } from "../../open.js";
import { buildLanceTable } from "./build.js";
import { absent, foreignTable } from "./tables.test-support.js";
import { OnnxEncoder } from "../onnx-encoder.js";
import { writeTinyBert } from "../tiny-models.test-support.js";

const folder = mkdtempSync(join(tmpdir(), "sleuth-lancedb-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const index = join(folder, "index");
const model = join(folder, "model");
const passages = [
  { id: "peru", title: "Peru", text: "Lima is the capital of Peru." },
  { id: "owl", title: "Owls", text: "Owls hunt at night." },
];

describe.skipIf(absent !== "")(`lancedb from settings${absent}`, () => {
  const opened: SearchEngine[] = [];
  const open = async (settings: object): Promise<SearchEngine> => {
    const engine = await openEngine({ engine: "lancedb", index, ...settings });
    opened.push(engine);
    return engine;
  };
  beforeAll(async () => {
    await writeTinyBert(model);
    await writeTinyBert(join(folder, "other"), { hidden: 64 });
    const encoder = await OnnxEncoder.open({ location: model });
    // As `sleuth index` lays out the indexes of several engines.
    await buildLanceTable({ address: join(index, "lancedb"), encoder, rows: [{ passages }] });
    await encoder.close();
    const vector = Array.from({ length: 32 }, (_, place) => place - 7.5);
    await foreignTable(join(folder, "foreign"), "theirs", [{ left: "a", right: "b", vector }]);
  });
  afterAll(() => Promise.all(opened.map((engine) => engine.close())));

  it("opens with the encoder that the table remembers", async () => {
    const engine = await open({});
    expect(engine.name).toBe("lancedb");
    const [list] = await engine.searchBatch(['"Owls"\nOwls hunt at night.'], 2);
    expect(list.map(({ id }) => id).sort()).toEqual(["owl", "peru"]);
    expect(list[0]).toMatchObject(passages[list[0].id === "peru" ? 0 : 1]);
    expect(engine.counts?.()).toMatchObject({ nearestQueries: 1 });
  });

  it("the same encoder named anew will do, another will not", async () => {
    await open({ encoder: model, collection: "passages" });
    await expect(open({ encoder: join(folder, "other") })).rejects.toThrow(/another encoder/);
  });

  it("a table of others needs an encoder and, where they cannot be told, its columns", async () => {
    const foreign = { index: join(folder, "foreign"), encoder: model };
    await expect(open(foreign)).rejects.toThrow(/theirs:text=COLUMN/);
    const collection = "theirs:text=right,title=left";
    expect((await (await open({ ...foreign, collection })).searchBatch(["x"], 3))[0]).toMatchObject([
      { title: "a", text: "b" },
    ]);
    await expect(open({ ...foreign, collection, encoder: "" })).rejects.toThrow(/does not say which encoder/);
  });

  it("without an index, or with one that is nowhere, it says what to name", async () => {
    await expect(open({ index: "" })).rejects.toThrow(UserError);
    await expect(open({ index: join(folder, "nowhere") })).rejects.toThrow(/There is no folder/);
  });
});
