/** @file The passages near a vector in a LanceDB table: ours, or anybody's, in a folder or on object storage. */
import type { Connection, Table } from "@lancedb/lancedb";
import { Gate, mapConcurrent, withDeadline } from "../../../async.js";
import { UserError, nearest } from "../../../errors.js";
import type { Passage } from "../../../types.js";
import { parseContents, withOrigin } from "../../text/contents.js";
import { SearchError, checkCount, checkSignal, type SearchOptions } from "../../engine.js";
import type { EncoderSource } from "../encoder.js";
import type { NearestPassages } from "../engine.js";
import {
  findColumns,
  fromMetadata,
  originColumns,
  originColumnsOf,
  type LanceColumns,
  type TableNotes,
} from "./columns.js";
import { loadLance } from "./library.js";
import { checkFolder, lanceError, lancePlace, plainMessage, type Environment, type LancePlace } from "./storage.js";

export interface LanceSettings {
  /** Folder, TABLE.lance within one, s3://bucket/folder, gs://… or az://…. */
  address: string;
  /** Empty: the only table there is, or the one called "passages". */
  table: string;
  /** Columns that are not to be found by name and type. */
  columns: Partial<LanceColumns>;
  /** Partitions of the index that a query looks into. */
  nprobes: number;
  /** Candidates from the index, as multiples of k, that are compared again with their full vectors. */
  refineFactor: number;
  /** Queries at once; 0: 8 with a vector index, 2 without, when every query reads the whole column. */
  concurrency: number;
  /** Deadline of each query, from its start. Milliseconds. */
  timeoutMs: number;
  /** Deadline for opening the table. Milliseconds. */
  openTimeoutMs: number;
  /** How often changes by other processes are looked for. Seconds. */
  refreshSeconds: number;
  /** Keys and endpoint of object storage. */
  environment: Environment;
  /** Takes a line for people: what makes searches here slower than they need be. */
  note: (text: string) => void;
}

/** 1M × 384 in 500 partitions: recall@10 0.98 (`npm run -s bench -- search.dense.1m`). */
const defaults: Omit<LanceSettings, "address" | "environment"> = {
  table: "",
  columns: {},
  nprobes: 20,
  refineFactor: 10,
  concurrency: 0,
  timeoutMs: 30_000,
  openTimeoutMs: 30_000,
  refreshSeconds: 5,
  note: (text) => process.emitWarning(text, "SearchWarning"),
};

/** Fewer candidates than for this k are never compared: a small k is as exact as a larger one. */
const leastRefined = 10;
/** Rows fetched beyond k, to see whether equal scores go on. */
const beyond = 6;
/** Equal scores are put in order up to this many; then some of them are left out as storage gave them. */
const mostFetched = 2_048;
/** A table of fewer rows is searched fast enough without an index. */
const rowsThatNeedIndex = 20_000;

type Metric = "cosine" | "dot" | "l2";

/** How a table is searched. */
interface Access {
  columns: LanceColumns;
  /** Those of `originColumns` that the table has. */
  origin: readonly string[];
  metric: Metric;
  hasIndex: boolean;
}

export class LancePassages implements NearestPassages {
  /** Of the table when it was opened. */
  readonly count: number;
  readonly dimensions: number;
  readonly encoder: string | undefined;
  /** What opens that encoder again, where it was recorded. */
  readonly encoderSource: EncoderSource | undefined;
  /** Whether the table has a vector index; without one searches are exact, and read every vector. */
  readonly hasIndex: boolean;
  readonly #table: Table;
  readonly #connection: Connection;
  readonly #access: Access;
  readonly #settings: LanceSettings;
  readonly #place: LancePlace;
  readonly #gate: Gate;
  readonly #closed = new AbortController();
  #asked = 0;

  private constructor(
    connection: Connection,
    table: Table,
    place: LancePlace,
    settings: LanceSettings,
    facts: Access & TableNotes & { count: number; dimensions: number },
  ) {
    this.#connection = connection;
    this.#table = table;
    this.#place = place;
    this.#settings = settings;
    this.#access = facts;
    this.count = facts.count;
    this.dimensions = facts.dimensions;
    this.encoder = facts.encoder;
    this.encoderSource = facts.encoderSource;
    this.hasIndex = facts.hasIndex;
    this.#gate = new Gate(settings.concurrency > 0 ? settings.concurrency : facts.hasIndex ? 8 : 2);
  }

