/** @file Making a LanceDB table of passages and their vectors, and changing it while others search it. */
import { mkdirSync } from "node:fs";
import { orAborted } from "../../../async.js";
import { UserError } from "../../../errors.js";
import type { StoredPassage } from "../../../types.js";
import { WorkerPool } from "../../../workers/pool.js";
import type { SearchOptions } from "../../engine.js";
import type { Encoder, EncoderSource } from "../encoder.js";
import { checkLeftOut, encodePassages, mayLack, type LeftOut } from "../left-out.js";
import type { TableNotes } from "./columns.js";
import { loadArrow, loadLance } from "./library.js";
import { lanceError, lancePlace, type Environment, type LancePlace } from "./storage.js";
import type { IndexPlan, TableState, WriterAnswer, WriterData, WriterTask } from "./writer.js";

/** Some passages in a row. */
export interface LanceRows {
  passages: readonly StoredPassage[];
  /** [passages × dimensions]; without them the encoder makes them. */
  vectors_N_E?: Float32Array;
}

interface LanceTarget {
  /** Folder (made if need be) or s3://bucket/folder, gs://…, az://…. */
  address: string;
  /** Default "passages". */
  table?: string;
  /** Keys and endpoint of object storage. Default: of this process. */
  environment?: Environment;
}

interface LanceTableOptions extends LanceTarget {
  /** Makes the vectors of passages that come without. Its name and source are kept with the table. */
  encoder?: Encoder;
  /** Name of the encoder that made vectors which come with the passages. */
  encoderName?: string;
  /** What opens that encoder again. */
  encoderSource?: EncoderSource;
}

export interface LanceBuildOptions extends LanceTableOptions {
  /** The passages in a fixed order: the same call goes on where a build that was stopped left off. */
  rows: AsyncIterable<LanceRows> | Iterable<LanceRows>;
  /** Tells this source from any other: a table begun from another is not continued. */
  source?: string;
  /** Rows that become durable together. */
  rowsPerCommit?: number;
  /** A vector index is made from this many rows on; fewer are searched exactly. */
  indexFrom?: number;
  index?: Partial<IndexPlan>;
  signal?: AbortSignal;
  onProgress?: (progress: LanceProgress) => void;
}

interface LanceProgress {
  stage: "writing" | "indexing";
  /** Passages that are durable. */
  passages: number;
}

interface LanceBuilt {
  passages: number;
  /** How many were there already. */
  resumedFrom: number;
  /** Passages that the table lacks, since the encoder's endpoint refuses them: those of this call. */
  leftOut: LeftOut[];
  /** How many passages the calls before have left out. */
  leftOutBefore: number;
  hasIndex: boolean;
}

const rowsPerTask = 2_000;

/**
 * Writes passages and vectors into a table, commits every `rowsPerCommit` rows, and makes the index. What was committed survives
 * everything; the same call goes on after it. A passage that the encoder's endpoint refuses is left out and named; when it is more than a tenth
 * of them, the build ends. Memory: about two commits of rows.
 * @throws UserError for vectors that do not fit (with the passage's number and id), another source or encoder than the table was begun
 * with; SearchError when storage or the encoder fails; the signal's reason
 */
