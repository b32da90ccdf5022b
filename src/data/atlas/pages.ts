/** @file Renders a country's facts as short encyclopedia pages: two or three sentences in varied wordings. */
import { deriveSeed, uniformAt } from "../../random.js";
import { mentions, pageOf, type Attribute, type Country, type PageKind } from "./country.js";

/** A document of the corpus. */
export interface Page {
  id: string;
  title: string;
  text: string;
}

/**
 * Wordings of one fact. `lead` opens a page and names the country, `follow` continues one. Every wording keeps the word
 * that a natural query for the fact uses (see `queryWord`), as an encyclopedia would.
 */
interface Wordings {
  lead: readonly string[];
  follow: readonly string[];
}

const wordings: Readonly<Record<Exclude<Attribute, "neighbour">, Wordings>> = {
  capital: {
    lead: [
      "{v} is the capital of {c}.",
      "The capital of {c} is {v}.",
      "{c} has its capital at {v}.",
      "{c} is governed from its capital, {v}.",
    ],
    follow: [
      "Its capital is {v}.",
      "The capital is {v}.",
      "{v} is the capital.",
      "The government sits in the capital, {v}.",
    ],
  },
  domain: {
    lead: [
      "The internet domain of {c} is {v}.",
      "Websites of {c} end in the domain {v}.",
      "{c} uses the internet domain {v}.",
      "On the internet {c} has the domain {v}.",
    ],
    follow: [
      "Its internet domain is {v}.",
      "Websites end in the domain {v}.",
      "The internet domain is {v}.",
      "It uses the domain {v} on the internet.",
    ],
  },
  currency: {
    lead: [
      "The currency of {c} is the {v}.",
      "The {v} is the currency of {c}.",
      "{c} uses the {v} as its currency.",
      "The currency in use in {c} is the {v}.",
    ],
    follow: [
      "Its currency is the {v}.",
      "The {v} is its currency.",
      "The currency is the {v}.",
      "It uses the {v} as currency.",
    ],
  },
  phone: {
    lead: [
      "The phone prefix of {c} is {v}.",
      "Calls to {c} begin with the phone prefix {v}.",
      "{c} has the phone prefix {v}.",
      "From abroad {c} is reached under the phone prefix {v}.",
    ],
    follow: [
      "Its phone prefix is {v}.",
      "The phone prefix is {v}.",
      "Calls begin with the phone prefix {v}.",
      "It has the phone prefix {v}.",
    ],
  },
  language: {
    lead: [
      "The language of {c} is {v}.",
      "{v} is the language of {c}.",
      "The language spoken in {c} is {v}.",
      "In {c} the official language is {v}.",
    ],
    follow: [
      "The language is {v}.",
      "Their language is {v}.",
      "They speak the language {v}.",
      "{v} is the official language.",
    ],
  },
  people: {
    lead: [
      "The people of {c} are called {v}.",
      "People from {c} are called {v}.",
      "{v} is what people from {c} are called.",
      "{v} is the word for the people of {c}.",
    ],
    follow: ["Its people are called {v}.", "The people are called {v}.", "People from there are called {v}."],
  },
  area: {
    lead: [
      "The area of {c} is {v} square kilometres.",
      "{c} covers an area of {v} square kilometres.",
      "{c} has an area of {v} square kilometres.",
      "The land of {c} spans an area of {v} square kilometres.",
    ],
    follow: ["Its area is {v} square kilometres.", "It covers an area of {v} square kilometres."],
  },
  name: {
    lead: [
      "The local name of {c} is {v}.",
      "{v} is the local name of {c}.",
      "{c} is known at home by its local name, {v}.",
      "{c} has the local name {v}.",
    ],
    follow: ["Its local name is {v}."],
  },
};

const neighbourLead: readonly string[] = [
  "The {k} neighbour of {c} is {v}.",
  "{v} is the {k} neighbour of {c}.",
  "{c} has {v} as its {k} neighbour.",
  "The {k} neighbour that {c} borders is {v}.",
];

const titles: Readonly<Record<PageKind, readonly string[]>> = {
  government: ["Government of {c}", "Politics of {c}"],
  economy: ["Economy of {c}", "Trade of {c}"],
  people: ["People of {c}", "Society of {c}"],
  geography: ["Geography of {c}", "Land of {c}"],
  borders: ["Borders of {c}", "Frontiers of {c}"],
  names: ["Names of {c}", "Name of {c}"],
};

/** Fills `{slots}`; every slot must be given. */
export function fill(template: string, slots: Readonly<Record<string, string>>): string {
  return template.replace(/\{(\w+)\}/g, (_, slot: string) => {
    const value = slots[slot];
    if (value === undefined) throw new Error(`internal: template "${template}" lacks a value for {${slot}}`);
    return value;
  });
}

/** Draws one of several wordings. */
export type Pick = <T>(items: readonly T[]) => T;

/** A picker whose choices depend on nothing but its seed and how often it was asked. */
function picker(seed: number): Pick {
  let counter = 0;
  return (items) => items[Math.floor(uniformAt(seed, counter++) * items.length)];
}

/** `only` or `largest`, as the facts allow. */
export function neighbourRank(country: Country): string {
  return country.neighbours === 1 ? "only" : "largest";
}

const pageKinds = [...new Set<PageKind>(Object.values(pageOf))];

