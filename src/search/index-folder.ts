/**
 * @file What the index folders of all engines have in common: `index.json`, a manifest with a checksum of its own, which names the folders of
 * files that belong to it and their checksums; and a lock for one writer at a time. The manifest is written last and by a rename, so that an
 * index is the old one or the new one and never a mixture. Readers need no lock.
 */
import { randomBytes } from "node:crypto";
import { existsSync, readdirSync, statSync } from "node:fs";
import { readFile, rm } from "node:fs/promises";
import os from "node:os";
import { join } from "node:path";
import type { z } from "zod";
import { UserError } from "../errors.js";
import { parseChecksummed, withChecksum } from "../files/checksummed-json.js";
import type { Damaged, FileChecksum } from "../files/checksummed-file.js";
import { replaceFile, syncFolder } from "../files/disk.js";
import { firstIssue } from "../files/json-file.js";
import { isLockOf, isRunning, takeLock, type LockOwner } from "../files/lock.js";
import { shellWord } from "../printable.js";

export const manifestName = "index.json";

/** Folders of files begin with it. */
export const generationPrefix = "generation-";

/** Offsets of neighbours in a file: none before the one before it, from 0 to the file's end. */
export function areOffsets(offsets: Uint32Array | Float64Array, end: number): boolean {
  let before = 0;
  if (offsets[0] !== 0 || offsets[offsets.length - 1] !== end) return false;
  for (const offset of offsets) {
    if (!Number.isInteger(offset) || offset < before) return false;
    before = offset;
  }
  return true;
}

/** A name for a new folder of files. */
export function newGeneration(): string {
  return `${generationPrefix}${process.pid}-${randomBytes(4).toString("hex")}`;
}

interface IndexKindOptions {
  /** As messages call it: "search index". */
  name: string;
  /** Field `format` of the manifest. */
  format: string;
  /** Values of the field `version` that can be read; the last one is written. */
  versions: readonly number[];
  /** Options of `sleuth index` that build it. */
  options: string;
}

/** An engine's kind of index: how its manifest is told from others, and what its errors say. */
export class IndexKind {
  readonly #kind: IndexKindOptions;

  constructor(kind: IndexKindOptions) {
    this.#kind = kind;
  }

  /** A sentence that says how an index is built anew. */
  remedy(folder: string): string {
    return `Build it with \`sleuth index CORPUS.jsonl${this.#kind.options} --out ${shellWord(folder)}\`.`;
  }

  /** Makes the errors of files of an index that are not what was written. */
  damagedIn(folder: string): Damaged {
    return (path, why, cause) =>
      new UserError(`The ${this.#kind.name} is damaged: ${path}: ${why}. ${this.remedy(folder)}`, { cause });
  }

  /**
   * The content of `folder/index.json`.
   * @throws UserError when it is missing, damaged, of another version or of another kind of index
   */
  async readManifest(folder: string): Promise<Record<string, unknown>> {
    const path = join(folder, manifestName);
    try {
      return this.#check(await readFile(path, "utf8"), path, folder);
    } catch (cause) {
      const { code } = cause as NodeJS.ErrnoException;
      if (code === undefined) throw cause;
      if (code === "ENOTDIR")
        throw new UserError(
          `${folder} is a file, and a ${this.#kind.name} is a folder. Name the folder that \`sleuth index\` made; of documents or a JSONL file it makes one: \`sleuth index CORPUS --out FOLDER\`.`,
          { cause },
        );
      throw new UserError(
        `There is no ${this.#kind.name} in ${folder}: ${path} cannot be read (${code}). ${this.remedy(folder)}`,
        { cause },
      );
    }
  }

