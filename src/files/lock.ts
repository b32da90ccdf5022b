/**
 * @file One process at a time: a lock is a file that names the process that owns it. A lock whose owner is gone gives way to the next
 * process that wants it.
 */
import { randomUUID } from "node:crypto";
import { constants, readFileSync } from "node:fs";
import { copyFile, link, mkdir, readFile, readdir, rm, stat, utimes, writeFile } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { sleep } from "../async.js";
import { UserError } from "../errors.js";

export interface LockOwner {
  pid: number;
  host: string;
  /** When the process began, by the kernel's clock (Linux only, else null): tells a reused pid from the owner. */
  began: string | null;
}

/** Gives a lock back. */
export type Unlock = () => Promise<void>;

/** How often a task under `withLock` touches its lock; a lock untouched for much longer has no owner. Milliseconds. */
const heartbeatMs = 5_000;
const abandonedMs = 60_000;
const pollMs = 250;
/** Longest time from creating a lock to its being written. Milliseconds. */
const writingMs = 5_000;

/**
 * Takes a lock, or fails at once.
 * @param file the lock; its folder is made if need be
 * @param busy the error for a lock that a living process holds. The processes of other machines count as living.
 * @throws what `busy` makes; errors of the file system
 */
export function takeLock(file: string, busy: (owner: LockOwner) => Error): Promise<Unlock> {
  return acquire(file, Infinity, (owner) => Promise.reject(busy(owner)));
}

/**
 * Runs `task` with the lock held; waits while another process holds it. As long as the task runs, the lock is touched: one that was not
 * touched for a minute gives way, also where its owner is on another machine.
 * @param onWait called once, when another process has the lock
 * @throws what `task` throws; the signal's reason when it aborts during the wait; errors of the file system
 */
export async function withLock<T>(
  file: string,
  { signal, onWait }: { signal?: AbortSignal; onWait?: () => void },
  task: () => Promise<T>,
): Promise<T> {
  let hasWaited = false;
  const unlock = await acquire(file, abandonedMs, async () => {
    if (!hasWaited) onWait?.();
    hasWaited = true;
    await sleep(pollMs, signal);
  });
  const heartbeat = setInterval(() => {
    const now = new Date();
    utimes(file, now, now).catch(() => undefined);
  }, heartbeatMs);
  try {
    return await task();
  } finally {
    clearInterval(heartbeat);
    await unlock();
  }
}

/** Whether a process of this machine is alive. */
export function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    // EPERM: it runs, but belongs to another user.
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}

/**
 * @param oldestMs a lock that was not touched for longer has no owner any more
 * @param onHeld called each time that a living process is found to hold the lock; throws, or waits before the next try
 */
async function acquire(file: string, oldestMs: number, onHeld: (owner: LockOwner) => Promise<void>): Promise<Unlock> {
  const id = randomUUID();
  const owner: LockOwner = { pid: process.pid, host: os.hostname(), began: beginningOf(process.pid) };
  const text = JSON.stringify({ ...owner, id });
  const claim = `${file}.${process.pid}.${id}`;
  try {
    await writeClaim(claim, text);
    const unreadable = new Patience();
    while (!(await publish(claim, text, file))) {
      const found = await examine(file, oldestMs);
      if (found === "none") continue;
      if (found.owner === "unknown" && !unreadable.isOver(found.text)) await sleep(pollMs / 10);
      else if (found.owner === "unknown" || found.owner === null) await removeStale(file, found.text);
      else await onHeld(found.owner);
    }
  } finally {
    await removeQuietly(claim);
  }
  await removeDeadClaims(file);
  // What cannot be removed is left for the next owner.
  await removeDeadGuard(file).catch(() => undefined);
  return async () => {
    if ((await readFile(file, "utf8").catch(() => "")) === text) await removeQuietly(file);
  };
}

/** The folder of a new run may go again when its owner could not begin: it is made once more. */
async function writeClaim(claim: string, text: string): Promise<void> {
  for (let tries = 1; ; tries++) {
    await mkdir(path.dirname(claim), { recursive: true });
    try {
      await writeFile(claim, text, { flag: "wx" });
      return;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "ENOENT" || tries === 10) throw error;
    }
  }
}

/** How long a lock without a readable owner is left alone: its writer may be between creating and writing it. */
class Patience {
  #text: string | undefined;
  #since = 0;

