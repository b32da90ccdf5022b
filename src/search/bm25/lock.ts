/**
 * @file One writer at a time: whoever changes an index keeps a file `lock-<pid>-<hex>` in its folder meanwhile. A lock whose process is gone
 * counts for nothing and is removed by the next writer. Readers need no lock.
 */
import { randomBytes } from "node:crypto";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { UserError } from "../../errors.js";
import { isRunning } from "../../files/is-running.js";
import { removeQuietly, type OutputFiles } from "../../files/disk.js";

export const lockPrefix = "lock-";

/** Another process, or another call in this one, is changing the index. */
export class IndexBusy extends UserError {}

/**
 * Does `work` while no other writer of this machine changes the index in `out`; makes the folder when it is missing.
 * @throws IndexBusy when somebody else is changing it; what `work` throws
 */
export async function withLock<T>(out: string, files: OutputFiles, work: () => Promise<T>): Promise<T> {
  files.makeFolder(out);
  const name = `${lockPrefix}${process.pid}-${randomBytes(4).toString("hex")}`;
  const path = join(out, name);
  files.create(path).abandon();
  try {
    // Each writer first shows itself and then looks around: of two, at least one sees the other.
    for (const other of readdirSync(out)) {
      if (!other.startsWith(lockPrefix) || other === name) continue;
      const owner = Number(other.slice(lockPrefix.length).split("-")[0]);
      if (isRunning(owner))
        throw new IndexBusy(
          `The index ${out} is being changed by process ${owner}. Wait until it is done and run again. (If no such process of Sleuth runs, remove ${join(out, other)}.)`,
        );
      files.remove(join(out, other));
    }
    return await work();
  } finally {
    removeQuietly(path, files);
  }
}
