/**
 * @file This tree against an earlier commit of itself, in turns and in one run: ratios of speed, ours ÷ theirs, so above 1 is faster. The other
 * commit is checked out and measured in child processes: through its own bench and command line, because paths inside `src/` move, and the engine by scripts of this tree that take its
 * modules (`of-checkout.ts`).
 */
import { spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { mkdir, rm, writeFile } from "node:fs/promises";
import path from "node:path";
import { smollm2, smollm2IsAbsent } from "../src/engine/io/smollm2.test-support.js";
import { UserError } from "../src/errors.js";
import type { BenchContext, BenchGroup } from "./bench.js";
import { documentsCorpus, documentsPerSecond, kinds as documentKinds } from "./documents.js";
import { callsOf, clients } from "./search/server.js";
import { benchCorpus, type BenchCorpus } from "./search/corpus.js";
import type { BuildFigures, SearchFigures } from "./search/bm25-case.js";
import { runCase } from "./case.js";
import { precisionOf, type Precision } from "./precision.js";
import type { DemoFigures } from "./step/demo-case.js";
import type { SmolLm2Case, SmolLm2Figures, SmolLm2Work } from "./step/smollm2-case.js";
import type { TreeFigures } from "./step/tree-case.js";
import { checkout } from "./self/checkout.js";
import { medianWithInterval, pairedRatios, type Speeds } from "./self/pairs.js";

/** What is compared with where nothing else is asked for. */
const defaultCommit = "580f2e2";
/** What the engine is compared with: the commit before shared trees and frozen weights in 8 bits. */
const engineBefore = "e95f174";
const defaultPairs = 10;

/** One of the two trees. */
interface Side {
  root: string;
  /** Keeps what it makes, as its index. */
  folder: string;
}

interface Comparison {
  /** The lines that one measurement brings. */
  lines: readonly string[];
  /** What it is compared with where nothing else is asked for. */
  against?: string;
  /** How often where nothing else is asked for: where a side takes minutes. */
  pairs?: number;
  /** Makes ready what both sides need; the functions then measure once. */
  prepare(sides: readonly Side[], context: BenchContext): Promise<Prepared>;
}

interface Prepared {
  measure(side: Side): Promise<Speeds>;
  /** In what our side multiplies frozen weights. */
  precision?: Precision;
  close?(): Promise<void>;
}

const comparisons: readonly Comparison[] = [
  {
    lines: ["bm25.build"],
    async prepare(_, context) {
      const corpus = await corpusFor(context);
      return { measure: async (side) => ({ "bm25.build": 1 / (await build(side, corpus)).seconds }) };
    },
  },
  {
    lines: ["bm25.p50", "bm25.qps"],
    async prepare(sides, context) {
      const { queries } = await indexFor(sides, context);
      const measure = async ({ root, folder }: Side): Promise<Speeds> => {
        const options = { do: "search", index: path.join(folder, "bm25"), queries };
        const { p50, qps } = await runCase<SearchFigures>("search/bm25-case.ts", options, { root });
        return { "bm25.p50": 1 / p50, "bm25.qps": qps };
      };
      return { measure };
    },
  },
  {
    lines: documentKinds.flatMap((kind) => [`documents.${kind}`, `documents.${kind}.cpu`]),
    async prepare(_, context) {
      const corpus = await documentsCorpus(context);
      const wanted = documentKinds.filter((kind) => context.wants(`documents.${kind}`));
      const measure = async ({ root, folder }: Side): Promise<Speeds> => {
        const speeds: Record<string, number> = {};
        for (const kind of wanted) {
          const { wall, cpu } = await documentsPerSecond(path.join(corpus, kind), path.join(folder, "documents"), root);
          speeds[`documents.${kind}`] = wall;
          speeds[`documents.${kind}.cpu`] = cpu;
        }
        return speeds;
      };
      return { measure };
    },
  },
  serverComparison("server", 1, 4),
  serverComparison("server.b16", 16, 8),
  {
    lines: ["train.tree", "train.tree.memory"],
    against: engineBefore,
    prepare: (_, { quick }) => {
      const options = { model: smollm2Here(), groups: quick ? 1 : 4 };
      const measure = async ({ root }: Side): Promise<Speeds> => {
        const { seconds, peakMb } = await runCase<TreeFigures>(caseScript("tree"), options, { root });
        return { "train.tree": 1 / seconds, "train.tree.memory": 1 / peakMb };
      };
      return Promise.resolve({ measure });
    },
  },
  smollm2Comparison(["decode.b8"], (quick) =>
    quick ? { kind: "decode", rows: 8, steps: 2, repeats: 1 } : { kind: "decode", rows: 8, steps: 32, repeats: 3 },
  ),
  smollm2Comparison(["decode.b64"], (quick) =>
    quick ? { kind: "decode", rows: 4, steps: 2, repeats: 1 } : { kind: "decode", rows: 64, steps: 24, repeats: 1 },
  ),
  smollm2Comparison(["prefill"], (quick) =>
    quick ? { kind: "prefill", rows: 2, repeats: 1 } : { kind: "prefill", rows: 8, repeats: 5 },
  ),
  smollm2Comparison(["train.lora"], (quick) =>
    quick ? { kind: "train", rows: 1, repeats: 1 } : { kind: "train", rows: 4, repeats: 3 },
  ),
  { ...smollm2Comparison(["grpoStep", "grpoStep.memory"], (isQuick) => ({ kind: "grpoStep", isQuick })), pairs: 3 },
  {
    lines: ["demo.train"],
    against: engineBefore,
    pairs: 6,
    prepare: (_, { quick }) => {
      const measure = async ({ root }: Side): Promise<Speeds> => {
        const { seconds } = await runCase<DemoFigures>(caseScript("demo"), { steps: quick ? 2 : 60 }, { root });
        return { "demo.train": 1 / seconds };
      };
      return Promise.resolve({ measure });
    },
  },
];

export const parts = comparisons.flatMap(({ lines }) => lines);

/** Reports `self.LINE` of each: the median of the pairs' ratios, with its 95 % interval. */
export const bench: BenchGroup = async (context) => {
  const { report, note, quick, wants } = context;
  const ours = { root: process.cwd(), folder: path.resolve(".cache/bench/self/ours") };
  for (const comparison of comparisons.filter((each) => each.lines.some(wants))) {
    const { lines, prepare } = comparison;
    const against = context.against ?? comparison.against ?? defaultCommit;
    const pairs = context.pairs ?? (quick ? 1 : (comparison.pairs ?? defaultPairs));
    const theirs = { root: await checkout(against, note), folder: path.resolve(".cache/bench/self/theirs") };
    for (const { folder } of [ours, theirs]) await mkdir(folder, { recursive: true });
    note(`self: ${lines.join(", ")} against ${against}, ${pairs} pairs`);
    const { measure, precision, close } = await prepare([ours, theirs], context);
    try {
      const sides = { ours: () => measure(ours), theirs: () => measure(theirs) };
      const ratios = await pairedRatios(pairs, sides, (pair, now) => {
        const shown = Object.values(now).map((ratio) => ratio.toFixed(3));
        note(`self: pair ${pair} of ${pairs}: ${shown.join(", ")}`);
      });
      for (const line of lines.filter(wants))
        report({ name: `self.${line}`, unit: "ratio", ...medianWithInterval(ratios[line]), precision });
    } finally {
      await close?.();
    }
  }
};

/** SmolLM2 with an adapter: seconds, and for a second line the memory, of which less is better. */
function smollm2Comparison(
  lines: readonly [speed: string, memory?: string],
  workOf: (quick: boolean) => SmolLm2Work,
): Comparison {
  const [speed, memory] = lines;
  return {
    lines: memory === undefined ? [speed] : [speed, memory],
    against: engineBefore,
    async prepare(_, context) {
      const model = smollm2Here();
      const precision = await precisionOf(model, context.precision);
      context.note(`self: our frozen weights in ${precision}`);
      const options: SmolLm2Case = { work: workOf(context.quick), model, precision };
      const measure = async ({ root }: Side): Promise<Speeds> => {
        const { seconds, peakMb } = await runCase<SmolLm2Figures>(caseScript("smollm2"), options, { root });
        return { [speed]: 1 / seconds, ...(memory === undefined ? {} : { [memory]: 1 / peakMb }) };
      };
      return { measure, precision };
    },
  };
}

function smollm2Here(): string {
  if (smollm2IsAbsent) throw new UserError("SmolLM2-135M-Instruct is not here: npm run fixtures:smollm2 fetches it");
  return path.resolve(smollm2);
}

/** A script of this tree, which both sides run. */
function caseScript(name: string): string {
  return path.join(import.meta.dirname, "step", `${name}-case.ts`);
}

/** A server of each side through its command line, and one set of clients that asks them in turns. */
function serverComparison(name: string, perCall: number, repeat: number): Comparison {
  return {
    lines: [name],
    async prepare(sides, context) {
      const { queries, folder } = await indexFor(sides, context);
      const calls = path.join(folder, `${name}.json`);
      await writeFile(calls, JSON.stringify(callsOf(queries, perCall, context.quick ? 1 : repeat)));
      const servers = new Map<Side, Server>();
      const close = async (): Promise<void> => {
        await Promise.all([...servers.values()].map((server) => server.close()));
        await rm(calls);
      };
      try {
        for (const side of sides) servers.set(side, await startServer(side));
      } catch (error) {
        await close();
        throw error;
      }
      const measure = async (side: Side): Promise<Speeds> => ({
        [name]: (await clients((servers.get(side) as Server).url, calls)).qps,
      });
      return { measure, close };
    },
  };
}

interface Server {
  url: string;
  close(): Promise<void>;
}

/** `sleuth serve search` of a tree, once it says its address. */
async function startServer({ root, folder }: Side): Promise<Server> {
  const args = ["bin/sleuth.js", "serve", "search", "--index", path.join(folder, "bm25"), "--port", "0"];
  const child = spawn(process.execPath, args, { cwd: root, stdio: ["ignore", "pipe", "pipe"] });
  const ended = new Promise<void>((resolve) => child.once("close", () => resolve()));
  let printed = "";
  child.stderr.on("data", (piece) => (printed += String(piece)));
  const url = await new Promise<string>((resolve, reject) => {
    child.once("error", reject);
    child.once("close", (code) => reject(new Error(`The server of ${root} has ended with ${code}: ${printed}`)));
    createInterface({ input: child.stdout }).on("line", (line) => {
      const found = /https?:\/\/\S+?(?=\.?(\s|$))/.exec(line)?.[0];
      if (found !== undefined) resolve(found);
    });
  });
  const close = async (): Promise<void> => {
    child.kill("SIGTERM");
    await ended;
  };
  return { url, close };
}

function corpusFor({ quick, note }: BenchContext): Promise<BenchCorpus> {
  return benchCorpus(quick ? 2_000 : 100_000, note);
}

/** Both sides' indexes of the corpus, each made by its own tree. */
async function indexFor(sides: readonly Side[], context: BenchContext): Promise<BenchCorpus> {
  const corpus = await corpusFor(context);
  for (const side of sides) await build(side, corpus);
  return corpus;
}

function build({ root, folder }: Side, corpus: BenchCorpus): Promise<BuildFigures> {
  const options = { do: "build", corpus: path.resolve(corpus.path), out: path.join(folder, "bm25") };
  return runCase<BuildFigures>("search/bm25-case.ts", options, { root });
}
