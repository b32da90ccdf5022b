/**
 * @file Published numbers, to stand beside measured ones: exact match on the seven sets of Search-R1, with where each row is printed and under which conditions
 * it was measured. Numbers are data here: nothing is computed from them but what says so.
 */
import type { MethodName } from "../rollout/methods/named.js";

/** The sets, in the order of the papers' tables, with the split and the number of its questions (FlashRAG's). */
export const publishedSets = {
  nq: { title: "NQ", split: "test", questions: 3610 },
  triviaqa: { title: "TriviaQA", split: "test", questions: 11313 },
  popqa: { title: "PopQA", split: "test", questions: 14267 },
  hotpotqa: { title: "HotpotQA", split: "dev", questions: 7405 },
  "2wikimultihopqa": { title: "2Wiki", split: "dev", questions: 12576 },
  musique: { title: "MuSiQue", split: "dev", questions: 2417 },
  bamboogle: { title: "Bamboogle", split: "test", questions: 125 },
} as const;
export type PublishedSet = keyof typeof publishedSets;
export const publishedSetNames = Object.keys(publishedSets) as PublishedSet[];

/** Where rows are printed. */
export interface PublishedSource {
  name: string;
  /** Table or section. */
  place: string;
  url: string;
  /** What is to be known of all its rows. */
  remarks?: string;
}

const searchR1Url = "https://arxiv.org/abs/2503.09516";
const followUpUrl = "https://arxiv.org/abs/2505.15117";

export const publishedSources = {
  main: { name: "Search-R1", place: "v5, table 2", url: searchR1Url },
  larger: { name: "Search-R1", place: "v5, table 5", url: searchR1Url },
  algorithms: { name: "Search-R1", place: "v5, table 3", url: searchR1Url },
  masks: { name: "Search-R1", place: "v5, tables 4 and 6", url: searchR1Url },
  topK: { name: "Search-R1", place: "v5, table 7", url: searchR1Url },
  groups: { name: "Search-R1", place: "v5, table 8", url: searchR1Url },
  followUp: {
    name: "An empirical study of Search-R1 (the follow-up)",
    place: "table 1",
    url: followUpUrl,
    remarks: "NQ and HotpotQA are confirmed by a second text; the other numbers were read in one secondary source.",
  },
  dgpo: {
    name: "DGPO",
    place: "its table of the seven sets",
    url: "https://arxiv.org/abs/2508.20324",
    remarks: "Read in the paper's own words, not checked further.",
  },
} as const satisfies Readonly<Record<string, PublishedSource>>;

/** How a published row was measured. All of them: EM with SQuAD's normalisation, on the whole sets, over Wikipedia of 2018 (21 million passages) by E5. */
export const publishedConditions = {
  metric: "squadMatch",
  passages: "Wikipedia of 2018 by E5",
  topK: 3,
} as const;

export interface PublishedRow {
  /** As the paper calls it. */
  method: string;
  /** The method of Sleuth that does the same; absent where there is none. */
  as?: MethodName;
  /** What the model was before: "Qwen2.5-7B". */
  model: string;
  /** What was done to it, where it was trained. */
  training?: string;
  source: keyof typeof publishedSources;
  /** Exact match in the order of `publishedSets`; null where it is not known. */
  values: readonly (number | null)[];
  /** As it is printed; null where none is. */
  average: number | null;
  /** Passages of a search. Default: 3. */
  topK?: number;
  remark?: string;
}

type Line = [method: string, as: MethodName | undefined, training: string | undefined, average: number, ...number[]];

const baselines = (model: string, lines: readonly Line[]): PublishedRow[] =>
  lines.map(([method, as, training, average, ...values]) => ({
    ...{ method, model, source: "main" as const, values, average },
    ...(as === undefined ? {} : { as }),
    ...(training === undefined ? {} : { training }),
  }));

const ppo = "reinforcement (PPO)";
const grpo = "reinforcement (GRPO)";

