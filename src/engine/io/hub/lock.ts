/** @file One process at a time fetches a repository; the others wait. A lock whose owner is gone gives way. */
import { mkdir, readFile, rename, rm, stat, utimes, writeFile } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

/** The owner touches its lock so often; one that was not touched for much longer has no owner any more. Milliseconds. */
const HEARTBEAT_MS = 5_000;
const ABANDONED_MS = 60_000;
const POLL_MS = 250;

/**
 * Runs `task` with the lock held.
 * @param onWait told once, when another process has it
 */
export async function withLock<T>(
  file: string,
  { signal, onWait }: { signal?: AbortSignal; onWait?: () => void },
  task: () => Promise<T>,
): Promise<T> {
  await mkdir(path.dirname(file), { recursive: true });
  const own = JSON.stringify({ pid: process.pid, host: os.hostname(), since: Date.now() });
  for (let isFirst = true; !(await take(file, own)); isFirst = false) {
    if (await isAbandoned(file)) {
      await moveAway(file);
      continue;
    }
    if (isFirst) onWait?.();
    await sleep(POLL_MS, undefined, { signal }).catch(() => signal?.throwIfAborted());
  }
  const heartbeat = setInterval(() => {
    const now = new Date();
    utimes(file, now, now).catch(() => undefined);
  }, HEARTBEAT_MS);
  try {
    return await task();
  } finally {
    clearInterval(heartbeat);
    if ((await readFile(file, "utf8").catch(() => "")) === own) await rm(file, { force: true });
  }
}

async function take(file: string, own: string): Promise<boolean> {
  try {
    await writeFile(file, own, { flag: "wx" });
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
    return false;
  }
}

async function isAbandoned(file: string): Promise<boolean> {
  const stats = await stat(file).catch(() => null);
  if (stats === null) return false;
  if (Date.now() - stats.mtimeMs > ABANDONED_MS) return true;
  try {
    const { pid, host } = JSON.parse(await readFile(file, "utf8")) as { pid: number; host: string };
    return host === os.hostname() && !isRunning(pid);
  } catch {
    // Being written, or gone.
    return false;
  }
}

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}

/** The rename lets only one of two who wait remove it. */
async function moveAway(file: string): Promise<void> {
  const moved = `${file}.${process.pid}.stale`;
  await rename(file, moved).catch(() => undefined);
  await rm(moved, { force: true });
}
