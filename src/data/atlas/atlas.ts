/** @file Atlas, the built-in world: real countries, their pages, and questions over three disjoint sets of countries. */
import { Random } from "../../random.js";
import { foldToAscii, mentions, type Country } from "./country.js";
import { renderAsides, renderCurrencyPage, renderPages, type Page } from "./pages.js";
import type { Bridge } from "./phrases.js";
import { buildQuestions, type AtlasQuestion } from "./questions.js";
import { realCountries } from "./real-countries.js";

type Split = "train" | "validation" | "test";

export interface Atlas {
  countries: Record<Split, Country[]>;
  /** The whole corpus, in a fixed order. */
  passages: Page[];
  questions: Record<Split, AtlasQuestion[]>;
  /** Pages that speak only of training countries: all that pretraining may read. */
  trainingPages: Page[];
}

export interface AtlasOptions {
  /** Decides the split, the wordings and the draw of questions. Default 0, the world of the shipped base model. */
  seed?: number;
  /** Most questions per number of hops. Default 3,000 for training, 150 for validation, 400 for test. */
  perHops?: Partial<Record<Split, number>>;
}

const defaultPerHops: Readonly<Record<Split, number>> = { train: 3000, validation: 150, test: 400 };

/** Builds the world; a pure function of its options, in about a tenth of a second. */
export function buildAtlas(options: AtlasOptions = {}): Atlas {
  const seed = options.seed ?? 0;
  const all = realCountries();
  const splits = splitCountries(all, seed);
  const pages = renderWorld(all, seed);
  const byId = new Map(pages.map((page) => [page.id, page]));
  const counts = countValues(all);
  const ambiguous = ambiguousNames(all);
  const countries = { train: [], validation: [], test: [] } as Record<Split, Country[]>;
  for (const country of all) countries[splits.get(country.id) ?? "train"].push(country);
  const questionsOf = (split: Split): AtlasQuestion[] => {
    const world: Parameters<typeof buildQuestions>[0] = {
      countries: countries[split],
      isUnique: (bridge, value) => counts.get(`${bridge}:${value.toLowerCase()}`) === 1,
      isRareLanguage: (language) => all.filter((country) => country.languages.includes(language)).length <= 3,
      isAmbiguous: (country) => ambiguous.has(country.id),
      page: (id) => byId.get(id),
    };
    const limit = options.perHops?.[split] ?? defaultPerHops[split];
    return draw(buildQuestions(world, seed, `atlas-${split}`), limit, new Random(seed, "draw", split));
  };
  return {
    countries,
    passages: pages,
    questions: { train: questionsOf("train"), validation: questionsOf("validation"), test: questionsOf("test") },
    trainingPages: trainingPages(pages, countries),
  };
}

function renderWorld(countries: readonly Country[], seed: number): Page[] {
  const pages = countries.flatMap((country) => [
    ...renderPages(country, seed),
    ...renderAsides(country, seed),
    ...renderCurrencyPage(country, seed),
  ]);
  // Countries that share a currency share its page.
  const known = new Set<string>();
  return pages.filter(({ id }) => !known.has(id) && known.add(id));
}

/** How many countries share each value that could identify one. */
function countValues(countries: readonly Country[]): Map<string, number> {
  const counts = new Map<string, number>();
  const add = (bridge: Bridge, value: string | undefined, users = 1) => {
    const key = `${bridge}:${value?.toLowerCase()}`;
    if (value !== undefined) counts.set(key, (counts.get(key) ?? 0) + users);
  };
  for (const country of countries) {
    const { capital, currency, phone, domain, people, name } = country.facts;
    add("capital", capital);
    // Counted over all countries of the source, also those that pay with several currencies.
    add("currency", currency, country.currencyUsers);
    add("code", country.currencyCode, country.currencyUsers);
    add("phone", phone);
    // A word for the people may also be a language, or part of a country's name: then it does not find its page.
    const elsewhere = countries.some((other) => other !== country && mentions(allText(other), people ?? "-"));
    add("people", people, elsewhere ? 2 : 1);
    add("name", name);
    // Words that search engines drop (`.is`, `.in`, …) cannot be searched for.
    add("domain", domain, domain !== undefined && stopWords.has(domain.slice(1)) ? 2 : 1);
  }
  return counts;
}

