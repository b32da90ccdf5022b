/**
 * @file From a configuration to its parts: policy, search engine, questions, environment, reward, algorithm. Every part
 * can be handed in ready-made instead; then the keys that describe it are not looked at.
 */
import { existsSync } from "node:fs";
import path from "node:path";
import type { Algorithm } from "../algorithms/algorithm.js";
import { makeAlgorithm } from "../algorithms/make.js";
import { overridesOf } from "../algorithms/settings.js";
import { isEngineLoss } from "../algorithms/losses.js";
import { balancedSample } from "../data/atlas/questions.js";
import { buildAtlas, type Atlas } from "../data/atlas/atlas.js";
import { loadQuestions } from "../data/questions.js";
import { searchEnvironment, type Environment } from "../rollout/environment.js";
import type { Task } from "../eval/run-evaluation.js";
import { parseMemory } from "../engine/memory/limit.js";
import type { Workload } from "../engine/memory/plan.js";
import { isAdapterFolder, readAdapterConfig } from "../engine/io/adapter-folder.js";
import { allLoraTargets, type LoraConfig } from "../engine/model/lora.js";
import { UserError } from "../errors.js";
import { createLocalPolicy } from "../policy/local/local.js";
import type { Policy } from "../contracts/policy.js";
import { protocolNamed } from "../prompts/protocol.js";
import { ours, squad } from "../rewards/answers.js";
import { isWellFormed } from "../rewards/format.js";
import { checkedReward, type Reward, type RewardFunction } from "../rewards/reward.js";
import { requireRoom } from "../rollout/rollout.js";
import { budgetsOf } from "../rollout/settings.js";
import { loadCorpus } from "../search/documents/corpus.js";
import type { SearchEngine } from "../search/engine.js";
import type { PassageSource } from "../search/passages.js";
import { openEngine } from "../search/open.js";
import type { Question, StoredPassage } from "../types.js";
import { parseConfig, type Config } from "./config/config.js";
import { settleBudgets, withLeastBudgets, type ModelFacts } from "./budgets.js";
import { locateModel, readModel } from "./model-folder.js";
import { mismatch, noticeToProcess, otherPrompt, warnOf, type OnNotice } from "./notices.js";
import { openReward } from "./open-reward.js";
import { rolloutSettings } from "./rollout-settings.js";
import { requireQuestions, splitQuestions, type QuestionSplits } from "./questions.js";

/** Parts made by the caller. Their `close` stays the caller's business. */
export interface GivenParts {
  policy?: Policy;
  search?: SearchEngine;
  /** Takes the place of the whole turn loop; `search` and the keys of `rollout` are then not used. */
  environment?: Environment;
  /** Takes the place of the whole group `reward`. May be asynchronous; it is told the step. */
  reward?: Reward;
  /** What evaluations count as right. Default: exact match, under `faithful.textScoring` by SQuAD's normalisation. */
  exactMatch?: RewardFunction;
  algorithm?: Algorithm;
  questions?: readonly Question[];
  /** Default when `questions` are given: a tenth of them, set aside. */
  validation?: readonly Question[];
  /** Default when `questions` are given: a fifth of them, set aside. */
  test?: readonly Question[];
}

/** Parts that were opened here are closed by `close`. */
export interface Opened<T> {
  value: T;
  close(): Promise<void>;
}

/** What a policy is opened for: memory is planned for that. */
type Purpose = "reinforcement" | "supervision" | "sampling";

/**
 * The policy of a configuration, or the one given.
 * @throws UserError when the model cannot be read or memory does not suffice for the purpose
 */
export async function openPolicy(
  config: Config,
  given: GivenParts = {},
  purpose: Purpose = "reinforcement",
): Promise<Opened<Policy>> {
  if (given.policy !== undefined) return { value: given.policy, close: () => Promise.resolve() };
  const workload = workloadOf(config, given.algorithm ?? algorithmOf(config), purpose);
  const policy = await createLocalPolicy({
    ...(await locateModel(config.model.folder)),
    adapt: config.model.adapt,
    lora: loraOf(config),
    seed: config.train.seed,
    threads: config.run.threads === 0 ? undefined : config.run.threads,
    provider: config.run.executionProvider,
    microBatchTokens: config.train.microBatchTokens === 0 ? undefined : config.train.microBatchTokens,
    maxBatch: config.rollout.maxConcurrent,
    memoryBytes: config.run.memory === "" ? undefined : parseMemory(config.run.memory, "run.memory"),
    recompute: config.run.recompute,
    workload,
    critic: workload.critic,
  });
  return { value: policy, close: () => policy.close() };
}

