/**
 * @file The few changes that building an index makes to the disk, as an interface, so that a test can make any of
 * them fail. Synchronous: who writes much does so in a worker, or waits between pieces.
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

/** A file being written. */
export interface OutputFile {
  /** Appends all bytes. */
  write(bytes: Uint8Array): void;
  /** Puts what was written so far on the disk. */
  sync(): void;
  /** Puts everything on the disk and closes the file. */
  finish(): void;
  /** Closes the file without caring for its content. */
  abandon(): void;
}

export interface OutputFiles {
  makeFolder(path: string): void;
  create(path: string): OutputFile;
  /** Opens a file again to write on after its first `bytes` bytes; what stands behind them goes. */
  extend(path: string, bytes: number): OutputFile;
  /** Replaces `to` in one step. */
  rename(from: string, to: string): void;
  /** Puts a folder's entries on the disk. */
  syncFolder(path: string): void;
  /** Removes a file or a folder with all it holds; nothing there is no error. */
  remove(path: string): void;
}

/** The real disk. */
export const diskFiles: OutputFiles = {
  makeFolder: (path) => void mkdirSync(path, { recursive: true }),
  create: (path) => outputFile(openSync(path, "wx"), 0),
  extend(path, bytes) {
    const file = openSync(path, "r+");
    ftruncateSync(file, bytes);
    return outputFile(file, bytes);
  },
  rename: renameSync,
  syncFolder(path) {
    // Windows cannot open folders, and its renames need no such help.
    if (process.platform === "win32") return;
    const folder = openSync(path, "r");
    try {
      fsyncSync(folder);
    } finally {
      closeSync(folder);
    }
  },
  remove: (path) => rmSync(path, { recursive: true, force: true }),
};

function outputFile(file: number, length: number): OutputFile {
  let end = length;
  return {
    write(bytes) {
      for (let done = 0; done < bytes.length;) {
        const written = writeSync(file, bytes, done, bytes.length - done, end);
        done += written;
        end += written;
      }
    },
    sync: () => fdatasyncSync(file),
    finish() {
      try {
        fsyncSync(file);
      } finally {
        closeSync(file);
      }
    },
    abandon: () => closeSync(file),
  };
}

/** Removes what nobody needs; what cannot be removed is left for the next writer. */
export function removeQuietly(path: string, files: OutputFiles): void {
  try {
    files.remove(path);
  } catch {
    // Left behind.
  }
}
