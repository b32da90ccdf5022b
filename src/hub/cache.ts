/**
 * @file The cache that all Hugging Face tools share: `models--ORG--NAME/` and `datasets--ORG--NAME/` with `blobs/` (contents, named by checksum),
 * `snapshots/COMMIT/` (links to them), `refs/REVISION` (a commit) and `.no_exist/COMMIT/` (files known not to be there).
 */
import { existsSync } from "node:fs";
import { copyFile, link, lstat, mkdir, readFile, stat, symlink, writeFile } from "node:fs/promises";
import path from "node:path";
import { moveIntoPlace } from "../files/durable.js";
import type { ListedFile } from "./listing.js";
import { isCommit, type HubName } from "./name.js";

export class RepositoryCache {
  readonly folder: string;
  readonly #lockFolder: string;

  constructor(cacheFolder: string, { type = "model", repository }: HubName) {
    const name = `${type}s--${repository.replace("/", "--")}`;
    this.folder = path.join(cacheFolder, name);
    this.#lockFolder = path.join(cacheFolder, ".locks", name);
  }

  get lockFile(): string {
    return path.join(this.#lockFolder, "sleuth.lock");
  }

  get blobs(): string {
    return path.join(this.folder, "blobs");
  }

  blob(etag: string): string {
    return path.join(this.blobs, etag);
  }

  snapshot(commit: string): string {
    return path.join(this.folder, "snapshots", commit);
  }

  /** Where a file's bytes are or will be: its blob, or the snapshot's own file where there are no links. */
  async placeOf(commit: string, { path: name, etag }: ListedFile): Promise<string> {
    const [own, blob] = [this.#file(commit, name), this.blob(etag)];
    const isOwn = async (): Promise<boolean> => (await lstat(own).catch(() => undefined))?.isFile() ?? false;
    return (await fileSize(blob)) < 0 && (await isOwn()) ? own : blob;
  }

  /** Puts a file whose blob is there into the snapshot, unless the snapshot has its bytes, as a link or by itself. */
  async place(commit: string, { path: name, etag, size }: ListedFile): Promise<void> {
    const own = this.#file(commit, name);
    if ((await fileSize(own)) !== size) await placeFile(this.blob(etag), own);
  }

  #file(commit: string, name: string): string {
    return path.join(this.snapshot(commit), ...name.split("/"));
  }

  /** What takes a model or a dataset is given this: the snapshot, or the file or folder in it that is meant. */
  location(name: HubName, commit: string): string {
    return name.file === undefined ? this.snapshot(commit) : this.#file(commit, name.file);
  }

  /** The commit that a revision meant when it was last asked for. */
  async cachedCommit(revision: string): Promise<string | undefined> {
    if (isCommit(revision)) return revision;
    const text = await readFile(this.#ref(revision), "utf8").catch(() => "");
    return isCommit(text.trim()) ? text.trim() : undefined;
  }

  async setCommit(revision: string, commit: string): Promise<void> {
    if (isCommit(revision) || (await this.cachedCommit(revision)) === commit) return;
    const file = this.#ref(revision);
    await mkdir(path.dirname(file), { recursive: true });
    await moveIntoPlace(file, (temporary) => writeFile(temporary, commit));
  }

  /** Records which of the optional files a commit does not have, as Python's huggingface_hub does. */
  async setAbsent(commit: string, names: readonly string[]): Promise<void> {
    const folder = path.join(this.folder, ".no_exist", commit);
    await mkdir(folder, { recursive: true });
    for (const name of names) {
      await mkdir(path.dirname(path.join(folder, name)), { recursive: true });
      await writeFile(path.join(folder, name), "", { flag: "a" });
    }
  }

  /** Whether it is known that a commit lacks a file. */
  isAbsent(commit: string, file: string): boolean {
    return existsSync(path.join(this.folder, ".no_exist", commit, file));
  }

  #ref(revision: string): string {
    return path.join(this.folder, "refs", ...revision.split("/"));
  }
}

/** Size of a file, links followed; -1 where there is none. */
export async function fileSize(file: string): Promise<number> {
  return stat(file).then(
    ({ size }) => size,
    () => -1,
  );
}

/** How a file of a snapshot becomes its blob; replaced in tests. Without types of Node's: those of the package reach this file. */
interface LinkTools {
  symlink(target: string, file: string): Promise<void>;
  link(existing: string, file: string): Promise<void>;
}

/**
 * Makes a file of a snapshot: a relative link to its blob; where links need rights that the user lacks (Windows), a second name of
 * the same bytes; else a copy.
 */
export async function placeFile(blob: string, file: string, tools: LinkTools = { symlink, link }): Promise<void> {
  await mkdir(path.dirname(file), { recursive: true });
  await moveIntoPlace(file, async (temporary) => {
    try {
      await tools.symlink(path.relative(path.dirname(file), blob), temporary);
    } catch {
      await tools.link(blob, temporary).catch(() => copyFile(blob, temporary));
    }
  });
}
