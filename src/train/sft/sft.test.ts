import { mkdtemp, mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { existsSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { Transcript } from "../../data/transcripts.js";
import { traceFromLine } from "../../rollout/trace.js";
import { parseConfig, type ConfigInput } from "../config/config.js";
import { readMetrics } from "../metrics-file.js";
import { isMeasuredTime } from "../metrics.js";
import { readRunConfig } from "../run-folder.js";
import { sft, type SftEvent, type SftOptions, type SftResult } from "./sft.js";
import { tabularPolicy } from "../tabular-policy.test-support.js";
import { tinyConfig, tinyParts } from "../tiny-run.test-support.js";
import { train } from "../train.js";

let root: string;
beforeEach(async () => {
  root = await mkdtemp(path.join(os.tmpdir(), "sleuth-sft-"));
});
afterEach(() => rm(root, { recursive: true, force: true }));

/** The policy writes `q` and `a`; the environment writes `zz`, which nobody else does. */
const transcripts: Transcript[] = Array.from({ length: 20 }, (_, index) => ({
  id: String(index),
  question: `which letter, ${index}?`,
  answers: ["a"],
  turns: [
    { role: "policy", text: "<search>q</search>" },
    { role: "environment", text: "zz" },
    { role: "policy", text: "<answer>a</answer>" },
  ],
  place: `line ${index}`,
}));

function config(folder: string, over: ConfigInput["train"] = {}): ConfigInput {
  return {
    run: { folder },
    rollout: { maxTokens: 200, maxTokensPerTurn: 8 },
    optimizer: { warmupSteps: 1 },
    sft: { transcripts: "given", epochs: 2, batch: 4, validation: 4, learningRate: 1.5 },
    train: { evalEvery: 3, checkpointEvery: 2, saveTrajectories: 2, ...over },
  };
}

function run(folder: string, options: SftOptions = {}, over: ConfigInput["train"] = {}) {
  const policy = tabularPolicy({ habits: ["<search>zz"] });
  return { policy, result: sft(config(folder, over), { policy, transcripts, ...options }) };
}

async function comparable(folder: string): Promise<unknown[]> {
  const lines = await readMetrics(folder);
  return lines.map((line) => Object.fromEntries(Object.entries(line).filter(([name]) => !isMeasuredTime(name))));
}

describe("sft", () => {
  it("learns to write what the policy wrote, and leaves a folder like every run's", async () => {
    const folder = path.join(root, "run");
    const events: SftEvent[] = [];
    const { policy, result } = run(folder, { onEvent: (event) => events.push(event) });
    expect(await result).toMatchObject({
      status: "finished",
      steps: 8,
      transcripts: { training: 16, validation: 4, leftOut: 0 },
    });
    const { before, best } = (await result).validation;
    expect(before).toBeGreaterThan(4);
    expect(best).toBeLessThan(0.6 * (before ?? 0));
    for (const file of ["config.json", "run.json", "curve.svg", "curve.html", "best/best.json", "best/weights.bin"])
      expect(existsSync(path.join(folder, file)), file).toBe(true);
    expect(await readFile(path.join(folder, "curve.svg"), "utf8")).toContain("Supervised loss");
    const lines = await readMetrics(folder);
    expect(lines.map(({ step }) => step)).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8]);
    expect(lines.flatMap((line) => (line["loss/validation"] === undefined ? [] : [line.step]))).toEqual([0, 3, 6, 8]);
    expect(lines[8]["loss/perToken"]).toBeLessThan(lines[1]["loss/perToken"] ?? 0);
    const shown = (await readFile(path.join(folder, "trajectories/step-000000.jsonl"), "utf8")).trim().split("\n");
    expect(shown.map((line) => traceFromLine(line).trajectory.answer)).toEqual(["a", "a"]);
    const written = await policy.sample(policy.tokenizer.encode("?\n"), { maxTokens: 3, temperature: 0 });
    expect(policy.tokenizer.decode(written.tokens_T)).toBe("<search>q</search>");
    const steps = events.filter((event) => event.kind === "step");
    expect(steps.map(({ step, steps: all }) => `${step}/${all}`)).toEqual(
      Array.from({ length: 8 }, (_, i) => `${i + 1}/8`),
    );
    expect(steps.every(({ tokensPerSecond, secondsLeft }) => tokensPerSecond > 0 && secondsLeft >= 0)).toBe(true);
  });

  it("learns nothing of what the environment wrote", async () => {
    const { policy, result } = run(path.join(root, "run"));
    const before = tabularPolicy({ habits: ["<search>zz"] }).table();
    await result;
    const { tokenizer } = policy;
    const row = (text: string, table: Float32Array): number[] => {
      const start = tokenizer.encode(text)[0] * tokenizer.vocabSize;
      return [...table.slice(start, start + tokenizer.vocabSize)];
    };
    // What follows `z` and the opening of a passage is never the policy's; what follows a question is.
    for (const text of ["z", "<information>"]) expect(row(text, policy.table())).toEqual(row(text, before));
    for (const text of ["\n", "<search>", "<answer>"]) expect(row(text, policy.table())).not.toEqual(row(text, before));
  });

  it("is the same whatever stops it, and a finished run only reports", async () => {
    const straight = run(path.join(root, "straight"));
    await straight.result;
    const folder = path.join(root, "stopped");
    let last: SftResult | undefined;
    let starts = 0;
    let table: Float32Array | undefined;
    while (last?.status !== "finished") {
      const controller = new AbortController();
      let events = 0;
      starts += 1;
      const onEvent = (): void => {
        if (++events === 3 * starts) controller.abort(new Error("stop"));
      };
      const { policy, result } = run(folder, { onEvent, signal: controller.signal });
      last = await result;
      table = policy.table();
    }
    expect(starts).toBeGreaterThan(3);
    expect(table).toEqual(straight.policy.table());
    expect(await comparable(folder)).toEqual(await comparable(path.join(root, "straight")));
    const again = run(folder);
    expect(await again.result).toEqual(last);
    expect(again.policy.table()).toEqual(tabularPolicy({ habits: ["<search>zz"] }).table());
  });

  it("keeps the best policy, not the last", async () => {
    const folder = path.join(root, "run");
    // A rate so high that later steps are worse than earlier ones.
    const policy = tabularPolicy({ habits: [] });
    const wild = config(folder, { evalEvery: 1 });
    const result = await sft({ ...wild, sft: { ...wild.sft, learningRate: 30 } }, { policy, transcripts });
    const losses = (await readMetrics(folder)).map((line) => line["loss/validation"] ?? Infinity);
    const least = Math.min(...losses);
    expect(result.validation.best).toBe(least);
    expect(result.best).toEqual({ step: losses.lastIndexOf(least), score: -least });
  });

  it("without transcripts to set aside keeps the last policy", async () => {
    const { result } = run(path.join(root, "run"), { transcripts: transcripts.slice(0, 3) });
    expect(await result).toMatchObject({ steps: 2, best: { step: 2 }, validation: { before: null, best: null } });
  });

  it("says which transcripts break a budget, and refuses when none is left", async () => {
    const long: Transcript = {
      ...transcripts[0],
      turns: [{ role: "policy", text: "<answer>too long for this</answer>" }],
    };
    const warnings: string[] = [];
    const onEvent = (event: SftEvent): void => void (event.kind === "warning" && warnings.push(event.message));
    const { result } = run(path.join(root, "run"), { transcripts: [...transcripts, long], onEvent });
    expect((await result).transcripts.leftOut).toBe(1);
    expect(warnings.join()).toMatch(
      /1 of 21 transcripts break rollout\.maxTokensPerTurn and are left out, the first at line 0/,
    );
    const none = run(path.join(root, "none"), { transcripts: [long] });
    await expect(none.result).rejects.toThrow(/No transcript fits.*rollout\.maxTokensPerTurn/);
    expect(existsSync(path.join(root, "none"))).toBe(false);
  });

  it("and train do not go on with each other's runs", async () => {
    const folder = path.join(root, "run");
    await run(folder).result;
    await expect(train(await readRunConfig(folder), tinyParts())).rejects.toThrow(
      /holds a run of sleuth sft, which sleuth train cannot continue.*--model .*best/,
    );
    const other = path.join(root, "train");
    await train(tinyConfig(other, { steps: 1, evalEvery: 0, testSize: 0 }), tinyParts());
    await expect(sft(parseConfig(tinyConfig(other)), { transcripts })).rejects.toThrow("holds a run of sleuth train");
  });

  it("continues runs from before runs had a kind", async () => {
    const folder = path.join(root, "old");
    const given = tinyConfig(folder, { steps: 1, evalEvery: 0, testSize: 0 });
    const written = parseConfig({ ...given, rollout: { ...given.rollout, protocol: "atlas" } });
    await mkdir(path.join(folder, "checkpoints"), { recursive: true });
    await mkdir(path.join(folder, "trajectories"));
    await writeFile(path.join(folder, "config.json"), JSON.stringify(written));
    await writeFile(path.join(folder, "run.json"), JSON.stringify({ starts: [] }));
    expect((await train(written, tinyParts())).status).toBe("finished");
  });
});
