import { mkdtemp, readdir, readFile, rm, truncate } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { evaluationTable } from "../eval/table.js";
import { deriveSeed } from "../random.js";
import { traceFromLine } from "../rollout/trace.js";
import { findCheckpoint } from "./checkpoint.js";
import type { TrainEvent } from "./run.js";
import { readMetrics } from "./metrics-file.js";
import { isMeasuredTime } from "./metrics.js";
import { readResult } from "./result.js";
import { tinyConfig, tinyParts, tinyQuestions } from "./tiny-run.test-support.js";
import { resume, train, type TrainOptions } from "./train.js";

let root: string;
beforeEach(async () => {
  root = await mkdtemp(path.join(os.tmpdir(), "sleuth-train-"));
});
afterEach(() => rm(root, { recursive: true, force: true }));

/** What two equal runs agree in: metrics without times. */
async function comparableMetrics(folder: string): Promise<unknown[]> {
  const lines = await readMetrics(folder);
  return lines.map((line) => Object.fromEntries(Object.entries(line).filter(([name]) => !isMeasuredTime(name))));
}

/** A run of the tiny task that is aborted at its `abortAt`-th event, as often as it takes to finish. */
async function runWithAborts(folder: string, abortEvery: number): Promise<{ starts: number; table: Float32Array }> {
  for (let starts = 1; ; starts++) {
    const parts = tinyParts();
    const controller = new AbortController();
    let events = 0;
    const result = await train(tinyConfig(folder), {
      ...parts,
      signal: controller.signal,
      // Grows with each start, so that every run ends although the work before the first checkpoint is repeated.
      onEvent: () => (++events === abortEvery * starts ? controller.abort(new Error("stop")) : undefined),
    });
    if (result.status === "finished") return { starts, table: parts.policy.table() };
    expect(result.status).toBe("interrupted");
  }
}

