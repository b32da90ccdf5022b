/**
 * @file Tests keep their temporary folders in memory where Linux offers that and there is room: runs flush all that they write, and a disk takes
 * milliseconds for each flush. What a killed process leaves is the same on both. `SLEUTH_TEST_TMPDIR` names another place.
 */
import { mkdirSync, readdirSync, rmSync, statfsSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { isRunning } from "../src/files/lock.js";

const memory = "/dev/shm";
const prefix = "sleuth-tests-";
const leastBytes = 4 * 2 ** 30;

/** Sets TMPDIR for all test processes; the function that is returned deletes the folder. */
export default function setup(): (() => void) | undefined {
  // For tests that load native libraries from where they install them, which memory may forbid.
  process.env.SLEUTH_TEST_DISK ??= tmpdir();
  const given = process.env.SLEUTH_TEST_TMPDIR;
  if (given !== undefined) {
    process.env.TMPDIR = given;
    return undefined;
  }
  if (!hasRoom()) return undefined;
  for (const name of readdirSync(memory)) {
    const owner = Number(name.slice(prefix.length));
    if (name.startsWith(prefix) && !isRunning(owner)) rmSync(path.join(memory, name), { recursive: true, force: true });
  }
  const folder = path.join(memory, `${prefix}${process.pid}`);
  mkdirSync(folder, { recursive: true });
  process.env.TMPDIR = folder;
  return () => rmSync(folder, { recursive: true, force: true });
}

function hasRoom(): boolean {
  try {
    const { bavail, bsize } = statfsSync(memory);
    return process.platform === "linux" && bavail * bsize >= leastBytes;
  } catch {
    return false;
  }
}
