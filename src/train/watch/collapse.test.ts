/** @file Runs that collapse, under the watch: caught, rolled back, and healthy in the end; wherever they are stopped, to the same bits. */
import { existsSync } from "node:fs";
import { cp, mkdtemp, readFile, rm } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { TrainEvent } from "../run.js";
import { readMetrics } from "../metrics-file.js";
import { isMeasuredTime, type MetricLine } from "../metrics.js";
import { train } from "../train.js";
import { unstableConfig, unstableParts } from "./unstable-run.test-support.js";

let root: string;
beforeAll(async () => {
  root = await mkdtemp(path.join(os.tmpdir(), "sleuth-collapse-"));
});
afterAll(() => rm(root, { recursive: true, force: true }));

const folderOf = (name: string): string => path.join(root, name);
const scoreOf = (line: MetricLine): number => ((line["em/validation"] ?? 0) + (line["em/validation/sampled"] ?? 0)) / 2;

async function comparable(folder: string): Promise<MetricLine[]> {
  const lines = await readMetrics(folder);
  return lines.map(
    (line) => Object.fromEntries(Object.entries(line).filter(([name]) => !isMeasuredTime(name))) as MetricLine,
  );
}

/** What a whole run leaves: its lines, its policy, its result. */
async function wholeRun(name: string, watch = {}, over = {}) {
  const parts = unstableParts();
  const events: TrainEvent[] = [];
  const result = await train(unstableConfig(folderOf(name), watch, over), {
    ...parts,
    onEvent: (event) => void events.push(event),
  });
  const messages = events.flatMap((event) => (event.kind === "watch" ? event.messages : []));
  return { result, lines: await comparable(folderOf(name)), table: parts.policy.table().slice(), events, messages };
}

