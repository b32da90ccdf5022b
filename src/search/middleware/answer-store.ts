/**
 * @file Answers on disk: a folder of JSONL files that only grow. Every process writes a file of its own, so processes may share the folder.
 *
 *     {"passage":{"id":"0","title":"Peru","text":"Lima …"},"hash":"9f…"}
 *     {"engine":"c1…","k":3,"query":"capital of Peru","found":[["9f…",4.2]],"sum":"07…"}
 *
 * A passage stands once in the folder, before the answers that name it. What is torn or damaged is skipped and counted.
 */
import { createHash, randomUUID } from "node:crypto";
import { constants } from "node:fs";
import { access, mkdir, open, readdir, type FileHandle } from "node:fs/promises";
import path from "node:path";
import { UserError } from "../../errors.js";
import type { Passage } from "../../types.js";
import { readLineBlocks } from "../../files/lines.js";

/** Where a passage's line stands. */
interface Place {
  file: string;
  byte: number;
  bytes: number;
}

interface StoredAnswer {
  k: number;
  /** Passages by hash, with their scores, best first. */
  found: readonly (readonly [hash: string, score: number])[];
}

interface PassageLine {
  passage: Omit<Passage, "score">;
  hash: string;
}

interface AnswerLine extends StoredAnswer {
  engine: string;
  query: string;
  sum: string;
}

const namePattern = /^answers-.*\.jsonl$/;
const lineFeed = 10;

let stores = 0;

/** Files are read in the order of their names, and what stands in a later one counts: also of two made within one millisecond. */
function nextNumber(): string {
  return String(stores++).padStart(6, "0");
}

export class AnswerStore {
  readonly folder: string;
  /** Lines that were no records, and answers whose passages could not be read. */
  skipped = 0;
  readonly #answers = new Map<string, StoredAnswer[]>();
  readonly #places = new Map<string, Place>();
  readonly #writer: Writer;
  /** Reads follow one another in so many lines: each opens files, and a caller may ask for thousands at once. */
  readonly #readers: Promise<unknown>[] = new Array<Promise<unknown>>(32).fill(Promise.resolve());
  #reads = 0;

  private constructor(folder: string) {
    this.folder = folder;
    this.#writer = new Writer(
      path.join(folder, `answers-${Date.now()}-${process.pid}-${nextNumber()}-${randomUUID().slice(0, 8)}.jsonl`),
    );
  }

  /**
   * Reads what is there. Texts stay on disk.
   * @param mode `write` makes the folder; `read` needs one
   * @throws UserError for a folder that cannot be used
   */
  static async open(folder: string, mode: "read" | "write"): Promise<AnswerStore> {
    const store = new AnswerStore(folder);
    try {
      if (mode === "write") {
        await mkdir(folder, { recursive: true });
        await access(folder, constants.W_OK);
      }
      const names = (await readdir(folder)).filter((name) => namePattern.test(name)).sort();
      for (const name of names) await store.#load(path.join(folder, name));
    } catch (cause) {
      if (cause instanceof UserError) throw cause;
      const advice =
        mode === "read"
          ? "search.cacheMode=replay needs the folder of an earlier run; without one, use search.cacheMode=use."
          : "Choose another folder with search.cache, or none.";
      throw new UserError(`The search cache ${folder} cannot be used: ${(cause as Error).message}. ${advice}`, {
        cause,
      });
    }
    return store;
  }

  /**
   * The best `k` passages that this engine gave for a query; undefined when that is not known.
   * @param prefixes whether an answer to a larger `k` may be cut
   */
  async get(engine: string, query: string, k: number, prefixes: boolean): Promise<Passage[] | undefined> {
    const key = keyOf(engine, query);
    const kept = this.#answers.get(key) ?? [];
    const fitting = kept.filter((answer) => (prefixes ? answer.k >= k : answer.k === k));
    // The smallest that will do; of equals the newest, which stands last.
    const best = fitting.reduce<StoredAnswer | undefined>(
      (chosen, answer) => (chosen === undefined || answer.k <= chosen.k ? answer : chosen),
      undefined,
    );
    if (best === undefined) return undefined;
    try {
      return await this.#inLine(() => this.#read(best.found.slice(0, k)));
    } catch {
      this.skipped++;
      this.#answers.set(
        key,
        (this.#answers.get(key) ?? []).filter((answer) => answer !== best),
      );
      return undefined;
    }
  }

  /**
   * Keeps an engine's answers to several queries; resolves when they are in the hands of the operating system.
   * @throws what the file system throws; then nothing of it is known
   */
  async put(engine: string, k: number, answers: readonly (readonly [query: string, passages: readonly Passage[]])[]) {
    await this.#writer.inTurn(async (append) => {
      const lines: string[] = [];
      const fresh = new Map<string, number>();
      const kept = answers.map(([query, passages]) => {
        const found = passages.map(({ score, ...passage }) => {
          const hash = hashOf(passage);
          if (!this.#places.has(hash) && !fresh.has(hash)) {
            fresh.set(hash, lines.length);
            lines.push(JSON.stringify({ passage, hash } satisfies PassageLine));
          }
          return [hash, score] as const;
        });
        const sum = sumOf(engine, query, { k, found });
        lines.push(JSON.stringify({ engine, k, query, found, sum } satisfies AnswerLine));
        return { query, found };
      });
      const places = await append(lines);
      for (const [hash, line] of fresh) this.#places.set(hash, places[line]);
      for (const { query, found } of kept) this.#keep(engine, query, { k, found });
    });
  }

  async close(): Promise<void> {
    await this.#writer.close();
  }

  #keep(engine: string, query: string, answer: StoredAnswer): void {
    const key = keyOf(engine, query);
    const others = (this.#answers.get(key) ?? []).filter(({ k }) => k !== answer.k);
    this.#answers.set(key, [...others, answer]);
  }

  async #load(file: string): Promise<void> {
    let blockAt = 0;
    for await (const { bytes, next } of readLineBlocks(file)) {
      const block = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
      for (let start = 0; start < block.length;) {
        const found = block.indexOf(lineFeed, start);
        const end = found < 0 ? block.length : found;
        if (
          end > start &&
          !this.#take(block.toString("utf8", start, end), { file, byte: blockAt + start, bytes: end - start })
        )
          this.skipped++;
        start = end + 1;
      }
      blockAt = next.byte;
    }
  }

  /** False for what is no record. */
  #take(text: string, place: Place): boolean {
    try {
      const line = JSON.parse(text) as Partial<PassageLine & AnswerLine>;
      // Its text is compared with its hash when it is read.
      if (typeof line.hash === "string") return (this.#places.set(line.hash, place), true);
      const { engine, query, k, found, sum } = line;
      if (typeof engine !== "string" || typeof query !== "string" || typeof k !== "number") return false;
      if (!Array.isArray(found) || !found.every(isFound)) return false;
      if (sum !== sumOf(engine, query, { k, found })) return false;
      this.#keep(engine, query, { k, found });
      return true;
    } catch {
      return false;
    }
  }

  #inLine<T>(read: () => Promise<T>): Promise<T> {
    const line = this.#reads++ % this.#readers.length;
    const done = this.#readers[line].then(read);
    this.#readers[line] = done.catch(() => undefined);
    return done;
  }

  /** @throws for passages that are not there, or not what their hash says */
  async #read(found: StoredAnswer["found"]): Promise<Passage[]> {
    const handles = new Map<string, FileHandle>();
    try {
      const passages: Passage[] = [];
      for (const [hash, score] of found) {
        const place = this.#places.get(hash);
        if (place === undefined) throw new Error("internal: the passage is not there");
        const handle = handles.get(place.file) ?? (await open(place.file, "r"));
        handles.set(place.file, handle);
        const { buffer, bytesRead } = await handle.read(Buffer.alloc(place.bytes), 0, place.bytes, place.byte);
        const passage = passageIn(buffer.toString("utf8", 0, bytesRead), hash);
        if (passage === undefined) {
          // Known no more, so that the next answer that holds this passage writes it anew.
          this.#places.delete(hash);
          throw new Error("internal: the passage is damaged");
        }
        passages.push({ ...passage, score } as Passage);
      }
      return passages;
    } finally {
      for (const handle of handles.values()) await handle.close();
    }
  }
}