  #check(text: string, path: string, folder: string): Record<string, unknown> {
    const damaged = this.damagedIn(folder);
    let read: ReturnType<typeof parseChecksummed>;
    try {
      read = parseChecksummed(text);
    } catch (cause) {
      throw damaged(path, "it is not JSON", cause);
    }
    const { content, isWhole } = read;
    const { format, version } = content;
    if (format !== this.#kind.format) {
      const what =
        typeof format === "string" ? `of another kind of index (${format})` : "not the manifest of a Sleuth index";
      throw new UserError(`${path} is ${what}. ${this.remedy(folder)}`);
    }
    const { versions } = this.#kind;
    if (!versions.includes(version as number))
      throw new UserError(
        `${path} is of version ${JSON.stringify(version)}; this Sleuth reads version ${versions.at(-1)}. ${this.remedy(folder)}`,
      );
    if (isWhole !== true) throw damaged(path, "its checksum does not match its content");
    return content;
  }

  /**
   * A manifest's content as `schema` says.
   * @throws UserError naming the first field that is wrong
   */
  parse<T>(folder: string, content: unknown, schema: z.ZodType<T>): T {
    const parsed = schema.safeParse(content);
    if (parsed.success) return parsed.data;
    throw this.damagedIn(folder)(join(folder, manifestName), firstIssue(parsed.error));
  }

  /**
   * Compares what the manifest counts with the sizes of the files that it names.
   * @param expected bytes of each file
   * @throws UserError for a file that is not named or has another size
   */
  checkSizes(
    folder: string,
    files: Readonly<Record<string, FileChecksum>>,
    expected: Readonly<Record<string, number>>,
  ) {
    const damaged = this.damagedIn(folder);
    for (const [name, bytes] of Object.entries(expected)) {
      const own = Object.hasOwn(files, name) ? files[name].bytes : undefined;
      if (own === undefined) throw damaged(join(folder, manifestName), `it names no ${name}`);
      if (own !== bytes)
        throw damaged(join(folder, manifestName), `${name} has ${own} bytes where its own counts call for ${bytes}`);
    }
  }
}

/** Makes `manifest` the index's. Everything it names is on the disk already, apart from the folder's entries. */
export function commitManifest(out: string, manifest: object): void {
  syncFolder(out);
  replaceFile(join(out, manifestName), withChecksum(manifest));
}

/**
 * @param otherKind of another kind of index, a folder of files has this file: what is in `out` took hours, perhaps, and is not replaced because
 *   `--engine` was forgotten
 * @throws UserError unless `out` is free or an index folder that may be replaced
 */
export function checkTarget(out: string, otherKind: { engine: string; file: string }): void {
  if (!existsSync(out)) return;
  if (!statSync(out).isDirectory())
    throw new UserError(`${out} is a file; an index is a folder. Choose another --out.`);
  const names = readdirSync(out);
  const foreign = names.find(
    (name) => !name.startsWith(manifestName) && !name.startsWith(generationPrefix) && !isLockFile(name),
  );
  if (foreign !== undefined)
    throw new UserError(
      `${out} holds other files (${foreign}); an index needs a folder of its own. Choose another --out.`,
    );
  if (names.some((name) => name.startsWith(generationPrefix) && existsSync(join(out, name, otherKind.file))))
    throw new UserError(
      `${out} holds an index of another kind (${otherKind.engine}). Choose another --out, or remove the folder.`,
    );
}

/** Another process, or another call in this one, is changing the index. */
export class IndexBusy extends UserError {}

/** Locks of older versions are empty files with the owner's pid in their name. */
const olderLock = /^lock-(\d+)-/;

/** Whether a file of an index folder is a lock, or what a killed process has left of one. */
export function isLockFile(name: string): boolean {
  return isLockOf("lock", name) || olderLock.test(name);
}

/**
 * Does `work` while no other writer changes the index in `out`; makes the folder when it is missing.
 * @throws IndexBusy when another writer is at work; what `work` throws
 */
export async function withIndexLock<T>(out: string, work: () => Promise<T>): Promise<T> {
  const file = join(out, "lock");
  const unlock = await takeLock(file, (owner) => busy(out, owner, file));
  try {
    for (const name of readdirSync(out)) {
      const pid = Number(olderLock.exec(name)?.[1]);
      if (Number.isNaN(pid)) continue;
      if (isRunning(pid)) throw busy(out, { pid, host: os.hostname() }, join(out, name));
      await rm(join(out, name), { force: true });
    }
    return await work();
  } finally {
    await unlock();
  }
}

function busy(out: string, { pid, host }: Pick<LockOwner, "pid" | "host">, file: string): IndexBusy {
  const where = host === os.hostname() ? "" : ` on ${host}`;
  return new IndexBusy(
    `The index ${out} is being changed by process ${pid}${where}. Wait until it is done and run again. (If no such process of Sleuth runs, remove ${file}.)`,
  );
}
