/** @file One process at a time fetches a repository; the others wait. A lock whose owner is gone gives way. */
import { randomUUID } from "node:crypto";
import { link, mkdir, readFile, rename, rm, stat, utimes, writeFile } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { isRunning } from "../../../files/is-running.js";

/** The owner touches its lock so often; one that was not touched for much longer has no owner any more. Milliseconds. */
const heartbeatMs = 5_000;
const abandonedMs = 60_000;
const pollMs = 250;

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
  const own = JSON.stringify({ pid: process.pid, host: os.hostname(), id: randomUUID() });
  for (let isFirst = true; !(await take(file, own)); isFirst = false) {
    const abandoned = await abandonedOwner(file);
    if (abandoned !== undefined) {
      await moveAway(file, abandoned);
      continue;
    }
    if (isFirst) onWait?.();
    await sleep(pollMs, undefined, { signal }).catch(() => signal?.throwIfAborted());
  }
  const heartbeat = setInterval(() => {
    const now = new Date();
    utimes(file, now, now).catch(() => undefined);
  }, heartbeatMs);
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

/** What a lock says whose owner is gone; undefined for one that is held, or gone itself. */
async function abandonedOwner(file: string): Promise<string | undefined> {
  try {
    const { mtimeMs } = await stat(file);
    const text = await readFile(file, "utf8");
    if (Date.now() - mtimeMs > abandonedMs) return text;
    const { pid, host } = JSON.parse(text) as { pid: number; host: string };
    return host === os.hostname() && !isRunning(pid) ? text : undefined;
  } catch {
    // Gone, or being written.
    return undefined;
  }
}

/** The rename lets only one of two who wait remove it; who finds the other's new lock in its hands puts it back. */
async function moveAway(file: string, abandoned: string): Promise<void> {
  const moved = `${file}.${randomUUID()}.stale`;
  await rename(file, moved).catch(() => undefined);
  if ((await readFile(moved, "utf8").catch(() => abandoned)) !== abandoned)
    await link(moved, file).catch(() => undefined);
  await rm(moved, { force: true });
}