  /**
   * Opens a table as it is.
   * @throws UserError when LanceDB, the folder or the table is not there, or its columns cannot be told; SearchError when storage fails
   */
  static async open(given: Partial<LanceSettings> & { address: string }): Promise<LancePassages> {
    const settings = { ...defaults, environment: process.env, ...given };
    checkSettings(settings);
    const place = lancePlace(settings.address, settings.environment);
    checkFolder(place);
    const { openTimeoutMs } = settings;
    return withDeadline(() => LancePassages.#openTable(place, settings), {
      timeoutMs: openTimeoutMs,
      late: () => lateError(`opening ${place.address}`, openTimeoutMs),
      discard: (opened) => opened.close(),
    });
  }

  async search(queries_Q_E: Float32Array, k: number, { signal }: SearchOptions = {}): Promise<Passage[][]> {
    checkCount(k);
    checkSignal(signal);
    this.#closed.signal.throwIfAborted();
    if (queries_Q_E.length % this.dimensions !== 0)
      throw new Error(
        `internal: ${queries_Q_E.length} numbers are no whole number of vectors of ${this.dimensions} dimensions`,
      );
    const rows = Array.from({ length: queries_Q_E.length / this.dimensions }, (_, row) =>
      queries_Q_E.slice(row * this.dimensions, (row + 1) * this.dimensions),
    );
    // All queries wait at the gate, which other calls share; when one fails, those that still wait fail with it.
    return mapConcurrent(
      rows,
      Infinity,
      (row, batch) => this.#gate.run(() => this.#nearest(row, k), { signal: batch }),
      { signal: [this.#closed.signal, signal] },
    );
  }

  counts(): Readonly<Record<string, number>> {
    return { nearestQueries: this.#asked };
  }

  /** Searches under way fail. */
  async close(): Promise<void> {
    if (this.#closed.signal.aborted) return;
    this.#closed.abort(new SearchError("lancedb: the table is closed", { engine: "lancedb", isRetryable: false }));
    // A query under way goes on in LanceDB's own threads; what it holds must not go before it.
    await this.#gate.idle();
    this.#table.close();
    this.#connection.close();
  }

  static async #openTable(place: LancePlace, settings: LanceSettings): Promise<LancePassages> {
    let doing = `opening ${place.address}`;
    let connection: Connection | undefined;
    let table: Table | undefined;
    try {
      connection = await loadLance().connect(place.address, {
        storageOptions: place.storageOptions,
        readConsistencyInterval: settings.refreshSeconds,
      });
      const names = await connection.tableNames({ limit: 1_000 });
      const name = chooseTable(place, settings.table === "" ? place.table : settings.table, names);
      doing = `opening the table "${name}"`;
      table = await openNamed(connection, name, place);
      const schema = await table.schema();
      const { dimensions, ...columns } = findColumns(name, schema, settings.columns);
      const count = await table.countRows();
      const access = { columns, origin: originColumnsOf(schema, columns), ...(await indexOf(table, columns.vector)) };
      if (!access.hasIndex && count >= rowsThatNeedIndex) settings.note(missingIndex(name, count));
      const facts = { ...access, ...fromMetadata(schema.metadata), count, dimensions };
      return new LancePassages(connection, table, place, settings, facts);
    } catch (error) {
      table?.close();
      connection?.close();
      throw lanceError(doing, error, place);
    }
  }

  async #nearest(query_E: Float32Array, k: number): Promise<Passage[]> {
    this.#asked++;
    // Equal scores come in any order; so it is looked whether they reach beyond the k-th, and all of them are ordered by row.
    for (let limit = k + beyond; ; limit *= 2) {
      const found = await this.#fetch(query_E, limit, k);
      const isCut = found.length >= limit && found[k - 1].distance === found[found.length - 1].distance;
      if (isCut && limit < mostFetched) continue;
      found.sort((a, b) => a.distance - b.distance || (a.row < b.row ? -1 : 1));
      return found
        .slice(0, k)
        .map(({ passage, distance }) => ({ ...passage, score: cosineOf(distance, this.#access.metric) }));
    }
  }

  async #fetch(
    query_E: Float32Array,
    limit: number,
    k: number,
  ): Promise<{ distance: number; row: bigint; passage: Omit<Passage, "score"> }[]> {
    const { columns, origin, metric, hasIndex } = this.#access;
    const wanted = new Set([columns.id, columns.title, columns.text, ...origin].filter((name) => name !== ""));
    let query = this.#table.query().nearestTo(query_E).column(columns.vector).distanceType(metric).limit(limit);
    if (hasIndex) {
      const candidates = this.#settings.refineFactor * Math.max(k, leastRefined);
      query = query.nprobes(this.#settings.nprobes).refineFactor(Math.max(1, Math.ceil(candidates / limit)));
    }
    const { timeoutMs } = this.#settings;
    try {
      // LanceDB looks at its own deadline between batches only; storage that hangs would go on for ever.
      const rows = await withDeadline(
        () =>
          query
            .select([...wanted, "_distance"])
            .withRowId()
            .toArrow({ timeoutMs }),
        { timeoutMs, late: () => lateError("a query", timeoutMs) },
      );
      const column = (name: string): ((place: number) => unknown) => {
        const vector = name === "" ? null : rows.getChild(name);
        return (place) => vector?.get(place) as unknown;
      };
      const [id, title, text] = [column(columns.id), column(columns.title), column(columns.text)];
      const [distance, row] = [column("_distance"), column("_rowid")];
      const [url, section] = originColumns.map((name) => column(origin.includes(name) ? name : ""));
      return Array.from({ length: rows.numRows }, (_, place) => {
        const number = row(place) as bigint;
        const body = asText(text(place));
        const parts =
          columns.title === "" && columns.text === "contents"
            ? parseContents(body)
            : { title: asText(title(place)), text: body };
        return {
          distance: distance(place) as number,
          row: number,
          passage: withOrigin(
            { id: columns.id === "" ? String(number) : asText(id(place)), ...parts },
            { url: url(place), section: section(place) },
          ),
        };
      }).filter(({ distance }) => Number.isFinite(distance));
    } catch (error) {
      throw lanceError("a query", error, this.#place);
    }
  }
}

function lateError(doing: string, timeoutMs: number): SearchError {
  return new SearchError(`lancedb: ${doing} took longer than ${timeoutMs} ms`, {
    engine: "lancedb",
    isRetryable: true,
  });
}

async function openNamed(connection: Connection, name: string, place: LancePlace): Promise<Table> {
  try {
    return await connection.openTable(name);
  } catch (error) {
    const failure = lanceError(`opening the table "${name}"`, error, place);
    if (failure instanceof SearchError && failure.isRetryable) throw failure;
    throw new UserError(
      `The LanceDB table "${name}" in ${place.address} cannot be opened: ${plainMessage(error, place)}. ` +
        "It is damaged, half-written or of a newer LanceDB; remove it and make it again, or install a newer @lancedb/lancedb.",
    );
  }
}

/** @throws UserError that names the tables there are */
function chooseTable({ address }: LancePlace, wanted: string, names: readonly string[]): string {
  const list = names.length === 0 ? "There are no tables there." : `Tables there: ${names.join(", ")}.`;
  if (wanted !== "") {
    if (names.includes(wanted)) return wanted;
    const hint = nearest(wanted, names);
    throw new UserError(
      `${address} holds no LanceDB table "${wanted}". ${list}${hint === undefined ? "" : ` Did you mean ${hint}?`}`,
    );
  }
  if (names.length === 1) return names[0];
  if (names.includes("passages")) return "passages";
  throw new UserError(
    names.length === 0
      ? `${address} holds no LanceDB table. Name the folder whose entries end in .lance.`
      : `${address} holds several LanceDB tables. ${list} Name one with --collection TABLE.`,
  );
}

async function indexOf(table: Table, column: string): Promise<{ metric: Metric; hasIndex: boolean }> {
  for (const { name, columns, indexType } of await table.listIndices()) {
    if (!columns.includes(column) || !/^(Ivf|Hnsw)/i.test(indexType)) continue;
    const stats = await table.indexStats(name);
    const metric = stats?.distanceType ?? "l2";
    // A question with another metric than the index's would silently read every vector.
    return { metric: metric === "dot" || metric === "cosine" ? metric : "l2", hasIndex: true };
  }
  return { metric: "cosine", hasIndex: false };
}

/** Higher is better; of vectors of unit length the cosine. LanceDB's "l2" is the squared distance. */
function cosineOf(distance: number, metric: Metric): number {
  return metric === "l2" ? 1 - distance / 2 : 1 - distance;
}

function asText(value: unknown): string {
  return value === null || value === undefined ? "" : String(value as string | number | bigint);
}

function missingIndex(table: string, count: number): string {
  return (
    `The LanceDB table "${table}" has ${count.toLocaleString("en")} rows and no vector index: every query reads every vector. ` +
    "An IVF_PQ index makes it a hundred times faster; `sleuth index` makes one, or LanceDB's createIndex."
  );
}

function checkSettings({ nprobes, refineFactor, concurrency, timeoutMs, openTimeoutMs }: LanceSettings): void {
  const least = {
    nprobes: [nprobes, 1],
    refineFactor: [refineFactor, 1],
    concurrency: [concurrency, 0],
    timeoutMs: [timeoutMs, 1],
    openTimeoutMs: [openTimeoutMs, 1],
  };
  for (const [name, [value, bound]] of Object.entries(least))
    if (!Number.isSafeInteger(value) || value < bound)
      throw new UserError(`${name} of lancedb must be a whole number of at least ${bound}, got ${value}.`);
}
