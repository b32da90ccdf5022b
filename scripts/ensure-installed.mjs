/**
 * @file Installs the dependencies when they are missing or differ from package-lock.json. Uses nothing but Node and npm, because it
 * runs right after `git clone`. Import `ensureInstalled`, or run the file.
 */
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const lockFile = join(root, "package-lock.json");
const stampFile = join(root, "node_modules", ".sleuth-install-stamp");
const oldestNode = 20;

/** What an installation depends on: the lock file and the platform whose binaries were chosen. */
function wantedStamp() {
  return createHash("sha256")
    .update(readFileSync(lockFile))
    .update(`${process.platform} ${process.arch}`)
    .digest("hex");
}

/** True when npm itself finished an installation of exactly these versions (someone ran `npm ci` by hand). */
function npmInstalledTheSame() {
  const receipt = join(root, "node_modules", ".package-lock.json");
  if (!existsSync(receipt)) return false;
  const installed = JSON.parse(readFileSync(receipt, "utf8")).packages;
  const wanted = Object.entries(JSON.parse(readFileSync(lockFile, "utf8")).packages);
  return wanted.every(
    ([path, { version, optional }]) => path === "" || optional || installed[path]?.version === version,
  );
}

/** The npm that started us, else the one on the path. */
function npmCommand(args) {
  const runningNpm = process.env.npm_execpath;
  if (runningNpm?.endsWith("npm-cli.js"))
    return { command: process.execPath, args: [runningNpm, ...args], shell: false };
  return { command: "npm", args, shell: process.platform === "win32" };
}

function fail(message) {
  process.stderr.write(`\n${message}\n`);
  process.exit(1);
}

export function ensureInstalled() {
  const major = Number(process.versions.node.split(".")[0]);
  if (major < oldestNode)
    fail(`Sleuth needs Node ${oldestNode} or newer; this is ${process.version}. Get it from https://nodejs.org.`);
  const stamp = wantedStamp();
  if (existsSync(stampFile) && readFileSync(stampFile, "utf8") === stamp) return;
  if (!npmInstalledTheSame()) {
    process.stderr.write("Installing dependencies (once; about 630 MB on disk) …\n");
    // --include=dev: the build and the tests need them even where NODE_ENV says production.
    const npm = npmCommand(["ci", "--include=dev", "--no-audit", "--no-fund", "--loglevel=error"]);
    // npm's own output goes to stderr: stdout belongs to the command that follows.
    const { status, error } = spawnSync(npm.command, npm.args, {
      cwd: root,
      shell: npm.shell,
      stdio: ["inherit", process.stderr, process.stderr],
    });
    if (error || status !== 0)
      fail(
        `"npm ci" failed${error ? ` (${error.message})` : ""}. Sleuth needs the npm registry once. Check the network (and a proxy in ~/.npmrc), then run the same command again.`,
      );
  }
  writeFileSync(stampFile, stamp);
}

if (process.argv[1] && import.meta.url === pathToFileURL(process.argv[1]).href) ensureInstalled();
