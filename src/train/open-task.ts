/** @file The task of a configuration: what is attempted, within which budgets, and how it is scored. */
import { oracleEngine } from "../eval/oracle.js";
import type { Task } from "../eval/run-evaluation.js";
import { ours, squad } from "../rewards/answers.js";
import { isWellFormed } from "../rewards/format.js";
import { checkedReward } from "../rewards/reward.js";
import { searchEnvironment, type Environment } from "../rollout/environment.js";
import { methodSettings } from "../rollout/methods/named.js";
import { requireRoom } from "../rollout/rollout.js";
import type { SearchEngine } from "../search/engine.js";
import type { Question } from "../types.js";
import { settleBudgets, withLeastBudgets, type ModelFacts } from "./budgets.js";
import type { Config } from "./config/config.js";
import { factsOf } from "./model-folder.js";
import { mismatch, noticeToProcess, otherPrompt, warnOf, type OnNotice } from "./notices.js";
import { openReward } from "./open-reward.js";
import { openSearch, type OpenedSearch } from "./open-search.js";
import type { GivenParts, Opened } from "./parts.js";
import { rolloutSettings } from "./rollout-settings.js";
import { searchWorth } from "./search-worth.js";
import { isServed } from "./served-model.js";

/** A task, and the configuration as it is run: budgets that were `auto` have become numbers. */
interface OpenedTask extends Opened<Task> {
  config: Config;
  /** What is searched, where this process has it at hand. */
  passages?: OpenedSearch["passages"];
}

/** What a task will be used for, as far as its budgets and its warnings depend on it. */
interface Occasion {
  questions: readonly Question[];
  /** Is told what was measured, and what looks like a mistake. Default: warnings to the process, as Node's own. */
  onNotice?: OnNotice;
  /** Whether a judge is a measure of its own. Default false. */
  judges?: boolean;
  signal?: AbortSignal;
}

/** The task: what is attempted, and how it is scored. Opens the search engine unless an environment is given. */
export async function openTask(given: Config, parts: GivenParts, occasion: Occasion): Promise<OpenedTask> {
  if (parts.environment !== undefined) {
    const config = withLeastBudgets(given);
    const { value: scores, close } = await openScores(config, parts, occasion);
    return { value: { environment: parts.environment, ...scores }, config, close };
  }
  const search = await openSearch(given, parts);
  try {
    const config = await settle(given, parts, search, occasion);
    const scores = await openScores(config, parts, occasion);
    const close = async (): Promise<void> => {
      await scores.close();
      await search.close();
    };
    const value = { ...searchTask(config, parts, search.value), ...scores.value };
    return { value, config, passages: search.passages, close };
  } catch (error) {
    await search.close();
    throw error;
  }
}

/** Measures what is still to be measured, and tells of it. */
async function settle(
  config: Config,
  parts: GivenParts,
  search: OpenedSearch,
  { questions, onNotice = noticeToProcess, signal }: Occasion,
): Promise<Config> {
  warnOf(
    onNotice,
    await mismatch(config, questions, search),
    parts.policy || isServed(config) ? null : await otherPrompt(config),
  );
  const model = async (): Promise<ModelFacts> => parts.policy ?? factsOf(config, { signal });
  const settled = await settleBudgets(config, { search, questions, model, signal });
  if (settled.notice !== undefined) onNotice(settled.notice);
  const worth = parts.search === undefined ? await searchWorth(config, search, questions, signal) : undefined;
  if (worth !== undefined) onNotice(worth);
  return settled.config;
}

type Scores = Pick<Task, "reward" | "judge" | "takeJudgeReport" | "exactMatch">;

async function openScores(config: Config, given: GivenParts, { judges }: Occasion): Promise<Opened<Scores>> {
  const reward =
    given.reward === undefined
      ? await openReward(config, { judges })
      : {
          value: { reward: checkedReward("given to train or evaluate", given.reward) },
          close: () => Promise.resolve(),
        };
  // A run that chases published numbers is measured as they were.
  const measure = config.faithful.textScoring ? squad : ours;
  const match = given.exactMatch === undefined ? measure.exactMatch : checkedReward("exactMatch", given.exactMatch);
  return { value: { ...reward.value, exactMatch: match }, close: reward.close };
}

function searchTask(config: Config, given: GivenParts, search: SearchEngine): Omit<Task, keyof Scores> {
  const { protocol, oracle } = methodSettings(config.rollout);
  const searchEnabled = given.search !== undefined || config.search.engine !== "none";
  const options = { ...rolloutSettings(config), search, searchEnabled };
  const withOracle: Environment = (question, attempt) =>
    searchEnvironment({ ...options, search: oracleEngine(search, question) })(question, attempt);
  return {
    environment: oracle ? withOracle : searchEnvironment(options),
    isWellFormed: (trajectory, form) => isWellFormed(trajectory, protocol, form),
    requireRoom: (question, policy) => requireRoom(question, { ...options, policy }),
    searchCounts: () => search.counts?.() ?? {},
  };
}
