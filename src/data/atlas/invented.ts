/** @file Countries that do not exist: new names and new facts every time, so that pretraining can only learn to read. */
import type { Random } from "../../random.js";
import type { Country } from "./country.js";

/** What invented countries borrow: shapes of real values of training countries, and the tokenizer's word pieces. */
export interface InventionSource {
  /** Word pieces that start a word, and that continue one (letters only). Empty before a tokenizer exists. */
  starts: readonly string[];
  continuations: readonly string[];
  /** Units of money of training countries: `peso`, `dollar`, … */
  moneyUnits: readonly string[];
  languages: readonly string[];
  regions: readonly string[];
  groups: readonly string[];
}

const onsets =
  "b c d f g h j k l m n p r s t v w z br ch cl cr dr fr gr gl kh kr ll ng pr qu sh sl sp st th tr tz zh y".split(" ");
const vowels = "a a a e e i i o o u ai au ea ei ia ie io oa ou ua uu y".split(" ");
const codas = "n r s l m t d k x ng nd rd st th sh ck ss nt".split(" ");
const endings = "ia a land stan o e an i y istan ua ea is os ar en us".split(" ");

/** A borrowed source without word pieces, from the facts of training countries. */
export function inventionSource(countries: readonly Country[]): InventionSource {
  const distinct = (values: readonly (string | undefined)[]) => [
    ...new Set(values.filter((value): value is string => value !== undefined)),
  ];
  return {
    starts: [],
    continuations: [],
    moneyUnits: distinct(countries.map((country) => country.facts.currency?.split(" ").at(-1))),
    languages: distinct(countries.map((country) => country.facts.language)),
    regions: distinct(countries.map((country) => country.region)),
    groups: distinct(countries.map((country) => country.asides.group)),
  };
}

/** The same source with the letter-only pieces of a vocabulary (`Ġ` marks a leading blank). */
export function withPieces(source: InventionSource, vocabulary: readonly string[]): InventionSource {
  return {
    ...source,
    starts: vocabulary.filter((piece) => /^Ġ[A-Z][A-Za-z]*$/.test(piece)).map((piece) => piece.slice(1)),
    continuations: vocabulary.filter((piece) => /^[a-z]+$/.test(piece)),
  };
}

/** One capitalised word: random syllables, or (half of the time, when there is a vocabulary) 1–4 random pieces glued together. */
function inventWord(random: Random, source: InventionSource): string {
  if (source.starts.length > 0 && random.next() < 0.6) {
    let word = random.next() < 0.8 ? random.choice(source.starts) : capitalise(random.choice(source.continuations));
    const more = random.integer(4) + (word.length < 3 ? 1 : 0);
    for (let index = 0; index < more && word.length < 14; index++) word += random.choice(source.continuations);
    return word;
  }
  let word = random.next() < 0.8 ? random.choice(onsets) : "";
  const syllables = 1 + random.integer(3);
  for (let index = 0; index < syllables; index++) {
    word += random.choice(vowels);
    if (random.next() < 0.4) word += random.choice(codas);
    if (index < syllables - 1) word += random.choice(onsets);
  }
  if (random.next() < 0.4) word += random.choice(endings);
  return capitalise(word);
}

/** A name of one to three words. */
export function inventName(random: Random, source: InventionSource): string {
  const word = inventWord(random, source);
  const form = random.next();
  if (form < 0.66) return word;
  if (form < 0.76) return `${word} ${inventWord(random, source)}`;
  if (form < 0.82) return `${random.choice(["Saint", "North", "South", "New", "Port", "San", "El"])} ${word}`;
  if (form < 0.88) return `${word} ${random.choice(["Islands", "City", "Republic", "Island", "Town"])}`;
  if (form < 0.92) return `${word} and ${inventWord(random, source)}`;
  if (form < 0.94) return `${inventWord(random, source)} ${word} ${inventWord(random, source)}`;
  if (form < 0.97) return `${word}-${inventWord(random, source)}`;
  return `${word}'${inventWord(random, source).toLowerCase()}`;
}

function capitalise(word: string): string {
  return word.charAt(0).toUpperCase() + word.slice(1);
}

/** A whole country. `neighbour` is the name of its largest (or only) neighbour, `id` tells the countries of one sample apart. */
export function inventCountry(random: Random, source: InventionSource, id: string, neighbour?: string): Country {
  const name = inventName(random, source);
  // As in the real world, most words for people and money sound like the country's name without being it.
  const sounding = `${name
    .split(" ")
    .at(-1)
    ?.replace(/[aeiouy]+$/, "")}${random.choice(["ian", "an", "ese", "i", "ish", "ean"])}`;
  const people = random.next() < 0.7 ? sounding : inventWord(random, source);
  const unit = random.next() < 0.6 ? random.choice(source.moneyUnits) : inventWord(random, source).toLowerCase();
  const adjective = random.next() < 0.8 ? people : inventName(random, source);
  return {
    id,
    name,
    facts: {
      capital: inventName(random, source),
      domain: `.${letters(random, 2)}`,
      currency: `${adjective} ${unit}`,
      phone: `+${random.next() < 0.2 ? `1${digits(random, 3)}` : digits(random, 1 + random.integer(3))}`,
      language: random.next() < 0.3 ? random.choice(source.languages) : inventWord(random, source),
      people,
      area: digits(random, 2 + random.integer(6)),
      neighbour: neighbour ?? inventName(random, source),
      name: inventName(random, source),
    },
    currencyCode: letters(random, 3).toUpperCase(),
    currencyUsers: 1 + (random.next() < 0.2 ? random.integer(8) : 0),
    languages: [],
    region: random.choice(source.regions),
    landlocked: random.next() < 0.3,
    neighbours: 1 + random.integer(9),
    asides: {
      olympic: letters(random, 3).toUpperCase(),
      group: random.choice(source.groups),
      latitude: random.integer(120) - 60,
      longitude: random.integer(360) - 180,
      german: inventName(random, source),
      italian: inventName(random, source),
    },
  };
}

function letters(random: Random, count: number): string {
  return Array.from({ length: count }, () => String.fromCharCode(97 + random.integer(26))).join("");
}

/** A number of `count` digits without a leading zero. */
function digits(random: Random, count: number): string {
  return Array.from({ length: count }, (_, index) => (index === 0 ? 1 + random.integer(9) : random.integer(10))).join(
    "",
  );
}
