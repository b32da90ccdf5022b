/** @file The package as strangers meet it: packed, installed into an empty folder, imported, type-checked, run. */
import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { makeTinyModel, type TinyModel } from "../src/policy/local/tiny-model.test-support.js";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
let project: string;
let model: TinyModel;

function runIn(folder: string, command: string, args: readonly string[]): string {
  const environment = { ...process.env, NO_COLOR: "1", FORCE_COLOR: undefined };
  return execFileSync(command, args, {
    cwd: folder,
    encoding: "utf8",
    env: environment,
    stdio: ["ignore", "pipe", "pipe"],
  });
}

/** The first program of a page, or the first that uses something. */
function programIn(page: string, use = ""): string {
  const programs = readFileSync(join(root, page), "utf8").matchAll(/```ts\n([\s\S]*?)```/g);
  const program = [...programs].map(([, text]) => text).find((text) => text.includes(use));
  if (program === undefined) throw new Error(`${page} has no program with ${use} any more.`);
  return program;
}

/** A scripted policy, a search engine and a reward, all typed, without any model. */
const scriptedProgram = `
import { atlas, byteTokenizer, exactMatch, renderTrace, rollout, scriptedPolicy, type Passage, type SearchEngine } from "sleuth-rl";

const lima: Passage = { id: "1", title: "Peru", text: "Lima is the capital of Peru.", score: 1 };
const search: SearchEngine = {
  name: "one passage",
  searchBatch: async (queries) => queries.map(() => [lima]),
  close: async () => {},
};
const policy = scriptedPolicy({
  tokenizer: byteTokenizer(atlas),
  script: ["<search> capital Peru</search>", "<answer> Lima</answer>"],
});
const question = { id: "q", question: "What is the capital of Peru?", answers: ["Lima"] };
const budgets = { maxSearches: 2, topK: 1, maxTokensPerTurn: 64, maxTokens: 512, maxObservationTokens: 160 };
const trajectory = await rollout(question, { policy, search, protocol: atlas, ...budgets });
const reward: number = exactMatch(question, trajectory);
console.log(renderTrace({ trajectory, question, reward }, { colors: false }));
// @ts-expect-error a reward is a number: the types have arrived
const wrong: string = exactMatch(question, trajectory);
void wrong;
`;

const compilerOptions = {
  target: "ES2023",
  module: "NodeNext",
  moduleResolution: "NodeNext",
  strict: true,
  skipLibCheck: false,
  // The package's declarations are checked, TypeScript's own are not.
  skipDefaultLibCheck: true,
  types: [],
  lib: ["ES2023", "DOM"],
};

beforeAll(async () => {
  project = mkdtempSync(join(process.env.SLEUTH_TEST_DISK ?? tmpdir(), "sleuth-package-"));
  model = await makeTinyModel(1, { maxPositions: 160 });
  runIn(root, process.execPath, ["scripts/ensure-built.mjs"]);
  const [{ filename }] = JSON.parse(runIn(root, "npm", ["pack", "--json", "--pack-destination", project])) as {
    filename: string;
  }[];
  mkdirSync(join(project, "app"));
  project = join(project, "app");
  writeFileSync(join(project, "package.json"), JSON.stringify({ name: "app", private: true, type: "module" }));
  runIn(project, "npm", [
    "install",
    join("..", filename),
    "--ignore-scripts",
    "--prefer-offline",
    "--no-audit",
    "--no-fund",
  ]);
});

afterAll(async () => {
  await model.remove();
  rmSync(dirname(project), { recursive: true, force: true });
});

