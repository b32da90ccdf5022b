/** @file The reward of a configuration: its named weights, in their stages, and the judge where one is named. */
import os from "node:os";
import path from "node:path";
import { UserError } from "../errors.js";
import type { Task } from "../eval/run-evaluation.js";
import { rewardsFor, stagedReward } from "../rewards/combine.js";
import { noCache, openVerdictCache } from "../rewards/judge/cache.js";
import { Judge, judgeKeyVariable } from "../rewards/judge/judge.js";
import type { Reward } from "../rewards/reward.js";
import { budgetsOf } from "../rollout/settings.js";
import type { Config } from "./config/config.js";
import type { Opened } from "./parts.js";
import { methodSettings } from "../rollout/methods/named.js";

/**
 * The reward of a configuration, in all its stages.
 * @param options.judges opens a judge that is described also where no weight names it, as a measure of its own
 * @throws UserError for unknown names, weights that are no numbers, stages that are out of order, and a judge that is not described
 */
export async function openReward(
  config: Config,
  { judges = false }: { judges?: boolean } = {},
): Promise<Opened<Pick<Task, "reward" | "judge" | "takeJudgeReport">>> {
  const { weights, stages, judgeUrl, judgeModel } = config.reward;
  const isNamed = [weights, ...stages.map((stage) => stage.weights)].some((named) => Object.hasOwn(named, "llm-judge"));
  const isDescribed = judges && judgeUrl !== "" && judgeModel !== "";
  const judge = isNamed || isDescribed ? await openJudge(config) : undefined;
  const reward = stagedReward(weights, stages, namedRewards(config, judge?.reward));
  if (judge === undefined) return { value: { reward }, close: () => Promise.resolve() };
  const judgement = judges ? { judge: judge.reward } : {};
  return { value: { reward, ...judgement, takeJudgeReport: () => judge.takeReport() }, close: () => judge.close() };
}

/** Every reward that a configuration can name, with its settings. */
export function namedRewards(
  { rollout, reward, faithful }: Pick<Config, "rollout" | "reward" | "faithful">,
  judge?: Reward,
): Record<string, Reward> {
  return rewardsFor(methodSettings(rollout).protocol, {
    textScoring: faithful.textScoring,
    maxTokens: budgetsOf(rollout).maxTokens,
    overlongBuffer: reward.overlongBuffer === 0 ? undefined : reward.overlongBuffer,
    length: { budget: reward.lengthBudget, perToken: reward.lengthPrice },
    judge,
  });
}

/**
 * The judge of a configuration; its key comes from the environment.
 * @throws UserError where it is not described, and for a folder of verdicts that cannot be written
 */
export async function openJudge({ reward }: Pick<Config, "reward">): Promise<Judge> {
  for (const [key, example] of [
    ["judgeUrl", "http://127.0.0.1:11434/v1"],
    ["judgeModel", "qwen2.5:7b"],
  ] as const) {
    if (reward[key] !== "") continue;
    throw new UserError(
      `llm-judge is named as a reward, but reward.${key} is empty. Set it, for example reward.${key}=${example}.`,
    );
  }
  const { judgeCache: folder } = reward;
  return new Judge({
    url: reward.judgeUrl,
    model: reward.judgeModel,
    prompt: reward.judgePrompt === "" ? undefined : reward.judgePrompt,
    scale: reward.judgeScale,
    body: reward.judgeBody,
    key: process.env[judgeKeyVariable]?.trim(),
    concurrency: reward.judgeConcurrency,
    perMinute: reward.judgePerMinute,
    timeoutMs: reward.judgeTimeoutMs,
    onFailure: reward.judgeFailure,
    cache: folder === "none" ? noCache : await openVerdictCache(folder === "" ? defaultCacheFolder() : folder),
  });
}

function defaultCacheFolder(): string {
  return path.join(process.env.XDG_CACHE_HOME || path.join(os.homedir(), ".cache"), "sleuth", "judge");
}
