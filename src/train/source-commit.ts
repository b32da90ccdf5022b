/** @file Which commit of Sleuth's own repository is running, for the records of runs. */
import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";

/** src/ or dist/ lie in the root of the repository; an installed package lies inside somebody else's, or in none. */
const root = fileURLToPath(new URL("../..", import.meta.url));
let known: { commit: string | null } | undefined;

/** The commit's short id, with `+changes` where files differ from it; null outside the repository. */
export function sourceCommit(): string | null {
  known ??= { commit: commitOf(root) };
  return known.commit;
}

/** The same for the repository whose root is `folder`. */
export function commitOf(folder: string): string | null {
  const head = git(folder, ["rev-parse", "--show-prefix", "--short=10", "HEAD"]);
  const [prefix, commit] = head?.split("\n") ?? [];
  if (prefix !== "" || !commit) return null;
  return git(folder, ["status", "--porcelain", "--untracked-files=no"]) === "" ? commit : `${commit}+changes`;
}

function git(folder: string, args: readonly string[]): string | undefined {
  const { status, stdout } = spawnSync("git", ["--no-optional-locks", ...args], { cwd: folder, encoding: "utf8" });
  return status === 0 ? stdout : undefined;
}