describe("a run that collapses", () => {
  // Evaluated every four steps: format frays at step 15, and validation falls at step 16.
  const seldom = { keepCheckpoints: 20, evalEvery: 4 };
  let straight: Awaited<ReturnType<typeof wholeRun>>;
  beforeAll(async () => {
    straight = await wholeRun("straight", {}, seldom);
    expect(straight.result.watch?.rollbacks).toMatchObject([{ step: 16, to: 8 }]);
  }, 60_000);

  it("is caught before validation falls by ten points, rolled back, and ends healthy", async () => {
    const without = await wholeRun("without", { action: "warn" });
    const watched = await wholeRun("watched");
    const evaluated = (lines: MetricLine[]): MetricLine[] =>
      lines.filter((line) => line["em/validation"] !== undefined);
    const best = Math.max(...evaluated(without.lines).map(scoreOf));
    const lostAt =
      evaluated(without.lines).find((line) => line.step > 6 && scoreOf(line) < best - 0.1)?.step ?? Infinity;
    expect(scoreOf(without.lines.at(-1) as MetricLine)).toBeLessThan(best - 0.25);

    const [rollback, ...more] = watched.lines.filter((line) => line["watch/rolledBackTo"] !== undefined);
    expect(more).toEqual([]);
    expect(rollback.step).toBeLessThan(lostAt);
    expect(rollback["watch/rolledBackTo"]).toBeLessThan(rollback.step);
    expect(scoreOf(watched.lines.at(-1) as MetricLine)).toBeGreaterThan(0.95);
    expect(watched.result).toMatchObject({
      status: "finished",
      watch: { rollbacks: [{ step: 12, to: 10 }], learningRateScale: 0.5, stopped: null },
    });

    // Until then the watch changes nothing; steps and questions go on; the learning rate is halved, after warming up again.
    const until = (lines: MetricLine[]): MetricLine[] => lines.filter((line) => line.step < rollback.step);
    expect(until(watched.lines)).toEqual(until(without.lines));
    expect(watched.lines.map((line) => line.step)).toEqual(without.lines.map((line) => line.step));
    expect(watched.lines[rollback.step].learningRate).toBeCloseTo(0.4, 12);
    expect(watched.lines[rollback.step + 1].learningRate).toBeCloseTo((0.4 * 0.5) / 11, 12);
    expect(watched.lines.at(-1)?.learningRate).toBeCloseTo(0.2, 12);
    expect(watched.messages.at(-1)).toMatch(
      /step 12: .* Rolled back to the policy of step 10 \(best\/\), roll-back 1; learning rates are multiplied by 0.5/,
    );
    expect(await readFile(path.join(folderOf("watched"), "curve.svg"), "utf8")).toContain("↶ 10");
  }, 60_000);

  it("ends to the last bit like one that never stopped, wherever it is stopped: within a window, at the roll-back, right after it", async () => {
    // Steps 15 (a signal is on), 16 (the roll-back) and 17 (settling), each at its event of the step and at the watch's own.
    for (const [step, kind] of [
      [15, "step"],
      [16, "step"],
      [16, "watch"],
      [17, "step"],
    ] as const) {
      const folder = folderOf(`stopped-${step}-${kind}`);
      const controller = new AbortController();
      const first = await train(unstableConfig(folder, {}, seldom), {
        ...unstableParts(),
        signal: controller.signal,
        onEvent: (event) => {
          if (event.kind === kind && event.step === step) controller.abort(new Error("stop"));
        },
      });
      expect(first).toMatchObject({ status: "interrupted", steps: step });
      const parts = unstableParts();
      const result = await train(unstableConfig(folder, {}, seldom), parts);
      expect(result).toMatchObject({ status: "finished", best: straight.result.best, watch: straight.result.watch });
      expect(await comparable(folder)).toEqual(straight.lines);
      expect(Buffer.compare(Buffer.from(parts.policy.table().buffer), Buffer.from(straight.table.buffer))).toBe(0);
    }
  }, 120_000);

  it("continues from the checkpoint of the roll-back, though the best one was overwritten since", async () => {
    const folder = folderOf("killed");
    await cp(folderOf("straight"), folder, { recursive: true });
    await rm(path.join(folder, "result.json"));
    for (const step of [20, 25, 28]) await rm(path.join(folder, `checkpoints/step-0000${step}`), { recursive: true });
    const parts = unstableParts();
    const result = await train(unstableConfig(folder, {}, seldom), parts);
    expect(result).toMatchObject({ status: "finished", best: straight.result.best, watch: straight.result.watch });
    expect(await comparable(folder)).toEqual(straight.lines);
    expect(Buffer.compare(Buffer.from(parts.policy.table().buffer), Buffer.from(straight.table.buffer))).toBe(0);
  }, 60_000);

  it("is stopped when what it should go back to is damaged", async () => {
    const folder = folderOf("damaged");
    await cp(folderOf("straight"), folder, { recursive: true });
    await rm(path.join(folder, "result.json"));
    for (const step of [16, 20, 25, 28])
      await rm(path.join(folder, `checkpoints/step-0000${step}`), { recursive: true });
    // The policy of step 8, which only best/ had then, is not there any more: only somebody's deleting can do that.
    await rm(path.join(folder, "healthy"), { recursive: true });
    const result = await train(unstableConfig(folder, {}, seldom), unstableParts());
    expect(result.status).toBe("stopped");
    expect(result.watch?.stopped).toMatch(/best, to roll back to, is missing or damaged.*nothing to roll back to/);
  }, 60_000);

  it("is stopped when that is asked for, with the cause, and its best checkpoint is what is left", async () => {
    const { result, lines } = await wholeRun("stop", { action: "stop" });
    expect(result).toMatchObject({ status: "stopped", steps: 12, best: { step: 10 }, watch: { rollbacks: [] } });
    expect(result.watch?.stopped).toMatch(
      /stopped the run after step 12: right answers on validation .*\(since step \d+\).*The best checkpoint, of step 10, is kept.*learningRate.*watch.action=warn/,
    );
    expect(lines).toHaveLength(13);
    // Asked again, it says so again; told to go on regardless, it does.
    const again = await wholeRun("stop", { action: "stop" });
    expect(again.events.map(({ kind }) => kind)).toEqual(["end"]);
    expect(again.result).toEqual(result);
    const regardless = await wholeRun("stop", { action: "warn" });
    expect(regardless.result).toMatchObject({ status: "finished", steps: 28 });
  }, 60_000);

  it("is stopped after as many roll-backs as are allowed", async () => {
    const { result } = await wholeRun("often", { maxRollbacks: 1, rollbackFactor: 1 }, { steps: 40 });
    expect(result).toMatchObject({ status: "stopped", watch: { rollbacks: [{ to: 10 }], learningRateScale: 1 } });
    expect(result.watch?.stopped).toMatch(/rolled back 1 times, which is all that watch.maxRollbacks=1 allows/);
  }, 60_000);

  it("goes back to a policy that the watch kept, where no best one is chosen", async () => {
    const { result, lines } = await wholeRun("unjudged", {}, { evalEvery: 0, keepBest: "last" });
    expect(result).toMatchObject({ status: "finished", watch: { rollbacks: [{ to: 10 }] } });
    const rollback = lines.find((line) => line["watch/rolledBackTo"] !== undefined);
    expect(rollback?.["watch/rolledBackTo"]).toBe(10);
    expect(existsSync(path.join(folderOf("unjudged"), "healthy", "weights.bin"))).toBe(true);
  }, 60_000);
});

describe("a loss that is no number", () => {
  const withNan = (isBad: (call: number) => boolean): ReturnType<typeof unstableParts> => {
    const parts = unstableParts();
    let calls = 0;
    const { policy } = parts;
    const forwardBackward: typeof policy.forwardBackward = async (...call) => {
      const result = await policy.forwardBackward(...call);
      return isBad(++calls) ? { ...result, loss: NaN } : result;
    };
    return { ...parts, policy: { ...policy, forwardBackward } };
  };
  const config = (name: string) => unstableConfig(folderOf(name), {}, { steps: 8 });

  it("is undone by a roll-back", async () => {
    const result = await train(
      config("nan"),
      withNan((call) => call === 5),
    );
    expect(result).toMatchObject({ status: "finished", steps: 8, watch: { rollbacks: [{ step: 5, to: 4 }] } });
    const lines = await readMetrics(folderOf("nan"));
    expect(lines[5]).toMatchObject({ step: 5, "watch/diverged": 1, "watch/rolledBackTo": 4 });
    expect(lines[5].loss).toBeUndefined();
  });

  it("ends the run when roll-backs do not help", async () => {
    await expect(
      train(
        config("nan-always"),
        withNan(() => true),
      ),
    ).rejects.toThrow(/loss of step 4 is NaN/);
  });
});
