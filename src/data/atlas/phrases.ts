/** @file How Atlas questions and the searches of an ideal searcher are worded. */
import type { Attribute } from "./country.js";

/** What a question asks for. `code` is the code of the country's currency: it stands on the currency's own page. */
export type Target = Exclude<Attribute, "domain" | "people"> | "code";

/** What a question can start from instead of a country's name. */
export type Bridge = "capital" | "currency" | "phone" | "domain" | "people" | "name" | "code";

export const targets: readonly Target[] = [
  "capital",
  "currency",
  "phone",
  "language",
  "area",
  "neighbour",
  "name",
  "code",
];
export const bridges: readonly Bridge[] = ["capital", "currency", "phone", "domain", "people", "name", "code"];

/** `{c}` is a country's name or a description of a country, `{k}` is `largest` or `only`. */
export const targetPhrases: Readonly<Record<Target, readonly string[]>> = {
  capital: ["What is the capital of {c}?", "Which city is the capital of {c}?", "Name the capital of {c}."],
  currency: ["What is the currency of {c}?", "Which currency is used in {c}?", "Name the currency of {c}."],
  phone: ["What is the phone prefix of {c}?", "Which phone prefix does {c} have?", "Give the phone prefix of {c}."],
  language: ["What is the language of {c}?", "Which language is spoken in {c}?", "Name the language of {c}."],
  area: [
    "What is the area of {c} in square kilometres?",
    "How many square kilometres is the area of {c}?",
    "How large is the area of {c}?",
  ],
  neighbour: [
    "What is the {k} neighbour of {c}?",
    "Which country is the {k} neighbour of {c}?",
    "Name the {k} neighbour of {c}.",
  ],
  name: [
    "What is the local name of {c}?",
    "Under which local name is {c} known at home?",
    "Give the local name of {c}.",
  ],
  code: [
    "What is the code of the currency of {c}?",
    "Which code does the currency of {c} have?",
    "Give the code of the currency of {c}.",
  ],
};

/** Descriptions of a country by something on one of its pages. */
export const bridgePhrases: Readonly<Record<Bridge, readonly string[]>> = {
  capital: [
    "the country whose capital is {v}",
    "the country with the capital {v}",
    "the country that has {v} as capital",
  ],
  currency: [
    "the country whose currency is the {v}",
    "the country that uses the {v} as currency",
    "the country with the {v} as currency",
  ],
  phone: [
    "the country whose phone prefix is {v}",
    "the country with the phone prefix {v}",
    "the country that has the phone prefix {v}",
  ],
  domain: [
    "the country whose internet domain is {v}",
    "the country with the internet domain {v}",
    "the country that uses the internet domain {v}",
  ],
  people: [
    "the country whose people are called {v}",
    "the country where the people are called {v}",
    "the country with people called {v}",
  ],
  name: [
    "the country whose local name is {v}",
    "the country with the local name {v}",
    "the country that has the local name {v}",
  ],
  code: [
    "the country whose currency has the code {v}",
    "the country that uses the currency with the code {v}",
    "the country where the currency has the code {v}",
  ],
};

export const neighbourPhrases: readonly string[] = [
  "the {k} neighbour of {c}",
  "the country that is the {k} neighbour of {c}",
  "the {k} country bordering {c}",
];

/** What one search is after: a fact of a known country, the country behind a known fact, or the two sides of a currency. */
export type Need = Target | "country" | "currency name";

/** The thought before a search. */
export function needThought(need: Need): string {
  return ` I need the ${need === "currency name" ? "currency" : need}.`;
}

/** The thought before an answer that was read. */
export const knowThought = " I know it.";

/** The thoughts before bad moves, which pretraining shows and reinforcement learning has to unlearn. */
export const badThoughts = { guess: " I guess.", look: " I look around.", stop: " I give up." } as const;
