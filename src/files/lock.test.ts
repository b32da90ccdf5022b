import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readFile, readdir, rm, utimes, writeFile } from "node:fs/promises";
import type * as fs from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { takeLock, withLock, type Unlock } from "./lock.js";

/** Steps of the lock that take a random time, so that those of several contenders fall in every order. */
const disk = vi.hoisted(() => ({ mostDelayMs: 0 }));
vi.mock("node:fs/promises", async (importOriginal) => {
  const real = await importOriginal<typeof fs>();
  const slow =
    <A extends unknown[], R>(operation: (...values: A) => Promise<R>) =>
    async (...values: A): Promise<R> => {
      const delayMs = Math.random() * disk.mostDelayMs;
      if (delayMs > 0) await new Promise((resolve) => setTimeout(resolve, delayMs));
      return operation(...values);
    };
  return { ...real, link: slow(real.link), stat: slow(real.stat), rm: slow(real.rm) };
});

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(path.join(os.tmpdir(), "sleuth-lock-"));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

const lockRun = (of: string): Promise<Unlock> => {
  const file = path.join(of, "lock");
  return takeLock(file, ({ pid, host }) => new Error(`written by process ${pid} on ${host}; delete ${file}`));
};
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

it.each(["", '{"pid":'])("takes over the lock %j, torn while it was written, once it is old", async (torn) => {
  await writeFile(path.join(folder, "lock"), torn);
  const longAgo = new Date(Date.now() - 6_000);
  await utimes(path.join(folder, "lock"), longAgo, longAgo);
  await (
    await lockRun(folder)
  )();
});

it("leaves a fresh empty lock alone: its owner is about to write it", async () => {
  await writeFile(path.join(folder, "lock"), "");
  setTimeout(() => void lockOf(process.ppid, null), 150);
  await expect(lockRun(folder)).rejects.toThrow(`written by process ${process.ppid}`);
});

it("takes no other process's lock away when it gives back its own", async () => {
  const unlock = await lockRun(folder);
  await lockOf(process.ppid, null);
  await unlock();
  await expect(lockRun(folder)).rejects.toThrow(`written by process ${process.ppid}`);
});

it("clears away the guard of a process that was killed while it removed a stale lock", async () => {
  await writeFile(path.join(folder, "lock.stale"), JSON.stringify({ pid: 999_999_999, host: os.hostname() }));
  const unlock = await lockRun(folder);
  expect(await readdir(folder)).toEqual(["lock"]);
  await unlock();
});

it("leaves nothing behind when the lock cannot be taken", async () => {
  await lockOf(process.ppid, null);
  await expect(lockRun(folder)).rejects.toThrow(/written by process/);
  expect(await readdir(folder)).toEqual(["lock"]);
});

it("clears away the claims of processes that were killed, and no others", async () => {
  const claim = (pid: number, digit: string): string =>
    path.join(folder, `lock.${pid}.${digit.repeat(8)}-0000-4000-8000-${digit.repeat(12)}`);
  const dead = 2 ** 22 + 1;
  await writeFile(claim(dead, "1"), JSON.stringify({ pid: dead, host: os.hostname(), began: null }));
  await writeFile(claim(dead, "2"), '{"pi');
  const alive = [claim(process.pid, "3"), claim(process.pid, "4"), claim(dead, "5")];
  await writeFile(alive[0], JSON.stringify({ pid: process.pid, host: os.hostname(), began: null }));
  await writeFile(alive[1], "");
  await writeFile(alive[2], JSON.stringify({ pid: dead, host: "elsewhere", began: null }));
  await (
    await lockRun(folder)
  )();
  expect((await readdir(folder)).sort()).toEqual(alive.map((file) => path.basename(file)).sort());
});

it("gives a dead owner's lock to one of many that want it at once, however their steps fall", async () => {
  for (let round = 0; round < 8; round++) {
    await lockOf(999_999_999, null);
    disk.mostDelayMs = 4;
    const tries = await Promise.allSettled(Array.from({ length: 8 }, () => lockRun(folder)));
    disk.mostDelayMs = 0;
    const got = tries.filter((one) => one.status === "fulfilled");
    expect(got).toHaveLength(1);
    await got[0].value();
    expect(await readdir(folder)).toEqual([]);
  }
});

describe("waiting", () => {
  const file = (): string => path.join(folder, "deep", "lock");

  it("tells once that it waits, and goes on when the lock is free", async () => {
    const order: string[] = [];
    let finish = (): void => {};
    const first = withLock(file(), {}, async () => {
      await new Promise<void>((resolve) => (finish = resolve));
      order.push("first");
    });
    const onWait = vi.fn(() => setTimeout(finish, 300));
    await vi.waitFor(async () => expect(await readdir(path.dirname(file()))).toEqual(["lock"]));
    await withLock(file(), { onWait }, () => Promise.resolve(order.push("second")));
    await first;
    expect(order).toEqual(["first", "second"]);
    expect(onWait).toHaveBeenCalledOnce();
    expect(await readdir(path.dirname(file()))).toEqual([]);
  });

  it("ends with the signal's reason", async () => {
    await lockOf(process.ppid, null);
    const stop = new AbortController();
    const waiting = withLock(
      path.join(folder, "lock"),
      { signal: stop.signal, onWait: () => stop.abort("enough") },
      () => Promise.reject(new Error("the lock is not ours")),
    );
    await expect(waiting).rejects.toBe("enough");
  });

  it("gives the lock back when the task fails", async () => {
    await expect(withLock(file(), {}, () => Promise.reject(new Error("no network")))).rejects.toThrow("no network");
    expect(await withLock(file(), {}, () => Promise.resolve("free"))).toBe("free");
  });

  it("takes over what was not touched for a minute, also from another machine", async () => {
    await lockOf(1, null, "another-machine");
    const longAgo = new Date(Date.now() - 61_000);
    await utimes(path.join(folder, "lock"), longAgo, longAgo);
    expect(await withLock(path.join(folder, "lock"), {}, () => Promise.resolve("taken"))).toBe("taken");
  });
});

describe("several processes", () => {
  const script = fileURLToPath(new URL("./lock-contender.test-support.ts", import.meta.url));
  const children: ChildProcess[] = [];
  const contend = (rounds: number): ChildProcess => {
    const child = spawn(process.execPath, ["--import", "tsx", script, folder, `${rounds}`], {
      stdio: ["pipe", "pipe", "inherit"],
    });
    children.push(child);
    return child;
  };
  afterEach(() => {
    for (const child of children.splice(0)) child.kill("SIGKILL");
  });

  it("never hold a lock together, though some of them die with it", { timeout: 60_000 }, async () => {
    await writeFile(path.join(folder, "count"), "0");
    const rounds = [12, 12, -4, -4, -4];
    await Promise.all(rounds.map((some) => once(contend(some), "exit")));
    expect(await readFile(path.join(folder, "count"), "utf8")).toBe("36");
    expect((await readdir(folder)).filter((name) => name === "failures" || name === "inside")).toEqual([]);
  });

  it(
    "that find a dead owner's lock: one of them gets it, the others hear that it is busy",
    { timeout: 60_000 },
    async () => {
      await lockOf(999_999_999, null);
      const said = await Promise.all(
        Array.from({ length: 5 }, async () => {
          const [words] = (await once(contend(0).stdout!, "data")) as [Buffer];
          return words.toString();
        }),
      );
      expect(said.sort()).toEqual(["busy", "busy", "busy", "busy", "mine"]);
    },
  );
});
