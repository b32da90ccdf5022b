/** @file The records of a run that were damaged or written over: an error that names the file, or an older checkpoint. */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { UserError } from "../errors.js";
import { manifestProblem, writeManifest } from "../files/manifest.js";
import { findCheckpoint, readBest, requireWhole, stepsBehind } from "./checkpoint.js";
import { readMetrics } from "./metrics-file.js";
import { locateModel } from "./model-folder.js";
import { readResult } from "./result.js";
import { readStarts } from "./run-folder.js";

let run: string;
beforeEach(() => void (run = mkdtempSync(path.join(tmpdir(), "sleuth-damaged-"))));
afterEach(() => rmSync(run, { recursive: true }));

const nested = `{"starts":${"[".repeat(50_000)}${"]".repeat(50_000)}}`;

async function refusal(read: Promise<unknown>): Promise<string> {
  const error = (await read.catch((reason: unknown) => reason)) as Error;
  expect(error).toBeInstanceOf(UserError);
  return error.message;
}

it.each(["", "{", "[]", "null", '{"starts":{}}', '{"starts":[{"startedAt":1e400}]}', '{"starts":[],"kind":5}', nested])(
  "run.json with %.20j",
  async (text) => {
    writeFileSync(path.join(run, "run.json"), text);
    expect(await refusal(readStarts(run))).toContain(path.join(run, "run.json"));
  },
);

it.each(["", '{"status":"finished"}', '{"status":7}', '{"status":"finished","steps":-1}', nested])(
  "result.json with %.20j",
  async (text) => {
    writeFileSync(path.join(run, "result.json"), text);
    expect(await refusal(readResult(run))).toMatch(/result\.json.*Delete it/);
  },
);

it("a folder in the place of a record", async () => {
  for (const name of ["run.json", "result.json"]) mkdirSync(path.join(run, name));
  expect(await refusal(readStarts(run))).toContain("run.json");
  expect(await refusal(readResult(run))).toContain("result.json");
});

it("leaves out what is no line of metrics", async () => {
  writeFileSync(path.join(run, "metrics.jsonl"), '{"step":0,"loss":1}\nnull\n5\n{"step":"1"}\n{"step":2,"loss":{}}\n[');
  expect(await readMetrics(run)).toEqual([{ step: 0, loss: 1 }]);
});

const state = { step: 1, drawn: 4, seconds: 2, algorithm: null, best: null, pending: null };

async function checkpoint(step: number, text = JSON.stringify({ ...state, step })): Promise<string> {
  const folder = path.join(run, "checkpoints", `step-${step}`);
  mkdirSync(path.join(folder, "policy"), { recursive: true });
  writeFileSync(path.join(folder, "state.json"), text);
  writeFileSync(path.join(folder, "policy", "weights"), "weights");
  await writeManifest(folder);
  return folder;
}

describe("checkpoints", () => {
  it.each(["", "null", "{}", '{"step":"2"}', '{"step":1e999}', nested])(
    "passes over one whose state is %.20j, for the next older",
    async (text) => {
      await checkpoint(1);
      await checkpoint(2, text);
      const warnings: string[] = [];
      expect((await findCheckpoint(run, (warning) => warnings.push(warning)))?.state.step).toBe(1);
      expect(warnings).toEqual([expect.stringMatching(/step-2 is damaged .*passed over/)]);
    },
  );

  it("sees a manifest that was changed, by the manifest's own checksum, and names that lead out of the folder", async () => {
    const folder = await checkpoint(1);
    const file = path.join(folder, "manifest.json");
    const whole = readFileSync(file, "utf8");
    const { files } = JSON.parse(whole) as { files: object[] };
    writeFileSync(file, JSON.stringify({ ...(JSON.parse(whole) as object), files: files.slice(1) }));
    expect(await manifestProblem(folder)).toBe("manifest.json is damaged");
    // As an older version wrote it: without a checksum.
    writeFileSync(file, JSON.stringify({ files }));
    expect(await manifestProblem(folder)).toBeNull();
    for (const name of ["../secret", "/etc/hosts", "..\\secret", "", "policy/../../secret", 5]) {
      writeFileSync(file, JSON.stringify({ files: [{ ...files[0], path: name }] }));
      expect(await manifestProblem(folder)).toBe("manifest.json is damaged");
    }
    for (const text of ["{}", '{"files":[]}', '{"files":{}}', "null", "5", nested]) {
      writeFileSync(file, text);
      expect(await manifestProblem(folder)).toMatch(/^manifest\.json is/);
    }
  });

  it("refuses their models by name when a file is not what was written, and takes models without a manifest", async () => {
    const folder = await checkpoint(1);
    const policy = path.join(folder, "policy");
    expect((await locateModel(policy)).model).toBe(policy);
    expect(await stepsBehind(policy)).toBe(1);
    writeFileSync(path.join(policy, "weights"), "wEights");
    expect(await refusal(locateModel(policy))).toMatch(/step-1 is damaged \(policy\/weights has other content/);
    const best = path.join(run, "best");
    mkdirSync(best);
    writeFileSync(path.join(best, "best.json"), '{"step":1,"score":0.5}');
    await requireWhole(best);
    await writeManifest(best);
    expect(await readBest(run)).toEqual({ step: 1, score: 0.5 });
    writeFileSync(path.join(best, "best.json"), '{"step":1,"score":0.6}');
    expect(await refusal(locateModel(best))).toMatch(/best is damaged/);
    expect(await readBest(run)).toBeNull();
  });
});
