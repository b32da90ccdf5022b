/** @file Every write of a checkpoint fails once: whatever fails, what was there before is still there and loads. */
import { mkdtemp, readFile, rm } from "node:fs/promises";
import type * as fs from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { Policy } from "../contracts/policy.js";
import { findCheckpoint, readBest, saveBest, saveCheckpoint, type TrainState } from "./checkpoint.js";
import { parseConfig } from "./config/config.js";
import { recoverFolder, replaceFolder, writeFileDurably } from "../files/durable.js";
import { manifestProblem } from "../files/manifest.js";
import { appendMetrics, readMetrics, truncateMetrics } from "./metrics-file.js";
import { openRun } from "./run-folder.js";
import { tabularPolicy } from "./tabular-policy.test-support.js";

/** Counts operations that change the disk and lets the n-th one fail. */
const faults = vi.hoisted(() => {
  const state = { count: 0, failAt: Infinity };
  const step = (): void => {
    if (++state.count === state.failAt)
      throw Object.assign(new Error("ENOSPC: no space left on device"), { code: "ENOSPC" });
  };
  return { state, step };
});

vi.mock("node:fs/promises", async (importOriginal) => {
  const real = await importOriginal<typeof fs>();
  const failing =
    <A extends unknown[], R>(operation: (...values: A) => Promise<R>) =>
    async (...values: A): Promise<R> => {
      faults.step();
      return operation(...values);
    };
  const open: typeof real.open = async (...values) => {
    faults.step();
    const handle = await real.open(...values);
    const { writeFile, sync, datasync } = handle;
    handle.writeFile = failing(writeFile.bind(handle)) as typeof writeFile;
    handle.sync = failing(sync.bind(handle));
    handle.datasync = failing(datasync.bind(handle));
    return handle;
  };
  return {
    ...real,
    open,
    mkdir: failing(real.mkdir),
    writeFile: failing(real.writeFile),
    rename: failing(real.rename),
  };
});

let root: string;
beforeEach(async () => {
  root = await mkdtemp(path.join(os.tmpdir(), "sleuth-faults-"));
});
afterEach(() => {
  faults.state.failAt = Infinity;
  return rm(root, { recursive: true, force: true });
});

/** Runs `work` once without faults to count its operations, then with each of them failing. */
async function failEach(work: () => Promise<unknown>, check: (error: Error) => Promise<void>): Promise<number> {
  faults.state.count = 0;
  await work();
  const operations = faults.state.count;
  for (let failAt = 1; failAt <= operations; failAt++) {
    faults.state.count = 0;
    faults.state.failAt = failAt;
    const error = await work().then(
      () => null,
      (reason: Error) => reason,
    );
    faults.state.failAt = Infinity;
    if (error === null) throw new Error(`operation ${failAt} of ${operations} failed unnoticed`);
    await check(error);
  }
  return operations;
}

const state = (step: number): TrainState => ({ step, drawn: 0, seconds: 1, algorithm: {}, best: null, pending: null });

async function movedPolicy(): Promise<{ policy: Policy; move: () => Promise<void>; bytes: () => string }> {
  const policy = tabularPolicy({ habits: ["ab"] });
  const adam = { learningRate: 0.1, beta1: 0.9, beta2: 0.99, epsilon: 1e-8, weightDecay: 0, maxGradNorm: 0 };
  const datum = { tokens_T: [97, 98], sampledMask_T: Uint8Array.of(0, 1), weights_T: Float32Array.of(0, 1) };
  const move = async (): Promise<void> => {
    await policy.forwardBackward([datum], { kind: "cross_entropy" });
    await policy.optimStep(adam);
  };
  await move();
  return { policy, move, bytes: () => Buffer.from(policy.table().buffer).toString("base64") };
}

