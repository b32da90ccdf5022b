/** @file What the papers compare is a setting of the one recipe: each of these takes steps, and does what its name says. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createChatTemplate } from "../engine/io/chat-template.js";
import type { Policy, SampleOptions } from "../contracts/policy.js";
import { protocols } from "../prompts/protocol.js";
import { mergeConfig, type ConfigInput } from "../train/config/config.js";
import { readMetrics } from "../train/metrics-file.js";
import { readRunConfig } from "../train/run-folder.js";
import { tabularPolicy } from "../train/tabular-policy.test-support.js";
import { tinyQuestions } from "../train/tiny-run.test-support.js";
import { train } from "../train/train.js";
import type { Group } from "../types.js";
import { faithful } from "./search-r1/faithful.js";
import { searchR1Grpo, searchR1Ppo, searchR1PpoFormat } from "./search-r1/recipe.js";

let root: string;
beforeAll(() => {
  root = mkdtempSync(path.join(os.tmpdir(), "sleuth-settings-"));
  const passages = Array.from({ length: 8 }, (_, id) => ({ id: `${id}`, title: `P${id}`, text: `q letter ${id}` }));
  writeFileSync(path.join(root, "corpus.jsonl"), passages.map((one) => `${JSON.stringify(one)}\n`).join(""));
});
afterAll(() => rmSync(root, { recursive: true, force: true }));

/** Small enough for a policy that is a table; everything that a setting is about is left alone. */
const small: ConfigInput = {
  rollout: { maxTokensPerTurn: 16, maxTokens: 1600, maxObservationTokens: 100 },
  optimizer: { learningRate: 0.05, warmupSteps: 0 },
  train: {
    steps: 2,
    questionsPerStep: 4,
    updatesPerBatch: 2,
    evalEvery: 0,
    testSize: 0,
    evalSize: 2,
    keepBest: "last",
    saveTrajectories: 0,
  },
};

interface Seen {
  groups: Group[];
  options: SampleOptions[];
}

type Kind = "atlas" | "base" | "instruct";

/** A policy that knows the tags of atlas as tokens, or one that does not, with a chat template or without. */
function policyOf(kind: Kind, seen: Seen): Policy {
  const protocol = kind === "atlas" ? protocols.atlas : protocols["search-r1"];
  const habits = ["\n<search>q</search>", "\n<answer>a</answer>", "<answer>b</answer>", ":<answer>a</answer>", ":hm\n"];
  const policy = tabularPolicy({ protocol, habits });
  const template = createChatTemplate("{% for m in messages %}[{{ m.role }}]{{ m.content }}{% endfor %}:", {});
  const strange = new Map([...policy.tokenizer.specialTokens].filter(([text]) => text !== "</think>"));
  const tokenizer = {
    ...policy.tokenizer,
    ...(kind === "atlas" ? {} : { specialTokens: strange }),
    ...(kind === "instruct" ? { chatTemplate: template } : {}),
  };
  const sample: Policy["sample"] = (prefix_T, options) => {
    seen.options.push(options);
    return policy.sample(prefix_T, options);
  };
  return { ...policy, tokenizer, sample, contextLength: 2048 };
}

interface Expected {
  protocol: string;
  /** Of every attempt. */
  searches?: (count: number) => boolean;
  prompt?: RegExp;
  observed?: RegExp | null;
  steps?: number;
}

