/** @file Each switch of the faithful mode, alone, from the configuration to what a run does. */
import { mkdtempSync, rmSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { protocols } from "../../prompts/protocol.js";
import type { SearchEngine } from "../../search/engine.js";
import { mergeConfig, type Config, type ConfigInput } from "../../train/config/config.js";
import { readMetrics } from "../../train/metrics-file.js";
import { isMeasuredTime, type MetricLine } from "../../train/metrics.js";
import { tabularPolicy } from "../../train/tabular-policy.test-support.js";
import { train } from "../../train/train.js";
import type { Group, Question } from "../../types.js";

let root: string;
beforeAll(() => {
  root = mkdtempSync(path.join(os.tmpdir(), "sleuth-faithful-"));
});
afterAll(() => rmSync(root, { recursive: true, force: true }));

const small: ConfigInput = {
  search: { topK: 2 },
  rollout: { maxSearches: 1, maxTokensPerTurn: 24, maxTokens: 1400, maxObservationTokens: 200 },
  algorithm: { groupSize: 4 },
  critic: { learningRate: 0.1 },
  optimizer: { learningRate: 0.1, schedule: "constant", warmupSteps: 2 },
  train: {
    steps: 3,
    questionsPerStep: 4,
    evalEvery: 0,
    testSize: 0,
    evalSize: 1,
    keepBest: "last",
    saveTrajectories: 0,
  },
};
const search: SearchEngine = {
  name: "two passages",
  searchBatch: (queries) =>
    Promise.resolve(
      queries.map(() => ["a is a letter.", "b too."].map((text, id) => ({ id: `${id}`, title: "L", text, score: 1 }))),
    ),
  close: () => Promise.resolve(),
};
/** The same number in two datasets. */
const questions: Question[] = Array.from({ length: 20 }, (_, index) => ({
  id: `${index % 2 === 0 ? "nq" : "hotpotqa"}-${index >> 1}`,
  question: "which letter?",
  answers: ["a", "c", "Beijing"],
}));

interface Ran {
  steps: number;
  lines: MetricLine[];
  groups: Group[];
  /** What was learned. */
  table: Float32Array;
}

let runs = 0;
async function run(settings: ConfigInput): Promise<Ran> {
  const config = [small, settings, { run: { folder: path.join(root, `${runs++}`) } }].reduce(mergeConfig);
  const protocol = config.rollout?.protocol === "search-r1" ? protocols["search-r1"] : protocols.atlas;
  const habits = [
    "\n<search>q</search>",
    "\n<answer>a</answer>",
    "<answer>b</answer>",
    "<answer>c</answer><search>q</search>",
    "\nhm<|endoftext|>",
  ];
  const policy = tabularPolicy({ protocol, habits });
  const tokenizer = { ...policy.tokenizer, startIds: [policy.tokenizer.eosIds[0]] };
  const groups: Group[] = [];
  const result = await train(config, {
    policy: { ...policy, tokenizer, contextLength: 2048 },
    search,
    questions,
    validation: [],
    test: [],
    onEvent: (event) => {
      if (event.kind === "step") groups.push(...event.groups);
    },
  });
  const lines = (await readMetrics(config.run?.folder ?? "")).slice(1);
  const untimed = lines.map((line) =>
    Object.fromEntries(Object.entries(line).filter(([name]) => !isMeasuredTime(name))),
  );
  return { steps: result.steps, lines: untimed as MetricLine[], groups, table: policy.table().slice() };
}

/** The same run without the switch and with it. */
async function both(switches: Partial<Config["faithful"]>, settings: ConfigInput = {}): Promise<[Ran, Ran]> {
  return [await run(settings), await run(mergeConfig(settings, { faithful: switches }))];
}

const textsOf = ({ groups }: Ran): string[][] =>
  groups.flatMap(({ trajectories_G }) => trajectories_G.map(({ texts }) => texts));
const rewardsOf = ({ groups }: Ran): number[] => groups.flatMap(({ rewards_G }) => rewards_G);

describe("a switch alone", () => {
  it("observations: other advantages for the same attempts", async () => {
    const [ours, theirs] = await both({ observations: true }, { algorithm: { name: "ppo" }, train: { steps: 1 } });
    expect(textsOf(theirs)).toEqual(textsOf(ours));
    expect(theirs.lines[0]["tokens/trained"]).toBe(ours.lines[0]["tokens/trained"]);
    expect(theirs.lines[0]["advantage/meanAbsolute"]).not.toBe(ours.lines[0]["advantage/meanAbsolute"]);
  });

  it.each([
    ["microBatchMean", { microBatchMean: 2 }],
    ["groupByIndex", { groupByIndex: true }],
  ] as const)("%s: another gradient from the same attempts", async (_name, switches) => {
    const [ours, theirs] = await both(switches, { train: { steps: 1, questionsPerStep: 8 } });
    expect(textsOf(theirs)).toEqual(textsOf(ours));
    expect(rewardsOf(theirs)).toEqual(rewardsOf(ours));
    expect(theirs.lines[0].gradNorm).not.toBe(ours.lines[0].gradNorm);
  });

  it("groupOfOne: raw rewards teach, where ours refuses to begin", async () => {
    const alone: ConfigInput = { algorithm: { groupSize: 1 }, train: { steps: 1, questionsPerStep: 12 } };
    await expect(run(alone)).rejects.toThrow(/groupSize is 1/);
    const theirs = await run(mergeConfig(alone, { faithful: { groupOfOne: true } }));
    expect(theirs.lines[0]["advantage/meanAbsolute"]).toBeGreaterThan(0);
  });

  it("trainerRatios: they begin at 1, whatever was sampled", async () => {
    const [ours, theirs] = await both({ trainerRatios: true }, { rollout: { temperature: 0.7 }, train: { steps: 1 } });
    expect(textsOf(theirs)).toEqual(textsOf(ours));
    expect(theirs.lines[0]["ratio/mean"]).toBeCloseTo(1, 6);
    expect(Math.abs((ours.lines[0]["ratio/mean"] ?? 1) - 1)).toBeGreaterThan(1e-3);
  });

  it("firstStepAtZero: the first step changes nothing, the second is our first", async () => {
    const [ours, theirs] = await both({ firstStepAtZero: true });
    expect(ours.lines.map((line) => line.learningRate)).toEqual([0.05, 0.1, 0.1]);
    expect(theirs.lines.map((line) => line.learningRate)).toEqual([0, 0.05, 0.1]);
    const [none, one] = [
      await run({ train: { steps: 0 } }),
      await run({ train: { steps: 1 }, faithful: { firstStepAtZero: true } }),
    ];
    expect(one.table).toEqual(none.table);
  });

  it("oneStepLess: the same steps but the last", async () => {
    const [ours, theirs] = await both({ oneStepLess: true });
    expect([ours.steps, theirs.steps]).toEqual([3, 2]);
    expect(theirs.lines).toEqual(ours.lines.slice(0, 2));
  });

  it("textScoring: silence is the prompt's example", async () => {
    const [ours, theirs] = await both(
      { textScoring: true },
      { rollout: { protocol: "search-r1" }, train: { steps: 1 } },
    );
    expect(textsOf(theirs)).toEqual(textsOf(ours));
    const silent = ours.groups.flatMap(({ trajectories_G }) =>
      trajectories_G.map(({ answer, searches }) => answer === null && searches.length > 0),
    );
    expect(silent).toContain(true);
    silent.forEach((isSilent, index) => {
      if (isSilent) expect([rewardsOf(ours)[index], rewardsOf(theirs)[index]]).toEqual([0, 1]);
    });
  });

  it("cutObservations: shorter than an end", async () => {
    const [ours, theirs] = await both(
      { cutObservations: true },
      { rollout: { maxObservationTokens: 30 }, train: { steps: 1 } },
    );
    const observed = (ran: Ran): string[] => [
      ...new Set(
        textsOf(ran)
          .flat()
          .filter((text) => text.startsWith("<information>")),
      ),
    ];
    expect(observed(ours)).toEqual(["<information> (L) a is a letter.</information>\n"]);
    expect(observed(theirs)).toEqual(["<information> (L) a is a letter. (L) b too"]);
  });

  it("searchTagFirst: a search behind an answer's end is found, and nothing else stays there", async () => {
    const [ours, theirs] = await both({ searchTagFirst: true }, { train: { steps: 1 } });
    const behindAnswers = (ran: Ran): string[] =>
      textsOf(ran)
        .flat()
        .filter((text) => /<\/answer>./s.test(text));
    expect(behindAnswers(ours)).toEqual([]);
    expect(behindAnswers(theirs)).not.toEqual([]);
    for (const text of behindAnswers(theirs)) expect(text).toMatch(/<\/search>$/);
  });

  const end = "<|endoftext|>";

  it("dropEndOfText: no turn ends in one, unless it is nothing else", async () => {
    const [ours, theirs] = await both({ dropEndOfText: true }, { train: { steps: 1 } });
    const ended = (ran: Ran): string[] =>
      textsOf(ran)
        .flatMap((texts) => texts.slice(1))
        .filter((text) => text.length > end.length && text.endsWith(end));
    expect(ended(ours)).not.toEqual([]);
    expect(ended(theirs)).toEqual([]);
  });

  it("noStartToken: no prompt begins with one", async () => {
    const [ours, theirs] = await both({ noStartToken: true }, { train: { steps: 1 } });
    expect(textsOf(ours).every(([prompt]) => prompt.startsWith(end))).toBe(true);
    expect(textsOf(theirs).every(([prompt]) => prompt.startsWith("Question"))).toBe(true);
  });
});