// prettier-ignore
const qwen7B: readonly Line[] = [
  ["Direct", "direct", undefined, 0.181, 0.134, 0.408, 0.14, 0.183, 0.25, 0.031, 0.12],
  ["CoT", "cot", undefined, 0.106, 0.048, 0.185, 0.054, 0.092, 0.111, 0.022, 0.232],
  ["IRCoT", "ircot", undefined, 0.239, 0.224, 0.478, 0.301, 0.133, 0.149, 0.072, 0.224],
  ["Search-o1", undefined, undefined, 0.206, 0.151, 0.443, 0.131, 0.187, 0.176, 0.058, 0.296],
  ["RAG", "rag", undefined, 0.304, 0.349, 0.585, 0.392, 0.299, 0.235, 0.058, 0.208],
  ["SFT", "direct", "supervised on answers", 0.207, 0.318, 0.354, 0.121, 0.217, 0.259, 0.066, 0.112],
  ["R1-base", "r1", ppo, 0.276, 0.297, 0.539, 0.202, 0.242, 0.273, 0.083, 0.296],
  ["R1-instruct", "r1", ppo, 0.271, 0.27, 0.537, 0.199, 0.237, 0.292, 0.072, 0.293],
  ["Rejection sampling", "search-r1", "supervised on its own right attempts", 0.348, 0.36, 0.592, 0.38, 0.331, 0.296, 0.123, 0.355],
  ["Search-R1-base", "search-r1", ppo, 0.431, 0.48, 0.638, 0.457, 0.433, 0.382, 0.196, 0.432],
  ["Search-R1-instruct", "search-r1", ppo, 0.385, 0.393, 0.61, 0.397, 0.37, 0.414, 0.146, 0.368],
];

// prettier-ignore
const qwen3B: readonly Line[] = [
  ["Direct", "direct", undefined, 0.134, 0.106, 0.288, 0.108, 0.149, 0.244, 0.02, 0.024],
  ["CoT", "cot", undefined, 0.015, 0.023, 0.032, 0.005, 0.021, 0.021, 0.002, 0],
  ["IRCoT", "ircot", undefined, 0.181, 0.111, 0.312, 0.2, 0.164, 0.171, 0.067, 0.24],
  ["Search-o1", undefined, undefined, 0.255, 0.238, 0.472, 0.262, 0.221, 0.218, 0.054, 0.32],
  ["RAG", "rag", undefined, 0.27, 0.348, 0.544, 0.387, 0.255, 0.226, 0.047, 0.08],
  ["SFT", "direct", "supervised on answers", 0.176, 0.249, 0.292, 0.104, 0.186, 0.248, 0.044, 0.112],
  ["R1-base", "r1", ppo, 0.229, 0.226, 0.455, 0.173, 0.201, 0.268, 0.055, 0.224],
  ["R1-instruct", "r1", ppo, 0.224, 0.21, 0.449, 0.171, 0.208, 0.275, 0.06, 0.192],
  ["Rejection sampling", "search-r1", "supervised on its own right attempts", 0.265, 0.294, 0.488, 0.332, 0.24, 0.233, 0.059, 0.21],
  ["Search-R1-base", "search-r1", ppo, 0.303, 0.406, 0.587, 0.435, 0.284, 0.273, 0.049, 0.088],
  ["Search-R1-instruct", "search-r1", ppo, 0.325, 0.341, 0.545, 0.378, 0.324, 0.319, 0.103, 0.264],
];

const searchR1Row = (
  model: string,
  method: string,
  training: string,
  source: PublishedRow["source"],
  average: number | null,
  values: readonly (number | null)[],
  more: Partial<PublishedRow> = {},
): PublishedRow => ({ method, as: "search-r1", model, training, source, values, average, ...more });

const nothing = [null, null, null, null, null, null, null];

