/** @file The pruned scorer against every passage scored, over corpora that are hard to prune; and the same test with bounds that lie. */
import fc from "fast-check";
import { afterEach, describe, expect, it, vi } from "vitest";
import { Analyzer } from "../text/analyzer.js";
import type { Scored } from "../top-k.js";
import { SegmentBounds, TfComponents } from "./impacts.js";
import { snapshotInMemory } from "./in-memory.js";
import { Bm25Scorer } from "./scorer.js";
import type { Bm25Snapshot } from "./snapshot.js";

const analyzer = new Analyzer({ stemmer: "none", stopWords: [] });

/** A passage is its terms with their frequencies. */
interface Made {
  frequencies: Record<string, number>;
  isDeleted: boolean;
}

interface World {
  segments: Made[][];
  queries: string[][];
  k: number;
  k1: number;
  b: number;
  windowPassages: number;
}

function lengthOf({ frequencies }: Made): number {
  return Object.values(frequencies).reduce((sum, frequency) => sum + frequency, 0);
}

function snapshotOf({ segments, k1, b }: World): Bm25Snapshot {
  const all = segments.flat();
  const living = all.filter(({ isDeleted }) => !isDeleted);
  const deletedFrequencies = new Map<string, number>();
  for (const { frequencies, isDeleted } of all)
    if (isDeleted)
      for (const term of Object.keys(frequencies))
        deletedFrequencies.set(term, (deletedFrequencies.get(term) ?? 0) + 1);
  let firstPassage = 0;
  return {
    analyzer: analyzer.settings,
    k1,
    b,
    segments: segments.map((passages) => {
      const texts = passages.map(({ frequencies }) =>
        Object.entries(frequencies)
          .map(([term, frequency]) => `${term} `.repeat(frequency))
          .join(""),
      );
      const [segment] = snapshotInMemory(
        texts.map((text) => ({ id: "", title: "", text })),
        { analyzer: analyzer.settings },
      ).segments;
      const first = firstPassage;
      firstPassage += passages.length;
      const deleted = passages.some(({ isDeleted }) => isDeleted)
        ? { deleted: Uint8Array.from(passages, ({ isDeleted }) => Number(isDeleted)) }
        : {};
      return { ...segment, firstPassage: first, ...deleted };
    }),
    passages: living.length,
    totalLength: living.reduce((sum, passage) => sum + lengthOf(passage), 0),
    deletedFrequencies,
  };
}

/** The formula, for every passage that is not deleted; terms in the order of JavaScript's strings. */
function everyPassageScored({ segments, k1, b, k }: World, query: readonly string[]): Scored[] {
  const all = segments.flat();
  const living = all.filter(({ isDeleted }) => !isDeleted);
  const N = living.length;
  const meanLength = living.reduce((sum, passage) => sum + lengthOf(passage), 0) / N;
  const terms = [...new Set(query)].sort().map((term) => {
    const n = living.filter(({ frequencies }) => term in frequencies).length;
    const count = query.filter((other) => other === term).length;
    return { term, weight: count * Math.log(1 + (N - n + 0.5) / (n + 0.5)) };
  });
  const scoreOf = (passage: Made): number => {
    let score = 0;
    for (const { term, weight } of terms) {
      const frequency = passage.frequencies[term] ?? 0;
      if (frequency === 0) continue;
      score += weight * (frequency / (frequency + k1 * (1 - b + (b * lengthOf(passage)) / meanLength)));
    }
    return score;
  };
  return all
    .map((passage, number) => ({ item: number, score: passage.isDeleted ? 0 : scoreOf(passage) }))
    .filter(({ score }) => score > 0)
    .sort((first, second) => second.score - first.score)
    .slice(0, k);
}

/** From a term that every passage holds to terms that hardly any does. */
const terms = ["everywhere", "common", "usual", "frequent", "known", "seldom", "rare", "unique"];
const rarity: Record<string, number> = { everywhere: 1, common: 0.7, usual: 0.5, frequent: 0.3 };
Object.assign(rarity, { known: 0.15, seldom: 0.06, rare: 0.02, unique: 0.005 });

const shape = fc.record({
  /** Few distinct passages make many ties. */
  distinct: fc.constantFrom(1, 3, 20, 1_000),
  highest: fc.constantFrom(1, 2, 6, 300),
  deletedShare: fc.constantFrom(0, 0, 0.3, 0.9),
  sizes: fc.array(fc.constantFrom(0, 1, 30, 250), { minLength: 1, maxLength: 4 }),
  seed: fc.integer(),
});