describe("train", () => {
  it("learns the tiny task, keeps the best checkpoint and judges before and after", async () => {
    const result = await train(tinyConfig(path.join(root, "run"), { steps: 24, evalEvery: 12 }), tinyParts());
    expect(result.status).toBe("finished");
    expect(result.before?.greedy.exactMatch.value).toBe(0);
    expect(result.after?.greedy.exactMatch.value).toBe(1);
    expect(result.after?.sampled?.exactMatch.value).toBeGreaterThanOrEqual(0.75);
    expect(result.best?.score).toBeGreaterThan(0.5);
    expect(await readResult(result.folder)).toEqual(result);
    for (const file of ["curve.svg", "curve.html", "run.json", "best/best.json", "evaluations/after-greedy.jsonl"]) {
      expect((await readFile(path.join(result.folder, file), "utf8")).length).toBeGreaterThan(20);
    }
    const [line] = (await readFile(path.join(result.folder, "trajectories/step-000001.jsonl"), "utf8")).split("\n");
    expect(traceFromLine(line).question?.answers).toEqual(["a"]);
  });

  it("does not learn from rewards that have nothing to do with the answers (negative control)", async () => {
    const shuffled: TrainOptions["reward"] = (question, trajectory) =>
      deriveSeed(question.id, trajectory.answer ?? "none") % 2;
    const run = tinyConfig(path.join(root, "run"), { steps: 24, evalEvery: 0 });
    const result = await train(run, { ...tinyParts(), reward: shuffled });
    expect(result.after?.sampled?.exactMatch.value).toBeLessThan(0.75);
  });

  it("learns with REINFORCE", async () => {
    const config = tinyConfig(path.join(root, "run"), { steps: 16, testSize: 0, evalEvery: 0 });
    const result = await train({ ...config, algorithm: { groupSize: 4, name: "reinforce" } }, tinyParts());
    const lines = await readMetrics(result.folder);
    expect(lines[lines.length - 1]["em/train"]).toBeGreaterThan(0.6);
    expect(lines[lines.length - 1].kl).toBeUndefined();
  });

  it("stays nearer to its start with KL", async () => {
    const endWith = async (kl: number) => {
      const config = tinyConfig(path.join(root, `kl-${kl}`), { steps: 12, testSize: 0, evalEvery: 0 });
      const result = await train({ ...config, algorithm: { groupSize: 4, kl } }, tinyParts());
      const lines = await readMetrics(result.folder);
      return lines[lines.length - 1];
    };
    const [weak, strong] = [await endWith(1e-6), await endWith(2)];
    expect(strong.kl).toBeGreaterThan(0);
    expect(strong.kl).toBeLessThan(0.5 * (weak.kl ?? 0));
  });

  it("several updates per batch move the ratio away from 1", async () => {
    const result = await train(tinyConfig(path.join(root, "run"), { steps: 4, updatesPerBatch: 4 }), tinyParts());
    const lines = await readMetrics(result.folder);
    expect(lines.some((line) => Math.abs((line["ratio/mean"] ?? 1) - 1) > 1e-6)).toBe(true);
    expect(lines.every((line) => (line["policy/samplerGapMax"] ?? 0) < 1e-5)).toBe(true);
  });

  it("ratios are of tokens that were computed: attempts without reward or baseline have none", async () => {
    const config = tinyConfig(path.join(root, "run"), { steps: 1 });
    const result = await train({ ...config, algorithm: { name: "reinforce", groupSize: 4 } }, tinyParts());
    const [, line] = await readMetrics(result.folder);
    expect(line["reward/mean"]).toBeGreaterThan(0);
    expect(line["reward/mean"]).toBeLessThan(1);
    expect(line["ratio/max"]).toBeCloseTo(1, 4);
    expect(line["kl/sampler"]).toBeCloseTo(0, 6);
  });

  it("tells a watcher everything, in order", async () => {
    const events: TrainEvent[] = [];
    const config = tinyConfig(path.join(root, "run"), { steps: 2 });
    await train(config, { ...tinyParts(), onEvent: (event) => void events.push(event) });
    const kinds = events.filter((event) => event.kind !== "progress").map((event) => event.kind);
    const evaluations = ["evaluation", "evaluation"];
    expect(kinds).toEqual(
      [
        "note",
        "start",
        evaluations,
        evaluations,
        "best",
        "step",
        "step",
        evaluations,
        "best",
        "checkpoint",
        evaluations,
        "end",
      ].flat(),
    );
    const progress = events.filter((event) => event.kind === "progress" && event.phase === "rollout");
    expect(progress).toHaveLength(2 * 16);
  });
});