describe("the installed package", () => {
  it("holds what it needs and no more", () => {
    const installed = join(project, "node_modules", "sleuth-rl");
    for (const name of [
      "bin/sleuth.js",
      "dist/index.js",
      "dist/index.d.ts",
      "dist/policy/local/worker.js",
      "models/atlas-base/config.json",
      "models/atlas-base/model.safetensors",
      "models/atlas-base/tokenizer.json",
      "LICENSE",
      "NOTICE",
    ])
      expect(existsSync(join(installed, name)), name).toBe(true);
    for (const name of ["src", "test", "scripts"]) expect(existsSync(join(installed, name)), name).toBe(false);
  });

  it("holds the pages that its messages name", () => {
    const installed = join(project, "node_modules", "sleuth-rl");
    const sources = readdirSync(join(installed, "dist"), { recursive: true, encoding: "utf8" })
      .filter((name) => name.endsWith(".js"))
      .map((name) => readFileSync(join(installed, "dist", name), "utf8"));
    const pages = new Set(sources.flatMap((source) => source.match(/\b(?:README|docs\/[\w/-]+)\.md/g) ?? []));
    expect([...pages]).toEqual(expect.arrayContaining(["README.md", "docs/collapse.md", "docs/rewards.md"]));
    const ours = [...pages].filter((page) => existsSync(join(root, page)));
    expect(ours.filter((page) => !existsSync(join(installed, page)))).toEqual([]);
  });

  it("gives a configuration beside it the package that runs, where it is not installed", () => {
    const folder = join(dirname(project), "elsewhere");
    mkdirSync(folder);
    writeFileSync(join(folder, "corpus.jsonl"), '{"id":"1","text":"Lima is the capital of Peru."}\n');
    writeFileSync(join(folder, "questions.jsonl"), "no JSON");
    const sleuth = join(project, "node_modules/sleuth-rl/bin/sleuth.js");
    for (const [type, name] of [
      ["commonjs", "sleuth.config.ts"],
      ["module", "sleuth.config.ts"],
      ["module", "sleuth.config.mjs"],
    ]) {
      writeFileSync(join(folder, "package.json"), JSON.stringify({ type }));
      writeFileSync(join(folder, name), programIn("src/recipes/search-r1/README.md"));
      // The configuration is read, and then the questions that it names.
      const trained = (): string => runIn(folder, process.execPath, [sleuth, "train", "--config", name]);
      expect(trained, `${type} ${name}`).toThrow(/questions\.jsonl:1: the line is not JSON/);
    }
  });

  it("type-checks and runs programs that import it", () => {
    writeFileSync(join(project, "readme.ts"), programIn("README.md", "train("));
    writeFileSync(join(project, "agent.ts"), programIn("README.md", "openAgent("));
    writeFileSync(join(project, "scripted.ts"), scriptedProgram);
    writeFileSync(
      join(project, "tsconfig.json"),
      JSON.stringify({ compilerOptions, files: ["readme.ts", "agent.ts", "scripted.ts"] }),
    );
    runIn(project, process.execPath, [join(root, "node_modules/typescript/bin/tsc"), "-p", "."]);
    expect(runIn(project, process.execPath, ["scripted.js"])).toContain("answered · answer: Lima");
    expect(runIn(project, process.execPath, ["readme.js"])).toMatch(
      /^12 steps in runs\/\S+: exact match (?:1|0\.\d*[1-9])/m,
    );
  });

  it("gives npx sleuth", () => {
    expect(runIn(project, "npx", ["sleuth", "--help"])).toContain("watch a model learn to search");
    const short = ["--steps", "1", "--run", "demo", "--json"];
    const settings = [
      `model.folder=${model.folder}`,
      "train.testSize=3",
      "train.evalSize=2",
      "train.questionsPerStep=2",
      "algorithm.groupSize=2",
      "rollout.maxTokens=160",
      "rollout.maxTokensPerTurn=8",
      "rollout.maxObservationTokens=90",
      "run.threads=1",
    ].flatMap((set) => ["--set", set]);
    const last =
      runIn(project, "npx", ["sleuth", "demo", ...short, ...settings])
        .trimEnd()
        .split("\n")
        .at(-1) ?? "";
    expect(JSON.parse(last)).toMatchObject({
      emBefore: 0,
      n: 3,
      steps: 1,
      runDir: "demo",
      peakRssMb: expect.any(Number),
    });
    expect(readFileSync(join(project, "demo", "curve.svg"), "utf8")).toContain("<svg");
  });
});
