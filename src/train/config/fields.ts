/**
 * @file The keys of a configuration: one typed table with a default, bounds and a line of help per key. The schema, `--help`, `--set`, flags
 * and the saved `config.json` derive from it (`config.ts`). A group stands beside the code that it sets; here are those of the loop itself.
 */
import { z } from "zod";
import { algorithmFields, criticFields, faithfulFields } from "../../algorithms/settings.js";
import { defaultLora } from "../../engine/model/lora.js";
import { onlyProvider, providers } from "../../engine/runtime/provider.js";
import { serverFields } from "../../policy/served/settings.js";
import { faithfulRewardFields, rewardFields } from "../../rewards/settings.js";
import { faithfulRolloutFields, rolloutFields } from "../../rollout/settings.js";
import { searchFields } from "../../search/settings.js";
import { faithfulScheduleFields, optimizerFields } from "../schedule.js";
import { watchFields } from "../watch/watch.js";

const count = z.int().positive();
const countOrZero = z.int().nonnegative();
const positive = z.number().positive();

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
    loraRank: count.default(defaultLora.rank).describe("LoRA: rank of the update"),
    loraAlpha: positive.default(defaultLora.alpha).describe("LoRA: the update is scaled by loraAlpha/loraRank"),
    loraTargets: z
      .string()
      .default("all-linear")
      .describe("LoRA: adapted layers, as q_proj,v_proj; all-linear is q,k,v,o,gate,up,down"),
  },
  server: serverFields,
  data: {
    questions: z
      .string()
      .default("atlas")
      .describe(
        'training questions: a JSONL file of {"id","question","answers"}, FlashRAG\'s JSONL or Search-R1\'s Parquet, a folder with train.jsonl, validation.jsonl and test.jsonl, or atlas for the built-in world',
      ),
    validation: z
      .string()
      .default("")
      .describe(
        "questions that choose the checkpoint; empty: atlas and most folders have their own, else a tenth of the training questions is set aside",
      ),
    test: z
      .string()
      .default("")
      .describe(
        "questions of the final evaluation; empty: atlas and folders have their own, else a fifth of the training questions is set aside",
      ),
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
  rollout: rolloutFields,
  reward: rewardFields,
  algorithm: algorithmFields,
  critic: criticFields,
  faithful: { ...faithfulFields, ...faithfulScheduleFields, ...faithfulRewardFields, ...faithfulRolloutFields },
  optimizer: optimizerFields,
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
  watch: watchFields,
  sft: {
    transcripts: z
      .string()
      .default("")
      .describe(
        "what to learn from: a JSONL file or a folder of them, atlas for the built-in world's, or answers for the training questions with their answers alone",
      ),
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
    executionProvider: z
      .enum(providers, { error: onlyProvider })
      .default("cpu")
      .describe("ONNX Runtime execution provider; only cpu computes right gradients (docs/engine.md)"),
    memory: z
      .string()
      .default("")
      .describe(
        "most memory to plan for, as 8GB; micro-batches and caches are chosen to fit; empty: most of the machine's",
      ),
    precision: z
      .enum(["auto", "int8", "float32"])
      .default("auto")
      .describe(
        "in what frozen weights are multiplied (docs/engine.md); auto: measured when a run begins, then the run's; float32 where all weights are trained",
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
  server: "a model behind a server in its place, for eval, ask and collect (docs/served-models.md)",
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
