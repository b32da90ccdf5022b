import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, expect, it } from "vitest";
import { commitOf } from "./run-folder.js";

const folder = mkdtempSync(path.join(tmpdir(), "sleuth-commit-"));
afterAll(() => rmSync(folder, { recursive: true }));

const hasGit = spawnSync("git", ["--version"]).status === 0;

it.skipIf(!hasGit)("names the commit, says when files differ, and takes nobody else's (needs git)", () => {
  const git = (...args: string[]): string => {
    const identity = ["-c", "user.name=a", "-c", "user.email=a@b", "-c", "commit.gpgsign=false"];
    const { status, stdout, stderr } = spawnSync("git", [...identity, ...args], { cwd: folder, encoding: "utf8" });
    if (status !== 0) throw new Error(stderr);
    return stdout.trim();
  };
  expect(commitOf(folder)).toBeNull();
  git("init", "--quiet");
  expect(commitOf(folder)).toBeNull();
  writeFileSync(path.join(folder, "file"), "one");
  git("add", "file");
  git("commit", "--quiet", "-m", "one");
  const commit = git("rev-parse", "--short=10", "HEAD");
  expect(commitOf(folder)).toBe(commit);
  mkdirSync(path.join(folder, "inside"));
  expect(commitOf(path.join(folder, "inside"))).toBeNull();
  writeFileSync(path.join(folder, "file"), "two");
  expect(commitOf(folder)).toBe(`${commit}+changes`);
});
