/** @file The countries of the world as Atlas records, from the npm package `world-countries` (ODbL 1.0). */
import { createRequire } from "node:module";
import type { Countries, Country as Source } from "world-countries";
import { derived, foldToAscii, type Attribute, type Country } from "./country.js";

// The package's types describe a default export that its CommonJS entry does not have; `require` gives the list itself.
const worldCountries = createRequire(import.meta.url)("world-countries") as Countries;

/**
 * Every entry of `world-countries` that has a capital, a currency, a language, a subregion and a domain: 242 of 250.
 * Folded to ASCII. A fact with several values, an unclear value, or one that can be derived from the country's name is left out.
 */
export function realCountries(): Country[] {
  const byCode = new Map(worldCountries.map((source) => [source.cca3, source]));
  const currencyUsers = new Map<string, number>();
  for (const source of worldCountries) {
    for (const code of Object.keys(source.currencies)) currencyUsers.set(code, (currencyUsers.get(code) ?? 0) + 1);
  }
  return worldCountries.filter(isComplete).map((source) => toCountry(source, byCode, currencyUsers));
}

function isComplete(source: Source): boolean {
  return (
    source.capital.length > 0 &&
    Object.keys(source.currencies).length > 0 &&
    Object.keys(source.languages).length > 0 &&
    source.subregion !== "" &&
    source.tld.length > 0
  );
}

function toCountry(source: Source, byCode: Map<string, Source>, currencyUsers: Map<string, number>): Country {
  const name = foldToAscii(source.name.common);
  const currencies = Object.entries(source.currencies);
  const languages = Object.values(source.languages).map(foldToAscii);
  const neighbours = source.borders.flatMap((code) => byCode.get(code) ?? []);
  const largest = neighbours.reduce<Source | undefined>(
    (best, other) => (best === undefined || other.area > best.area ? other : best),
    undefined,
  );
  const facts: Partial<Record<Attribute, string>> = {};
  const put = (attribute: Attribute, value: string | undefined) => {
    if (value !== undefined && /^[\x20-\x7e]+$/.test(value) && !/[,()]/.test(value)) facts[attribute] = value;
  };
  if (source.capital.length === 1) put("capital", foldToAscii(source.capital[0]));
  put("domain", source.tld[0]);
  if (currencies.length === 1) put("currency", foldToAscii(currencies[0][1].name));
  if (source.idd.suffixes.length === 1) put("phone", `${source.idd.root}${source.idd.suffixes[0]}`);
  if (languages.length === 1) put("language", languages[0]);
  put("people", demonym(source));
  if (source.area >= 1) put("area", String(Math.round(source.area)));
  if (largest) put("neighbour", foldToAscii(largest.name.common));
  put("name", localName(source, name));
  return {
    id: source.cca3,
    name,
    facts,
    ...(currencies.length === 1 ? { currencyCode: currencies[0][0] } : {}),
    currencyUsers: currencies.length === 1 ? (currencyUsers.get(currencies[0][0]) ?? 1) : 0,
    languages,
    region: foldToAscii(source.subregion),
    landlocked: source.landlocked,
    neighbours: neighbours.length,
    asides: {
      ...(source.cioc ? { olympic: source.cioc } : {}),
      ...(source.unRegionalGroup ? { group: source.unRegionalGroup } : {}),
      latitude: Math.round(source.latlng[0]),
      longitude: Math.round(source.latlng[1]),
      german: foldToAscii(source.translations.deu?.common ?? "") || undefined,
      italian: foldToAscii(source.translations.ita?.common ?? "") || undefined,
    },
  };
}

/** What its people are called, in at most two words. */
function demonym(source: Source): string | undefined {
  const word = foldToAscii(source.demonyms.eng?.m ?? "");
  return word !== "" && word.split(" ").length <= 2 && !word.includes("Islander") ? word : undefined;
}

/** The country's own name for itself, when it is the same in all its languages, written in Latin letters and unlike the English one. */
function localName(source: Source, name: string): string | undefined {
  const names = new Set(Object.values(source.name.native).map((native) => foldToAscii(native.common)));
  const [only] = names;
  return names.size === 1 && !derived(only, name, 4) ? only : undefined;
}
