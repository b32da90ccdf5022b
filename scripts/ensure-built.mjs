/**
 * @file Compiles src/ into dist/ (ES modules with type declarations) when dist/ is older than the sources. Installs first where needed.
 * Import `ensureBuilt`, or run the file.
 */
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { dirname, join, relative } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { ensureInstalled } from "./ensure-installed.mjs";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const source = join(root, "src");
const dist = join(root, "dist");
const stampFile = join(dist, ".build-stamp");

/** Every file that the build reads. Tests and their fixtures are not part of the package. */
function sourceFiles() {
  return readdirSync(source, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && !/\.test\.ts$/.test(entry.name))
    .map((entry) => join(entry.parentPath, entry.name))
    .sort();
}

function wantedStamp(files) {
  const hash = createHash("sha256");
  for (const file of [...files, join(root, "tsconfig.json"), join(root, "tsconfig.build.json")])
    hash.update(relative(root, file)).update(readFileSync(file));
  return hash.digest("hex");
}

/** Files that run as they are: module files outside TypeScript, and data. */
function copyAssets(files, target) {
  for (const file of files.filter((name) => /\.(mjs|json)$/.test(name))) {
    const copy = join(target, relative(source, file));
    mkdirSync(dirname(copy), { recursive: true });
    copyFileSync(file, copy);
  }
}

export function ensureBuilt() {
  ensureInstalled();
  const files = sourceFiles();
  const stamp = wantedStamp(files);
  if (existsSync(stampFile) && readFileSync(stampFile, "utf8") === stamp) return;
  process.stderr.write("Building …\n");
  // Built aside and renamed, so that a build that fails or is interrupted leaves the last good one.
  const target = join(root, ".cache", `build-${process.pid}`);
  rmSync(target, { recursive: true, force: true });
  const compiler = join(root, "node_modules", "typescript", "bin", "tsc");
  const { status } = spawnSync(process.execPath, [compiler, "-p", "tsconfig.build.json", "--outDir", target], {
    cwd: root,
    stdio: ["ignore", process.stderr, process.stderr],
  });
  if (status !== 0) {
    rmSync(target, { recursive: true, force: true });
    process.stderr.write("\nThe build failed: the messages above name the lines.\n");
    process.exit(1);
  }
  copyAssets(files, target);
  writeFileSync(join(target, ".build-stamp"), stamp);
  rmSync(dist, { recursive: true, force: true });
  renameSync(target, dist);
}

if (process.argv[1] && import.meta.url === pathToFileURL(process.argv[1]).href) ensureBuilt();
