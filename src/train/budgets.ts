/** @file The budgets of a run that are `auto`: measured by its own passages and its model's tokenizer when it begins, then fixed. */
import { mapConcurrent, mapInSlices } from "../async.js";
import { Random } from "../random.js";
import { askSearch } from "../rollout/ask-search.js";
import { measureBudgets, type MeasuredBudgets } from "../rollout/measure-budgets.js";
import { promptTokens } from "../rollout/rollout.js";
import { budgetKeys, budgetsOf } from "../rollout/settings.js";
import type { PassageSource } from "../search/passages.js";
import { takesOneQueryPerRequest } from "../search/registry.js";
import type { Question, StoredPassage, Tokenizer } from "../types.js";
import type { Config } from "./config/config.js";
import type { Notice } from "./notices.js";
import type { OpenedSearch } from "./open-search.js";
import { rolloutSettings } from "./rollout-settings.js";
import { methodSettings, searchesAtAll } from "../rollout/methods/named.js";

/** Passages that are measured, and the UTF-16 units of text at which fewer suffice. */
const most = { passages: 512, characters: 2_000_000 };

/** Questions that are looked at, and searched with where an engine's passages are not at hand: fewer where each is a request that may cost. */
const asked = { usual: 64, perRequest: 16 };

/** What is known of the model before it is opened. */
export interface ModelFacts {
  tokenizer: Tokenizer;
  contextLength: number;
}

interface Measuring {
  search: OpenedSearch;
  /** Some are searched with, where there is no other way to see passages. */
  questions: readonly Question[];
  model: () => Promise<ModelFacts>;
  signal?: AbortSignal;
}

/** Whether a budget is still to be measured. */
export function hasAuto({ rollout }: Config): boolean {
  return budgetKeys.some((key) => rollout[key] === "auto");
}

/** The configuration with the least budgets in place of those that are `auto`. */
export function withLeastBudgets(config: Config): Config {
  return { ...config, rollout: { ...config.rollout, ...budgetsOf(config.rollout) } };
}

/**
 * The configuration with numbers in place of `auto`, and what to say about them. Over the built-in world's passages, and without any, they are the
 * least ones.
 */
export async function settleBudgets(
  config: Config,
  measuring: Measuring,
): Promise<{ config: Config; notice?: Notice }> {
  if (!hasAuto(config)) return { config };
  const { search, signal } = measuring;
  const isBlind = config.search.engine === "none" || !searchesAtAll(config.rollout);
  if (search.isBuiltIn || isBlind) return { config: withLeastBudgets(config) };
  const seed = config.train.seed;
  const questions = sample(
    measuring.questions,
    takesOneQueryPerRequest(config.search.engine) ? asked.perRequest : asked.usual,
    seed,
  );
  const found =
    search.passages === undefined
      ? await searched(config, search, questions, signal)
      : await drawn(search.passages, seed);
  if (found.passages.length === 0) return unmeasured(config, found.error);
  const { tokenizer, contextLength } = await measuring.model();
  const options = { ...rolloutSettings(config), search: search.value, policy: { tokenizer } };
  const prompts = await mapInSlices(questions, (question) => promptTokens(question, options), signal);
  const measuredBy = {
    ...config.rollout,
    ...methodSettings(config.rollout),
    topK: config.search.topK,
    tokenizer,
    contextLength,
    promptTokens: Math.max(...prompts),
  };
  const measured = await measureBudgets(found.passages, measuredBy, signal);
  const { maxObservationTokens, maxTokens } = measured;
  const settled = { ...config, rollout: { ...config.rollout, maxObservationTokens, maxTokens } };
  const set = budgetKeys.filter((key) => config.rollout[key] !== "auto").map((key) => `rollout.${key}`);
  return { config: settled, notice: describe(settled, measured, { count: found.passages.length, set }) };
}

/** The least budgets, and a warning that nothing was measured. */
function unmeasured(config: Config, why = "none were found"): { config: Config; notice: Notice } {
  const least = withLeastBudgets(config);
  const keys = budgetKeys.filter((key) => config.rollout[key] === "auto");
  const room = keys.map((key) => `${least.rollout[key]} tokens (rollout.${key})`).join(", ");
  const message =
    `The passages could not be measured (${why}). There is room for ${room}. ` +
    `Set ${keys.length === 1 ? "it" : "both"} if passages are longer.`;
  return { config: least, notice: { kind: "warning", message } };
}

/** @param set the budgets that the user has set */
function describe(
  { rollout, search }: Config,
  { fitting, passageTokens }: MeasuredBudgets,
  { count, set }: { count: number; set: readonly string[] },
): Notice {
  const many = search.topK === 1 ? "" : ` each, ${search.topK} a search`;
  const budgets = `rollout.maxObservationTokens=${rollout.maxObservationTokens}, rollout.maxTokens=${rollout.maxTokens}`;
  const needs = Number.isFinite(passageTokens)
    ? `99 % of passages fit in ${Math.ceil(passageTokens)} tokens${many}`
    : "More than 1 % of passages are far longer than what the model can read";
  if (fitting >= 0.99) return { kind: "note", message: `${needs}, measured on ${count}: ${budgets}.` };
  const raise = set.length === 0 ? "Index" : `Raise ${set.join(" and ")}, index`;
  const message =
    `${needs}, but ${budgets} leaves room for ${Math.floor(100 * fitting)} % of them (measured on ${count}): the others are never read. ` +
    `${raise} shorter passages (sleuth index --chunk), ask for fewer (search.topK), or take a model with a longer context.`;
  return { kind: "warning", message };
}

interface Found {
  passages: readonly Pick<StoredPassage, "title" | "text">[];
  /** Why there are none. */
  error?: string;
}

/** Some passages of an index, each with the same chance. */
async function drawn(source: Pick<PassageSource, "count" | "isDeleted" | "read">, seed: number): Promise<Found> {
  const random = new Random(seed, "measured-passages");
  const numbers = new Set<number>();
  if (source.count <= most.passages) for (let number = 0; number < source.count; number++) numbers.add(number);
  else while (numbers.size < most.passages) numbers.add(random.integer(source.count));
  const passages: StoredPassage[] = [];
  let characters = 0;
  for (const number of random.shuffle([...numbers])) {
    if (source.isDeleted(number)) continue;
    const [passage] = await source.read([number]);
    passages.push(passage);
    characters += passage.text.length;
    if (characters > most.characters) break;
  }
  return { passages };
}

/** What searches with some of the questions find, each passage once. */
async function searched(
  { search: { topK, timeoutMs } }: Config,
  { value: engine }: OpenedSearch,
  questions: readonly Question[],
  signal?: AbortSignal,
): Promise<Found> {
  const outcomes = await mapConcurrent(questions, 8, ({ question }) =>
    askSearch(engine, question, { topK, timeoutMs, signal }),
  );
  const passages = new Map(outcomes.flatMap((outcome) => outcome.passages.map((passage) => [passage.text, passage])));
  return { passages: [...passages.values()], error: outcomes.find(({ error }) => error !== undefined)?.error };
}

function sample(questions: readonly Question[], count: number, seed: number): Question[] {
  return new Random(seed, "measured-questions").shuffle(questions).slice(0, count);
}