function workloadOf(config: Config, algorithm: Algorithm, purpose: Purpose): Workload {
  const { maxSearches, maxTokensPerTurn } = config.rollout;
  const { maxTokens } = budgetsOf(config.rollout);
  const written = Math.min(maxTokens, (maxSearches + 1) * maxTokensPerTurn);
  const common = { sampling: purpose !== "supervision", training: purpose !== "sampling", rowTokens: maxTokens };
  if (purpose === "supervision") {
    const logprobs = config.sft.validation > 0 ? "current" : "never";
    return { ...common, lossTokens: written, groupSize: 1, logprobs, critic: false, entropy: false };
  }
  const { needs } = algorithm;
  const { loss, entropy } = algorithm.objective(algorithm.initialState());
  const asksForLogprobs = needs.currentLogprobs || !isEngineLoss(loss);
  return {
    ...common,
    lossTokens: config.algorithm.maskRetrieved ? written : maxTokens,
    groupSize: config.algorithm.groupSize,
    logprobs: needs.reference ? "reference" : asksForLogprobs ? "current" : "never",
    critic: purpose === "reinforcement" && needs.values,
    entropy: purpose === "reinforcement" && entropy !== 0,
  };
}

/**
 * An adapter that training goes on with keeps its shape: other settings than its own would be ignored. A default counts as not asked for.
 * @throws UserError when the configuration asks for another rank, alpha or other layers
 */
export async function requireOwnLora(config: Config): Promise<void> {
  const { model: folder } = await locateModel(config.model.folder);
  if (!isAdapterFolder(folder)) return;
  const { lora: own } = await readAdapterConfig(folder);
  const [asked, standard] = [loraOf(config), loraOf(parseConfig({}))];
  for (const [key, name] of [
    ["loraRank", "rank"],
    ["loraAlpha", "alpha"],
    ["loraTargets", "targets"],
  ] as const) {
    const [has, wanted, usual] = [own, asked, standard].map((lora) => [lora[name]].flat().sort().join(","));
    if (wanted === has || wanted === usual) continue;
    throw new UserError(
      `model.${key} is ${String(config.model[key])}, but ${folder} is an adapter that has ${has}, and training goes on with it as it is. ` +
        `Leave model.${key} out, or merge the adapter first (sleuth export ${folder} --out FOLDER) and train a new one over FOLDER.`,
    );
  }
}

/** @throws UserError for a layer that does not exist */
function loraOf({ model }: Config): LoraConfig {
  const { loraRank: rank, loraAlpha: alpha, loraTargets } = model;
  if (loraTargets === "all-linear") return { rank, alpha, targets: allLoraTargets };
  const names = new Set(loraTargets.split(",").map((name) => name.trim()));
  const unknown = [...names].find((name) => !(allLoraTargets as readonly string[]).includes(name));
  if (unknown !== undefined) {
    throw new UserError(
      `model.loraTargets names "${unknown}", which is no layer that can be adapted. Use all-linear, or some of ${allLoraTargets.join(",")}.`,
    );
  }
  return { rank, alpha, targets: allLoraTargets.filter((target) => names.has(target)) };
}

/** A search engine, with what is known of its passages. */
export interface OpenedSearch extends Opened<SearchEngine> {
  /** The passages, where this process has them at hand. */
  passages?: Pick<PassageSource, "count" | "isDeleted" | "read">;
  /** They are the built-in world's. */
  isBuiltIn: boolean;
}

/**
 * The search engine of a configuration, or the one given.
 * @throws UserError for corpora and indexes that cannot be read
 */
export async function openSearch({ data, search, train, run }: Config, given: GivenParts = {}): Promise<OpenedSearch> {
  if (given.search !== undefined) return { value: given.search, isBuiltIn: false, close: () => Promise.resolve() };
  let isBuiltIn = false;
  const loadPassages = async (): Promise<readonly StoredPassage[]> => {
    if (data.corpus !== "atlas") return loadCorpus([data.corpus]);
    isBuiltIn = true;
    return buildAtlas({ seed: data.worldSeed }).passages;
  };
  let passages: OpenedSearch["passages"];
  // A run with a folder records its requests there: the budget is the run's, however often it is started.
  const requestsFile =
    run.folder !== "" && existsSync(run.folder) ? path.join(run.folder, "search-requests.jsonl") : undefined;
  const engine = await openEngine(
    { ...search, index: data.index, seed: train.seed },
    { passages: loadPassages, onPassages: (source) => (passages ??= source), requestsFile },
  );
  return { value: engine, passages, isBuiltIn, close: () => engine.close() };
}

/** A task, and the configuration as it is run: budgets that were `auto` have become numbers. */
export interface OpenedTask extends Opened<Task> {
  config: Config;
}

