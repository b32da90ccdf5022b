/** @file Question sets in every layout, from disk and from a server that speaks the Hub's protocol. */
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { UserError } from "../../errors.js";
import { commit, HubServer, laterCommit } from "../../hub/hub-server.test-support.js";
import { searchR1 } from "../../prompts/protocol.js";
import type { Question } from "../../types.js";
import { loadQuestions } from "../questions.js";
import { questionSets } from "./catalogue.js";
import { checkQuestions, type Finding } from "./check.js";
import { readDataManifest, requireOwnFolder, writeDataFolder } from "./folder.js";
import { mergeParts, type Parts } from "./merge.js";
import { openSet, type OpenOptions } from "./open-set.js";
import { readSet, subsetOf } from "./read-set.js";
import { partsOfSplits, splitsAmong } from "./splits.js";

const sample = (name: string): string => fileURLToPath(new URL(`testdata/${name}`, import.meta.url));
const folder = mkdtempSync(path.join(tmpdir(), "sleuth-sets-"));
const file = (name: string, content: string | Uint8Array = ""): string => {
  const place = path.join(folder, name);
  mkdirSync(path.dirname(place), { recursive: true });
  if (content.length > 0) writeFileSync(place, content);
  return place;
};
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Ids by part. */
async function idsOf(
  given: string,
  options: OpenOptions & { skips?: boolean } = {},
): Promise<Record<string, string[]>> {
  const parts = await readSet(await openSet(given, options), { skips: options.skips ?? false });
  return Object.fromEntries(
    Object.entries(parts).map(([part, { questions }]) => [part, questions.map(({ id }) => id)]),
  );
}
const line = (record: object): string => `${JSON.stringify(record)}\n`;
const asked = (id: string, question: string, ...answers: string[]): Question => ({
  id,
  question,
  answers,
  source: "s",
});

