/**
 * @file The keys of a configuration: one typed table with a default and a line of help per key. The schema, `--help`, `--set` and the saved
 * `config.json` derive from it (`config.ts`).
 */
import { z } from "zod";
import { algorithmFields, criticFields, faithfulFields } from "../../algorithms/settings.js";
import { searchFields } from "../../search/settings.js";

const count = z.int().positive();
const countOrZero = z.int().nonnegative();
const share = z.number().min(0).max(1);
/** Of a running mean: 1 would never forget its zero at the start. */
const decay = z.number().min(0).lt(1);
const positive = z.number().positive();

/** A switch of the faithful mode. */
const off = (help: string) => z.boolean().default(false).describe(help);

/** Every key of every group, with its type, default and meaning. */
export const fields = {
  model: {
    folder: z
      .string()
      .default("atlas-base")
      .describe(
        "model to start from: a Hugging Face folder, a .gguf file, hf:ORG/NAME, an adapter folder; atlas-base is the checkpoint shipped with Sleuth",
      ),
    adapt: z
      .enum(["auto", "lora", "full"])
      .default("auto")
      .describe(
        "train a low-rank adapter over frozen weights, or all weights; auto: full below 20M parameters, else lora",
      ),
    loraRank: count.default(16).describe("LoRA: rank of the update"),
    loraAlpha: positive.default(32).describe("LoRA: the update is scaled by loraAlpha/loraRank"),
    loraTargets: z
      .string()
      .default("all-linear")
      .describe("LoRA: adapted layers, as q_proj,v_proj; all-linear is q,k,v,o,gate,up,down"),
  },
  data: {
    questions: z
      .string()
      .default("atlas")
      .describe('training questions: a JSONL file of {"id","question","answers"}, or atlas for the built-in world'),
    validation: z
      .string()
      .default("")
      .describe(
        "questions that choose the checkpoint; empty: atlas has its own, from other files a tenth is set aside",
      ),
    test: z
      .string()
      .default("")
      .describe("questions of the final evaluation; empty: atlas has its own, from other files a fifth is set aside"),
    corpus: z.string().default("atlas").describe('passages to search: a JSONL file of {"id","contents"}, or atlas'),
    index: z.string().default("").describe("a folder made by sleuth index; when set, corpus is not read"),
    worldSeed: z.int().default(0).describe("which countries of atlas are held out"),
    maxHops: z
      .int()
      .min(1)
      .max(3)
      .default(3)
      .describe("atlas: only questions that an ideal searcher answers with so many searches"),
  },
  search: searchFields,
  rollout: {
    protocol: z
      .enum(["auto", "atlas", "search-r1", "search-r1-short", "r1"])
      .default("auto")
      .describe(
        "tags and prompt by which policy and search talk; auto: atlas for models raised on its tags (atlas-base), else search-r1, or r1 where no search is possible",
      ),
    chat: z
      .enum(["auto", "always", "never"])
      .default("auto")
      .describe(
        "put the prompt through the model's chat template; auto: where the model has one and the protocol's prompt is an instruction",
      ),
    context: z
      .enum(["none", "question"])
      .default("none")
      .describe(
        "question: search once with the question itself before the policy writes; with maxSearches=0 that is RAG",
      ),
    maxSearches: countOrZero.default(4).describe("searches the policy may make per question"),
    maxTokensPerTurn: count.default(64).describe("most tokens the policy writes before a search or an answer"),
    maxTokens: count.default(512).describe("most tokens of a whole trajectory, prompt and passages included"),
    maxObservationTokens: count
      .default(160)
      .describe("room for one search's passages; what does not fit is left out whole"),
    temperature: positive.default(1).describe("of training rollouts; 1 samples the policy's own distribution"),
    topP: z
      .number()
      .gt(0)
      .max(1)
      .default(1)
      .describe("nucleus of training rollouts, whose log-probabilities are then those of the nucleus; 1: everything"),
    maxConcurrent: count.default(128).describe("attempts under way at once; the engine batches what they sample"),
  },
  reward: {
    weights: z
      .record(z.string(), z.number())
      .default({ "exact-match": 1 })
      .describe("weight of each reward by name; the reward of a trajectory is their weighted sum"),
    stages: z
      .array(z.strictObject({ from: countOrZero, weights: z.record(z.string(), z.number()) }))
      .default([])
      .describe("other weights from a step on, as [{ from: 100, weights: { exact-match: 1 } }]"),
    lengthBudget: countOrZero.default(256).describe("length: tokens of the policy that are free"),
    lengthPrice: z.number().nonnegative().default(0.001).describe("length: price of each further token, 0.3 at most"),
    overlongBuffer: countOrZero
      .default(0)
      .describe("overlong: tokens before rollout.maxTokens over which the punishment grows; 0: a fifth of them"),
    judgeUrl: z
      .string()
      .default("")
      .describe("llm-judge: a server with OpenAI's chat completions, as http://127.0.0.1:11434/v1"),
    judgeModel: z.string().default("").describe("llm-judge: the model, as its server calls it"),
    judgePrompt: z
      .string()
      .default("")
      .describe(
        "llm-judge: other instructions, with {question}, {answers}, {answer} and {verdict}; empty: Sleuth's own",
      ),
    judgeScale: z
      .enum(["yes-no", "score"])
      .default("yes-no")
      .describe("llm-judge: right or wrong, or a number from 0 to 1"),
    judgeBody: z
      .record(z.string(), z.unknown())
      .default({ temperature: 0, max_tokens: 1024 })
      .describe("llm-judge: further fields of each request"),
    judgeConcurrency: count.default(8).describe("llm-judge: judgements at once"),
    judgePerMinute: countOrZero
      .default(0)
      .describe("llm-judge: requests a minute, further tries included; 0: no limit"),
    judgeTimeoutMs: count
      .default(30_000)
      .describe("llm-judge: longest wait for one request; it is tried three times more"),
    judgeCache: z
      .string()
      .default("")
      .describe("llm-judge: folder in which verdicts are kept; empty: ~/.cache/sleuth/judge; none: ask anew each time"),
    judgeFailure: z
      .enum(["exact-match", "stop"])
      .default("exact-match")
      .describe("llm-judge: what a judgement becomes that failed after all tries: exact match, or the end of the run"),
  },
  algorithm: algorithmFields,
  critic: criticFields,
  faithful: {
    ...faithfulFields,
    firstStepAtZero: off("learning-rate warm-up begins at 0, so that the first step changes nothing"),
    oneStepLess: off("train.steps counts to one less: the last step is not taken"),
    textScoring: off(
      "rewards read the last of two or more answer tags in the whole text, the prompt's example included",
    ),
    cutObservations: off(
      "observations too long for their budget are cut, the closing tag included, instead of leaving passages out",
    ),
    searchTagFirst: off(
      "a turn goes on past </answer>: where </search> follows, it ends there, else at </answer>; costs sampled tokens",
    ),
    dropEndOfText: off("the end-of-text token of a turn is dropped: neither trained on nor read by later turns"),
    noStartToken: off("prompts of base models do not begin with the BOS token of their texts"),
  },
  optimizer: {
    learningRate: positive.default(5e-4).describe("peak learning rate of AdamW"),
    schedule: z
      .enum(["constant", "linear", "cosine"])
      .default("linear")
      .describe("course of the learning rate after warm-up"),
    finalShare: share.default(0.1).describe("where linear and cosine end, as a share of the peak"),
    warmupSteps: countOrZero.default(3).describe("steps of linear warm-up"),
    beta1: decay.default(0.9).describe("AdamW: decay of the gradient's mean"),
    beta2: decay.default(0.95).describe("AdamW: decay of the gradient's square"),
    epsilon: positive.default(1e-8).describe("AdamW: added to the denominator"),
    weightDecay: z.number().nonnegative().default(0).describe("AdamW: decoupled decay of matrices"),
    maxGradNorm: z.number().nonnegative().default(1).describe("gradients are scaled down to this norm; 0: never"),
  },
  train: {
    steps: countOrZero.default(50).describe("optimisation steps; a step is one batch of rollouts"),
    questionsPerStep: count.default(16).describe("questions per step, each attempted groupSize times"),
    epochs: count.default(1).describe("passes over each batch"),
    updatesPerBatch: count
      .default(1)
      .describe("optimizer updates per pass over a batch; its questions are divided among them"),
    microBatchTokens: countOrZero
      .default(0)
      .describe("most tokens per forward and backward pass, to bound memory; 0: the engine decides"),
    evalEvery: countOrZero
      .default(10)
      .describe("evaluate on validation questions every so many steps; 0: only at the end"),
    evalSize: count.default(100).describe("validation questions per evaluation"),
    testSize: countOrZero.default(300).describe("test questions before and after training; 0: no test"),
    evalModes: z
      .enum(["greedy", "both"])
      .default("both")
      .describe("evaluate greedily, or also sampled at temperature 1"),
    keepBest: z
      .enum(["greedy", "sampled", "average", "last"])
      .default("average")
      .describe("which validation exact match chooses the checkpoint that is kept as best; last: the final one"),
    checkpointEvery: count.default(10).describe("write a resumable checkpoint every so many steps"),
    keepCheckpoints: count.default(2).describe("resumable checkpoints to keep; older ones are deleted"),
    saveTrajectories: countOrZero.default(4).describe("questions per step whose trajectories are written; 0: none"),
    seed: z.int().nonnegative().default(0).describe("of question order, sampling and fresh adapters"),
    stopAfterSeconds: z.number().nonnegative().default(0).describe("stop at the first step after this time; 0: never"),
  },
  watch: {
    action: z
      .enum(["warn", "stop", "rollback"])
      .default("rollback")
      .describe("when a collapse is seen: only tell, end the run, or put the best checkpoint back and learn slower"),
    patience: count.default(5).describe("steps for which a warning may stay before it is acted on; alarms are at once"),
    window: z.int().min(8).default(30).describe("steps of the run's own past that the present is compared with"),
    rollbackFactor: z
      .number()
      .gt(0)
      .max(1)
      .default(0.5)
      .describe("roll-back: what learning rates are multiplied by for the rest of the run"),
    maxRollbacks: countOrZero.default(3).describe("roll-backs of one run; the next collapse ends it"),
  },
  sft: {
    transcripts: z
      .string()
      .default("")
      .describe("what to learn from: a JSONL file or a folder of them, or atlas for the built-in world's"),
    count: count.default(256).describe("atlas: how many transcripts"),
    minReward: z.number().default(1).describe("of a run's recorded trajectories, those with at least this reward"),
    epochs: count.default(2).describe("times that every transcript is seen"),
    batch: count.default(16).describe("transcripts per optimisation step"),
    validation: countOrZero
      .default(32)
      .describe("transcripts set aside to choose the checkpoint, at most a fifth of all"),
    learningRate: positive.default(1e-4).describe("peak learning rate; its course and AdamW are those of optimizer"),
  },
  run: {
    folder: z.string().default("").describe("where the run is written; empty: runs/ and the time of day"),
    threads: countOrZero.default(0).describe("threads of the runtime; 0: as many as there are cores"),
    executionProvider: z.string().default("cpu").describe("ONNX Runtime execution provider"),
    memory: z
      .string()
      .default("")
      .describe(
        "most memory to plan for, as 8GB; micro-batches and caches are chosen to fit; empty: most of the machine's",
      ),
    recompute: z
      .enum(["auto", "always", "never"])
      .default("auto")
      .describe(
        "compute activations again in the backward pass: less memory, a third more time; auto: where memory asks for it",
      ),
  },
};

/** What each group is about, for help pages. */
export const groupHelp: Readonly<Record<keyof typeof fields, string>> = {
  model: "the policy to start from",
  data: "questions and passages",
  search: "the search engine",
  rollout: "how a question is attempted",
  reward: "what is rewarded",
  algorithm: "how rewards become gradients",
  critic: "the value function of algorithms with gae (ppo)",
  faithful: "the original code's arithmetic where ours differs, one switch each; --faithful turns on all",
  optimizer: "AdamW and its learning rate",
  train: "the loop",
  watch: "the collapse watch (docs/collapse.md)",
  sft: "the supervised warm-up (sleuth sft)",
  run: "the run folder and the machine",
};
