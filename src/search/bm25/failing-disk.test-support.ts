/** @file A disk whose changes fail when a test says so, and one that is never waited for. */
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { diskFiles } from "../../files/disk.js";
import type { OutputFile, OutputFiles } from "../../files/disk.js";
import { isLockFile } from "../index-lock.js";

/** The disk without the wait for it: for tests that write many indexes. */
export const hastyDisk: OutputFiles = failingDisk(Infinity, "", false).files;

/** The disk, whose n-th change fails, and every change after it too when the process is "killed". */
export function failingDisk(n: number, code: string, isKilled: boolean): { files: OutputFiles; changes: () => number } {
  let changes = 0;
  const step = <T>(change: () => T): T => {
    changes++;
    if (changes === n || (isKilled && changes > n)) throw Object.assign(new Error(`${code}: injected`), { code });
    return change();
  };
  const watched = (file: OutputFile): OutputFile => ({
    // A full disk takes a part of what it is given.
    write(bytes) {
      if (changes + 1 === n) file.write(bytes.subarray(0, bytes.length >> 1));
      step(() => file.write(bytes));
    },
    // Without the wait for the disk: what a power cut leaves is not what is tested here.
    sync: () => step(() => undefined),
    finish() {
      try {
        step(() => file.abandon());
      } catch (error) {
        file.abandon();
        throw error;
      }
    },
    abandon: () => file.abandon(),
  });
  return {
    changes: () => changes,
    files: {
      makeFolder: (path) => step(() => diskFiles.makeFolder(path)),
      create: (path) => watched(step(() => diskFiles.create(path))),
      extend: (path, bytes) => watched(step(() => diskFiles.extend(path, bytes))),
      rename: (from, to) => step(() => diskFiles.rename(from, to)),
      syncFolder: () => step(() => undefined),
      remove: (path) => step(() => diskFiles.remove(path)),
    },
  };
}

/** What the death of a writer that lives in this process would do: its lock counts no more. */
export function dieAsLockHolder(out: string): void {
  for (const name of readdirSync(out)) if (isLockFile(name)) rmSync(join(out, name));
}

/** A temporary folder, in memory where the system has such a place: tests of faults write tens of thousands of small files. */
export function scratchFolder(prefix: string): string {
  try {
    return mkdtempSync(join("/dev/shm", prefix));
  } catch {
    return mkdtempSync(join(tmpdir(), prefix));
  }
}
