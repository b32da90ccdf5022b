/**
 * @file The changes to the disk that building an index consists of. They are synchronous: code that writes much does so in a worker, or pauses
 * between pieces. Tests make Node's own `fs` fail below a folder (`failing-disk.test-support.ts`), so that each of these changes fails in turn.
 */
import {
  closeSync,
  fdatasyncSync,
  fsyncSync,
  ftruncateSync,
  mkdirSync,
  openSync,
  renameSync,
  rmSync,
  writeSync,
} from "node:fs";
import { dirname } from "node:path";

/** A file being written. End with `finish`, or with `abandon` after an error. */
export class OutputFile {
  readonly #descriptor: number;
  #end: number;
  #isOpen = true;

  private constructor(descriptor: number, end: number) {
    this.#descriptor = descriptor;
    this.#end = end;
  }

  /** A new file; one that is there is an error. */
  static create(path: string): OutputFile {
    return new OutputFile(openSync(path, "wx"), 0);
  }

  /** Opens a file again to write behind its first `bytes` bytes; what stands after them goes. */
  static extend(path: string, bytes: number): OutputFile {
    const file = new OutputFile(openSync(path, "r+"), bytes);
    try {
      ftruncateSync(file.#descriptor, bytes);
    } catch (error) {
      file.abandon();
      throw error;
    }
    return file;
  }

  /** Appends all bytes. */
  write(bytes: Uint8Array): void {
    this.#checkOpen();
    for (let done = 0; done < bytes.length;) {
      const written = writeSync(this.#descriptor, bytes, done, bytes.length - done, this.#end);
      done += written;
      this.#end += written;
    }
  }

  /** Puts what was written so far on the disk. */
  sync(): void {
    this.#checkOpen();
    fdatasyncSync(this.#descriptor);
  }

  /** Puts everything on the disk and closes the file. */
  finish(): void {
    this.#checkOpen();
    try {
      fsyncSync(this.#descriptor);
    } finally {
      this.abandon();
    }
  }

  /** Closes the file, if it is open, without caring for its content. */
  abandon(): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    closeSync(this.#descriptor);
  }

  /** The descriptor of a closed file may be another file's by now. */
  #checkOpen(): void {
    if (!this.#isOpen) throw new Error("internal: the file is closed");
  }
}

/** Makes a folder, and those above it; one that is there is no error. */
export function makeFolder(path: string): void {
  mkdirSync(path, { recursive: true });
}

/** Puts a folder's entries on the disk. */
export function syncFolder(path: string): void {
  // Windows cannot open folders, and its renames need no such help.
  if (process.platform === "win32") return;
  const folder = openSync(path, "r");
  try {
    fsyncSync(folder);
  } finally {
    closeSync(folder);
  }
}

/** Gives a file another content in one step: after a failure or a crash, the old content is there whole. */
export function replaceFile(path: string, content: string): void {
  const unfinished = `${path}.new`;
  remove(unfinished);
  const file = OutputFile.create(unfinished);
  try {
    file.write(Buffer.from(content));
    file.finish();
    renameSync(unfinished, path);
  } catch (error) {
    file.abandon();
    removeQuietly(unfinished);
    throw error;
  }
  try {
    syncFolder(dirname(path));
  } catch {
    // The new content is there already, and undoing that would leave none.
  }
}

/** Removes a file or a folder with all it holds; a missing path is no error. */
export function remove(path: string): void {
  rmSync(path, { recursive: true, force: true });
}

/** Removes files that are no longer needed; those that cannot be removed are left for the next writer. */
export function removeQuietly(path: string): void {
  try {
    remove(path);
  } catch {
    // Left behind.
  }
}
