/** @file Builds 1-, 2- and 3-hop questions over a set of countries, each with the chain of searches that answers it. */
import { Random, deriveSeed } from "../../random.js";
import type { Question } from "../../types.js";
import {
  bridgeValue,
  described,
  isSound,
  named,
  neighbourOf,
  targetSteps,
  wordQuestion,
  type Description,
  type Step,
} from "./chains.js";
import { derived, mentions, type Country } from "./country.js";
import type { Page } from "./pages.js";
import { bridges, targets, type Bridge, type Target } from "./phrases.js";

export interface AtlasQuestion extends Question {
  hops: number;
  source: string;
  /** For counting: what is asked and from what, for example `capital<neighbour<phone`. */
  kind: string;
  chain: Step[];
}

/** Everything a question may be about. */
interface QuestionWorld {
  /** Countries that may occur anywhere in a question's chain. */
  countries: readonly Country[];
  /** Whether a value names exactly one country of the whole world. */
  isUnique(bridge: Bridge, value: string): boolean;
  /** Whether few countries speak it: a common language could be guessed. */
  isRareLanguage(language: string): boolean;
  /** Countries whose names are contained in other names, or hard to write: never asked about. */
  isAmbiguous(country: Country): boolean;
  page(id: string): Page | undefined;
}

/**
 * All questions of up to three hops, in one wording each (drawn from `seed`). A question is kept only if no page of its
 * chain gives away a later step and the question itself contains no answer.
 */
export function buildQuestions(world: QuestionWorld, seed: number, source: string): AtlasQuestion[] {
  const byName = new Map(world.countries.filter((c) => !world.isAmbiguous(c)).map((c) => [c.name, c]));
  const questions: AtlasQuestion[] = [];
  for (const country of byName.values()) {
    const direct = [named(country), ...bridges.flatMap((bridge) => clearDescription(world, country, bridge))];
    const neighbour = byName.get(country.facts.neighbour ?? "");
    const beyond = neighbour ? direct.map((description) => neighbourOf(description, neighbour)) : [];
    for (const description of [...direct, ...beyond]) {
      for (const target of targets) {
        if (!isAskable(world, description.country, target, byName)) continue;
        const question = ask(world, description, target, seed, source);
        if (question) questions.push(question);
      }
    }
  }
  return questions;
}

/** The country by one of its facts, if that fact means no other country and does not sound like its name. */
function clearDescription(world: QuestionWorld, country: Country, bridge: Bridge): Description[] {
  const value = bridgeValue(country, bridge);
  if (value === undefined || !world.isUnique(bridge, value)) return [];
  // A code leads to the currency's name, which must not be the country's; every other value must not even sound like it.
  const telling = bridge === "code" ? namesCountry(country.facts.currency, country) : derived(value, country.name, 3);
  if (telling) return [];
  return [described(country, bridge, value)];
}

/** `Belize dollar` gives Belize away and is given away by it. */
function namesCountry(currency: string | undefined, country: Country): boolean {
  return currency !== undefined && mentions(currency, country.name);
}

/** Whether the value is worth asking for: not derived from the country's name, not common, and neighbours inside the split. */
function isAskable(
  world: QuestionWorld,
  country: Country,
  target: Target,
  byName: ReadonlyMap<string, Country>,
): boolean {
  const value = target === "code" ? country.currencyCode : country.facts[target];
  if (value === undefined) return false;
  if (target === "neighbour") return byName.has(value) && !derived(value, country.name, 4);
  if (target === "currency" || target === "code") {
    return world.isUnique(target, value) && !namesCountry(country.facts.currency, country);
  }
  if (target === "language") return world.isRareLanguage(value) && !derived(value, country.name, 3);
  return target !== "capital" || !derived(value, country.name, 4);
}

function ask(
  world: QuestionWorld,
  description: Description,
  target: Target,
  seed: number,
  source: string,
): AtlasQuestion | undefined {
  const chain = [...description.steps, ...targetSteps(description.country, target)];
  if (chain.length > 3) return undefined;
  const last = chain[chain.length - 1];
  const kind = `${target}${description.kind}`;
  const key = `${kind} ${chain[0].query} ${last.pageId}`;
  const random = new Random(seed, "wording", key);
  const question = wordQuestion(description, target, (items) => random.choice(items));
  const pages = chain.map((step) => world.page(step.pageId));
  if (!isSound(question, chain, pages)) return undefined;
  const id = `${source}-${deriveSeed(key).toString(36)}`;
  const evidence = [...new Set(chain.map(({ pageId }) => pageId))].map((pageId) => ({ id: pageId }));
  return { id, question, answers: [last.value], hops: chain.length, source, kind, evidence, chain };
}

/** `n` questions (fewer if there are not enough), equally many of 1, 2 and 3 hops, drawn from `seed`. */
export function balancedSample<Q extends { hops?: number }>(questions: readonly Q[], n: number, seed: number): Q[] {
  const random = new Random(seed, "balanced");
  const thirds = [1, 2, 3].map((hops, index) => {
    const size = Math.floor(n / 3) + (index < n % 3 ? 1 : 0);
    return random.shuffle(questions.filter((question) => question.hops === hops)).slice(0, size);
  });
  return random.shuffle(thirds.flat());
}
