import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readFile, readdir, rm, writeFile } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { lockRun } from "./lock.js";

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(path.join(os.tmpdir(), "sleuth-lock-"));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

const lockOf = (pid: number, began: string | null, host = os.hostname()) =>
  writeFile(path.join(folder, "lock"), JSON.stringify({ pid, host, began }));

it("lets one writer in at a time", async () => {
  const unlock = await lockRun(folder);
  await expect(lockRun(folder)).rejects.toThrow(`written by process ${process.pid}`);
  await unlock();
  await (
    await lockRun(folder)
  )();
  expect(await readdir(folder)).toEqual([]);
});

it("takes over the lock of a process that is gone", async () => {
  const child = spawn(process.execPath, ["-e", ""]);
  await once(child, "exit");
  await lockOf(child.pid as number, null);
  const unlock = await lockRun(folder);
  expect(JSON.parse(await readFile(path.join(folder, "lock"), "utf8"))).toMatchObject({ pid: process.pid });
  await unlock();
});

it("is not deceived by another process that got the same number", { skip: process.platform !== "linux" }, async () => {
  await lockOf(process.pid, "12345");
  await (
    await lockRun(folder)
  )();
});

it("does not judge the processes of another machine", async () => {
  await lockOf(999_999, null, "another-machine");
  await expect(lockRun(folder)).rejects.toThrow(/on another-machine.*delete .*lock/);
});

it("takes over a lock that was torn while it was written", async () => {
  await writeFile(path.join(folder, "lock"), '{"pid":');
  await (
    await lockRun(folder)
  )();
});
