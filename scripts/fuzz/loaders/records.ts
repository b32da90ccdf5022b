/** @file What Sleuth writes for itself: runs, checkpoints, caches, locks. */
import { mkdir, readFile, readdir, stat, utimes, writeFile } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { takeLock } from "../../../src/files/lock.js";
import { sha256OfFile } from "../../../src/files/checksummed-file.js";
import { parseChecksummed, withChecksum } from "../../../src/files/checksummed-json.js";
import { cacheKey, openVerdictCache } from "../../../src/rewards/judge/cache.js";
import { readEvaluation, readRecords } from "../../../src/eval/folder.js";
import { evaluationsTable, renderTable } from "../../../src/eval/table.js";
import { traceFromLine } from "../../../src/rollout/trace.js";
import { AnswerStore } from "../../../src/search/middleware/answer-store.js";
import { findCheckpoint, readBest, requireWhole, stepsBehind } from "../../../src/train/checkpoint.js";
import { readMetrics } from "../../../src/train/metrics-file.js";
import { loadConfig } from "../../../src/train/config/file.js";
import { parseConfig } from "../../../src/train/config/config.js";
import { attemptPairs } from "../../../src/train/report/gain.js";
import { readResult } from "../../../src/train/result.js";
import { writePictures } from "../../../src/train/report/report.js";
import { readRunConfig, readStarts } from "../../../src/train/run-folder.js";
import { UserError } from "../../../src/errors.js";
import type { Loader } from "../loader.js";
import { compatibility, copy, textOf } from "./given.js";

const run = path.join(compatibility, "run");

/** Sizes, hashes and the checksum of a checkpoint's manifest, as its files are now. */
async function writeChecksums(folder: string): Promise<void> {
  const file = path.join(folder, "manifest.json");
  const { content } = parseChecksummed(await readFile(file, "utf8"));
  for (const entry of content.files as { path: string }[]) {
    const place = path.join(folder, entry.path);
    Object.assign(entry, { bytes: (await stat(place)).size, sha256: await sha256OfFile(place) });
  }
  await writeFile(file, withChecksum(content));
}

const estimate = { value: 0.5, low: 0.4, high: 0.6 };
const summary = {
  ...{ n: 10, exactMatch: estimate, squadMatch: estimate, reward: estimate, answered: estimate },
  ...{ searchesPerQuestion: estimate, searchesToNeeded: 1.5, failedSearches: 0, finish: { answered: 1 } },
};
const report = { ...summary, temperature: 0, seconds: 3, perHop: [{ hops: 1, summary }] };
const result = {
  ...{ folder: "run", status: "finished", steps: 4, seconds: 12.5, best: { step: 2, score: 0.5 } },
  watch: { rollbacks: [{ step: 3, to: 2, cause: "reward" }], learningRateScale: 0.5, stopped: null },
  ...{ before: { greedy: report }, after: { greedy: report, sampled: report }, peakMemoryMb: 900 },
};

