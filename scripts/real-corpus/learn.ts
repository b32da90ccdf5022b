/**
 * @file From documents to a model that answers, through the command line: index, questions, what the index is worth, transcripts, warm-up, reinforcement and
 * evaluations, with SmolLM2-135M alone. Each stage leaves a file, and one that is done is not done again.
 */
import { join } from "node:path";
import { doStages, type Stage } from "../stages.js";
import { learnSection } from "./learn-page.js";

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

/** The stages in their order. */
export type StageName = "index" | "questions" | "worth" | "collect" | "sft" | "train" | "closedBook" | "promptOnly";

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
export function stagesIn(folder: string, documents: string, small = false): Stage<StageName>[] {
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
export async function learn({ cache, documents, small, ...workshop }: LearnOptions): Promise<string> {
  const folder = join(cache, small ? "learn-small" : "learn");
  return learnSection(folder, await doStages(stagesIn(folder, documents, small), { ...workshop, folder }));
}
