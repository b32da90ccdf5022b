/**
 * @file Files and folders that are replaced in one step: the new content is written beside the old, flushed where it must survive a power
 * cut, and renamed into place. `disk.ts` does the same without giving up the thread, for workers that build indexes.
 */
import { randomUUID } from "node:crypto";
import { existsSync } from "node:fs";
import { mkdir, open, readdir, rename, rm } from "node:fs/promises";
import path from "node:path";
import { UserError } from "../errors.js";

const unfinished = /\.[0-9a-f-]{36}\.tmp$/;

function temporaryName(target: string): string {
  return `${target}.${randomUUID()}.tmp`;
}

/** Replaces or creates a file. After a crash the old content is there or the new one. */
export async function writeFileDurably(file: string, content: string | Uint8Array): Promise<void> {
  await moveIntoPlace(file, async (temporary) => {
    const handle = await open(temporary, "wx");
    try {
      await handle.writeFile(content);
      await handle.sync();
    } finally {
      await handle.close();
    }
  });
  await flush(path.dirname(file));
}

/**
 * Replaces or creates a file (or a link) with what `make` writes at the path it is given. Other processes see the old one or the new one,
 * and never half of it. Nothing is flushed: a power cut may leave an empty file.
 */
export async function moveIntoPlace(file: string, make: (temporary: string) => Promise<void>): Promise<void> {
  const temporary = temporaryName(file);
  try {
    await make(temporary);
    await rename(temporary, file);
  } catch (error) {
    await rm(temporary, { force: true }).catch(() => undefined);
    throw error;
  }
}

/**
 * Replaces or creates a folder with what `fill` writes into the path it is given. When it fails, the folder that was
 * there is still there; when the process dies, possibly under its name plus `.old`, and `recoverFolder` puts it back.
 */
export async function replaceFolder(folder: string, fill: (temporary: string) => Promise<void>): Promise<void> {
  const temporary = temporaryName(folder);
  const old = `${folder}.old`;
  try {
    await mkdir(temporary, { recursive: true });
    await fill(temporary);
    await flushTree(temporary);
    if (existsSync(folder)) {
      await rm(old, { recursive: true, force: true });
      await rename(folder, old);
    }
    await rename(temporary, folder);
  } catch (error) {
    await rm(temporary, { recursive: true, force: true }).catch(() => undefined);
    await recoverFolder(folder);
    throw error;
  }
  await flush(path.dirname(folder));
  await rm(old, { recursive: true, force: true });
}

/** Undoes what a crash inside `replaceFolder` may have left: puts the old folder back if the new one is missing. */
export async function recoverFolder(folder: string): Promise<void> {
  const old = `${folder}.old`;
  if (!existsSync(folder) && existsSync(old)) await rename(old, folder);
}

/** Deletes the unfinished files of killed processes in a folder. No process may be writing there. */
export async function removeUnfinished(folder: string): Promise<void> {
  for (const name of (await readdir(folder)).filter((entry) => unfinished.test(entry))) {
    await rm(path.join(folder, name), { recursive: true, force: true });
  }
}

async function flushTree(folder: string): Promise<void> {
  for (const entry of await readdir(folder, { withFileTypes: true })) {
    const child = path.join(folder, entry.name);
    if (entry.isDirectory()) await flushTree(child);
    else await flush(child);
  }
  await flush(folder);
}

/** Forces a file or folder to the disk. Windows cannot flush what is open for reading, and needs no flush for a rename. */
async function flush(fileOrFolder: string): Promise<void> {
  if (process.platform === "win32") return;
  const handle = await open(fileOrFolder, "r");
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

const reasons: Readonly<Record<string, string>> = { ENOSPC: "the disk is full", EDQUOT: "the disk quota is used up" };

/**
 * What the system says of a write, as an error that says what was to be written, what is safe and what to do. Every other error stays as it
 * is.
 */
export function writeError(what: string, error: unknown, advice: string): unknown {
  const { code, message } = (error ?? {}) as NodeJS.ErrnoException;
  // ENOSPC and the like; Node's own codes (ERR_…) tell of bugs.
  const isFromSystem = typeof code === "string" && /^E[A-Z0-9]+$/.test(code);
  if (!isFromSystem || error instanceof UserError) return error;
  return new UserError(`Cannot write ${what}: ${reasons[code] ?? message}. ${advice}`, { cause: error });
}
