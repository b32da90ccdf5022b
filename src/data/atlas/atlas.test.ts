import { describe, expect, it } from "vitest";
import { buildAtlas, type Atlas } from "./atlas.js";
import { mentions } from "./country.js";
import { balancedSample } from "./questions.js";
import type { Page } from "./pages.js";

const world = buildAtlas();
const splits = ["train", "validation", "test"] as const;
const allQuestions = splits.flatMap((split) => world.questions[split]);
const pageById = new Map(world.passages.map((page) => [page.id, page]));

/** A plain BM25 (k1 0.9, b 0.4), top-1, so that this test stands on its own. */
function searcher(pages: readonly Page[]): (query: string) => Page | undefined {
  const words = (text: string) => text.toLowerCase().match(/[a-z0-9]+/g) ?? [];
  const docs = pages.map((page) => words(`${page.title} ${page.text}`));
  const mean = docs.reduce((sum, doc) => sum + doc.length, 0) / docs.length;
  const postings = new Map<string, Map<number, number>>();
  docs.forEach((doc, index) => {
    for (const word of doc) {
      const posting = postings.get(word) ?? new Map<number, number>();
      postings.set(word, posting.set(index, (posting.get(index) ?? 0) + 1));
    }
  });
  const cache = new Map<string, Page | undefined>();
  return (query) => {
    if (cache.has(query)) return cache.get(query);
    const scores = new Map<number, number>();
    for (const word of new Set(words(query))) {
      const posting = postings.get(word) ?? new Map<number, number>();
      const idf = Math.log(1 + (docs.length - posting.size + 0.5) / (posting.size + 0.5));
      for (const [doc, tf] of posting) {
        const norm = 0.9 * (0.6 + (0.4 * docs[doc].length) / mean);
        scores.set(doc, (scores.get(doc) ?? 0) + (idf * tf) / (tf + norm));
      }
    }
    const [best] = [...scores].sort((a, b) => b[1] - a[1] || a[0] - b[0]);
    const page = best && pages[best[0]];
    cache.set(query, page);
    return page;
  };
}

const search = searcher(world.passages);

describe("Atlas", () => {
  it("is a pure function of its seed, and other seeds give other splits", () => {
    expect(buildAtlas()).toEqual(world);
    const names = (atlas: Atlas) => atlas.countries.test.map((country) => country.name).sort();
    expect(names(buildAtlas({ seed: 1 }))).not.toEqual(names(world));
  });

  it("is plain ASCII with unique ids", () => {
    const texts = [
      ...world.passages.flatMap((page) => [page.title, page.text]),
      ...allQuestions.map((q) => q.question),
    ];
    expect(texts.filter((text) => !/^[\x20-\x7e]+$/.test(text))).toEqual([]);
    expect(new Set(world.passages.map((page) => page.id)).size).toBe(world.passages.length);
    expect(new Set(allQuestions.map((question) => question.id)).size).toBe(allQuestions.length);
  });

  it.each([0, 1, 2, 3])(
    "splits the countries of seed %i without overlap, and chains stay inside their split",
    (seed) => {
      const atlas = buildAtlas({ seed });
      const ids = splits.map((split) => new Set(atlas.countries[split].map((country) => country.id)));
      expect(new Set(ids.flatMap((set) => [...set])).size).toBe(ids[0].size + ids[1].size + ids[2].size);
      expect(ids[2].size / 242).toBeGreaterThan(0.2);
      splits.forEach((split, index) => {
        const codes = new Set(atlas.countries[split].map((country) => `currency-${country.currencyCode}`));
        const foreign = atlas.questions[split].flatMap((question) =>
          question.chain.filter(({ pageId }) => !ids[index].has(pageId.slice(0, 3)) && !codes.has(pageId)),
        );
        expect(foreign).toEqual([]);
      });
      for (const hops of [1, 2, 3]) {
        expect(atlas.questions.test.filter((question) => question.hops === hops).length).toBeGreaterThanOrEqual(150);
      }
    },
  );

  it("asks no question of a held-out country in training", () => {
    // "South Sudan" is a training country although it contains the name of a held-out one.
    const known = world.countries.train.map((country) => country.name).filter((name) => name.includes(" "));
    const texts = [
      ...world.questions.train.map((question) => `${question.question} | ${question.answers.join(" | ")}`),
      ...world.trainingPages.map((page) => `${page.title} | ${page.text}`),
    ].map((text) => known.reduce((rest, name) => rest.replaceAll(name, "…"), text));
    for (const { name, facts } of [...world.countries.validation, ...world.countries.test]) {
      const telling = [name, ...(facts.capital === undefined ? [] : [facts.capital])];
      expect(texts.filter((text) => telling.some((value) => mentions(text, value)))).toEqual([]);
    }
  });

  it("gives an ideal searcher the right page at least 99 % of the time, whatever the hops", () => {
    for (const split of splits) {
      for (const hops of [1, 2, 3]) {
        const questions = world.questions[split].filter((question) => question.hops === hops);
        const right = questions.filter((q) => q.chain.every((step) => search(step.query)?.id === step.pageId));
        expect(right.length / questions.length).toBeGreaterThanOrEqual(0.99);
      }
    }
  });

  it("needs as many searches as it says: fewer never reach a page with the answer", () => {
    const words = [
      "capital",
      "domain",
      "currency",
      "phone",
      "language",
      "people",
      "area",
      "neighbour",
      "name",
      "code",
      "",
    ];
    const questions = balancedSample(world.questions.test, 240, 0).filter((question) => question.hops > 1);
    const shortcuts = questions.filter((question) => {
      // Everything a searcher who has made fewer searches can know by name, and ask anything about.
      let known = namesIn(question.question);
      for (let made = 1; made < question.hops; made++) {
        const found = known.flatMap((name) => words.map((word) => search(`${word} ${name}`))).filter((page) => !!page);
        const last = question.chain[question.chain.length - 1];
        if (found.some((page) => page.id === last.pageId)) return true;
        known = [...new Set([...known, ...found.flatMap((page) => namesIn(page.text))])];
      }
      return false;
    });
    expect(shortcuts.map((question) => question.question)).toEqual([]);
  });

  it("never shows the answer in the question", () => {
    expect(allQuestions.filter((question) => mentions(question.question, question.answers[0]))).toEqual([]);
    for (const { chain, answers } of allQuestions) {
      const pages = chain.map((step) => pageById.get(step.pageId));
      expect(mentions(pages.at(-1)?.text ?? "", answers[0])).toBe(true);
    }
  });

  it("draws balanced evaluation sets", () => {
    const sample = balancedSample(world.questions.test, 300, 5);
    expect([1, 2, 3].map((hops) => sample.filter((question) => question.hops === hops).length)).toEqual([
      100, 100, 100,
    ]);
    expect(balancedSample(world.questions.test, 300, 5)).toEqual(sample);
  });
});

/** Capitalised phrases, prefixes and domains: what a reader can look up. */
function namesIn(text: string): string[] {
  const names =
    text.match(/(?:\+\d+|\.[a-z]{2}\b|[A-Z][\w'-]*(?: (?:and |of |the )?[A-Z][\w'-]*| [a-z]+(?= as currency))*)/g) ??
    [];
  return names.filter((name) => !/^(What|Which|Name|Give|How|Under|The|Its|It|Calls|Websites)$/.test(name));
}