  /** Whether a lock has said the same unreadable `text` for `writingMs`. */
  isOver(text: string): boolean {
    if (text !== this.#text) [this.#text, this.#since] = [text, performance.now()];
    return performance.now() - this.#since > writingMs;
  }
}

/**
 * Makes the claim the lock. A link has its whole content from the start; a file system without links gets a copy, which is read again: a
 * writer that was held up for long may have lost it.
 * @returns false when there is another lock
 */
async function publish(claim: string, text: string, file: string): Promise<boolean> {
  try {
    return await link(claim, file).then(
      () => true,
      async (error: NodeJS.ErrnoException) => {
        if (error.code === "EEXIST") throw error;
        await copyFile(claim, file, constants.COPYFILE_EXCL);
        return (await readFile(file, "utf8").catch(() => "")) === text;
      },
    );
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "EEXIST") return false;
    throw error;
  }
}

/** Whether `name` is a lock called `lock`, or something that belongs to one. */
export function isLockOf(lock: string, name: string): boolean {
  return name === lock || name.startsWith(`${lock}.`);
}

/** Removes the claims of processes that were killed before they had the lock. */
async function removeDeadClaims(file: string): Promise<void> {
  const folder = path.dirname(file);
  for (const name of await readdir(folder).catch(() => [])) {
    const pid = name.startsWith(`${path.basename(file)}.`) ? /\.(\d+)\.[0-9a-f-]{36}$/.exec(name)?.[1] : undefined;
    if (pid === undefined) continue;
    const owner = ownerIn(await readFile(path.join(folder, name), "utf8").catch(() => ""));
    const isDead = owner === null ? !isRunning(Number(pid)) : !isAlive(owner);
    if (isDead) await removeQuietly(path.join(folder, name));
  }
}

/** A lock that cannot be removed is no failure of the task: it is void once this process has ended. */
async function removeQuietly(file: string): Promise<void> {
  await rm(file, { force: true }).catch(() => undefined);
}

/**
 * @returns what the lock says, and its owner: null when that is gone, "unknown" when the lock does not say and is not old; "none" when there is
 *   no lock
 */
async function examine(
  file: string,
  oldestMs: number,
): Promise<{ text: string; owner: LockOwner | "unknown" | null } | "none"> {
  try {
    const { mtimeMs } = await stat(file);
    const text = await readFile(file, "utf8");
    const owner = ownerIn(text);
    const ageMs = Date.now() - mtimeMs;
    if (owner === null) return { text, owner: ageMs > writingMs ? null : "unknown" };
    return { text, owner: ageMs <= oldestMs && isAlive(owner) ? owner : null };
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "ENOENT") return "none";
    if (code === "EISDIR") throw new UserError(`${file} is a folder, where a lock file belongs. Remove it.`);
    throw error;
  }
}

/**
 * Removes a lock that says `text` and whose owner is gone. Contenders do this one at a time and look again first, so that none of them
 * removes the lock that another has taken meanwhile.
 */
async function removeStale(file: string, text: string): Promise<void> {
  const unlock = await acquire(`${file}.stale`, heartbeatMs, () => sleep(10));
  try {
    const found = await examine(file, Infinity);
    if (found !== "none" && found.text === text) await rm(file, { force: true });
  } finally {
    await unlock();
  }
}

/** Removes what a process has left that was killed during `removeStale`. */
async function removeDeadGuard(file: string): Promise<void> {
  const guard = await examine(`${file}.stale`, heartbeatMs);
  if (guard !== "none" && guard.owner === null) await removeStale(`${file}.stale`, guard.text);
}

/** @returns null for what a crash has torn */
function ownerIn(text: string): LockOwner | null {
  try {
    const { pid, host, began = null } = JSON.parse(text) as Partial<LockOwner>;
    return typeof pid === "number" && typeof host === "string" ? { pid, host, began } : null;
  } catch {
    return null;
  }
}

function isAlive(owner: LockOwner): boolean {
  // Nothing can be said about another machine's processes.
  if (owner.host !== os.hostname()) return true;
  if (!isRunning(owner.pid)) return false;
  return owner.began === null || owner.began === beginningOf(owner.pid);
}

/** Field 22 of /proc/PID/stat (the fields after the command's closing parenthesis begin with 3, the state). */
function beginningOf(pid: number): string | null {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, "utf8");
    const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
    return fields[0] === "Z" ? "dead, not yet collected by its parent" : (fields[19] ?? null);
  } catch {
    return null;
  }
}