const several: [name: string, kind: Kind, settings: ConfigInput, expected: Expected][] = [
  ["masked", "atlas", {}, { protocol: "atlas", prompt: /^Question: which/ }],
  ["not masked", "atlas", { algorithm: { maskRetrieved: false } }, { protocol: "atlas" }],
  ...[1, 3, 5].map((topK): (typeof several)[number] => [
    `top ${topK}`,
    "atlas",
    { search: { topK }, rollout: { maxObservationTokens: 300 } },
    { protocol: "atlas", observed: new RegExp(`^<information>( \\(P\\d\\) q letter \\d){${topK}}</information>\n$`) },
  ]),
  ...[3, 5, 8].map((groupSize): (typeof several)[number] => [
    `groups of ${groupSize}`,
    "atlas",
    { algorithm: { groupSize } },
    { protocol: "atlas" },
  ]),
  ["groups of 1: REINFORCE", "atlas", { algorithm: { name: "reinforce", groupSize: 1 } }, { protocol: "atlas" }],
  [
    "groups of 1 as the released code has them",
    "atlas",
    { algorithm: { groupSize: 1 }, faithful: { groupOfOne: true } },
    { protocol: "atlas" },
  ],
  ["a base model", "base", {}, { protocol: "search-r1", prompt: /^Answer the given question\. You must.*\n$/ }],
  ["an instruct model", "instruct", {}, { protocol: "search-r1", prompt: /^\[user\]Answer the.*\n:$/ }],
  [
    "an instruct model, its template left out",
    "instruct",
    { rollout: { chat: "never" } },
    { protocol: "search-r1", prompt: /^Answer the given/ },
  ],
  [
    "R1: no search",
    "instruct",
    { search: { engine: "none" } },
    { protocol: "r1", prompt: /^\[user\]Answer the given question\. You should/, searches: (count) => count === 0 },
  ],
  [
    "no search, the built-in world",
    "atlas",
    { search: { engine: "none" } },
    { protocol: "atlas", searches: (count) => count === 0 },
  ],
  [
    "RAG",
    "instruct",
    { rollout: { context: "question", maxSearches: 0 }, search: { topK: 3 } },
    {
      protocol: "r1",
      prompt: /Context: (Doc \d\(Title: P\d\) q letter \d\n){3} \n:$/,
      searches: (count) => count === 1,
    },
  ],
  [
    "RAG, the built-in world",
    "atlas",
    { rollout: { context: "question", maxSearches: 0 } },
    { protocol: "atlas", prompt: /^Question: .*\n$/, searches: (count) => count === 1, observed: /^<information> \(P/ },
  ],
  [
    "passages first, searches later",
    "atlas",
    { rollout: { context: "question", maxSearches: 2 } },
    { protocol: "atlas", searches: (count) => count >= 1 && count <= 3 },
  ],
  ["random passages", "atlas", { search: { engine: "random" } }, { protocol: "atlas", observed: /\(P\d\)/ }],
  ["never any passages", "atlas", { search: { engine: "empty" } }, { protocol: "atlas", observed: /Nothing found/ }],
  ["a nucleus", "atlas", { rollout: { topP: 0.9, temperature: 0.8 } }, { protocol: "atlas" }],
  ...(
    [
      ["the paper's PPO", searchR1Ppo],
      ["the paper's GRPO", searchR1Grpo],
      ["the follow-up's PPO", searchR1PpoFormat],
    ] as const
  ).flatMap(([name, recipe]): typeof several => [
    [name, "instruct", recipe, { protocol: "search-r1" }],
    [`${name}, faithfully`, "instruct", { ...recipe, faithful }, { protocol: "search-r1", steps: 1 }],
  ]),
];

describe.each(several)("%s", (name, kind, settings, expected) => {
  it("is a setting", async () => {
    const folder = path.join(root, name);
    const seen: Seen = { groups: [], options: [] };
    const config = [
      { data: { corpus: path.join(root, "corpus.jsonl") }, run: { folder } },
      small,
      settings,
      {
        // What a setting would make too large.
        rollout: { maxTokensPerTurn: 16, maxTokens: 1600 },
        train: small.train,
      },
    ].reduce(mergeConfig, {} as ConfigInput);
    const result = await train(config, {
      policy: policyOf(kind, seen),
      questions: tinyQuestions,
      onEvent: (event) => {
        if (event.kind === "step") seen.groups.push(...event.groups);
      },
    });
    expect(result).toMatchObject({ status: "finished", steps: expected.steps ?? 2 });
    expect((await readRunConfig(folder)).rollout.protocol).toBe(expected.protocol);
    const lines = (await readMetrics(folder)).slice(1);
    expect(lines.some((line) => (line["tokens/trained"] ?? 0) > 0)).toBe(true);
    expect(lines.every((line) => Number.isFinite(line.loss))).toBe(true);

    const { groupSize } = config.algorithm ?? {};
    for (const { trajectories_G } of seen.groups) expect(trajectories_G).toHaveLength(groupSize ?? 8);
    const trajectories = seen.groups.flatMap(({ trajectories_G }) => trajectories_G);
    const counts = trajectories.map(({ searches }) => searches.length);
    expect(counts.filter((count) => !(expected.searches ?? (() => true))(count))).toEqual([]);
    for (const { texts } of trajectories) expect(texts[0]).toMatch(expected.prompt ?? /./);
    if (expected.observed) {
      const observed = trajectories.flatMap(({ segments, texts }) =>
        texts.filter((_, index) => segments[index].role === "environment"),
      );
      expect(observed.length).toBeGreaterThan(0);
      for (const text of observed) expect(text).toMatch(expected.observed);
    }
    const { topP = 1, temperature = 1 } = config.rollout ?? {};
    expect(new Set(seen.options.filter((one) => one.temperature === temperature).map((one) => one.topP))).toContain(
      topP,
    );
  });
});

it("the nucleus is training's: evaluations ask for the whole distribution", async () => {
  const seen: Seen = { groups: [], options: [] };
  const settings: ConfigInput = { rollout: { topP: 0.9 }, train: { steps: 1, evalModes: "both" } };
  const folder = path.join(root, "evaluated");
  const config = [small, settings, { search: { engine: "none" as const }, run: { folder } }].reduce(mergeConfig);
  await train(config, { policy: policyOf("atlas", seen), questions: tinyQuestions });
  expect(new Set(seen.options.map(({ temperature, topP }) => `${temperature} ${topP}`))).toEqual(
    new Set(["1 0.9", "0 1", "1 1"]),
  );
});
