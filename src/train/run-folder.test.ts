import { spawn, spawnSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { createInterface } from "node:readline";
import { tmpdir } from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, expect, it } from "vitest";
import { parseConfig } from "./config/config.js";
import { commitOf, inRunFolder, openRun } from "./run-folder.js";

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

it("of two processes that start one new run at once, one gets it and the other hears that it is busy", async () => {
  const script = fileURLToPath(new URL("./run-starter.test-support.ts", import.meta.url));
  const starters = [0, 1].map(() => {
    const child = spawn(process.execPath, ["--import", "tsx", script], { stdio: ["pipe", "pipe", "inherit"] });
    const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
    return { child, said: async (): Promise<string> => (await lines.next()).value as string };
  });
  try {
    expect(await Promise.all(starters.map(({ said }) => said()))).toEqual(["ready", "ready"]);
    for (let round = 0; round < 30; round++) {
      const run = path.join(folder, `new-${round}`);
      for (const { child } of starters) child.stdin.write(`${run}\n`);
      expect((await Promise.all(starters.map(({ said }) => said()))).sort()).toEqual(["busy", "mine"]);
      expect(readdirSync(run).sort()).toEqual(["checkpoints", "config.json", "lock", "run.json", "trajectories"]);
    }
  } finally {
    for (const { child } of starters) child.kill("SIGKILL");
  }
});

it("a run that could not begin leaves nothing behind, and takes nothing from a process that waits for its folder", async () => {
  const run = path.join(folder, "unbegun");
  const config = parseConfig({ run: { folder: run } });
  await expect(inRunFolder(config, "train", () => Promise.reject(new Error("no such model")))).rejects.toThrow(
    /no such/,
  );
  expect(existsSync(run)).toBe(false);
  const failing = inRunFolder(config, "train", () => Promise.reject(new Error("no such model"))).catch(
    (error: Error) => error.message,
  );
  let opened: Awaited<ReturnType<typeof openRun>> | undefined;
  while (opened === undefined) opened = await openRun(run, config).catch(() => undefined);
  expect(await failing).toBe("no such model");
  expect(opened.existed).toBe(false);
  expect(readdirSync(run)).toContain("config.json");
  await opened.close();
});

it("goes on where a start was killed before it had written its configuration, and refuses other folders untouched", async () => {
  const run = path.join(folder, "killed");
  mkdirSync(run);
  writeFileSync(
    path.join(run, "lock"),
    JSON.stringify({ pid: 999_999_999, host: (await import("node:os")).hostname() }),
  );
  writeFileSync(path.join(run, "config.json.00000000-0000-4000-8000-000000000000.tmp"), "{");
  await (await openRun(run, parseConfig({ run: { folder: run } }))).close();
  expect(readdirSync(run).sort()).toEqual(["checkpoints", "config.json", "run.json", "trajectories"]);
  const other = path.join(folder, "other");
  mkdirSync(other);
  writeFileSync(path.join(other, "thesis.txt"), "");
  await expect(openRun(other, parseConfig({ run: { folder: other } }))).rejects.toThrow(/is not a run folder/);
  expect(readdirSync(other)).toEqual(["thesis.txt"]);
});
