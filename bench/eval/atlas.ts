/** @file The demo's model on the built-in world's test questions, greedily, as `sleuth eval` evaluates it. */
import { buildAtlas } from "../../src/data/atlas/atlas.js";
import { atlasDemo } from "../../src/recipes/search-r1/recipe.js";
import { parseConfig } from "../../src/train/config/config.js";
import { evaluateOnce } from "../../src/train/evaluate.js";
import { openPolicy } from "../../src/train/open-policy.js";
import type { BenchContext } from "../bench.js";

/** Until this share of the questions is finished, slots count as wanted: the last ones cannot fill them. */
const untilShare = 0.9;

/** Seconds of the evaluation, and the share of the slots in use over the decode steps up to then. */
export async function evaluateAtlas({
  quick,
  note,
}: Pick<BenchContext, "quick" | "note">): Promise<{ seconds: number; occupancy: number }> {
  const config = parseConfig(atlasDemo);
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
    note(`exact match ${evaluation.exactMatch.value.toFixed(3)}, ${decodeSteps} decode steps until 90 %`);
    const slots = Math.min(config.rollout.maxConcurrent, questions.length);
    return { seconds: evaluation.seconds, occupancy: sampledTokens / (decodeSteps * slots) };
  } finally {
    await opened.close();
  }
}
