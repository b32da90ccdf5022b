/** @file What Atlas knows about one country: the record that real and invented countries share. */

/** A fact that a page states and a question can ask for or start from. */
export type Attribute =
  "capital" | "domain" | "currency" | "phone" | "language" | "people" | "area" | "neighbour" | "name";

/** The pages of a country whose facts are asked for. */
export type PageKind = "government" | "economy" | "people" | "geography" | "borders" | "names";

export interface Country {
  /** Stable identifier: the three-letter code, or a number for an invented country. */
  id: string;
  name: string;
  /** One clear value per attribute; an attribute without one is absent and never asked. */
  facts: Partial<Record<Attribute, string>>;
  /** Code of the currency (ISO 4217), when the country has exactly one currency. */
  currencyCode?: string;
  /** Number of countries that pay with this currency. */
  currencyUsers: number;
  /** Every language when there are several; then `facts.language` is absent. */
  languages: readonly string[];
  region: string;
  landlocked: boolean;
  /** Number of land neighbours. With one, `facts.neighbour` is the only one, else the largest by area. */
  neighbours: number;
  /** Facts that no question asks for: the distractor pages. */
  asides: { olympic?: string; group?: string; latitude: number; longitude: number; german?: string; italian?: string };
}

/** On which page a fact stands. Facts that share a page need no second search. */
export const pageOf: Readonly<Record<Attribute, PageKind>> = {
  capital: "government",
  domain: "government",
  currency: "economy",
  phone: "economy",
  language: "people",
  people: "people",
  area: "geography",
  neighbour: "borders",
  name: "names",
};

/** Folds accents away and keeps printable ASCII: `São Tomé` becomes `Sao Tome`. */
export function foldToAscii(text: string): string {
  return text
    .normalize("NFD")
    .replace(/[\u0300-\u036f]/g, "")
    .replace(/[ʻʼ’‘`]/g, "'")
    .replace(/đ/g, "d")
    .replace(/Đ/g, "D")
    .replace(/ł/g, "l")
    .replace(/Ł/g, "L")
    .replace(/ı/g, "i")
    .replace(/ß/g, "ss");
}

/** Whether `value` occurs in `text` as whole words, whatever the case. */
export function mentions(text: string, value: string): boolean {
  const haystack = text.toLowerCase();
  const needle = value.toLowerCase();
  for (let at = haystack.indexOf(needle); at >= 0; at = haystack.indexOf(needle, at + 1)) {
    const before = at === 0 ? " " : haystack[at - 1];
    const after = haystack[at + needle.length] ?? " ";
    if (!/[a-z0-9]/.test(before) && !/[a-z0-9]/.test(after)) return true;
  }
  return false;
}

/** Whether a word of `value` begins like a word of `name`, so that a fluent guesser could derive one from the other. */
export function derived(value: string, name: string, letters: number): boolean {
  const words = (text: string) => text.toLowerCase().match(/[a-z]+/g) ?? [];
  const stems = new Set(
    words(name)
      .filter((word) => word.length >= letters)
      .map((word) => word.slice(0, letters)),
  );
  return words(value).some((word) => word.length >= letters && stems.has(word.slice(0, letters)));
}
