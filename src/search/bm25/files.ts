/**
 * @file The few ways in which building an index changes the disk, behind one interface, so that a test can make any of
 * them fail. Synchronous: the builder waits between batches, not inside them.
 */
import { closeSync, fsyncSync, mkdirSync, openSync, renameSync, rmSync, writeSync } from "node:fs";

/** A file being written. */
export interface OutputFile {
  /** Appends all bytes. */
  write(bytes: Uint8Array): void;
  /** Puts everything on the disk and closes the file. */
  finish(): void;
  /** Closes the file without caring for its content. */
  abandon(): void;
}

export interface OutputFiles {
  makeFolder(path: string): void;
  create(path: string): OutputFile;
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
  create: createFile,
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

function createFile(path: string): OutputFile {
  const file = openSync(path, "wx");
  return {
    write(bytes) {
      for (let done = 0; done < bytes.length;) done += writeSync(file, bytes, done);
    },
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
