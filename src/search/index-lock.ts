/** @file One writer of an index folder at a time. Readers need no lock. */
import { readdirSync } from "node:fs";
import { rm } from "node:fs/promises";
import os from "node:os";
import { join } from "node:path";
import { UserError } from "../errors.js";
import { isRunning, takeLock, type LockOwner } from "../files/lock.js";

/** Another process, or another call in this one, is changing the index. */
export class IndexBusy extends UserError {}

/** Locks of older versions are empty files with the owner's pid in their name. */
const olderLock = /^lock-(\d+)-/;

/** Whether a file of an index folder is a lock, or what a killed process has left of one. */
export function isLockFile(name: string): boolean {
  return name === "lock" || name.startsWith("lock.") || olderLock.test(name);
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