describe("a set on this disk", () => {
  it("in FlashRAG's layout: a question is known by set, split and row", async () => {
    expect(await idsOf(sample("flashrag/nq"))).toEqual({
      train: ["nq-train-0", "nq-train-1"],
      validation: ["nq-dev-0"],
      test: ["nq-test-0", "nq-test-1", "nq-test-2"],
    });
    const { test } = await readSet(await openSet("nq", { root: sample("flashrag") }), { skips: true });
    expect(test?.questions[2]).toEqual({
      id: "nq-test-2",
      question: "where is skerry point",
      answers: ["on Öland", "Öland"],
      source: "nq-test",
    });
  });

  it("without a test split is tested on dev, as papers do", async () => {
    expect(await idsOf(sample("flashrag/hotpotqa"))).toEqual({ train: ["hotpotqa-train-0"], test: ["hotpotqa-dev-0"] });
    expect(await idsOf("nq", { root: sample("flashrag"), only: ["dev"] })).toEqual({ validation: ["nq-dev-0"] });
    expect(partsOfSplits(["train", "validation"])).toEqual({ train: "train", validation: "validation" });
    expect(partsOfSplits(["train", "val", "test"])).toEqual({ train: "train", validation: "val", test: "test" });
  });

  it.each(["search-r1.parquet", "search-r1-bare.parquet"])("in Search-R1's layout: %s", async (name) => {
    const parts = await readSet(await openSet(sample(name)), { skips: false });
    expect(parts.train?.questions).toEqual([
      {
        id: "nq-train-0",
        question: "who keeps the lamp of skerry point?",
        answers: ["Ada Holm", "Holm"],
        source: "nq-train",
      },
      { id: "nq-train-1", question: "when was skerry point lit?", answers: ["1871"], source: "nq-train" },
      {
        id: "hotpotqa-train-0",
        question: "Which sea does the island of Skerry Point's first keeper lie in?",
        answers: ["the Baltic", "Baltic Sea"],
        source: "hotpotqa-train",
      },
    ]);
    // Every verb reads it as it is, under the same identities.
    expect(await loadQuestions(sample(name))).toEqual(parts.train?.questions);
  });

  it("in our layout: ids of the user's stay, behind the name of the file; sources and whole identities too", async () => {
    const mine = file(
      "mine.jsonl",
      line({ id: "a", question: "q", answers: ["x"], hops: 2 }) +
        line({ id: 7, question: "r", answers: ["x"], source: "other" }) +
        line({ id: "nq-test-3", question: "s", answers: ["x"], source: "nq-test" }),
    );
    expect(await idsOf(mine)).toEqual({ train: ["mine-a", "other-7", "nq-test-3"] });
    const packed = file("packed/test.jsonl.gz", gzipSync(line({ id: "a", question: "q", answers: ["x"] })));
    expect(await idsOf(packed)).toEqual({ test: ["packed-test-a"] });
  });

  it("in shards, whose rows go on, and as the Hub's own tools lay it out", async () => {
    const row = (id: number): string => line({ id: `train_${id}`, question: `q${id}`, golden_answers: ["x"] });
    file("sharded/data/train-00001-of-00002.jsonl", row(0));
    file("sharded/data/train-00000-of-00002.jsonl", row(0) + row(1));
    file("sharded/README.md", "x");
    expect(await idsOf(path.join(folder, "sharded"))).toEqual({
      train: ["sharded-train-0", "sharded-train-1", "sharded-train-2"],
    });
    expect(splitsAmong(["test.parquet", "test.jsonl", "notes.jsonl"])).toEqual([
      { name: "test", files: ["test.jsonl"] },
    ]);
  });

  it("with malformed records: named where it is the user's, left out and counted where it is large", async () => {
    const latin = Buffer.concat([
      Buffer.from('{"id":"5","question":"caf'),
      Buffer.from([0xe9]),
      Buffer.from('","answers":["x"]}\n'),
    ]);
    const bad = file(
      "bad.jsonl",
      Buffer.concat([
        Buffer.from(
          line({ id: "1", question: "q", answers: ["x"] }) +
            line({ id: "2", question: "q", golden_answers: [] }) +
            line({ id: "3", question: " ", answers: ["x"] }) +
            "{broken\n" +
            line({ id: "1", question: "again", answers: ["x"] }),
        ),
        latin,
        Buffer.from(line({ id: "train_9", question: "last", golden_answers: ["x"] })),
      ]),
    );
    const set = await openSet(bad);
    const refusal = await readSet(set, { skips: false }).catch((error: unknown) => error as Error);
    expect(refusal).toBeInstanceOf(UserError);
    for (const words of [
      /^5 of 7 records are no questions/,
      /bad\.jsonl:2: field "golden_answers"/,
      /bad\.jsonl:3: field "question"/,
      /bad\.jsonl:4: the line is not JSON/,
      /bad\.jsonl:5: the question "bad-1" stands already at .*bad\.jsonl:1/,
      /bad\.jsonl:6: the line is not UTF-8/,
      /--skip-malformed/,
    ])
      expect((refusal as Error).message).toMatch(words);
    const { train } = await readSet(set, { skips: true });
    // The row counts what was left out: the identity does not depend on it.
    expect(train?.questions.map(({ id }) => id)).toEqual(["bad-1", "bad-6"]);
    expect(Object.fromEntries(train?.skipped.counts ?? [])).toEqual({
      "no-answer": 1,
      "no-question": 1,
      unreadable: 2,
      repeated: 1,
    });
  });

  it.each<[string, () => string, OpenOptions, RegExp]>([
    ["a name that is nothing", () => "naturalquestions", {}, /is no question set.*nq, triviaqa, popqa.*hf:ORG/],
    [
      "a folder without questions",
      () => (file("empty/notes.txt", "x"), path.join(folder, "empty")),
      {},
      /has no questions: no train/,
    ],
    [
      "a split that is not there",
      () => sample("flashrag/hotpotqa"),
      { only: ["test"] },
      /no split test; it has train, dev/,
    ],
    ["another format", () => file("q.csv", "a,b"), {}, /q\.csv is no file of questions/],
    ["a set that the given folder lacks", () => "popqa", { root: sample("flashrag") }, /popqa cannot be read/],
    ["what is no Parquet", () => file("odd.parquet", "hello, world"), {}, /is no Parquet file/],
    ["nothing but malformed records", () => file("none.jsonl", "{}\n"), {}, /holds no question among 1 records/],
  ])("refuses %s", async (_, given, options, message) => {
    const attempt = idsOf(given(), { ...options, skips: true });
    await expect(attempt).rejects.toThrow(message);
    await expect(attempt).rejects.toBeInstanceOf(UserError);
  });
});

