/** @file The demo's model on the built-in world's test questions, greedily, as `sleuth eval` evaluates it. */
import path from "node:path";
import { buildAtlas } from "../../src/data/atlas/atlas.js";
import { atlasDemo } from "../../src/recipes/search-r1/recipe.js";
import { mergeConfig, parseConfig } from "../../src/train/config/config.js";
import { evaluateOnce } from "../../src/train/evaluate.js";
import { openPolicy } from "../../src/train/open-policy.js";
import { sft } from "../../src/train/sft/sft.js";
import type { BenchContext } from "../bench.js";

/** Until this share of the questions is finished, slots count as wanted: the last ones cannot fill them. */
const untilShare = 0.9;

type Context = Pick<BenchContext, "quick" | "note">;

/** The demo's model once it searches: as shipped it ends after a few words. Taught by transcripts, which takes less than a minute, and kept. */
async function searchingModel({ quick, note }: Context): Promise<string> {
  const folder = path.join(".cache", "bench", `eval-model-v1${quick ? "-quick" : ""}`);
  const lesson = mergeConfig(atlasDemo, {
    sft: {
      transcripts: "atlas",
      count: quick ? 8 : 256,
      epochs: quick ? 1 : 6,
      batch: 8,
      validation: 0,
      learningRate: 2e-3,
    },
    run: { folder },
    train: { evalModes: "greedy", keepBest: "last" },
  });
  await sft(lesson, { onEvent: (event) => void (event.kind === "start" && note(`teaching ${event.steps} steps`)) });
  return path.join(folder, "best");
}

/** Seconds of the evaluation, and the share of the slots in use over the decode steps up to then. */
export async function evaluateAtlas(context: Context): Promise<{ seconds: number; occupancy: number }> {
  const { quick, note } = context;
  const config = parseConfig(mergeConfig(atlasDemo, { model: { folder: await searchingModel(context) } }));
  const questions = buildAtlas({ seed: config.data.worldSeed }).questions.test.slice(0, quick ? 20 : 1000);
  note(`${questions.length} questions`);
  const opened = await openPolicy(config, {}, "sampling");
  const policy = opened.value;
  try {
    let early: ReturnType<typeof policy.stats> | undefined;
    const { evaluation } = await evaluateOnce(config, {
      policy,
      questions,
      onNotice: () => undefined,
      onProgress: (part, done, total) => {
        if (part === "greedy" && done >= untilShare * total) early ??= policy.stats();
      },
    });
    const { sampledTokens, decodeSteps = 0 } = (await early) ?? { sampledTokens: 0 };
    const { exactMatch, searchesPerQuestion } = evaluation;
    note(
      `exact match ${exactMatch.value.toFixed(3)}, ${searchesPerQuestion.value.toFixed(2)} searches a question, ${decodeSteps} decode steps until 90 %`,
    );
    const slots = Math.min(config.rollout.maxConcurrent, questions.length);
    return { seconds: evaluation.seconds, occupancy: sampledTokens / (decodeSteps * slots) };
  } finally {
    await opened.close();
  }
}
