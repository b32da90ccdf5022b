/** @file Every baseline over the built-in world and over the laptop set, as stages: what is trained for one is trained first, then all are evaluated by `sleuth table`. */
import { join } from "node:path";
import type { MethodName } from "../../src/rollout/methods/named.js";
import type { Stage } from "../stages.js";

/** How much of everything. */
export interface Size {
  /** Test questions of the built-in world; undefined for all. */
  limit?: number;
  /** Questions of the laptop set: those that are tested, those that answers and reinforcement are learned from, those that rejection sampling attempts. */
  questions: { test: number; train: number; rejection: number };
  /** Training questions of the built-in world that rejection sampling attempts. */
  rejection: number;
  /** Of reinforcement, and of the supervised baselines. */
  world: { train: readonly string[]; sft: readonly string[] };
  laptop: { train: readonly string[]; sft: readonly string[] };
}

const sets = (...settings: readonly string[]): string[] => settings.flatMap((setting) => ["--set", setting]);

export const sizes = {
  full: {
    questions: { test: 150, train: 500, rejection: 250 },
    rejection: 1500,
    world: { train: sets("train.testSize=0"), sft: ["--count", "2000"] },
    laptop: {
      train: sets("train.testSize=0", "train.steps=10", "train.evalSize=40", "train.stopAfterSeconds=300"),
      sft: [],
    },
  },
  quick: {
    limit: 6,
    questions: { test: 6, train: 20, rejection: 20 },
    rejection: 150,
    world: {
      train: sets("train.testSize=0", "train.steps=2", "train.evalSize=4", "train.questionsPerStep=4"),
      sft: ["--count", "64", "--epochs", "1", ...sets("sft.validation=4")],
    },
    laptop: {
      train: sets("train.testSize=0", "train.steps=1", "train.questionsPerStep=2", "train.evalSize=2", "algorithm.groupSize=2"), // prettier-ignore
      sft: ["--epochs", "1", ...sets("sft.validation=2")],
    },
  },
} as const satisfies Record<string, Size>;

/** One model of a table: where it is, and by which methods it answers. */
export interface Entry {
  /** In tables. */
  name: string;
  /** A model, or a folder of a run. */
  model: string;
  methods: readonly MethodName[];
  /** Of its evaluation. */
  flags?: readonly string[];
}

/** Evaluations that stand in one table. */
export interface Part {
  sets: readonly { name: string; source: string }[];
  entries: readonly Entry[];
  /** What trains the entries' models and prepares their passages. */
  stages: readonly Stage[];
  /** Flags of every evaluation. */
  flags: readonly string[];
}

/** What a model that was never trained to search can be asked to do, and the bounds. */
const untrained: readonly MethodName[] = ["closed-book", "direct", "cot", "rag", "ircot", "search-r1", "oracle", "oracle-search"]; // prettier-ignore
const searching: readonly MethodName[] = ["closed-book", "rag", "search-r1", "oracle-search"];

const trainStage = (name: string, folder: string, words: readonly string[]): Stage => {
  const run = join(folder, name);
  return { name, makes: name, words: ["train", ...words, "--run", run], resume: ["train", "--run", run, "--resume"] };
};
const sftStage = (name: string, folder: string, words: readonly string[]): Stage => {
  const run = join(folder, name);
  return { name, makes: name, words: ["sft", ...words, "--run", run], resume: ["sft", "--run", run, "--resume"] };
};

/** Supervised rates that suit a model of a million parameters, all weights trained. */
const worldSft = [...sets("sft.learningRate=1e-3", "sft.batch=8"), "--epochs", "3"];

/**
 * The built-in world: the shipped model untrained, and what each way of training makes of it.
 * @param questions a folder with the training questions that rejection sampling attempts
 */
export function worldPart(folder: string, questions: string, { world }: Size): Part {
  const at = (name: string): string => join(folder, name);
  const preset = ["--preset", "atlas"];
  const collected = at("rejection.jsonl");
  const attempts = ["--model", "atlas-base", "--policy", "model", "--attempts", "5", "--temperature", "1"];
  return {
    sets: [{ name: "atlas", source: "atlas" }],
    flags: preset,
    stages: [
      trainStage("search-r1", folder, [...preset, ...world.train]),
      trainStage("r1", folder, [...preset, ...sets("rollout.method=r1"), ...world.train]),
      sftStage("sft", folder, [
        ...preset,
        ...["--transcripts", "answers"],
        ...sets("rollout.method=direct"),
        ...worldSft,
        ...world.sft,
      ]),
      {
        name: "rejection-attempts",
        makes: "rejection.jsonl",
        words: ["collect", ...preset, "--questions", questions, ...attempts, "--out", collected],
      },
      sftStage("rejection", folder, [...preset, "--transcripts", collected, ...worldSft]),
    ],
    entries: [
      { name: "shipped", model: "atlas-base", methods: untrained },
      { name: "SFT", model: at("sft"), methods: ["direct"] },
      { name: "R1", model: at("r1"), methods: ["r1"] },
      { name: "rejection-sampling", model: at("rejection"), methods: ["search-r1"] },
      { name: "trained", model: at("search-r1"), methods: searching },
    ],
  };
}

