/** @file One writer per run folder: a lock file that names its process, and gives way when that process is gone. */
import { readFileSync } from "node:fs";
import { readFile, rename, rm, writeFile } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { UserError } from "../errors.js";
import { isRunning } from "./is-running.js";

interface Owner {
  pid: number;
  host: string;
  /** When the process began, by the kernel's clock (Linux only): tells a reused pid from the owner. */
  began: string | null;
}

/**
 * Takes the lock of a run folder and returns the function that releases it.
 * @throws UserError when a living process holds it
 */
export async function lockRun(folder: string): Promise<() => Promise<void>> {
  const file = path.join(folder, "lock");
  for (;;) {
    try {
      const owner: Owner = { pid: process.pid, host: os.hostname(), began: beginningOf(process.pid) };
      await writeFile(file, JSON.stringify(owner), { flag: "wx" });
      return () => rm(file, { force: true });
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
    }
    await removeStaleLock(file, folder);
  }
}

/** Moves a dead process's lock away; the rename lets only one of two contenders do so. */
async function removeStaleLock(file: string, folder: string): Promise<void> {
  const text = await readFile(file, "utf8").catch(() => null);
  if (text === null) return;
  const owner = parseOwner(text);
  if (owner !== null && isAlive(owner)) {
    throw new UserError(
      `${folder} is being written by process ${owner.pid} on ${owner.host}. Wait for it, stop it, or choose another run.folder. ` +
        `If that process is surely gone, delete ${file}.`,
    );
  }
  const moved = `${file}.${process.pid}.stale`;
  await rename(file, moved).catch(() => undefined);
  await rm(moved, { force: true });
}

function parseOwner(text: string): Owner | null {
  try {
    return JSON.parse(text) as Owner;
  } catch {
    // Torn by a crash while it was written.
    return null;
  }
}

function isAlive(owner: Owner): boolean {
  // Nothing can be said about another machine's processes.
  if (owner.host !== os.hostname()) return true;
  if (!isRunning(owner.pid)) return false;
  return owner.began === null || owner.began === beginningOf(owner.pid);
}

/** Field 22 of /proc/PID/stat (the fields after the command's closing parenthesis begin with 3, the state). */
function beginningOf(pid: number): string | null {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    return fields[0] === "Z" ? "dead, not yet collected by its parent" : (fields[19] ?? null);
  } catch {
    return null;
  }
}
