import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, describe, expect, it } from "vitest";
import { UserError } from "../../../errors.js";
import { openVectors, placeVectors, type OpenVectorsOptions, type VectorSource } from "./open-vectors.js";

/** Files made by `testdata/vectors.py`. */
const made = (name: string): string => fileURLToPath(new URL(`../testdata/${name}`, import.meta.url));
const rows = Array.from({ length: 10 }, (_, row) => [(row + 1) / 4, (0.5 * row - 2) / 4, 0.25]);

const folder = mkdtempSync(path.join(tmpdir(), "sleuth-vectors-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const file = (name: string, bytes: Uint8Array): string => {
  const place = path.join(folder, name);
  writeFileSync(place, bytes);
  return place;
};

async function readAll(place: string, options?: OpenVectorsOptions): Promise<{ vectors: number[][]; ids: string[] }> {
  const source = await openVectors(place, options);
  const vectors: number[][] = [];
  const ids: string[] = [];
  for await (const piece of source.rows()) {
    for (let start = 0; start < piece.vectors.length; start += source.dimensions)
      vectors.push([...piece.vectors.subarray(start, start + source.dimensions)]);
    ids.push(...(piece.ids ?? []));
  }
  expect(source.count).toBe(vectors.length);
  await source.close();
  return { vectors, ids };
}

async function refusalOf(place: string, options?: OpenVectorsOptions): Promise<string> {
  const error = await openVectors(place, options).catch((reason: unknown) => reason);
  expect(error).toBeInstanceOf(UserError);
  return (error as Error).message;
}

describe("openVectors", () => {
  it.each(["version-1.npy", "version-2.npy", "version-3.npy"])(
    "reads %s: float32, float16 and float64",
    async (name) => {
      expect((await readAll(made(name))).vectors).toEqual(rows);
    },
  );

  it("reads raw float32 with its dimensions", async () => {
    const place = file("vectors.f32", new Uint8Array(Float32Array.from(rows.flat()).buffer));
    expect((await readAll(place, { dimensions: 3 })).vectors).toEqual(rows);
    expect(await refusalOf(place, { dimensions: 7 })).toMatch(/120 bytes, which is no whole number/);
    expect(await refusalOf(place)).toMatch(/need their dimensions/);
  });

  it("reads Parquet: lists over several row groups, and lists of fixed length", async () => {
    const lists = await readAll(made("list-float.parquet"));
    expect(lists.ids).toEqual([3, 1, 4, 0, 5, 9, 2, 6, 8, 7].map((row) => `p${row}`));
    expect(lists.vectors).toEqual(lists.ids.map((id) => rows[Number(id.slice(1))]));
    const fixed = await readAll(made("fixed-double.parquet"), { columns: { id: "key", vector: "vec" } });
    expect(fixed).toEqual({ vectors: rows, ids: rows.map((_, row) => String(row)) });
  });

  it.each<[string, string, RegExp]>([
    ["Fortran order", made("fortran.npy"), /Fortran order/],
    ["whole numbers", made("integers.npy"), /its numbers are <i4/],
    ["a file that is not there", path.join(folder, "none.npy"), /Cannot open .*Check the path/],
    ["what is no array", file("odd.npy", Buffer.from("hello, world")), /no .npy file/],
    [
      "an array that was cut off",
      file("cut.npy", readFileSync(made("version-1.npy")).subarray(0, -5)),
      /it has 243 bytes where/,
    ],
    ["what is no Parquet", file("odd.parquet", Buffer.from("hello, world")), /is no Parquet file/],
    ["missing columns", made("fixed-double.parquet"), /no column "id"; its columns are key, vec/],
    ["an index of faiss, with the way out", path.join(folder, "e5_Flat.index"), /reconstruct_n\(0, i.ntotal\)/],
    ["other endings", path.join(folder, "a.csv"), /\.npy, \.parquet, and raw/],
  ])("refuses %s", async (_, place, message) => {
    expect(await refusalOf(place)).toMatch(message);
  });
});

describe("placeVectors", () => {
  const sourceOf = (vectors: number[][], ids?: string[]): VectorSource => ({
    name: "given.npy",
    dimensions: vectors[0].length,
    count: vectors.length,
    async *rows() {
      // In two pieces.
      for (const [start, end] of [
        [0, 2],
        [2, vectors.length],
      ])
        if (start < vectors.length)
          yield { vectors: Float64Array.from(vectors.slice(start, end).flat()), ids: ids?.slice(start, end) };
    },
    close: async () => {},
  });

  it("brings vectors to length one and into the order of the passages, and says how many were not", async () => {
    const { pieces, normalised } = await placeVectors(
      sourceOf(
        [
          [0, 2],
          [1, 0],
          [3, 4],
        ],
        ["c", "a", "b"],
      ),
      ["a", "b", "c"],
    );
    expect([...pieces[0]]).toEqual([...Float32Array.of(1, 0, 0.6, 0.8, 0, 1)]);
    expect(normalised).toBe(2);
  });

  it.each<[string, number[][], string[] | undefined, RegExp]>([
    ["too few vectors", [[1, 0]], undefined, /1 vectors for 3 passages/],
    [
      "an id of no passage",
      [
        [1, 0],
        [1, 0],
        [1, 0],
      ],
      ["a", "b", "x"],
      /row 2 belongs to "x"/,
    ],
    [
      "an id twice",
      [
        [1, 0],
        [1, 0],
        [1, 0],
      ],
      ["a", "b", "a"],
      /row 2 is a second vector of passage "a"/,
    ],
    [
      "a zero vector",
      [
        [1, 0],
        [1, 0],
        [0, 0],
      ],
      undefined,
      /vector of row 2 is zero/,
    ],
    [
      "a vector that is not finite",
      [
        [1, 0],
        [Number.NaN, 0],
        [1, 0],
      ],
      undefined,
      /vector of row 1 is not finite/,
    ],
  ])("refuses %s", async (_, vectors, ids, message) => {
    const failure = placeVectors(sourceOf(vectors, ids), ["a", "b", "c"]);
    await expect(failure).rejects.toBeInstanceOf(UserError);
    await expect(failure).rejects.toThrow(message);
  });
});