interface Laptop {
  /** Where `npm run fixtures:real-questions` puts the laptop set. */
  questions: string;
  model: string;
  /** Runs of the real run, where they are: the warm start, and what reinforcement made of it. */
  warm?: string;
  trained?: string;
}

/** The laptop set: SmolLM2 untrained, trained on answers, trained without search; with runs of the real run also what searches. */
export function laptopPart(folder: string, { questions, model, warm, trained }: Laptop, { laptop }: Size): Part {
  const at = (name: string): string => join(folder, name);
  const of = (name: string): string => join(questions, `${name}.jsonl`);
  const preset = ["--preset", "documents", "--model", model];
  const three = sets("search.topK=3");
  const asked = ["--questions", of("train"), "--index", at("index"), ...sets(`data.test=${of("test")}`)];
  // Without a search there is nothing to read: passages need no room, and thoughts more.
  const answers = ["--transcripts", "answers", "--questions", of("train"), ...sets(`data.test=${of("test")}`)];
  const rejection =
    warm === undefined
      ? []
      : rejectionStages(folder, warm, {
          preset,
          asked: ["--questions", of("rejection"), "--index", at("index")],
          sft: laptop.sft,
        });
  return {
    sets: [{ name: "laptop", source: of("test") }],
    flags: ["--preset", "documents", "--index", at("index")],
    stages: [
      { name: "index", makes: "index", words: ["index", of("corpus"), "--out", at("index")] },
      sftStage("sft", folder, [...preset, ...answers, ...sets("rollout.method=direct"), ...laptop.sft]),
      sftStage("r1-warm", folder, [...preset, ...answers, ...sets("rollout.method=r1"), ...laptop.sft]),
      trainStage("r1", folder, [
        ...["--preset", "documents", "--model", at(join("r1-warm", "best"))],
        ...asked,
        ...sets("rollout.method=r1"),
        ...laptop.train,
      ]),
      ...rejection,
    ],
    entries: [
      { name: "untrained", model, methods: untrained, flags: three },
      { name: "SFT", model: at("sft"), methods: ["direct"] },
      { name: "R1", model: at("r1"), methods: ["r1"] },
      ...(rejection.length === 0
        ? []
        : [{ name: "rejection-sampling", model: at("rejection"), methods: ["search-r1"] as const }]),
      ...(warm === undefined ? [] : [{ name: "warm-start", model: warm, methods: searching }]),
      ...(trained === undefined ? [] : [{ name: "trained", model: trained, methods: searching }]),
    ],
  };
}

/** The warm start's own right attempts, out of three a question, learned from as the warm start was: an untrained model has none to learn from. */
function rejectionStages(
  folder: string,
  warm: string,
  { asked, preset, sft }: { asked: readonly string[]; preset: readonly string[]; sft: readonly string[] },
): Stage[] {
  const collected = join(folder, "rejection.jsonl");
  const attempts = ["--attempts", "3", "--temperature", "1", "--limit", "2000"];
  return [
    {
      name: "rejection-attempts",
      makes: "rejection.jsonl",
      words: ["collect", "--run", warm, ...asked, ...attempts, "--out", collected],
    },
    sftStage("rejection", folder, [...preset, "--transcripts", collected, ...sft]),
  ];
}

/** An evaluation of each entry, all into one folder of tables. */
export function evaluationStages(folder: string, { sets: of, entries, flags }: Part, { limit }: Size): Stage[] {
  const limited = limit === undefined ? [] : ["--limit", `${limit}`];
  const named = of.map(({ name, source }) => `${name}=${source}`);
  return entries.map(({ name, model, methods, flags: own = [] }) => ({
    name: `table-${name}`,
    makes: join("tables", name),
    words: [
      ...["table", "--models", `${name}=${model}`, "--sets", ...named, "--methods", ...methods],
      ...["--out", join(folder, "tables"), "--no-published", ...limited, ...flags, ...own],
    ],
  }));
}
