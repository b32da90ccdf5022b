/** @file For the tests of LanceDB tables: an encoder without a model, tables as others make them, and a place on object storage. */
import { Random } from "../../../random.js";
import type { SearchEngine } from "../../engine.js";
import { DenseEngine } from "../engine.js";
import type { Encoder } from "../encoder.js";
import { LanceTable, buildLanceTable } from "./build.js";
import type { LanceRows } from "./build.js";
import { LancePassages } from "./passages.js";
import { passageText } from "../encoder.js";
import { lanceIsAbsent, loadArrow, loadLance } from "./library.js";
import type { StoredPassage } from "../../../types.js";

/** For titles of tests that are skipped. */
export const absent = lanceIsAbsent() === undefined ? "" : " (skipped: @lancedb/lancedb is not installed)";

/**
 * Where to make tables on a real server, such as s3://test-bucket/sleuth, with AWS_ENDPOINT, AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY
 * beside it. `node scripts/servers/s3.mjs` starts MinIO and prints all of them.
 */
export const objectStorage = process.env.SLEUTH_TEST_S3 ?? "";

export const testDimensions = 64;

/** Sums of a random direction per word, so that texts with the same words are near one another. */
export function wordEncoder(name = "words", dimensions = testDimensions): Encoder {
  return {
    name,
    dimensions,
    encode: (texts) => {
      const vectors = new Float32Array(texts.length * dimensions);
      for (const [row, text] of texts.entries()) {
        const vector = vectors.subarray(row * dimensions, (row + 1) * dimensions);
        // A bit of every text, so that none has the length zero.
        add(vector, "", 0.1);
        for (const word of text.toLowerCase().match(/[\p{L}\p{N}]+/gu) ?? []) add(vector, word, 1);
        const length = Math.hypot(...vector);
        for (let place = 0; place < dimensions; place++) vector[place] /= length;
      }
      return Promise.resolve(vectors);
    },
    close: () => Promise.resolve(),
  };
}

const directions = new Map<string, number[]>();

function add(vector: Float32Array, word: string, weight: number): void {
  let direction = directions.get(word);
  if (direction?.length !== vector.length) {
    const random = new Random(17, word);
    direction = Array.from(vector, () => random.normal());
    directions.set(word, direction);
  }
  for (let place = 0; place < vector.length; place++) vector[place] += weight * direction[place];
}

/** Passages that no question of the tests is about: indexes need some hundred rows. */
export function padding(count: number): StoredPassage[] {
  return Array.from({ length: count }, (_, row) => ({
    id: `pad-${row}`,
    title: "",
    text: `filler${row} filler${row * 7}`,
  }));
}

/** In pieces, as files are read. */
export function* inPieces(passages: readonly StoredPassage[], size = 5): Generator<LanceRows> {
  for (let first = 0; first < passages.length; first += size) yield { passages: passages.slice(first, first + size) };
}

/** A table as somebody else makes it: rows of plain objects, columns of any name. */
export async function foreignTable(address: string, table: string, rows: Record<string, unknown>[]): Promise<void> {
  const connection = await loadLance().connect(address);
  await connection.createTable(table, rows);
  connection.close();
}

/** A table with these columns and no rows. */
export async function emptyTable(
  address: string,
  table: string,
  vectors: Record<string, number>,
  texts?: readonly string[],
): Promise<void> {
  const { Field, FixedSizeList, Float32, Int32, Schema, Utf8 } = loadArrow();
  const connection = await loadLance().connect(address);
  await connection.createEmptyTable(
    table,
    new Schema([
      ...(texts === undefined ? [new Field("number", new Int32())] : []),
      ...(texts ?? ["text"]).map((name) => new Field(name, new Utf8(), texts === undefined)),
      ...Object.entries(vectors).map(
        ([name, size]) => new Field(name, new FixedSizeList(size, new Field("item", new Float32(), true))),
      ),
    ]),
  );
  connection.close();
}

/** Arrow's strings are UTF-8: half a surrogate pair comes back as U+FFFD. */
export const isWellFormed = ({ text }: StoredPassage): boolean => !/\p{Surrogate}/u.test(text);

/** These passages in a table of ours, behind the one interface of engines; those with half surrogate pairs are left out. */
export async function lanceEngine(address: string, passages: readonly StoredPassage[]): Promise<SearchEngine> {
  const encoder = wordEncoder();
  await buildLanceTable({ address, encoder, rows: inPieces(passages.filter(isWellFormed)) });
  return new DenseEngine(encoder, await LancePassages.open({ address }), "lancedb");
}

/**
 * The same with an index over them and hundreds of others, which are deleted again: every question then goes through the index, and finds
 * what is there.
 */
export async function indexedLanceEngine(address: string, passages: readonly StoredPassage[]): Promise<SearchEngine> {
  const encoder = wordEncoder();
  const others = padding(300);
  const all = [...passages.filter(isWellFormed), ...others];
  await buildLanceTable({ address, encoder, rows: inPieces(all, 100), indexFrom: 256, index: { partitions: 4 } });
  const table = await LanceTable.open({ address });
  await table.delete(others.map(({ id }) => id));
  await table.close();
  return new DenseEngine(encoder, await LancePassages.open({ address }), "lancedb");
}

/** The same in a table as others make it. */
export async function foreignLanceEngine(address: string, passages: readonly StoredPassage[]): Promise<SearchEngine> {
  const encoder = wordEncoder();
  const rows = passages.filter(isWellFormed).map(async ({ id, title, text }) => {
    const emb = [...(await encoder.encode([passageText({ title, text })], "passage"))];
    return { emb: emb.map((value) => value * 2), doc_id: id, headline: title, body: text, lang: "en" };
  });
  const { connect, makeArrowTable } = loadLance();
  const connection = await connect(address);
  const data = makeArrowTable(await Promise.all(rows), {
    vectorColumns: { emb: { type: new (loadArrow().Float32)() } },
  });
  await connection.createTable("theirs", data);
  connection.close();
  return new DenseEngine(encoder, await LancePassages.open({ address }), "lancedb");
}