describe("a run that stops and continues", () => {
  it("ends bit for bit like one that never stopped, wherever it is aborted", async () => {
    const parts = tinyParts();
    const straight = path.join(root, "straight");
    await train(tinyConfig(straight), parts);
    const expected = await comparableMetrics(straight);
    // Primes, so that the aborts fall on rollouts, evaluations, checkpoints and the final test.
    for (const abortEvery of [1, 29, 83]) {
      const folder = path.join(root, `aborted-${abortEvery}`);
      const { starts, table } = await runWithAborts(folder, abortEvery);
      expect(starts).toBeGreaterThan(1);
      expect(Buffer.compare(Buffer.from(table.buffer), Buffer.from(parts.policy.table().buffer))).toBe(0);
      expect(await comparableMetrics(folder)).toEqual(expected);
      const { best, after } = (await readResult(folder))!;
      const straightResult = (await readResult(straight))!;
      expect(best).toEqual(straightResult.best);
      expect(after?.greedy.exactMatch).toEqual(straightResult.after?.greedy.exactMatch);
    }
  });

  it("can be extended, and a finished one is not repeated", async () => {
    const folder = path.join(root, "run");
    await train(tinyConfig(folder), tinyParts());
    const again: TrainEvent["kind"][] = [];
    await resume(folder, { ...tinyParts(), onEvent: (event) => again.push(event.kind) });
    expect(again).toEqual(["end"]);
    const longer = await train(tinyConfig(folder, { steps: 10 }), tinyParts());
    expect(longer.steps).toBe(10);
    expect((await readMetrics(folder)).map((line) => line.step)).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
  });

  it("stops at the time limit with a result", async () => {
    const result = await train(
      tinyConfig(path.join(root, "run"), { steps: 1000, stopAfterSeconds: 0.05 }),
      tinyParts(),
    );
    expect(result.status).toBe("out-of-time");
    expect(result.steps).toBeLessThan(1000);
    expect(result.after).not.toBeNull();
  });

  it("uses the previous checkpoint when the last one is damaged, and says so", async () => {
    const folder = path.join(root, "run");
    const expected = tinyParts();
    await train(tinyConfig(folder), expected);
    await rm(path.join(folder, "result.json"));
    await truncate(path.join(folder, "checkpoints/step-000008/policy/weights.bin"), 1000);
    const warnings: string[] = [];
    const parts = tinyParts();
    await train(tinyConfig(folder), {
      ...parts,
      onEvent: (event) => (event.kind === "warning" ? warnings.push(event.message) : undefined),
    });
    expect(warnings[0]).toMatch(/step-000008 is damaged \(policy\/weights.bin has 1000 bytes instead of \d+\)/);
    expect(Buffer.compare(Buffer.from(parts.policy.table().buffer), Buffer.from(expected.policy.table().buffer))).toBe(
      0,
    );
  });

  it("says so when the best checkpoint is damaged, and tests the last policy instead", async () => {
    const folder = path.join(root, "run");
    const stopped = await train(tinyConfig(folder), tinyParts());
    expect(stopped.best).not.toBeNull();
    await rm(path.join(folder, "result.json"));
    await truncate(path.join(folder, "best/weights.bin"), 1000);
    const warnings: string[] = [];
    const result = await train(tinyConfig(folder), {
      ...tinyParts(),
      onEvent: (event) => (event.kind === "warning" ? warnings.push(event.message) : undefined),
    });
    expect(warnings).toEqual([expect.stringMatching(/best checkpoint .*best \(step \d+\) is missing or damaged/)]);
    expect(result).toMatchObject({ status: "finished", best: null });
  });

  it("stops when every checkpoint is damaged", async () => {
    const folder = path.join(root, "run");
    await train(tinyConfig(folder), tinyParts());
    await rm(path.join(folder, "result.json"));
    for (const name of (await readdir(path.join(folder, "checkpoints"))).filter((entry) => entry.startsWith("step"))) {
      await rm(path.join(folder, "checkpoints", name, "state.json"));
    }
    await expect(train(tinyConfig(folder), tinyParts())).rejects.toThrow(/Every checkpoint in .* is damaged/);
  });

  it("keeps only the newest checkpoints", async () => {
    const folder = path.join(root, "run");
    await train(tinyConfig(folder, { keepCheckpoints: 2 }), tinyParts());
    expect((await readdir(path.join(folder, "checkpoints"))).sort()).toEqual(["latest", "step-000006", "step-000008"]);
    expect((await findCheckpoint(folder, () => undefined))?.state.step).toBe(8);
  });
});