describe("a set of the Hub", () => {
  let hub: HubServer;
  let options: OpenOptions;
  const notes: string[] = [];
  const repository = "datasets/RUC-NLPIR/FlashRAG_datasets";
  const flashrag = Object.fromEntries(
    readdirSync(sample("flashrag"), { recursive: true, encoding: "utf8" })
      .filter((name) => name.endsWith(".jsonl"))
      .map((name) => [name, readFileSync(sample(`flashrag/${name}`))]),
  );
  beforeAll(async () => {
    hub = await HubServer.start();
    const environment = { HF_HOME: path.join(folder, "home"), HF_ENDPOINT: hub.endpoint };
    options = { environment, retry: { firstDelayMs: 1, tries: 2 }, onNote: (message) => void notes.push(message) };
    hub.repositories[repository] = { revisions: { main: commit }, files: flashrag };
    hub.repositories["datasets/org/r1"] = {
      revisions: { main: commit },
      files: { "train.parquet": readFileSync(sample("search-r1.parquet")), "README.md": Buffer.from("x") },
    };
  });
  afterEach(() => {
    hub.fault = () => undefined;
    notes.length = 0;
  });
  afterAll(() => hub.close());

  it("is fetched into the shared cache as models are, only what is wanted, once", async () => {
    expect(await idsOf("nq", { ...options, only: ["test"] })).toEqual({
      test: ["nq-test-0", "nq-test-1", "nq-test-2"],
    });
    const fetched = hub.takeAsked().filter(({ url }) => url.includes("/resolve/"));
    expect(fetched.map(({ url }) => url)).toEqual([
      `/datasets/RUC-NLPIR/FlashRAG_datasets/resolve/${commit}/nq/test.jsonl`,
    ]);
    const cache = path.join(folder, "home", "hub", "datasets--RUC-NLPIR--FlashRAG_datasets", "snapshots", commit);
    expect(readdirSync(path.join(cache, "nq"))).toEqual(["test.jsonl"]);
    expect(Object.keys(await idsOf("nq", options))).toEqual(["train", "validation", "test"]);
    hub.takeAsked();
    expect((await openSet("nq", options)).from).toBe(`hf:RUC-NLPIR/FlashRAG_datasets/nq@${commit}`);
    expect(hub.takeAsked().filter(({ url }) => url.includes("/resolve/"))).toEqual([]);
  });

  it("is read from the cache offline, and when the Hub has trouble", async () => {
    const offline = { ...options, environment: { ...options.environment, HF_HUB_OFFLINE: "1" } };
    expect(await idsOf("nq", { ...offline, only: ["dev"] })).toEqual({ validation: ["nq-dev-0"] });
    await expect(openSet("musique", offline)).rejects.toThrow(/HF_HUB_OFFLINE is set.*lacks musique\/train\.jsonl/);
    hub.fault = () => ({ status: 503 });
    expect(await idsOf("nq", { ...options, only: ["dev"] })).toEqual({ validation: ["nq-dev-0"] });
    expect(notes.join()).toMatch(/Meanwhile the cached RUC-NLPIR\/FlashRAG_datasets is used/);
  });

  it("may be any dataset there: a repository, a folder or a file of it", async () => {
    expect(await idsOf("hf:org/r1", options)).toEqual({ train: ["nq-train-0", "nq-train-1", "hotpotqa-train-0"] });
    expect(await idsOf("hf:RUC-NLPIR/FlashRAG_datasets/hotpotqa/dev.jsonl", options)).toEqual({
      test: ["hotpotqa-dev-0"],
    });
    await expect(openSet("hf:org/none", options)).rejects.toThrow(/There is no public dataset org\/none/);
    await expect(openSet("hf:RUC-NLPIR/FlashRAG_datasets/nosuch", options)).rejects.toThrow(
      /has no questions at nosuch; it has .*nq\/test\.jsonl/,
    );
  });

  it("that has lost a split, or moved on, is told from what it was", async () => {
    const rest = { ...flashrag };
    delete rest["nq/test.jsonl"];
    hub.repositories[repository] = { revisions: { main: laterCommit, old: commit }, files: rest };
    await expect(openSet("nq", { ...options, only: ["test"] })).rejects.toThrow(
      /has no questions at nq for test.*The set has changed/,
    );
    expect((await openSet("hf:RUC-NLPIR/FlashRAG_datasets/nq@old", options)).from).toMatch(new RegExp(`@${commit}$`));
  });
});