/** The file of this process, made when there is something to write. Writes follow one another. */
class Writer {
  readonly #file: string;
  #handle: FileHandle | undefined;
  #last: Promise<unknown> = Promise.resolve();
  #end = 0;
  #isTorn = false;

  constructor(file: string) {
    this.#file = file;
  }

  /** Runs `work` when all earlier work is done; it appends lines and learns their places. */
  inTurn(work: (append: (lines: readonly string[]) => Promise<Place[]>) => Promise<void>): Promise<void> {
    const done = this.#last.then(() => work((lines) => this.#write(lines)));
    this.#last = done.catch(() => undefined);
    return done;
  }

  async close(): Promise<void> {
    await this.#last;
    await this.#handle?.close();
    this.#handle = undefined;
  }

  async #write(lines: readonly string[]): Promise<Place[]> {
    this.#handle ??= await open(this.#file, "a");
    // After a write that failed in the middle, a new line begins.
    const before = this.#isTorn ? "\n" : "";
    const places: Place[] = [];
    if (this.#isTorn) this.#end = (await this.#handle.stat()).size;
    let byte = this.#end + before.length;
    for (const line of lines) {
      const bytes = Buffer.byteLength(line);
      places.push({ file: this.#file, byte, bytes });
      byte += bytes + 1;
    }
    this.#isTorn = true;
    await this.#handle.appendFile(`${before}${lines.join("\n")}\n`);
    this.#isTorn = false;
    this.#end = byte;
    return places;
  }
}

function isFound(entry: unknown): boolean {
  return Array.isArray(entry) && entry.length === 2 && typeof entry[0] === "string" && typeof entry[1] === "number";
}

/** The passage of a line; undefined where it is not the one that the hash is of. */
function passageIn(line: string, hash: string): PassageLine["passage"] | undefined {
  try {
    const { passage } = JSON.parse(line) as PassageLine;
    return hashOf(passage) === hash ? passage : undefined;
  } catch {
    return undefined;
  }
}

/** Queries may hold anything: the length keeps engine and query apart. */
function keyOf(engine: string, query: string): string {
  return `${engine.length} ${engine}${query}`;
}

function hashOf(passage: Omit<Passage, "score">): string {
  return digest(JSON.stringify(passage)).slice(0, 32);
}

function sumOf(engine: string, query: string, { k, found }: StoredAnswer): string {
  return digest(JSON.stringify([engine, query, k, found])).slice(0, 16);
}

function digest(text: string): string {
  return createHash("sha256").update(text).digest("hex");
}