function allText(country: Country): string {
  return [country.name, country.facts.people ?? "", country.facts.currency ?? "", ...country.languages].join(" | ");
}

/** Lucene's English stop words of two letters. */
const stopWords: ReadonlySet<string> = new Set("an as at be by if in is it no of on or to".split(" "));

/** Countries whose name is contained in another one's (Guinea, Samoa, …), or holds more than letters, blanks and hyphens. */
function ambiguousNames(countries: readonly Country[]): Set<string> {
  const wordsOf = (name: string) =>
    new Set(
      foldToAscii(name)
        .toLowerCase()
        .match(/[a-z]+/g) ?? [],
    );
  const names = countries.map((country) => ({ country, words: wordsOf(country.name) }));
  const result = new Set<string>();
  for (const { country, words } of names) {
    const contained = names.some(
      (other) => other.country !== country && [...words].every((word) => other.words.has(word)),
    );
    if (contained || !/^[A-Za-z' -]+$/.test(country.name)) result.add(country.id);
  }
  return result;
}

/** At most `limit` questions of each number of hops, in a shuffled order. */
function draw(questions: readonly AtlasQuestion[], limit: number, random: Random): AtlasQuestion[] {
  const kept = [1, 2, 3].flatMap((hops) =>
    random.shuffle(questions.filter((question) => question.hops === hops)).slice(0, limit),
  );
  return random.shuffle(kept);
}

function trainingPages(pages: readonly Page[], countries: Readonly<Record<Split, Country[]>>): Page[] {
  const heldOut = [...countries.validation, ...countries.test];
  const ids = new Set(heldOut.map((country) => country.id));
  const currencies = new Set(heldOut.map((country) => `currency-${country.currencyCode}`));
  const names = heldOut.map((country) => country.name.toLowerCase());
  return pages.filter((page) => {
    if (ids.has(page.id.slice(0, 3)) || currencies.has(page.id)) return false;
    // A training country's page may name a held-out neighbour.
    const text = `${page.title} ${page.text}`.toLowerCase();
    return !names.some((name) => text.includes(name));
  });
}

/** Shares of the countries; training takes the rest. */
const splitShares: Readonly<Record<Exclude<Split, "train">, number>> = { test: 0.24, validation: 0.1 };

/**
 * Assigns every country to one split. A question about the neighbour of a country needs both in the same split, so part of
 * each held-out split consists of families: a country together with those of which it is the largest (or only) neighbour.
 */
function splitCountries(countries: readonly Country[], seed: number): Map<string, Split> {
  const random = new Random(seed, "split");
  const children = new Map<string, Country[]>();
  for (const country of countries) {
    const largest = country.facts.neighbour;
    if (largest !== undefined) children.set(largest, [...(children.get(largest) ?? []), country]);
  }
  const families = countries
    .map((parent) => [parent, ...(children.get(parent.name) ?? [])])
    .filter((family) => family.length >= 2 && family.length <= 6);
  const result = new Map<string, Split>();
  for (const split of ["test", "validation"] as const) {
    const target = Math.round(splitShares[split] * countries.length);
    let size = 0;
    const take = (country: Country) => {
      result.set(country.id, split);
      size += 1;
    };
    for (const family of random.shuffle(families)) {
      const free = family.filter((country) => !result.has(country.id));
      if (free.length === family.length && size + free.length <= 0.6 * target) free.forEach(take);
    }
    for (const country of random.shuffle(countries)) {
      if (size < target && !result.has(country.id)) take(country);
    }
  }
  for (const country of countries) if (!result.has(country.id)) result.set(country.id, "train");
  return result;
}
