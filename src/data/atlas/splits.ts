/** @file Divides the countries into training, validation and held-out test, keeping some neighbours together. */
import { Random } from "../../random.js";
import type { Country } from "./country.js";

export type Split = "train" | "validation" | "test";

/** Shares of the countries; training takes the rest. */
const splitShares: Readonly<Record<Exclude<Split, "train">, number>> = { test: 0.24, validation: 0.1 };

/**
 * Assigns every country to one split. A question about the neighbour of a country needs both in the same split, so part of
 * each held-out split consists of families: a country together with those of which it is the largest (or only) neighbour.
 */
export function splitCountries(countries: readonly Country[], seed: number): Map<string, Split> {
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