export const recordLoaders: readonly Loader[] = [
  { name: "run.json", make: (folder) => copy(run, folder, ["run.json"]), load: (folder) => readStarts(folder) },
  {
    name: "run-config",
    make: (folder) => copy(run, folder, ["config.json"]),
    load: (folder) => readRunConfig(folder),
    isNameless: true,
  },
  {
    name: "config-file",
    make: (folder) =>
      writeFile(
        path.join(folder, "sleuth.config.json"),
        '{"train":{"steps":3},"reward":{"weights":{"exact-match":1}}}',
      ),
    load: async (folder) => {
      const file = path.join(folder, "sleuth.config.json");
      parseConfig(await loadConfig(file), file);
    },
    // Values that contradict each other are named by their keys.
    isNameless: true,
  },
  {
    name: "metrics",
    make: (folder) => copy(run, folder, ["metrics.jsonl"]),
    load: async (folder) => {
      await readMetrics(folder);
      await writePictures(folder, "title", []);
    },
  },
  {
    name: "result",
    make: (folder) => writeFile(path.join(folder, "result.json"), JSON.stringify(result)),
    load: (folder) => readResult(folder),
  },
  {
    name: "evaluations",
    make: async (folder) => {
      const line = await textOf(compatibility, "trace.jsonl");
      await copy(run, folder, ["run.json"]);
      await mkdir(path.join(folder, "evaluations"));
      for (const when of ["before", "after"])
        await writeFile(path.join(folder, `evaluations/${when}-greedy.jsonl`), line);
    },
    damages: (file) => file.endsWith(".jsonl"),
    load: (folder) => attemptPairs(folder, "greedy"),
  },
  {
    name: "evaluation-folder",
    make: async (folder) => {
      const questions = { source: "q.jsonl", n: 10, checksum: "0" };
      const head = {
        ...{
          model: "m",
          weights: "",
          method: "search-r1",
          engine: "bm25",
          settings: { search: { topK: 3 } },
          questions,
        },
        ...{ commit: null, seed: 0, temperature: 0, attempts: 1, startedAt: "2026-11-30" },
      };
      const saved = { head, spent: { seconds: 3, costUsd: 0 }, report: { ...report, tokens: undefined } };
      await writeFile(path.join(folder, "evaluation.json"), JSON.stringify(saved));
      await writeFile(path.join(folder, "attempts.jsonl"), await textOf(compatibility, "trace.jsonl"));
    },
    load: async (folder) => {
      const { report: saved } = await readEvaluation(folder);
      if (saved !== null) renderTable(evaluationsTable([{ name: "it", report: saved }]), "csv");
      return readRecords(folder);
    },
  },
  {
    name: "trace",
    make: (folder) => copy(run, folder, ["trajectories/step-000001.jsonl"]),
    load: async (folder) => {
      const file = path.join(folder, "trajectories/step-000001.jsonl");
      const text = await readFile(file, "utf8").catch((cause: Error) => {
        throw new UserError(`${file}: ${cause.message}`);
      });
      for (const line of text.split("\n")) if (line !== "") traceFromLine(line, file);
    },
  },
  {
    name: "checkpoint",
    make: (folder) => copy(run, folder, ["checkpoints"]),
    load: async (folder) => {
      const found = await findCheckpoint(folder, () => undefined);
      await requireWhole(path.join(folder, "checkpoints/step-000002/policy"));
      return found?.state;
    },
    writeChecksums: (folder) => writeChecksums(path.join(folder, "checkpoints/step-000002")),
    // That every checkpoint is damaged is said of all of them.
    isNameless: true,
    damages: (file) => !file.endsWith("latest"),
    isChecked: true,
  },
  {
    name: "best",
    make: (folder) => copy(run, folder, ["best"]),
    load: async (folder) => {
      await requireWhole(path.join(folder, "best"));
      await stepsBehind(path.join(folder, "best"));
      return readBest(folder);
    },
    writeChecksums: (folder) => writeChecksums(path.join(folder, "best")),
    isNameless: true,
  },
  {
    name: "recorded-answers",
    make: (folder) => copy(path.join(compatibility, "answers"), folder),
    load: async (folder) => {
      const store = await AnswerStore.open(folder, "read");
      try {
        const [name] = await readdir(path.join(compatibility, "answers"));
        for (const line of (await textOf(compatibility, "answers", name)).split("\n")) {
          if (line === "") continue;
          const { engine, query, k } = JSON.parse(line) as { engine?: string; query: string; k: number };
          if (engine !== undefined) await store.get(engine, query, k, true);
        }
      } finally {
        await store.close();
      }
    },
    isNameless: true,
  },
  {
    name: "judge-cache",
    make: (folder) => copy(path.join(compatibility, "verdicts"), folder),
    load: async (folder) => (await openVerdictCache(folder)).get(cacheKey({ model: "judge", prompt: "same?" })),
    isNameless: true,
  },
  {
    name: "lock",
    make: (folder) =>
      writeFile(
        path.join(folder, "lock"),
        JSON.stringify({ pid: 999_999_999, host: os.hostname(), began: null, id: "a" }),
      ),
    load: async (folder) => {
      const longAgo = new Date(Date.now() - 60_000);
      await utimes(path.join(folder, "lock"), longAgo, longAgo).catch(() => undefined);
      const unlock = await takeLock(path.join(folder, "lock"), () => new UserError("lock: busy"));
      await unlock();
    },
    writes: true,
  },
];