export async function buildLanceTable(options: LanceBuildOptions): Promise<LanceBuilt> {
  const { rowsPerCommit = 20_000, signal, onProgress = () => {} } = options;
  const table = await LanceTable.open(options, options.source);
  try {
    const resumedFrom = table.count;
    const last = resumedFrom > 0 ? await table.idAt(resumedFrom - 1) : "";
    // Of a recorded source some passages may have been left out.
    const end = { rows: resumedFrom, last, mayLack: options.source !== undefined && options.encoder !== undefined };
    const leftOut: LeftOut[] = [];
    let leftOutBefore = 0;
    let isBehind = resumedFrom > 0;
    let seen = 0;
    let pending = 0;
    for await (const rows of options.rows) {
      for (const some of slices(rows, rowsPerTask)) {
        signal?.throwIfAborted();
        let skipped = 0;
        if (isBehind) {
          const place = lastRowIn(some.passages, seen, table.name, end);
          isBehind = place === undefined;
          skipped = place === undefined ? some.passages.length : place + 1;
          if (!isBehind) leftOutBefore = seen + skipped - resumedFrom;
        }
        if (skipped < some.passages.length) {
          const refused = await table.gather(slice(some, skipped, some.passages.length), seen + skipped, { signal });
          leftOut.push(...refused);
          pending += some.passages.length - skipped - refused.length;
        }
        seen += some.passages.length;
        checkLeftOut(leftOut, seen);
        if (pending < rowsPerCommit) continue;
        await table.append();
        pending = 0;
        onProgress({ stage: "writing", passages: table.count });
      }
    }
    signal?.throwIfAborted();
    if (pending > 0) await table.append();
    if (seen < resumedFrom)
      throw new UserError(
        `The LanceDB table "${table.name}" holds ${resumedFrom} passages, and the source only ${seen}: it is a table of something else, or was added to. Choose another table name.`,
      );
    if (isBehind) throw otherSource(table.name, end, "the source has no passage with this id there");
    if (table.count === 0) throw new UserError("There are no passages to write: the source is empty.");
    onProgress({ stage: "indexing", passages: table.count });
    await indexRows(table, options);
    return { passages: table.count, resumedFrom, leftOut, leftOutBefore, hasIndex: table.hasIndex };
  } finally {
    const closed = table.close();
    // A caller that gives up does not wait for an index that LanceDB goes on making.
    if (signal?.aborted !== true) await closed;
  }
}

/** Makes the index of a table that is large enough for one. */
async function indexRows(table: LanceTable, { indexFrom = 5_000, index, signal }: LanceBuildOptions): Promise<void> {
  if (table.count < indexFrom || table.unindexed === 0) return;
  // Few new rows go into the index that there is.
  if (table.hasIndex && table.unindexed < table.count / 5) await table.optimize({ signal });
  else await table.index(index, { signal });
}

/** A table open for writing: by one process at a time, while any number search it. */
export class LanceTable {
  readonly name: string;
  readonly #pool: WorkerPool<WriterTask, WriterAnswer>;
  readonly #place: LancePlace;
  readonly #options: LanceTableOptions;
  readonly #notes: TableNotes;
  #state: TableState;
  /** The last task, when it is done or has failed; tasks are done one after another. */
  #underWay: Promise<void> = Promise.resolve();

  private constructor(
    name: string,
    pool: WorkerPool<WriterTask, WriterAnswer>,
    place: LancePlace,
    options: LanceTableOptions,
    notes: TableNotes,
    state: TableState,
  ) {
    this.name = name;
    this.#pool = pool;
    this.#place = place;
    this.#options = options;
    this.#notes = notes;
    this.#state = state;
  }

  /**
   * Opens a table made by `buildLanceTable`; one that is not there is made with the first passages.
   * @throws UserError for tables of other encoders, sources or makers
   */
  static async open(options: LanceTableOptions, source?: string): Promise<LanceTable> {
    // Here, too: so that its absence is said before a worker starts, and once.
    loadLance();
    loadArrow();
    const place = lancePlace(options.address, options.environment);
    const name = options.table ?? (place.table === "" ? "passages" : place.table);
    if (!place.isRemote) mkdirSync(place.address, { recursive: true });
    const data: WriterData = { place, table: name };
    const module = new URL("./writer", import.meta.url);
    const notes = {
      encoder: options.encoder?.name ?? options.encoderName,
      source,
      encoderSource: options.encoder?.source ?? options.encoderSource,
    };
    let pool: WorkerPool<WriterTask, WriterAnswer> | undefined;
    try {
      pool = await WorkerPool.open<WriterTask, WriterAnswer>({ name: "lancedb", module, workers: 1, data });
      const state = (await pool.run({ do: "look" })) as TableState;
      checkSame(name, "encoder", state.notes.encoder, notes.encoder, state.exists);
      checkSame(name, "source", state.notes.source, notes.source, state.exists);
      return new LanceTable(name, pool, place, options, notes, state);
    } catch (error) {
      await pool?.close();
      throw lanceError(`opening the table "${name}"`, error, place);
    }
  }

