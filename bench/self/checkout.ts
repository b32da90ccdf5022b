/** @file Another commit of this repository, checked out with its own dependencies: `.cache/self/COMMIT`. It is measured through its own programs, since paths inside `src/` move. */
import { spawn, spawnSync } from "node:child_process";
import { existsSync, mkdirSync, renameSync, rmSync } from "node:fs";
import path from "node:path";
import { UserError } from "../../src/errors.js";

/**
 * The folder of a commit; checked out and installed at the first call, which takes about a minute.
 * @throws UserError for a commit that is not in this clone
 */
export async function checkout(commit: string, note: (text: string) => void): Promise<string> {
  const found = spawnSync("git", ["rev-parse", "--verify", "--quiet", `${commit}^{commit}`], { encoding: "utf8" });
  const hash = found.stdout?.trim().slice(0, 12);
  if (found.status !== 0 || !hash)
    throw new UserError(
      `The commit ${commit} is not in this clone. Name one of \`git log\`, or fetch the whole history with \`git fetch --unshallow\`.`,
    );
  const folder = path.resolve(".cache", "self", hash);
  if (existsSync(folder)) return folder;
  note(`checking out ${hash}`);
  // Made aside and renamed: a checkout that was interrupted is begun anew.
  const unfinished = `${folder}.unfinished`;
  rmSync(unfinished, { recursive: true, force: true });
  mkdirSync(unfinished, { recursive: true });
  await run("bash", ["-c", 'git archive "$0" | tar -x -C "$1"', hash, unfinished], process.cwd());
  note(`installing the dependencies of ${hash}`);
  await run(process.execPath, ["scripts/ensure-built.mjs"], unfinished);
  renameSync(unfinished, folder);
  return folder;
}

/** Runs a program in a folder until it ends; its output goes to stderr, for people. */
async function run(command: string, args: readonly string[], cwd: string): Promise<void> {
  const child = spawn(command, args, { cwd, stdio: ["ignore", 2, 2] });
  const status = await new Promise<number | null>((resolve, reject) => {
    child.once("error", reject);
    child.once("exit", resolve);
  });
  if (status !== 0) throw new Error(`${command} ${args.join(" ")} has ended with ${status} in ${cwd}`);
}