/** What a task will be used for, as far as its budgets and its warnings depend on it. */
interface Occasion {
  questions: readonly Question[];
  /** Is told what was measured, and what looks like a mistake. Default: warnings to the process, as Node's own. */
  onNotice?: OnNotice;
  signal?: AbortSignal;
}

/** The task: what is attempted, and how it is scored. Opens the search engine unless an environment is given. */
export async function openTask(given: Config, parts: GivenParts, occasion: Occasion): Promise<OpenedTask> {
  if (parts.environment !== undefined) {
    const config = withLeastBudgets(given);
    const { value: scores, close } = await openScores(config, parts);
    return { value: { environment: parts.environment, ...scores }, config, close };
  }
  const search = await openSearch(given, parts);
  try {
    const config = await settle(given, parts, search, occasion);
    const scores = await openScores(config, parts);
    const close = async (): Promise<void> => {
      await scores.close();
      await search.close();
    };
    return { value: { ...searchTask(config, parts, search.value), ...scores.value }, config, close };
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
  warnOf(onNotice, await mismatch(config, questions, search), parts.policy ? null : await otherPrompt(config));
  const model = async (): Promise<ModelFacts> => parts.policy ?? readModel(config.model.folder, { signal });
  const settled = await settleBudgets(config, { search, questions, model, signal });
  if (settled.notice !== undefined) onNotice(settled.notice);
  return settled.config;
}

type Scores = Pick<Task, "reward" | "takeJudgeReport" | "exactMatch">;

async function openScores(config: Config, given: GivenParts): Promise<Opened<Scores>> {
  const reward =
    given.reward === undefined
      ? await openReward(config)
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
  const protocol = protocolNamed(config.rollout.protocol);
  const searchEnabled = given.search !== undefined || config.search.engine !== "none";
  const options = { ...rolloutSettings(config), search, searchEnabled };
  return {
    environment: searchEnvironment(options),
    isWellFormed: (trajectory, form) => isWellFormed(trajectory, protocol, form),
    requireRoom: (question, policy) => requireRoom(question, { ...options, policy }),
    searchCounts: () => search.counts?.() ?? {},
  };
}

/** The algorithm of a configuration: what its name chooses, and what is chosen differently. */
export function algorithmOf(config: Config): Algorithm {
  return makeAlgorithm(config.algorithm.name, overridesOf(config));
}

/**
 * The questions of a configuration, or those given, divided into training, validation and test.
 * @throws UserError for files that cannot be read, and when there is nothing to train on
 */
export async function loadSplits(config: Config, given: GivenParts = {}): Promise<QuestionSplits> {
  const { data, train } = config;
  const atlas = lazyAtlas(data.worldSeed);
  const sizes = { validation: train.evalSize, test: train.testSize, seed: train.seed };
  // The same held-out questions for every run in a world, whatever its seed.
  const ofAtlas = (split: keyof QuestionSplits): Question[] => {
    const questions = atlas().questions[split === "questions" ? "train" : split].filter(withinHops(data));
    // A third per number of hops, of three: with fewer hops more are drawn to make up the number.
    return split === "questions"
      ? questions
      : balancedSample(questions, Math.round((sizes[split] * 3) / data.maxHops), data.worldSeed).slice(0, sizes[split]);
  };
  const read = (source: string, split: keyof QuestionSplits): Promise<Question[]> =>
    source === "atlas" ? Promise.resolve(ofAtlas(split)) : loadQuestions(source);

  const isAtlas = given.questions === undefined && data.questions === "atlas";
  const all = given.questions ?? (await read(data.questions, "questions"));
  requireQuestions(all, given.questions === undefined ? data.questions : "The list of questions");
  const validation = given.validation ?? (data.validation === "" ? null : await read(data.validation, "validation"));
  const test = given.test ?? (data.test === "" ? null : await read(data.test, "test"));
  if (isAtlas) {
    return {
      questions: [...all],
      validation: [...(validation ?? ofAtlas("validation"))],
      test: [...(test ?? ofAtlas("test"))],
    };
  }
  const aside = splitQuestions(all, {
    ...sizes,
    ...(validation === null ? {} : { validation: 0 }),
    ...(test === null ? {} : { test: 0 }),
  });
  return {
    questions: aside.questions,
    validation: [...(validation ?? aside.validation)],
    test: [...(test ?? aside.test)],
  };
}

/** Whether a question of the built-in world is among those that `data.maxHops` admits. */
export function withinHops({ maxHops }: Config["data"]): (question: Question) => boolean {
  return ({ hops = 1 }) => hops <= maxHops;
}

/** Built when first needed, once. */
function lazyAtlas(seed: number): () => Atlas {
  let atlas: Atlas | undefined;
  return () => (atlas ??= buildAtlas({ seed }));
}
