/** @file The worker that writes a LanceDB table: making Arrow of rows takes the thread for hundreds of milliseconds at a time. */
import type { Connection, Table } from "@lancedb/lancedb";
import type { Table as ArrowTable, Data, RecordBatch, Schema } from "apache-arrow";
import { UserError } from "../../../errors.js";
import type { StoredPassage } from "../../../types.js";
import { serveTasks } from "../../../workers/serve-tasks.js";
import { fromMetadata, originColumns, toMetadata, type TableNotes } from "./columns.js";
import { loadArrow, loadLance } from "./library.js";
import { plainMessage, type LancePlace } from "./storage.js";

export interface IndexPlan {
  partitions: number;
  subVectors: number;
  maxIterations: number;
  sampleRate: number;
}

export type WriterTask =
  | { do: "look" }
  | { do: "create"; dimensions: number; notes: TableNotes }
  /** Keeps rows until the next `append` or `replace`; `first` is the number of the first one, for messages. */
  | { do: "gather"; passages: readonly StoredPassage[]; vectors_N_E: Float32Array; first: number }
  | { do: "append" }
  /** Rows gathered take the place of those with their ids; the others are new. */
  | { do: "replace" }
  | { do: "index"; plan: IndexPlan }
  | { do: "delete"; ids: readonly string[] }
  | { do: "optimize" }
  /** The id of a row; rows are numbered in the order of writing. */
  | { do: "id"; row: number };

/** The table as it is on disk. */
export interface TableState {
  exists: boolean;
  rows: number;
  dimensions: number;
  notes: TableNotes;
  /** Rows that the vector index knows; undefined without one. */
  indexed?: number;
}

export type WriterAnswer = TableState | { id: string };

export interface WriterData {
  place: LancePlace;
  table: string;
}

const vectorColumn = "vector";

class Writer {
  readonly #connection: Connection;
  readonly #name: string;
  #table: Table | undefined;
  #schema: Schema | undefined;
  #gathered: RecordBatch[] = [];

  constructor(connection: Connection, name: string) {
    this.#connection = connection;
    this.#name = name;
  }