describe("folders and configurations that do not fit", () => {
  it("refuses to continue a run with other settings and names them", async () => {
    const folder = path.join(root, "run");
    await train(tinyConfig(folder), tinyParts());
    const other = { ...tinyConfig(folder, { seed: 5 }), algorithm: { groupSize: 6 } };
    await expect(train(other, tinyParts())).rejects.toThrow(/other settings \(algorithm.groupSize, train.seed\)/);
  });

  it("refuses a second writer while the first one runs", async () => {
    const folder = path.join(root, "run");
    let second: Promise<unknown> | undefined;
    await train(tinyConfig(folder), {
      ...tinyParts(),
      onEvent: (event) => {
        if (event.kind === "start") {
          second = expect(train(tinyConfig(folder), tinyParts())).rejects.toThrow(/is being written by process/);
        }
      },
    });
    await second;
  });

  it("refuses a folder that is something else", async () => {
    await expect(train(tinyConfig(path.dirname(root)), tinyParts())).rejects.toThrow(/is not a run folder/);
  });

  it("leaves no folder behind when the model cannot be opened", async () => {
    const folder = path.join(root, "run");
    await expect(train({ model: { folder: path.join(root, "nowhere") }, run: { folder } })).rejects.toThrow(/nowhere/);
    expect(await readdir(root)).toEqual([]);
  });

  it("says before any compute that a policy cannot train", async () => {
    const parts = tinyParts();
    const policy = { ...parts.policy, capabilities: { ...parts.policy.capabilities, training: false } };
    await expect(train(tinyConfig(path.join(root, "run")), { ...parts, policy })).rejects.toThrow(/cannot train/);
  });

  it("says at once that settings leave little of the algorithm's name", async () => {
    const warnings: string[] = [];
    const config = { ...tinyConfig(path.join(root, "run"), { steps: 1 }), critic: { headStart: 2 } };
    const algorithm = { name: "ppo", groupSize: 4, advantage: "group", kl: 0 } as const;
    await train(
      { ...config, algorithm },
      { ...tinyParts(), onEvent: (event) => void (event.kind === "warning" && warnings.push(event.message)) },
    );
    expect(warnings[0]).toMatch(/name=ppo stands for advantage=gae kl=0.001, but this run has advantage=group kl=0\./);
    expect(warnings[1]).toMatch(/^critic.headStart will not be used: ppo has no critic/);
  });

  it("finds choices that contradict each other before it reads anything", async () => {
    const config = { ...tinyConfig(path.join(root, "run")), data: { corpus: path.join(root, "missing.jsonl") } };
    const { policy, questions } = tinyParts();
    const algorithm = { groupSize: 4, klTarget: 0.1 };
    await expect(train({ ...config, algorithm }, { policy, questions })).rejects.toThrow(
      /klTarget is 0.1, but .*kl is 0/,
    );
  });

  it("finds a question that is too long for the row before the first step", async () => {
    const long = { id: "long", question: "x".repeat(200), answers: ["a"] };
    const parts = { ...tinyParts(), validation: tinyQuestions, test: tinyQuestions };
    const questions = [...tinyQuestions, long];
    await expect(train(tinyConfig(path.join(root, "run")), { ...parts, questions })).rejects.toThrow(
      /Question long: its prompt has \d+ tokens and maxTokens allows 96/,
    );
    expect((await parts.policy.stats()).sampledTokens).toBe(0);
    expect(await readdir(root)).toEqual([]);
  });

  it("goes on when the search engine is down, and says so at once", async () => {
    const search: TrainOptions["search"] = {
      name: "down",
      searchBatch: () => Promise.reject(new Error("connect ECONNREFUSED")),
      close: () => Promise.resolve(),
    };
    const warnings: string[] = [];
    const result = await train(tinyConfig(path.join(root, "run"), { steps: 2 }), {
      ...tinyParts(),
      search,
      onEvent: (event) => (event.kind === "warning" ? warnings.push(event.message) : undefined),
    });
    expect(result.status).toBe("finished");
    expect(warnings[0]).toMatch(
      /could not be measured \(down: .*160 tokens \(rollout.maxObservationTokens\)\. Set it if/,
    );
    expect(warnings[1]).toMatch(/Every search of step 1 failed \(down: connect ECONNREFUSED\)/);
    expect(result.before?.sampled?.failedSearches).toBe(1);
    expect(evaluationTable([{ name: "before", report: result.before!.sampled! }])).toMatch(
      /searches that failed +100 %/,
    );
  });

  it("stops when the loss is no longer a number, before anything is saved", async () => {
    const parts = tinyParts();
    const policy = {
      ...parts.policy,
      forwardBackward: async (...call: Parameters<typeof parts.policy.forwardBackward>) => ({
        ...(await parts.policy.forwardBackward(...call)),
        loss: NaN,
      }),
    };
    const folder = path.join(root, "run");
    const config = { ...tinyConfig(folder), watch: { action: "warn" as const } };
    await expect(train(config, { ...parts, policy })).rejects.toThrow(/loss of step 1 is NaN.*learningRate/);
    expect(await readdir(path.join(folder, "checkpoints"))).toEqual([]);
  });
});