// prettier-ignore
const others: readonly PublishedRow[] = [
  searchR1Row("Qwen2.5-14B", "Search-R1-base", ppo, "larger", 0.479, [0.486, 0.676, 0.48, 0.468, 0.47, 0.241, 0.528]),
  searchR1Row("Qwen2.5-14B", "Search-R1-instruct", ppo, "larger", 0.433, nothing),
  { ...searchR1Row("Qwen2.5-14B", "R1-base", ppo, "larger", 0.357, nothing), as: "r1" },
  { method: "RAG", as: "rag", model: "Qwen2.5-14B", source: "larger", values: nothing, average: 0.281 },
  searchR1Row("Qwen2.5-7B", "Search-R1-base", grpo, "algorithms", 0.35, [0.395, 0.56, 0.388, 0.326, 0.297, 0.125, 0.36]),
  searchR1Row("Qwen2.5-7B", "Search-R1-instruct", grpo, "algorithms", 0.396, [0.429, 0.623, 0.427, 0.386, 0.346, 0.162, 0.4]),
  searchR1Row("Qwen2.5-3B", "Search-R1-base", grpo, "algorithms", 0.312, [0.421, 0.583, 0.413, 0.297, 0.274, 0.066, 0.128]),
  searchR1Row("Qwen2.5-3B", "Search-R1-instruct", grpo, "algorithms", 0.336, [0.397, 0.565, 0.391, 0.331, 0.31, 0.124, 0.232]),
  searchR1Row("Qwen2.5-7B", "Search-R1-base, no mask", ppo, "masks", 0.343, [0.388, 0.567, 0.391, 0.325, 0.321, 0.108, 0.304]),
  searchR1Row("Qwen2.5-3B", "Search-R1-base, no mask", ppo, "masks", 0.262, [0.346, 0.484, 0.365, 0.241, 0.244, 0.053, 0.104]),
  searchR1Row("Qwen2.5-7B", "Search-R1-base, top 1", ppo, "topK", 0.375, [0.426, 0.614, 0.422, 0.393, 0.296, 0.146, 0.328], { topK: 1 }),
  searchR1Row("Qwen2.5-7B", "Search-R1-base, top 5", ppo, "topK", 0.4, [0.479, 0.634, 0.44, 0.394, 0.343, 0.156, 0.352], { topK: 5 }),
  searchR1Row("Qwen2.5-7B", "Search-R1-base, groups of 1", grpo, "groups", 0.41, [0.463, 0.605, 0.449, 0.392, 0.413, 0.163, 0.384]),
  searchR1Row("Qwen2.5-7B", "Search-R1-base, groups of 3", grpo, "groups", 0.363, [0.385, 0.58, 0.396, 0.329, 0.333, 0.117, 0.4]),
  searchR1Row("Qwen2.5-7B", "Search-R1-base, format reward", ppo, "followUp", null, [0.488, 0.644, 0.469, 0.436, 0.412, 0.187, 0.403]),
  searchR1Row("Qwen2.5-7B", "Search-R1-base, format reward", grpo, "followUp", null, [0.458, 0.632, 0.442, 0.412, 0.404, 0.18, 0.411]),
  searchR1Row("Qwen2.5-3B", "Search-R1-base, format reward", ppo, "followUp", null, [0.428, null, null, 0.371, null, null, null]),
  searchR1Row("Qwen2.5-3B", "Search-R1-base, format reward", grpo, "followUp", null, [0.429, null, null, 0.372, null, null, null]),
  searchR1Row("R1-Distill-Qwen-7B", "Search-R1, format reward", ppo, "followUp", null, [0.389, 0.542, 0.402, 0.334, 0.326, 0.122, 0.29]),
  searchR1Row("R1-Distill-Qwen-7B", "Search-R1, format reward", grpo, "followUp", null, [0.061, 0.155, 0.068, 0.098, 0.194, 0.01, 0.113]),
  searchR1Row("Qwen2.5-0.5B", "DGPO", "cold start from a 3B teacher, then PPO held to the teacher where it answers wrongly", "dgpo", 0.329, nothing),
  searchR1Row("Qwen2.5-0.5B", "PPO", ppo, "dgpo", 0.238, [0.306, 0.444, 0.379, 0.205, 0.218, 0.041, 0.073]),
  { method: "untrained", as: "search-r1", model: "Qwen2.5-0.5B", source: "dgpo", values: nothing, average: 0.006 },
  searchR1Row("Qwen2.5-3B", "the teacher", "reinforcement", "dgpo", 0.353, nothing),
];

/** Every row that is known here. */
export const published: readonly PublishedRow[] = [
  ...baselines("Qwen2.5-7B", qwen7B).map((row) =>
    row.method === "IRCoT" ? { ...row, remark: "the printed average; its columns average 0.226" } : row,
  ),
  ...baselines("Qwen2.5-3B", qwen3B),
  ...others,
];

/** What an evaluation has to say for itself to stand beside a published row. */
export interface Comparable {
  /** Name of the model, as it was opened. */
  model: string;
  method: string;
  /** Name of the set; any other than a published one is comparable to nothing. */
  set: string;
  questions: number;
  engine: string;
  topK: number;
}

/** Engines whose passages may be Wikipedia of 2018 by E5: only who runs them knows. */
const mayBeTheirs = ["dense", "http", "qdrant", "lancedb", "opensearch"];

/** Why an evaluation is not comparable with a published row; nothing where it is, but for what only its maker knows. */
export function whyNotComparable(evaluation: Comparable, row: PublishedRow): string[] {
  const { model, method, set, questions, engine, topK } = evaluation;
  const { questions: all = undefined } = set in publishedSets ? publishedSets[set as PublishedSet] : {};
  const searches = method !== "direct" && method !== "cot" && method !== "r1" && method !== "closed-book";
  const wanted = row.topK ?? publishedConditions.topK;
  return [
    ...(all === undefined ? ["another set"] : questions === all ? [] : [`${questions} of ${all} questions`]),
    ...(row.as === method ? [] : ["another method"]),
    ...(model.toLowerCase().includes(row.model.toLowerCase()) ? [] : ["another model"]),
    ...(searches && !mayBeTheirs.includes(engine) ? [`${engine} where theirs is E5 over Wikipedia of 2018`] : []),
    ...(searches && topK !== wanted ? [`${topK} passages a search where theirs are ${wanted}`] : []),
  ];
}
