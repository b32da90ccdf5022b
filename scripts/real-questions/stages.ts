/** @file The stages of the real run: command lines from the corpus to the tests of what was trained and of its controls. */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { loadQuestions, partFile } from "../../src/data/questions.js";
import { toJsonLines } from "../../src/files/lines.js";
import { Random } from "../../src/random.js";
import type { Question } from "../../src/types.js";
import type { Stage } from "../stages.js";

export interface Size {
  seeds: readonly number[];
  /** Of the training questions, set aside to choose checkpoints. */
  validation: number;
  /** At most, of training and of test questions. */
  most: number;
  /** Of the test questions, drawn once for all controls. */
  controls: number;
  /** What differs from the recipe. */
  sft: readonly string[];
  train: readonly string[];
}

export const sizes = {
  full: { seeds: [0, 1], validation: 100, most: Infinity, controls: 300, sft: [], train: [] },
  quick: {
    ...{ seeds: [0], validation: 6, most: 30, controls: 10 },
    sft: ["--epochs", "1", "--set", "sft.validation=2"],
    train: ["steps=1", "questionsPerStep=2", "evalSize=2"]
      .flatMap((setting) => ["--set", `train.${setting}`])
      .concat("--set", "algorithm.groupSize=2"),
  },
} as const satisfies Record<string, Size>;

/** What is tested, in the order of the page. */
export interface Test {
  name: string;
  /** For people. */
  title: string;
  /** Of the harder questions, whose answer stands in no passage that the question itself finds. */
  isHard: boolean;
  words: readonly string[];
}

/** Writes the questions as a folder with three parts, and beside it the harder ones and those of the controls. What is set aside for validation is the same for all seeds: the warm-up must not see it. */
export async function writeParts(folder: string, set: string, { validation, most, controls }: Size): Promise<void> {
  const [train, test, hard] = await Promise.all(
    ["train.jsonl", "test.jsonl", "hard.jsonl"].map(async (name) =>
      (await loadQuestions(join(set, name))).slice(0, most),
    ),
  );
  const shuffled = new Random(0, "real-questions").shuffle(train);
  const parts: Readonly<Record<"train" | "validation" | "test", readonly Question[]>> = {
    train: shuffled.slice(validation),
    validation: shuffled.slice(0, validation),
    test,
  };
  const questions = join(folder, "questions");
  mkdirSync(questions, { recursive: true });
  for (const part of ["train", "validation", "test"] as const)
    writeFileSync(partFile(questions, part), toJsonLines(parts[part]));
  writeFileSync(hardIn(folder), toJsonLines(hard));
  writeFileSync(controlsIn(folder), toJsonLines(new Random(0, "controls").shuffle(test).slice(0, controls)));
}

const hardIn = (folder: string): string => join(folder, "hard.jsonl");
const controlsIn = (folder: string): string => join(folder, "controls.jsonl");
const preset = ["--preset", "real-questions"];
const asked = (folder: string, questions = join(folder, "questions")): string[] => [
  "--questions",
  questions,
  "--index",
  join(folder, "index"),
];
const sets = (...settings: readonly string[]): string[] => settings.flatMap((setting) => ["--set", setting]);

export const runName = (seed: number): string => `run-${seed}`;

/** What is tested: the models on all test questions and on all harder ones, the controls, most of them of the first seed's run, on a part. */
export function testsIn(folder: string, { seeds }: Size): Test[] {
  const at = (name: string): string => join(folder, name);
  const control = (run: string, ...more: string[]): string[] => [
    ...["--run", at(run), ...asked(folder, controlsIn(folder))],
    ...sets(...more),
  ];
  const first = runName(seeds[0]);
  const learned = [
    { name: "warm", title: "warm start" },
    ...seeds.map((seed) => ({ name: runName(seed), title: `reinforced, seed ${seed}` })),
  ];
  const tests = [
    { name: "untrained", title: "untrained", words: [...preset, ...asked(folder)] },
    ...learned.map(({ name, title }) => ({ name, title, words: ["--run", at(name), ...asked(folder)] })),
    {
      name: "rag",
      title: "RAG, warm start",
      words: control("warm", "rollout.context=question", "rollout.maxSearches=0"),
    },
    { name: "closed-book", title: "no search", words: control(first, "rollout.method=closed-book") },
    { name: "random", title: "random engine", words: control(first, "search.engine=random") },
    { name: "oracle", title: "oracle passages", words: control(first, "rollout.method=oracle-search") },
  ];
  return [
    ...tests.map((test) => ({ ...test, isHard: false })),
    ...learned.map(({ name, title }) => ({
      ...{ name: `hard-${name}`, title, isHard: true },
      words: ["--run", at(name), ...asked(folder, hardIn(folder))],
    })),
  ];
}

export const testFolder = (folder: string, { name }: Pick<Test, "name">): string => join(folder, "tests", name);

/** Everything, in its order: an interrupted series has whole stages. */
export function stagesIn(folder: string, set: string, size: Size): Stage[] {
  const at = (name: string): string => join(folder, name);
  const trained = (seed: number): Stage => ({
    name: runName(seed),
    makes: runName(seed),
    words: [
      ...["train", ...preset, "--model", at(join("warm", "best")), ...asked(folder)],
      ...["--seed", `${seed}`, "--run", at(runName(seed)), ...size.train],
    ],
    resume: ["train", "--run", at(runName(seed)), "--resume"],
  });
  const tested = (test: Test): Stage => ({
    name: `test-${test.name}`,
    makes: join("tests", test.name),
    words: ["eval", ...test.words, "--out", testFolder(folder, test)],
  });
  return [
    { name: "index", makes: "index", words: ["index", join(set, "corpus.jsonl"), "--out", at("index")] },
    { name: "worth", makes: "worth.jsonl", words: ["search", ...asked(folder), "--out", at("worth.jsonl")] },
    {
      name: "collect",
      makes: "transcripts.jsonl",
      words: ["collect", ...preset, "--policy", "oracle", ...asked(folder), "--limit", "2000", "--out", at("transcripts.jsonl")],
    },
    {
      name: "warm",
      makes: "warm",
      words: ["sft", ...preset, "--transcripts", at("transcripts.jsonl"), "--run", at("warm"), ...size.sft],
      resume: ["sft", "--run", at("warm"), "--resume"],
    },
    ...size.seeds.map(trained),
    ...testsIn(folder, size).map(tested),
  ]; // prettier-ignore
}