const worldOf: fc.Arbitrary<World> = fc
  .record({
    shape,
    queries: fc.array(fc.array(fc.constantFrom(...terms, "absent"), { maxLength: 7 }), { minLength: 1, maxLength: 5 }),
    k: fc.constantFrom(1, 2, 3, 10, 60, 10_000),
    k1: fc.constantFrom(0, 0.9, 3),
    b: fc.constantFrom(0, 0.4, 1),
    windowPassages: fc.constantFrom(1, 7, 64, 1 << 15),
  })
  .map(({ shape: { distinct, highest, deletedShare, sizes, seed }, ...rest }) => {
    const next = numbersFrom(seed);
    const kinds = Array.from({ length: distinct }, () => {
      const frequencies: Record<string, number> = {};
      for (const term of terms) if (next() < rarity[term]) frequencies[term] = 1 + Math.floor(highest * next() ** 3);
      return frequencies;
    });
    const made = (): Made => ({
      frequencies: kinds[Math.floor(next() * distinct)],
      isDeleted: next() < deletedShare,
    });
    return { ...rest, segments: sizes.map((size) => Array.from({ length: size }, made)) };
  });

/** A small generator of numbers in [0, 1) (mulberry32): fast-check's own would shrink every passage by itself. */
function numbersFrom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

const property = fc.property(worldOf, (world) => {
  const scorer = new Bm25Scorer(snapshotOf(world), world.windowPassages);
  for (const query of world.queries) expect(scorer.top(query, world.k)).toEqual(everyPassageScored(world, query));
});

describe("the pruned scorer", () => {
  afterEach(() => vi.restoreAllMocks());

  it("gives the passages, order and scores of every passage scored", () =>
    fc.assert(property, { numRuns: 300, seed: 31 }));

  it("a query again is scored as at first: nothing is left behind", () =>
    fc.assert(
      fc.property(worldOf, (world) => {
        const scorer = new Bm25Scorer(snapshotOf(world), world.windowPassages);
        const first = world.queries.map((query) => scorer.top(query, world.k));
        expect(world.queries.map((query) => scorer.top(query, world.k))).toEqual(first);
      }),
      { numRuns: 50, seed: 32 },
    ));

  it("negative control: the property fails where a term may add more than its bound", () => {
    const boundsOf = SegmentBounds.prototype.of;
    vi.spyOn(SegmentBounds.prototype, "of").mockImplementation(function (this: SegmentBounds, number) {
      const bounds = boundsOf.call(this, number);
      return { ...bounds, largest: 0.8 * bounds.largest };
    });
    expect(String(fc.check(property, { numRuns: 300, seed: 31 }).errorInstance)).toContain("to deeply equal");
  });

  it("negative control: the property fails where fewer passages reach a score than believed", () => {
    const boundsOf = SegmentBounds.prototype.of;
    vi.spyOn(SegmentBounds.prototype, "of").mockImplementation(function (this: SegmentBounds, number) {
      const bounds = boundsOf.call(this, number);
      return { ...bounds, atRanks: bounds.atRanks.map((tf) => 1.3 * tf) };
    });
    expect(String(fc.check(property, { numRuns: 300, seed: 31 }).errorInstance)).toContain("to deeply equal");
  });

  it("prunes: passages that hold frequent terms alone are not looked at", () => {
    const rare = Array.from({ length: 20 }, () => ({ rare: 2, everywhere: 1 }));
    const plain = Array.from({ length: 5_000 }, () => ({ everywhere: 1, usual: 1 }));
    const passages = [...plain, ...rare].map((frequencies) => ({ frequencies, isDeleted: false }));
    const world: World = { segments: [passages], queries: [], k: 10, k1: 0.9, b: 0.4, windowPassages: 1 << 15 };
    const scorer = new Bm25Scorer(snapshotOf(world));
    const query = ["rare", "everywhere", "usual"];
    // The first search finds the terms' bounds.
    scorer.top(query, 10);
    const looks = vi.spyOn(TfComponents.prototype, "of");
    scorer.top(query, 10);
    expect(looks.mock.calls.length).toBeLessThan(passages.length / 10);
  });
});