  async run(task: WriterTask): Promise<WriterAnswer> {
    switch (task.do) {
      case "look":
        break;
      case "create":
        await this.#create(task.dimensions, task.notes);
        break;
      case "gather":
        this.#gathered.push(this.#toBatch(task.passages, task.vectors_N_E, task.first));
        return this.#state(false);
      case "append":
        await this.#write((table, rows) => table.add(rows));
        break;
      case "replace":
        await this.#write((table, rows) =>
          table.mergeInsert("id").whenMatchedUpdateAll().whenNotMatchedInsertAll().execute(rows),
        );
        break;
      case "index":
        await this.#index(task.plan);
        break;
      case "delete":
        for (let first = 0; first < task.ids.length; first += 1_000) {
          const some = task.ids.slice(first, first + 1_000);
          await this.#opened().delete(`id IN (${some.map((id) => `'${id.replaceAll("'", "''")}'`).join(", ")})`);
        }
        break;
      case "optimize":
        await this.#opened().optimize();
        break;
      case "id": {
        const rows = await this.#opened().takeOffsets([task.row]).select(["id"]).toArrow();
        return { id: String(rows.getChild("id")?.get(0)) };
      }
    }
    return this.#state(true);
  }

  async #create(dimensions: number, notes: TableNotes): Promise<void> {
    const { Field, FixedSizeList, Float32, Schema, Utf8 } = loadArrow();
    const schema = new Schema(
      [
        new Field("id", new Utf8(), false),
        new Field("title", new Utf8(), false),
        new Field("text", new Utf8(), false),
        ...originColumns.map((name) => new Field(name, new Utf8(), false)),
        new Field(vectorColumn, new FixedSizeList(dimensions, new Field("item", new Float32(), true)), false),
      ],
      toMetadata(notes),
    );
    this.#table = await this.#connection.createEmptyTable(this.#name, schema);
    this.#schema = await this.#table.schema();
  }

  async #write(put: (table: Table, rows: ArrowTable) => Promise<unknown>): Promise<void> {
    const batches = this.#gathered;
    this.#gathered = [];
    if (batches.length === 0) return;
    await put(this.#opened(), new (loadArrow().Table)(this.#schema as Schema, batches));
  }

  async #index({ partitions, subVectors, maxIterations, sampleRate }: IndexPlan): Promise<void> {
    const { Index } = loadLance();
    const table = this.#opened();
    const sizes = { numPartitions: partitions, numSubVectors: subVectors, maxIterations, sampleRate };
    await table.createIndex(vectorColumn, { config: Index.ivfPq({ distanceType: "cosine", ...sizes }) });
    // Adding looks up every id: six times as fast with an index, which takes a second for a million.
    await table.createIndex("id", { config: Index.btree() });
  }

  async #state(fresh: boolean): Promise<TableState> {
    if (
      this.#table === undefined &&
      fresh &&
      (await this.#connection.tableNames({ limit: 1_000 })).includes(this.#name)
    ) {
      this.#table = await this.#connection.openTable(this.#name);
      this.#schema = await this.#table.schema();
      checkSchema(this.#name, this.#schema);
    }
    if (this.#table === undefined || this.#schema === undefined)
      return { exists: false, rows: 0, dimensions: 0, notes: {} };
    const type = this.#schema.fields.find(({ name }) => name === vectorColumn)?.type as { listSize: number };
    return {
      exists: true,
      rows: fresh ? await this.#table.countRows() : 0,
      dimensions: type.listSize,
      notes: fromMetadata(this.#schema.metadata),
      ...(fresh ? await this.#indexed(this.#table) : {}),
    };
  }

  async #indexed(table: Table): Promise<{ indexed?: number }> {
    const index = (await table.listIndices()).find(({ columns }) => columns.includes(vectorColumn));
    const stats = index && (await table.indexStats(index.name));
    return stats === undefined ? {} : { indexed: stats.numIndexedRows };
  }

  #opened(): Table {
    if (this.#table === undefined) throw new Error("internal: the table was not made yet");
    return this.#table;
  }

  /** @throws UserError that names the row of an invalid vector */
  #toBatch(passages: readonly StoredPassage[], vectors_N_E: Float32Array, first: number): RecordBatch {
    const { Float32, RecordBatch, Struct, makeData } = loadArrow();
    const schema = this.#schema as Schema;
    const count = passages.length;
    const { type } = schema.fields[schema.fields.length - 1];
    const { listSize } = type as { listSize: number };
    checkVectors(passages, vectors_N_E, listSize, first);
    const numbers = makeData({ type: new Float32(), length: vectors_N_E.length, nullCount: 0, data: vectors_N_E });
    const vectors = makeData({ type, length: count, nullCount: 0, child: numbers });
    // Tables of before there were these columns go on without them.
    const hasOrigin = schema.fields.length > 4;
    const children = [
      this.#strings(passages.map(({ id }) => id)),
      this.#strings(passages.map(({ title }) => title)),
      this.#strings(passages.map(({ text }) => text)),
      ...(hasOrigin ? originColumns.map((name) => this.#strings(passages.map((passage) => passage[name] ?? ""))) : []),
      vectors,
    ];
    return new RecordBatch(
      schema,
      makeData({ type: new Struct(schema.fields), length: count, nullCount: 0, children }),
    );
  }

  #strings(strings: readonly string[]): Data {
    const { Utf8, makeData } = loadArrow();
    const bytes = strings.map((text) => Buffer.from(text, "utf8"));
    const valueOffsets = new Int32Array(strings.length + 1);
    for (const [place, { length }] of bytes.entries()) valueOffsets[place + 1] = valueOffsets[place] + length;
    return makeData({
      type: new Utf8(),
      length: strings.length,
      nullCount: 0,
      valueOffsets,
      data: Buffer.concat(bytes),
    });
  }
}

function checkVectors(
  passages: readonly StoredPassage[],
  vectors_N_E: Float32Array,
  dimensions: number,
  first: number,
): void {
  if (vectors_N_E.length !== passages.length * dimensions)
    throw new UserError(
      `From passage ${first} on there are ${vectors_N_E.length} numbers for ${passages.length} passages: ` +
        `the table has vectors of ${dimensions} dimensions. Vectors of another encoder need a table of their own.`,
    );
  for (const [row, { id }] of passages.entries()) {
    let sum = 0;
    for (let place = row * dimensions; place < (row + 1) * dimensions; place++) sum += vectors_N_E[place] ** 2;
    if (!Number.isFinite(sum) || sum === 0)
      throw new UserError(
        `The vector of passage ${first + row} (id "${id}") ${sum === 0 ? "is zero" : "holds NaN or infinity"}: it has no direction ` +
          "and would never be found. What was written before it stays; mend the vectors and do the same again.",
      );
  }
}

/** @throws UserError for tables with columns other than ours */
function checkSchema(name: string, schema: Schema): void {
  const names = schema.fields.map((field) => field.name);
  const known = [
    ["id", "title", "text"],
    ["id", "title", "text", ...originColumns],
  ];
  if (!known.some((columns) => names.join() === [...columns, vectorColumn].join()))
    throw new UserError(
      `The LanceDB table "${name}" exists and has other columns (${names.join(", ")}). Searching it is possible, adding to it is not: choose another table name.`,
    );
}

async function inWords<Answer>(place: LancePlace, work: () => Promise<Answer>): Promise<Answer> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof UserError || (error instanceof Error && error.message.startsWith("internal"))) throw error;
    throw new Error(plainMessage(error, place));
  }
}

await serveTasks(async ({ place, table: name }: WriterData) => {
  const connection = await inWords(place, () =>
    loadLance().connect(place.address, { storageOptions: place.storageOptions, readConsistencyInterval: 0 }),
  );
  const writer = new Writer(connection, name);
  return { run: (task: WriterTask) => inWords(place, () => writer.run(task)) };
});