describe("the n-th write fails, for every n", () => {
  it("saveCheckpoint: the previous checkpoint is whole and found, and the error says what to do", async () => {
    const { policy, move, bytes } = await movedPolicy();
    const options = { keep: 2, warn: () => undefined };
    await saveCheckpoint(root, policy, state(1), options);
    const saved = bytes();
    await move();
    const work = async (): Promise<void> => {
      await rm(path.join(root, "checkpoints/step-000002"), { recursive: true, force: true });
      await saveCheckpoint(root, policy, state(2), options);
    };
    const operations = await failEach(work, async (error) => {
      expect(error.message).toMatch(
        /Cannot write the checkpoint .*: the disk is full. Earlier checkpoints are intact: make room/,
      );
      const found = (await findCheckpoint(root, () => undefined))!;
      // Step 2 counts once it stands under its name, even if the pointer to it could not be written.
      expect([1, 2]).toContain(found.state.step);
      const other = tabularPolicy({ habits: ["ab"] });
      await other.load(found.policyFolder);
      const loaded = Buffer.from(other.table().buffer).toString("base64");
      expect(loaded === saved).toBe(found.state.step === 1);
    });
    expect(operations).toBeGreaterThan(15);
  });

  it("saveBest: the best one before is still there, under its name", async () => {
    const { policy } = await movedPolicy();
    await saveBest(root, policy, { step: 1, score: 0.5 });
    const work = async (): Promise<void> => {
      if ((await readBest(root))?.step === 2) await saveBest(root, policy, { step: 1, score: 0.5 });
      await saveBest(root, policy, { step: 2, score: 0.6 });
    };
    await failEach(work, async (error) => {
      expect(error.message).toMatch(/Cannot write the best checkpoint/);
      expect(await readBest(root)).not.toBeNull();
    });
  });

  it("writeFileDurably: old or new content, no leftovers", async () => {
    const file = path.join(root, "file");
    await writeFileDurably(file, "old");
    await failEach(
      () => writeFileDurably(file, "new!"),
      async () => expect(["old", "new!"]).toContain(await readFile(file, "utf8")),
    );
  });

  it("appendMetrics and openRun say what could not be written", async () => {
    await failEach(
      () => appendMetrics(root, { step: 1 }),
      async (error) => expect(error.message).toMatch(/metrics.jsonl: the disk is full.*start the same run again/),
    );
    let run = 0;
    const create = async (): Promise<void> => (await openRun(path.join(root, `run-${run++}`), parseConfig({}))).close();
    await failEach(create, async (error) => expect(error.message).toMatch(/disk is full|ENOSPC/));
  });
});

describe("what a crash leaves behind", () => {
  it("a folder that was being replaced comes back under its name", async () => {
    const folder = path.join(root, "best");
    await replaceFolder(folder, (temporary) => writeFileDurably(path.join(temporary, "a"), "1"));
    // As if the process had died between the two renames.
    const { rename } = await import("node:fs/promises");
    await rename(folder, `${folder}.old`);
    await recoverFolder(folder);
    expect(await readFile(path.join(folder, "a"), "utf8")).toBe("1");
  });

  it("a torn last line of the metrics is dropped, and later steps with it", async () => {
    await appendMetrics(root, { step: 0, loss: 1 });
    await appendMetrics(root, { step: 1, loss: 0.5 });
    await appendMetrics(root, { step: 2, loss: 0.25 });
    const { appendFile } = await import("node:fs/promises");
    await appendFile(path.join(root, "metrics.jsonl"), '{"step":3,"lo');
    expect((await readMetrics(root)).map((line) => line.step)).toEqual([0, 1, 2]);
    await truncateMetrics(root, 1);
    expect(await readFile(path.join(root, "metrics.jsonl"), "utf8")).toBe(
      '{"step":0,"loss":1}\n{"step":1,"loss":0.5}\n',
    );
  });

  it("a manifest notices a missing, a shortened and a changed file", async () => {
    const { policy } = await movedPolicy();
    await saveBest(root, policy, { step: 1, score: 0.5 });
    const best = path.join(root, "best");
    expect(await manifestProblem(best)).toBeNull();
    const { truncate, writeFile } = await import("node:fs/promises");
    const text = await readFile(path.join(best, "best.json"), "utf8");
    await writeFile(path.join(best, "best.json"), text.replace("0.5", "0.6"));
    expect(await manifestProblem(best)).toMatch(/best.json has other content/);
    await truncate(path.join(best, "best.json"), 3);
    expect(await manifestProblem(best)).toMatch(/best.json has 3 bytes instead of/);
    await rm(path.join(best, "best.json"));
    expect(await manifestProblem(best)).toMatch(/best.json is missing/);
    await rm(path.join(best, "manifest.json"));
    expect(await manifestProblem(best)).toMatch(/manifest.json is missing/);
  });
});
