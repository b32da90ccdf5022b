/** @file A question as a chain of searches: from what it says, over the country it means, to what it asks for. */
import { mentions, pageOf, type Attribute, type Country } from "./country.js";
import { fill, neighbourRank, type Page, type Pick } from "./pages.js";
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

/** A noun phrase that means a country, and how to find out which. */
export interface Description {
  /** `""`, `<capital`, `<neighbour<phone`, … */
  kind: string;
  country: Country;
  steps: Step[];
  phrase(pick: Pick): string;
}

/** The country by its name. */
export function named(country: Country): Description {
  return { kind: "", country, steps: [], phrase: () => country.name };
}

/** The value that a bridge starts from, if the country has it. */
export function bridgeValue(country: Country, bridge: Bridge): string | undefined {
  if (bridge !== "code") return country.facts[bridge];
  return country.facts.currency === undefined ? undefined : country.currencyCode;
}

/** The country by one of its facts; `value` is its `bridgeValue`. */
export function described(country: Country, bridge: Bridge, value: string): Description {
  return {
    kind: `<${bridge}`,
    country,
    steps: bridgeSteps(country, bridge, value),
    phrase: (pick) => fill(pick(bridgePhrases[bridge]), { v: value }),
  };
}

/** The largest (or only) neighbour of a described country. */
export function neighbourOf(from: Description, neighbour: Country): Description {
  return {
    kind: `<neighbour${from.kind}`,
    country: neighbour,
    steps: [...from.steps, factStep(from.country, "neighbour", neighbour.name)],
    phrase: (pick) => fill(pick(neighbourPhrases), { k: neighbourRank(from.country), c: from.phrase(pick) }),
  };
}

/** From the country's name to the target; empty when the country lacks it. */
export function targetSteps(country: Country, target: Target): Step[] {
  if (target !== "code") {
    const value = country.facts[target];
    return value === undefined ? [] : [factStep(country, target, value)];
  }
  const { currency } = country.facts;
  const code = country.currencyCode;
  if (currency === undefined || code === undefined) return [];
  return [
    factStep(country, "currency", currency),
    { need: "code", query: `code ${currency}`, pageId: `currency-${code}`, value: code },
  ];
}

/** The question's text. */
export function wordQuestion(description: Description, target: Target, pick: Pick): string {
  return fill(pick(targetPhrases[target]), { c: description.phrase(pick), k: neighbourRank(description.country) });
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
  return `${country.id}-${pageOf[attribute]}`;
}

/**
 * Whether there is no shortcut: the page of each step (aligned with the chain) gives that step's value and no later one, and the question
 * gives none at all.
 */
export function isSound(
  question: string,
  chain: readonly Step[],
  pages: readonly (Page | undefined)[],
): pages is Page[] {
  const texts = pages.map((page) => (page ? `${page.title} ${page.text}` : ""));
  return chain.every(
    (step, index) =>
      mentions(texts[index], step.value) &&
      !mentions(question, step.value) &&
      texts.slice(0, index).every((earlier) => !mentions(earlier, step.value)),
  );
}
