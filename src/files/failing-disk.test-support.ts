/**
 * @file Node's own `fs`, made to fail below a folder: each change of the disk is counted, and one of them fails, in this thread and in the
 * workers of pools that are opened meanwhile. Production code sees nothing of it.
 */
import fs from "node:fs";
import { syncBuiltinESMExports } from "node:module";
import { tmpdir } from "node:os";
import { join, sep } from "node:path";
import workerThreads from "node:worker_threads";
import type { WorkerStart } from "../workers/messages.js";

export interface DiskFault {
  /** Changes of the disk in this folder count, and no others. */
  folder: string;
  /** Which of them fails, from 1. Default: none. */
  failAt?: number;
  /** Code of the error. Default: "ENOSPC". */
  code?: string;
  /** Whether every change after it fails too, as if the process had been killed. */
  isKilled?: boolean;
}

/** A fault as threads share it. */
export interface SharedFault extends Required<DiskFault> {
  /** One element: the changes so far. */
  changes: Int32Array;
}

/** What a worker is started with while the disk fails. */
export interface FaultyStart extends WorkerStart {
  /** The module that the pool has named, and what was to boot it. */
  original: { module: string; entry: string };
  fault: SharedFault;
}

/**
 * Does `work` while the disk fails, and puts everything back.
 * @returns how many changes there were, and the error that `work` threw
 */
export async function onFailingDisk(
  { folder, failAt = Infinity, code = "ENOSPC", isKilled = false }: DiskFault,
  work: () => Promise<unknown>,
): Promise<{ changes: number; failure: unknown }> {
  const fault: SharedFault = { folder, failAt, code, isKilled, changes: new Int32Array(new SharedArrayBuffer(4)) };
  const mend = breakDisk(fault);
  const RealWorker = workerThreads.Worker;
  workerThreads.Worker = class extends RealWorker {
    constructor(entry: string | URL, options: workerThreads.WorkerOptions) {
      const start = options.workerData as WorkerStart;
      const module = new URL("./failing-disk-worker.test-support.ts", import.meta.url).href;
      super(entry, {
        ...options,
        workerData: {
          ...start,
          module,
          original: { module: start.module, entry: String(entry) },
          fault,
        } satisfies FaultyStart,
      });
    }
  };
  syncBuiltinESMExports();
  try {
    return await work().then(
      () => ({ changes: fault.changes[0], failure: null }),
      (failure: unknown) => ({ changes: fault.changes[0], failure }),
    );
  } finally {
    workerThreads.Worker = RealWorker;
    mend();
  }
}

/** Makes the disk of this thread fail; returns what mends it. */
export function breakDisk({ folder, failAt, code, isKilled, changes }: SharedFault): () => void {
  const real = { ...fs };
  const realPromises = { ...fs.promises };
  /** Files in the folder that are open. */
  const descriptors = new Set<number>();
  const isInside = (path: unknown): boolean => path === folder || String(path).startsWith(folder + sep);
  const count = <T>(change: () => T, half?: () => void): T => {
    const number = Atomics.add(changes, 0, 1) + 1;
    if (number === failAt) half?.();
    if (number === failAt || (isKilled && number > failAt))
      throw Object.assign(new Error(`${code}: injected`), { code });
    return change();
  };
  // Without the wait for the disk: what a power cut leaves is not what is tested here.
  const sync = (file: number): void => (descriptors.has(file) ? count(() => undefined) : real.fsyncSync(file));

  const broken: Partial<typeof fs> = {
    openSync(path, flags, mode) {
      if (!isInside(path)) return real.openSync(path, flags, mode);
      const open = (): number => real.openSync(path, flags, mode);
      const descriptor = flags === "r" ? open() : count(open);
      descriptors.add(descriptor);
      return descriptor;
    },
    closeSync(file) {
      descriptors.delete(file);
      real.closeSync(file);
    },
    writeSync: ((file: number, bytes: Uint8Array, offset: number, length: number, position: number) => {
      const write = (some: number): number => real.writeSync(file, bytes, offset, some, position);
      if (!descriptors.has(file)) return write(length);
      // A full disk takes a part of what it is given.
      return count(
        () => write(length),
        () => write(length >> 1),
      );
    }) as typeof fs.writeSync,
    fsyncSync: sync,
    fdatasyncSync: sync,
    ftruncateSync: (file, length) =>
      descriptors.has(file) ? count(() => real.ftruncateSync(file, length)) : real.ftruncateSync(file, length),
  };
  /** A function whose first argument is a path. */
  const ofPath = (change: (...given: never[]) => unknown) =>
    ((...given: never[]) => (isInside(given[0]) ? count(() => change(...given)) : change(...given))) as never;
  for (const name of ["mkdirSync", "renameSync", "rmSync", "unlinkSync"] as const) broken[name] = ofPath(real[name]);
  const brokenPromises: Partial<typeof fs.promises> = {};
  for (const name of ["copyFile", "link", "mkdir", "rename", "rm", "unlink", "writeFile"] as const) {
    const change = ofPath(realPromises[name] as never) as (...given: unknown[]) => unknown;
    brokenPromises[name] = (async (...given: unknown[]) => change(...given)) as never;
  }

  const put = (functions: Partial<typeof fs>, promises: Partial<typeof fs.promises>): void => {
    Object.assign(fs, functions);
    Object.assign(fs.promises, promises);
    syncBuiltinESMExports();
  };
  put(broken, brokenPromises);
  const among = <T extends object>(all: T, names: object): Partial<T> =>
    Object.fromEntries(Object.entries(all).filter(([name]) => name in names)) as Partial<T>;
  return () => put(among(real, broken), among(realPromises, brokenPromises));
}

/** What the death of a writer that lives in this process would do: its lock counts no more. */
export function dieAsLockHolder(folder: string): void {
  for (const name of fs.readdirSync(folder)) if (name.startsWith("lock")) fs.rmSync(join(folder, name));
}

/** A temporary folder, in memory where the system has such a place: tests of faults write tens of thousands of small files. */
export function scratchFolder(prefix: string): string {
  try {
    return fs.mkdtempSync(join("/dev/shm", prefix));
  } catch {
    return fs.mkdtempSync(join(tmpdir(), prefix));
  }
}
