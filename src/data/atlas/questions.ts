/** @file Builds 1-, 2- and 3-hop questions over a set of countries, each with the chain of searches that answers it. */
import { Random, deriveSeed } from "../../random.js";
import type { Question } from "../../types.js";
import { derived, mentions, pageOf as pageKind, type Attribute, type Country } from "./country.js";
import { fill, neighbourRank, type Page } from "./pages.js";
import { bridgePhrases, neighbourPhrases, targetPhrases, type Bridge, type Need, type Target } from "./phrases.js";

/** One search of an ideal searcher. */
export interface Step {
  need: Need;
  /** The query an ideal searcher writes. */
  query: string;
  /** The page it must find. */
  pageId: string;
  /** What it reads there: the answer, or what the next query needs. */
  value: string;
}

export interface AtlasQuestion extends Question {
  hops: number;
  source: string;
  /** For counting: what is asked and from what, for example `capital<neighbour<phone`. */
  kind: string;
  chain: Step[];
}

/** Everything a question may be about. */
export interface QuestionWorld {
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

const targets: readonly Target[] = ["capital", "currency", "phone", "language", "area", "neighbour", "name", "code"];
const bridges: readonly Bridge[] = ["capital", "currency", "phone", "domain", "people", "name", "code"];

/** A noun phrase that means a country, and how to find out which. */
interface Description {
  kind: string;
  country: Country;
  steps: Step[];
  phrase(pick: Pick): string;
}

type Pick = <T>(items: readonly T[]) => T;

/**
 * All questions of up to three hops, in one wording each (drawn from `seed`). A question is kept only if no page of its
 * chain gives away a later step and the question itself contains no answer.
 */
export function buildQuestions(world: QuestionWorld, seed: number, source: string): AtlasQuestion[] {
  const byName = new Map(world.countries.filter((c) => !world.isAmbiguous(c)).map((c) => [c.name, c]));
  const questions: AtlasQuestion[] = [];
  for (const country of byName.values()) {
    const direct = [named(country), ...bridges.flatMap((bridge) => described(world, country, bridge))];
    const beyond = direct.flatMap((description) => neighbourOf(description, byName));
    for (const description of [...direct, ...beyond]) {
      for (const target of targets) {
        const question = ask(world, description, target, byName, seed, source);
        if (question) questions.push(question);
      }
    }
  }
  return questions;
}

function named(country: Country): Description {
  return { kind: "", country, steps: [], phrase: () => country.name };
}

function described(world: QuestionWorld, country: Country, bridge: Bridge): Description[] {
  const value = bridge === "code" ? country.currencyCode : country.facts[bridge];
  if (value === undefined || !world.isUnique(bridge, value)) return [];
  if (namesCountry(country.facts.currency, country) && (bridge === "currency" || bridge === "code")) return [];
  if (bridge !== "currency" && bridge !== "code" && derived(value, country.name, 3)) return [];
  return [
    {
      kind: `<${bridge}`,
      country,
      steps: bridgeSteps(country, bridge, value),
      phrase: (pick) => fill(pick(bridgePhrases[bridge]), { v: value }),
    },
  ];
}

function neighbourOf(from: Description, byName: ReadonlyMap<string, Country>): Description[] {
  const other = byName.get(from.country.facts.neighbour ?? "");
  if (!other) return [];
  return [
    {
      kind: `<neighbour${from.kind}`,
      country: other,
      steps: [...from.steps, factStep(from.country, "neighbour", other.name)],
      phrase: (pick) => fill(pick(neighbourPhrases), { k: neighbourRank(from.country), c: from.phrase(pick) }),
    },
  ];
}

/** `Belize dollar` gives Belize away and is given away by it. */
function namesCountry(currency: string | undefined, country: Country): boolean {
  return currency !== undefined && mentions(currency, country.name);
}

/** From what the question says to the country's name. */
function bridgeSteps(country: Country, bridge: Bridge, value: string): Step[] {
  if (bridge !== "code") {
    return [{ need: "country", query: `${bridge} ${value}`, pageId: pageId(country, bridge), value: country.name }];
  }
  const currency = country.facts.currency;
  if (currency === undefined) throw new Error(`internal: ${country.name} has a currency code but no currency`);
  return [
    { need: "currency name", query: `code ${value}`, pageId: `currency-${value}`, value: currency },
    { need: "country", query: `currency ${currency}`, pageId: pageId(country, "currency"), value: country.name },
  ];
}

function factStep(country: Country, attribute: Exclude<Target, "code">, value: string): Step {
  return { need: attribute, query: `${attribute} ${country.name}`, pageId: pageId(country, attribute), value };
}

function pageId(country: Country, attribute: Attribute): string {
  return `${country.id}-${pageKind[attribute]}`;
}

function targetSteps(world: QuestionWorld, country: Country, target: Target): Step[] {
  if (target !== "code") {
    const value = country.facts[target];
    return value === undefined ? [] : [factStep(country, target, value)];
  }
  const { currency } = country.facts;
  const code = country.currencyCode;
  if (currency === undefined || code === undefined || !world.isUnique("code", code)) return [];
  if (namesCountry(currency, country)) return [];
  return [
    factStep(country, "currency", currency),
    { need: "code", query: `code ${currency}`, pageId: `currency-${code}`, value: code },
  ];
}

function ask(
  world: QuestionWorld,
  description: Description,
  target: Target,
  byName: ReadonlyMap<string, Country>,
  seed: number,
  source: string,
): AtlasQuestion | undefined {
  const { country } = description;
  const chain = [...description.steps, ...targetSteps(world, country, target)];
  const last = chain.at(-1);
  if (!last || chain.length === description.steps.length || chain.length > 3) return undefined;
  if (!isAskable(world, country, target, last.value, byName)) return undefined;
  const kind = `${target}${description.kind}`;
  const id = `${country.id}-${kind.replaceAll("<", "-")}-${last.pageId}-${chain[0].pageId}`;
  const random = new Random(seed, "wording", id);
  const pick: Pick = (items) => random.choice(items);
  const question = fill(pick(targetPhrases[target]), { c: description.phrase(pick), k: neighbourRank(country) });
  if (!isSound(world, question, chain)) return undefined;
  return {
    id: `${source}-${deriveSeed(id).toString(36)}`,
    question,
    answers: [last.value],
    hops: chain.length,
    source,
    kind,
    chain,
  };
}

/** A value worth asking for: it cannot be derived from the country's name, and neighbours stay inside the split. */
function isAskable(
  world: QuestionWorld,
  country: Country,
  target: Target,
  value: string,
  byName: ReadonlyMap<string, Country>,
): boolean {
  if (target === "neighbour") return byName.has(value) && !derived(value, country.name, 4);
  if (target === "currency") return world.isUnique("currency", value) && !namesCountry(value, country);
  if (target === "language") return world.isRareLanguage(value) && !derived(value, country.name, 3);
  if (target === "capital") return !derived(value, country.name, 4);
  return true;
}

/** No shortcut: each page gives the step's own value but none of the later ones, and the question gives none at all. */
function isSound(world: QuestionWorld, question: string, chain: readonly Step[]): boolean {
  const texts = chain.map((step) => {
    const page = world.page(step.pageId);
    return page ? `${page.title} ${page.text}` : "";
  });
  return chain.every(
    (step, index) =>
      mentions(texts[index], step.value) &&
      !mentions(question, step.value) &&
      texts.slice(0, index).every((earlier) => !mentions(earlier, step.value)),
  );
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
