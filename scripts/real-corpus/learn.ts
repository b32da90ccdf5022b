/**
 * @file From documents to a model that answers, through the command line: index, questions, what the index is worth, transcripts, warm-up, reinforcement and
 * evaluations, with SmolLM2-135M alone. Each stage leaves a file, and one that is done is not done again.
 */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { UserError } from "../../src/errors.js";
import { learnSection, type StageRecord } from "./learn-page.js";
import { SleuthCommand } from "./sleuth-command.js";

interface LearnOptions {
  cache: string;
  documents: string;
  /** Of the code that runs. */
  commit: string;
  program: string;
  note: (text: string) => void;
  /** Every stage in small, to see that each works. */
  small?: boolean;
}

/** The stages in their order, each with the words of its command line and what it makes. */
export interface Stage {
  name: "index" | "questions" | "worth" | "collect" | "sft" | "train" | "closedBook" | "promptOnly";
  /** What it makes, in `folder`. */
  makes: string;
  words: string[];
  /** What is added where its output has been begun. */
  resume?: string[];
}

const sizes = {
  full: { questions: 2000, transcripts: 800, test: 200, sft: [] as string[], train: [] as string[] },
  small: {
    questions: 60,
    transcripts: 10,
    test: 4,
    sft: ["--epochs", "1", "--set", "sft.validation=2"],
    train: ["steps=1", "questionsPerStep=2", "evalSize=2", "testSize=4"]
      .flatMap((set) => ["--set", `train.${set}`])
      .concat("--set", "algorithm.groupSize=2"),
  },
};

/** @param folder where everything is made */
export function stagesIn(folder: string, documents: string, small = false): Stage[] {
  const at = (name: string): string => join(folder, name);
  const size = small ? sizes.small : sizes.full;
  const preset = ["--preset", "documents"];
  const asked = ["--questions", at("questions"), "--index", at("index")];
  const test = ["--modes", "greedy", "--limit", String(size.test)];
  const without = [
    "search.engine=none",
    "rollout.maxSearches=0",
    "rollout.protocol=r1",
    "rollout.maxTokensPerTurn=160",
  ];
  return [
    { name: "index", makes: "index", words: ["index", documents, "--out", at("index")] },
    {
      name: "questions",
      makes: "questions",
      words: ["questions", "make", "--index", at("index"), "--out", at("questions"), "--count", String(size.questions)],
    },
    { name: "worth", makes: "worth.jsonl", words: ["search", ...asked, "--out", at("worth.jsonl")] },
    {
      name: "collect",
      makes: "transcripts.jsonl",
      words: ["collect", ...preset, ...asked, "--out", at("transcripts.jsonl"), "--limit", String(size.transcripts)],
    },
    {
      name: "sft",
      makes: "warm",
      words: ["sft", ...preset, "--transcripts", at("transcripts.jsonl"), "--run", at("warm"), ...size.sft],
      resume: ["sft", "--run", at("warm"), "--resume"],
    },
    {
      name: "train",
      makes: "run",
      words: ["train", ...preset, "--model", at(join("warm", "best")), ...asked, "--run", at("run"), ...size.train],
      resume: ["train", "--run", at("run"), "--resume"],
    },
    {
      name: "closedBook",
      makes: "closed-book.jsonl",
      words: [
        "eval",
        ...preset,
        "--questions",
        at("questions"),
        ...test,
        ...without.flatMap((set) => ["--set", set]),
        "--out",
        at("closed-book.jsonl"),
      ],
    },
    {
      name: "promptOnly",
      makes: "prompt-only.jsonl",
      words: ["eval", ...preset, ...asked, ...test, "--out", at("prompt-only.jsonl")],
    },
  ];
}

/**
 * Does what is not done yet.
 * @returns the section of the page
 * @throws UserError as the verbs do; after Ctrl-C what is done stays
 */
export async function learn({ cache, documents, commit, program, note, small }: LearnOptions): Promise<string> {
  const folder = join(cache, small ? "learn-small" : "learn");
  mkdirSync(folder, { recursive: true });
  // Ctrl-C reaches the verb that runs, too: this process waits until that has made its work safe.
  const waits = (): void => undefined;
  process.on("SIGINT", waits);
  const records: Partial<Record<Stage["name"], StageRecord>> = {};
  try {
    for (const stage of stagesIn(folder, documents, small))
      records[stage.name] = await done(stage, { folder, commit, note, sleuth: new SleuthCommand(program) });
  } finally {
    process.off("SIGINT", waits);
  }
  return learnSection(folder, records as Record<Stage["name"], StageRecord>);
}

interface Workshop {
  folder: string;
  commit: string;
  note: (text: string) => void;
  sleuth: SleuthCommand;
}

/** The record of a stage, which is done first where it is not. */
async function done(stage: Stage, { folder, commit, note, sleuth }: Workshop): Promise<StageRecord> {
  const file = join(folder, `${stage.name}.json`);
  const known = existsSync(file) ? (JSON.parse(readFileSync(file, "utf8")) as StageRecord) : undefined;
  const output = join(folder, stage.makes);
  if (known?.answer != null && existsSync(output)) {
    note(`${stage.name}: done before`);
    return known;
  }
  const isBegun = stage.resume !== undefined && existsSync(output);
  const words = isBegun ? (stage.resume as string[]) : stage.words;
  note(`${stage.name}: sleuth ${words.join(" ")}`);
  const started = performance.now();
  let answer: StageRecord["answer"] = null;
  try {
    answer = (await sleuth.run(words, { isShown: true })) as Record<string, unknown>;
    if (!existsSync(output)) throw new UserError(`sleuth ${words.join(" ")} has ended and made no ${output}.`);
    return recordOf();
  } finally {
    writeFileSync(file, `${JSON.stringify(recordOf(), null, 2)}\n`);
  }

  function recordOf(): StageRecord {
    const seconds = (known?.seconds ?? 0) + (performance.now() - started) / 1000;
    return { words: stage.words, commit, starts: (known?.starts ?? 0) + 1, seconds, answer };
  }
}