  /** Passages that are durable. */
  get count(): number {
    return this.#state.rows;
  }

  get hasIndex(): boolean {
    return this.#state.indexed !== undefined;
  }

  /** Passages that searches find without the index's help, by looking at each. */
  get unindexed(): number {
    return this.count - (this.#state.indexed ?? 0);
  }

  /**
   * Adds passages; one whose id is there already takes the old one's place. Durable and to be found when this returns. Where a table was built
   * with one id for several passages, each of them is replaced.
   * @returns those that the encoder's endpoint refuses: they are not added, and what was there under their ids stays
   * @throws UserError for an id that occurs twice among them; as `buildLanceTable`
   */
  async add(rows: LanceRows, options: SearchOptions = {}): Promise<LeftOut[]> {
    const ids = new Set<string>();
    for (const { id } of rows.passages) {
      if (ids.has(id)) throw new UserError(`The id ${JSON.stringify(id)} stands for two passages. Ids must be unique.`);
      ids.add(id);
    }
    const leftOut: LeftOut[] = [];
    for (const some of slices(rows, rowsPerTask)) leftOut.push(...(await this.gather(some, this.count, options)));
    if (this.#state.exists) await this.#run({ do: "replace" }, "adding passages");
    return leftOut;
  }

  /** Deletes passages; ids that are not there are no error. Durable when this returns. */
  async delete(ids: readonly string[]): Promise<void> {
    if (this.#state.exists && ids.length > 0) await this.#run({ do: "delete", ids }, "deleting passages");
  }

  /** Takes new rows into the index and joins small files; searches go on meanwhile. Worth its seconds after some 10 % of changes. */
  async optimize(options: SearchOptions = {}): Promise<void> {
    if (this.#state.exists) await this.#run({ do: "optimize" }, "optimising", options);
  }

  /** Makes the vector index anew. */
  async index(plan: Partial<IndexPlan> = {}, options: SearchOptions = {}): Promise<void> {
    const given = { ...planIndex(this.count, this.#state.dimensions), ...plan };
    await this.#run({ do: "index", plan: given }, "making the index", options);
  }

  /** Id of a row, in the order of writing. */
  async idAt(row: number): Promise<string> {
    return ((await this.#ask({ do: "id", row }, "reading")) as { id: string }).id;
  }

  /**
   * Takes rows in; they are durable after `append`.
   * @param first number of the first, for messages
   * @returns passages that the encoder's endpoint refuses
   */
  async gather(given: LanceRows, first: number, options: SearchOptions = {}): Promise<LeftOut[]> {
    if (given.passages.length === 0) return [];
    // A copy: the buffer goes to the worker.
    const { passages, vectors, leftOut } =
      given.vectors_N_E === undefined
        ? await this.#encode(given.passages, first, options)
        : { passages: given.passages, vectors: given.vectors_N_E.slice(), leftOut: [] };
    if (passages.length === 0) return leftOut;
    if (!this.#state.exists) {
      const dimensions = vectors.length / passages.length;
      if (!Number.isSafeInteger(dimensions) || dimensions === 0)
        throw new UserError(`${vectors.length} numbers are no vectors for ${passages.length} passages.`);
      await this.#run({ do: "create", dimensions, notes: this.#notes }, "making the table");
    }
    await this.#ask({ do: "gather", passages, vectors_N_E: vectors, first }, "taking in passages", {}, [
      vectors.buffer as ArrayBuffer,
    ]);
    return leftOut;
  }

  async append(): Promise<void> {
    await this.#run({ do: "append" }, "writing passages");
  }

  /** Waits for what is under way: LanceDB's threads write into the memory of the worker, and must not outlive it. */
  async close(): Promise<void> {
    await this.#underWay;
    await this.#pool.close();
  }

  async #encode(
    passages: readonly StoredPassage[],
    first: number,
    options: SearchOptions,
  ): ReturnType<typeof encodePassages> {
    const { encoder } = this.#options;
    if (encoder === undefined)
      throw new UserError("Passages without vectors need an encoder: name one with --encoder, or give the vectors.");
    return encodePassages(encoder, passages, first, options);
  }

  async #run(task: WriterTask, doing: string, options: SearchOptions = {}): Promise<void> {
    this.#state = (await this.#ask(task, doing, options)) as TableState;
  }

  async #ask(
    task: WriterTask,
    doing: string,
    { signal }: SearchOptions = {},
    transfer: ArrayBuffer[] = [],
  ): Promise<WriterAnswer> {
    const answer = this.#pool.run(task, { transfer });
    this.#underWay = answer.then(
      () => {},
      () => {},
    );
    try {
      return await orAborted(answer, signal);
    } catch (error) {
      signal?.throwIfAborted();
      throw lanceError(`${doing} in "${this.name}"`, error, this.#place);
    }
  }
}

/**
 * Half as many partitions as the root of the rows (500 for a million), a byte for every 8 dimensions. Few k-means iterations over a small
 * sample: LanceDB's own 50 × 256 take ten times as long and find hardly more.
 */
export function planIndex(rows: number, dimensions: number): IndexPlan {
  return {
    partitions: Math.max(1, Math.round(Math.sqrt(rows) / 2)),
    subVectors: subVectors(dimensions),
    maxIterations: 10,
    sampleRate: 64,
  };
}

/** As near to a eighth of the dimensions as divides them. */
function subVectors(dimensions: number): number {
  for (let size = 8; size > 1; size--) if (dimensions % size === 0) return dimensions / size;
  return dimensions;
}

function slices(rows: LanceRows, size: number): LanceRows[] {
  const count = Math.ceil(rows.passages.length / size);
  return Array.from({ length: count }, (_, part) => slice(rows, part * size, (part + 1) * size));
}

function slice({ passages, vectors_N_E }: LanceRows, first: number, end: number): LanceRows {
  const dimensions = (vectors_N_E?.length ?? 0) / passages.length;
  return {
    passages: passages.slice(first, end),
    vectors_N_E: vectors_N_E?.subarray(first * dimensions, end * dimensions),
  };
}

function checkSame(
  table: string,
  what: "encoder" | "source",
  recorded: string | undefined,
  given: string | undefined,
  exists: boolean,
): void {
  if (!exists || given === undefined || recorded === given) return;
  const why = what === "encoder" ? "Vectors of different encoders do not compare" : "Going on would mix two corpora";
  throw new UserError(
    `The LanceDB table "${table}" was made with the ${what} ${recorded ?? "(not recorded)"}, not ${given}. ${why}: choose another table name, or remove the table.`,
  );
}

/** Where an earlier build ended. */
interface TableEnd {
  rows: number;
  /** Id of the last row. */
  last: string;
  /** Whether passages of the source may have been left out. */
  mayLack: boolean;
}

/**
 * The table's last row among some passages of the source; undefined where it comes later.
 * @param seen passages before these
 * @throws UserError when the source has another passage in its place
 */
function lastRowIn(passages: readonly StoredPassage[], seen: number, table: string, end: TableEnd): number | undefined {
  const place = end.rows - 1 - seen;
  if (place >= passages.length) return undefined;
  if (!end.mayLack) {
    if (passages[place].id === end.last) return place;
    throw otherSource(table, end, `passage ${end.rows} of the source is "${passages[place].id}"`);
  }
  const found = passages.findIndex(({ id }, index) => index >= place && id === end.last);
  const read = seen + (found < 0 ? passages.length : found + 1);
  if (mayLack(read - end.rows, read)) return found < 0 ? undefined : found;
  throw otherSource(table, end, "the source has no passage with this id there");
}

function otherSource(table: string, { rows, last }: TableEnd, why: string): UserError {
  return new UserError(
    `The LanceDB table "${table}" holds ${rows} passages, the last with id "${last}", but ${why}: ` +
      "the source or the table was changed since. Choose another table name, or remove the table.",
  );
}
