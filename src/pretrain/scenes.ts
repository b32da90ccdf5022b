/** @file Scenes for pretraining: a question about one or two countries, the pages that answer it, and pages that do not. */
import type { Atlas } from "../data/atlas/atlas.js";
import {
  bridgeValue,
  described,
  isSound,
  named,
  neighbourOf,
  targetSteps,
  wordQuestion,
  type Step,
} from "../data/atlas/chains.js";
import { mentions, type Country } from "../data/atlas/country.js";
import { inventCountry, inventName, inventionSource, type InventionSource } from "../data/atlas/invented.js";
import { renderAsides, renderCurrencyPage, renderPages, type Page } from "../data/atlas/pages.js";
import { bridges, targets, type Need } from "../data/atlas/phrases.js";
import type { Random } from "../random.js";

export interface Scene {
  question: string;
  chain: Step[];
  /** What each step finds, aligned with the chain. */
  pages: Page[];
  /** Pages of the same countries that do not help. */
  others: Page[];
  /** The country at the end of the chain. */
  country: Country;
}

/** Where scenes come from: training countries with clean pages, and the stuff of invented ones. */
export interface SceneSource {
  real: readonly Country[];
  invention: InventionSource;
  /** Share of scenes about training countries; the rest is invented. */
  realShare: number;
}

/** The training side of Atlas; nothing of a validation or test country is in it. */
export function sceneSource(world: Atlas, realShare = 0.25): SceneSource {
  const heldOut = [...world.countries.validation, ...world.countries.test].map((country) => country.name);
  const real = world.countries.train.filter((country) => {
    const text = [country.name, ...Object.values(withoutNeighbour(country).facts)].join(" | ");
    return !heldOut.some((name) => mentions(text, name));
  });
  const names = new Set(real.map((country) => country.name));
  return {
    real: real.map((country) => (names.has(country.facts.neighbour ?? "") ? country : withoutNeighbour(country))),
    invention: inventionSource(real),
    realShare,
  };
}

/** A page about the neighbour would name a held-out country. */
function withoutNeighbour(country: Country): Country {
  return { ...country, facts: { ...country.facts, neighbour: undefined } };
}

/** A scene that takes `hops` searches. */
export function makeScene(random: Random, source: SceneSource, hops: number): Scene {
  for (;;) {
    const [country, neighbour] = drawCountries(random, source);
    const scene = tryScene(random, country, neighbour, hops);
    if (scene) return scene;
  }
}

/** A country and the one that is its largest (or only) neighbour. */
function drawCountries(random: Random, source: SceneSource): [Country, Country | undefined] {
  if (random.next() < source.realShare) {
    const country = random.choice(source.real);
    return [country, source.real.find((other) => other.name === country.facts.neighbour)];
  }
  const neighbour = inventCountry(random, source.invention, "B");
  return [inventCountry(random, source.invention, "A", neighbour.name), neighbour];
}

function tryScene(random: Random, country: Country, neighbour: Country | undefined, hops: number): Scene | undefined {
  const seed = random.integer(0x7fffffff);
  for (let attempt = 0; attempt < 12; attempt++) {
    const bridge = random.choice(bridges);
    const value = bridgeValue(country, bridge);
    const near = random.next() < 0.5 || value === undefined ? named(country) : described(country, bridge, value);
    const meant = neighbour && random.next() < 0.5 ? neighbourOf(near, neighbour) : near;
    const target = random.choice(targets);
    const end = targetSteps(meant.country, target);
    const chain = [...meant.steps, ...end];
    if (end.length === 0 || chain.length !== hops) continue;
    const question = wordQuestion(meant, target, (items) => random.choice(items));
    const shelf = library([country, ...(neighbour ? [neighbour] : [])], seed);
    const pages = chain.map((step) => shelf.find((page) => page.id === step.pageId));
    if (!isSound(question, chain, pages)) continue;
    const others = shelf.filter((page) => !pages.includes(page));
    return { question, chain, pages, others, country: meant.country };
  }
  return undefined;
}

function library(countries: readonly Country[], seed: number): Page[] {
  return countries.flatMap((country) => [
    ...renderPages(country, seed),
    ...renderCurrencyPage(country, seed),
    ...renderAsides(country, seed),
  ]);
}

/** A plausible wrong answer to a need: the same kind of value from nowhere. */
export function wrongValue(random: Random, source: SceneSource, need: Need): string {
  const country = random.next() < 0.4 ? random.choice(source.real) : inventCountry(random, source.invention, "X");
  if (need === "country") return country.name;
  if (need === "code") return country.currencyCode ?? inventName(random, source.invention);
  return country.facts[need === "currency name" ? "currency" : need] ?? inventName(random, source.invention);
}