describe("subsets and mixtures", () => {
  const many = Array.from({ length: 50 }, (_, index) => asked(`s-${index}`, `q${index}`, "x"));
  const partsOf = (questions: Question[], part = "train"): Parts => ({ [part]: { questions, origins: [] } });

  it("a subset follows from the seed, keeps the order, and holds every smaller one", () => {
    const [ten, twenty] = [10, 20].map((limit) => subsetOf(many, limit, 1).map(({ id }) => id));
    expect(ten).toHaveLength(10);
    expect(twenty).toEqual(expect.arrayContaining(ten));
    expect([...ten].sort((a, b) => Number(a.slice(2)) - Number(b.slice(2)))).toEqual(ten);
    expect(subsetOf(many, 10, 1).map(({ id }) => id)).toEqual(ten);
    expect(subsetOf(many, 10, 2).map(({ id }) => id)).not.toEqual(ten);
    expect(subsetOf(many, undefined, 1)).toEqual(many);
  });

  it("a mixture has every question once, and refuses two of one identity", () => {
    const mixed = mergeParts([partsOf(many.slice(0, 3)), partsOf(many.slice(2, 5)), partsOf(many.slice(9), "test")]);
    expect(mixed.parts.train?.questions.map(({ id }) => id)).toEqual(["s-0", "s-1", "s-2", "s-3", "s-4"]);
    expect(mixed).toMatchObject({ repeated: 1, dropped: 0 });
    const clash = (): unknown => mergeParts([partsOf(many), partsOf([asked("s-3", "another", "x")])]);
    expect(clash).toThrow(/different questions "s-3": "q3" and "another"/);
  });

  it("trains on nothing that is tested where that is asked for", () => {
    const test = partsOf([asked("t-0", "The q1?", "y")], "test");
    const mixed = mergeParts([partsOf(many.slice(0, 3)), test], { withoutTested: true });
    expect(mixed.parts.train?.questions.map(({ id }) => id)).toEqual(["s-0", "s-2"]);
    expect(mixed.dropped).toBe(1);
  });
});

describe("a folder of questions", () => {
  it("is written whole with where everything came from, is read by every verb, and says when it changed", async () => {
    const out = path.join(folder, "out");
    const question = asked("s-1", "q", "x");
    const origin = { from: "f", dataset: "s", split: "", rows: 1, skipped: 0, questions: 1 };
    const write = (questions: Question[]) =>
      writeDataFolder(out, { train: { questions, origins: [origin] } }, { verb: "get" });
    expect(await write([question])).toBeUndefined();
    expect(await loadQuestions(out)).toEqual([question]);
    expect(await readDataManifest(out)).toMatchObject({ parts: { train: { questions: 1, origins: [origin] } } });
    expect(await write([question])).toBeUndefined();
    expect(await write([question, asked("s-2", "r", "x")])).toBe("train.jsonl had 1 questions and has 2 now");
    expect(readdirSync(folder).filter((name) => name.startsWith("out"))).toEqual(["out"]);
    await requireOwnFolder(out);
    await expect(requireOwnFolder(sample("flashrag"))).rejects.toThrow(/has other files in it and no data\.json/);
  });
});

describe("a check", () => {
  it("finds what makes numbers mean less, and nothing in a clean part", async () => {
    const train = [
      asked("t-0", "who keeps the lamp of skerry point", "Ada Holm"),
      asked("t-1", "where is it", "Öland"),
    ];
    const test = [
      asked("a", "Who keeps the lamp of Skerry Point?", "Ada Holm"),
      asked("b", "who keeps the lamp of skerry point today", "Ivar"),
      asked("c", "is skerry point in Sweden or Norway", "Sweden"),
      asked("d", "which city is the capital", "Beijing"),
      asked("e", "which word is it", "The"),
      asked("f", "what is its colour", "red"),
      asked("g", "what is its colour?", "Red"),
      asked("h", "what is its colour", "blue"),
      asked("i", "how high is the tower", "31 metres"),
    ];
    const [first, second] = await checkQuestions({ train, test }, undefined, { protocol: searchR1 });
    const ids = ({ found }: typeof first) =>
      Object.fromEntries(
        Object.entries(found).map(([finding, list]) => [
          finding,
          list.map(({ question, detail }) => `${question.id} ${detail}`),
        ]),
      );
    expect(Object.values(first.found).flat()).toEqual([]);
    expect(ids(second)).toEqual({
      "trained-on": ["a t-0"],
      "nearly-trained-on": ["b t-0"],
      "answer-in-question": ["c Sweden"],
      "answer-in-prompt": ["d Beijing"],
      "empty-answer": ["e The"],
      repeated: ["g f"],
      contradictory: ["h f"],
    } satisfies Record<Finding, string[]>);
  });

  it("compares a file with what a model was trained on", async () => {
    const [check] = await checkQuestions({ train: [asked("a", "same", "x")] }, [asked("t", "Same?", "y")], {
      protocol: searchR1,
    });
    expect(check.found["trained-on"]).toMatchObject([{ detail: "t" }]);
  });
});

it("the catalogue has nine sets to train and measure on, each once", () => {
  expect(questionSets.flatMap(({ isTrainedOn }) => (isTrainedOn ? ["train", "measure"] : ["measure"]))).toHaveLength(9);
  expect(questionSets.reduce((sum, { splits, measuredOn }) => sum + (splits[measuredOn] ?? 0), 0)).toBe(51_713);
  for (const { splits, measuredOn } of questionSets) expect(partsOfSplits(Object.keys(splits)).test).toBe(measuredOn);
});