/** The pages about the country's facts: one of each kind that it has a fact for. Wordings are drawn from `seed`. */
export function renderPages(country: Country, seed: number): Page[] {
  return pageKinds.flatMap((kind) => {
    const pick = picker(deriveSeed(seed, "page", country.id, kind));
    const sentences = sentencesOf(country, kind, pick);
    if (sentences.length === 0) return [];
    const title = fill(pick(titles[kind]), { c: country.name });
    return [{ id: `${country.id}-${kind}`, title, text: upperFirst(sentences.join(" ")) }];
  });
}

function sentencesOf(country: Country, kind: PageKind, pick: Pick): string[] {
  switch (kind) {
    case "government":
      return twoFacts(country, "capital", "domain", pick);
    case "economy":
      return twoFacts(country, "currency", "phone", pick);
    case "people":
      return country.facts.language === undefined && country.languages.length > 1
        ? [...twoFacts(country, "people", "language", pick), manyLanguages(country)]
        : twoFacts(country, "people", "language", pick);
    case "geography": {
      if (country.facts.area === undefined) return [];
      const place = pick([`It lies in ${country.region}.`, `It is part of ${country.region}.`]);
      const coast = pick(
        country.landlocked ? ["It is landlocked.", "It has no coast."] : ["It has a coast.", "It meets the sea."],
      );
      return [state(country, "area", "lead", pick), ...(pick([true, false]) ? [place] : [coast])];
    }
    case "borders": {
      if (country.facts.neighbour === undefined) return [];
      const slots = { c: country.name, v: country.facts.neighbour, k: neighbourRank(country) };
      const count = country.neighbours;
      const rest =
        count === 1 ? ["There is no other."] : [`It is one of ${count} neighbours.`, `There are ${count} neighbours.`];
      return [fill(pick(neighbourLead), slots), pick(rest)];
    }
    case "names": {
      if (country.facts.name === undefined) return [];
      const olympic = country.asides.olympic;
      return [
        state(country, "name", "lead", pick),
        ...(olympic ? [`At the Olympic Games it appears as ${olympic}.`] : []),
      ];
    }
  }
}

function twoFacts(country: Country, first: StatedAttribute, second: StatedAttribute, pick: Pick): string[] {
  const known = (pick([true, false]) ? [first, second] : [second, first]).filter(
    (name) => country.facts[name] !== undefined,
  );
  return known.map((attribute, index) => state(country, attribute, index === 0 ? "lead" : "follow", pick));
}

type StatedAttribute = Exclude<Attribute, "neighbour">;

function state(country: Country, attribute: StatedAttribute, place: keyof Wordings, pick: Pick): string {
  const value = country.facts[attribute];
  if (value === undefined) throw new Error(`internal: ${country.name} has no ${attribute}`);
  return fill(pick(wordings[attribute][place]), { c: country.name, v: value });
}

function manyLanguages(country: Country): string {
  const several = country.languages.slice(0, 3);
  return `They speak ${several.slice(0, -1).join(", ")} and ${several[several.length - 1]}.`;
}

function upperFirst(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}

const codeWordings: readonly string[] = [
  "Exchanges list it under the code {v}.",
  "Its code is {v}.",
  "Banks know it by the code {v}.",
  "Its code on price lists is {v}.",
];

/** The page of the country's currency, where it has exactly one. It never names a country, so code → currency → country takes two searches. */
export function renderCurrencyPage(country: Country, seed: number): Page[] {
  const { currencyCode: code, currencyUsers: users } = country;
  const { currency } = country.facts;
  if (currency === undefined || code === undefined) return [];
  const pick = picker(deriveSeed(seed, "currency", code));
  const where = users === 1 ? "one country" : `${users} countries`;
  const use = pick([`This money is used in ${where}.`, `It is the money of ${where}.`]);
  const listed = fill(pick(codeWordings), { v: code });
  return [{ id: `currency-${code}`, title: `The ${currency}`, text: pick([`${use} ${listed}`, `${listed} ${use}`]) }];
}

/** Pages about things that no question asks: they make search harder, as in any real corpus. */
export function renderAsides(country: Country, seed: number): Page[] {
  const pick = picker(deriveSeed(seed, "asides", country.id));
  const { group, german, italian, latitude, longitude } = country.asides;
  const c = country.name;
  const pages: Page[] = [
    {
      id: `${country.id}-position`,
      title: `Position of ${c}`,
      text: pick([
        `On the map ${c} is found near latitude ${latitude} and longitude ${longitude}.`,
        `${c} is centred near longitude ${longitude} and latitude ${latitude}.`,
      ]),
    },
  ];
  if (group) {
    pages.push({
      id: `${country.id}-diplomacy`,
      title: `Diplomacy of ${c}`,
      text: pick([
        `At the United Nations ${c} sits in the ${group}.`,
        `${c} votes with the ${group} of the United Nations.`,
      ]),
    });
  }
  if (german && italian && !mentions(`${german} ${italian}`, c)) {
    pages.push({
      id: `${country.id}-abroad`,
      title: `How others write ${c}`,
      text: pick([
        `A German writes ${german}, an Italian ${italian}.`,
        `Italian maps show ${italian}, German maps ${german}.`,
      ]),
    });
  }
  return pages;
}
