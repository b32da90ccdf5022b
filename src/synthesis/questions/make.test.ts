/** @file Questions by rules: which are made of a passage, which are kept, and how they are divided. */
import { describe, expect, it } from "vitest";
import { UserError } from "../../errors.js";
import { answerComparison, normaliseAnswer } from "../../rewards/normalise.js";
import { Bm25Engine } from "../../search/bm25/engine.js";
import { PassagesInMemory } from "../../search/passages.js";
import type { StoredPassage } from "../../types.js";
import { documentOf } from "./candidate.js";
import { clozeCandidates } from "./cloze/cloze.js";
import type { MakeOptions } from "./corpus.js";
import type { Made } from "./finish.js";
import { documentShare } from "./corpus.js";
import { makeClozeQuestions } from "./make.js";
import { fingerprint, groupRepeated, splitByGroup } from "./split.js";
import { WordRarity } from "./word-rarity.js";

const plain = "The harbour keeps a list of boats, and the list is read every morning by the people of the town.";

/** What is made of a text, among many usual passages. */
function made(text: string, title = "ferry — A tool for harbours"): string[] {
  const rarity = new WordRarity();
  for (let index = 0; index < 1000; index++) rarity.add(plain);
  rarity.add(text);
  return clozeCandidates({ id: "docs/a.md#1", title, text }, rarity).map(
    ({ kind, question, answers }) => `${kind}: ${question} → ${answers.join(" | ")}`,
  );
}

describe("rules make", () => {
  it.each<[string, string, string[]]>([
    [
      "a definition from a term above its description, with an option's other names",
      "-q, --quiet-run <level>\n\nPrint nothing but the names of boats that are late.",
      [
        'definition: Which option of ferry is described like this: "Print nothing but the names of boats that are late"? → --quiet-run',
      ],
    ],
    [
      "defaults and versions of entries",
      "mooring_slots (integer)\n\nSets how many boats may lie at a pier. The default is 48 slots.\n\nNew in version 2.7.",
      [
        'definition: Which setting of ferry is described like this: "Sets how many boats may lie at a pier"? → mooring_slots',
        "since: In which version was the setting mooring_slots of ferry added? → 2.7",
        "default: What is the default of the setting mooring_slots of ferry? → 48 slots",
      ],
    ],
    [
      "a default with its amount in words and in signs",
      "hold_size (integer)\n\nWhether all is told. The default is eight megabytes (8MB).",
      ["default: What is the default of the setting hold_size of ferry? → eight megabytes | 8MB"],
    ],
    [
      "both directions of a table with named columns",
      "| Boat | Meaning | Code |\n| --- | --- | --- |\n| Albatross | carries only mail in the winter | KX-17 |",
      [
        'table: Which boat in ferry is described like this: "carries only mail in the winter"? → Albatross',
        "table: What is the code of Albatross in ferry? → KX-17",
      ],
    ],
    [
      "what an abbreviation stands for",
      "Every boat needs a Harbour Entry Permit (HEP) before it may come in at night.",
      ["abbreviation: What does HEP stand for? → Harbour Entry Permit"],
    ],
    [
      "a definition in a sentence",
      "A bollardine is a short post on a quay that ropes of smaller boats are tied to.",
      ["definition: What is a short post on a quay that ropes of smaller boats are tied to? → bollardine"],
    ],
    [
      "a gap for the most telling word",
      "Boats that come from the north must call the station Vestlandet before they pass the second light.",
      [
        'gap: Which name is missing: "Boats that come from the north must call the station ____ before they pass the second light"? → Vestlandet',
      ],
    ],
    ["nothing of code and markup", "```\nbollardine is a short post (integer)\n```", []],
    ["nothing whose answer the question holds", "quay\n\nThe quay of a harbour is where boats lie.", []],
    ["nothing of what leans on the sentence before", "It was Vestlandet that kept the list of boats at that time.", []],
    [
      "no answer that is guessed",
      "verbose_mode\n\nWhether all is told. The default is true.",
      ['definition: Which term of ferry is described like this: "Whether all is told"? → verbose_mode'].slice(1),
    ],
  ])("%s", (_, text, expected) => {
    expect(made(text)).toEqual(expected);
  });
});

const towns = [
  "Arvik",
  "Bruneholm",
  "Castrup",
  "Drivsund",
  "Elverdal",
  "Fjellby",
  "Grimsted",
  "Holmevik",
  "Ibestad",
  "Jelsa",
];
const lamps = ["amber", "crimson", "violet", "turquoise", "scarlet", "indigo", "ochre", "magenta", "emerald", "ivory"];

/** A page for each town, and some in a second copy with other headings. */
function corpus(copies: number): StoredPassage[] {
  const page = (town: string, index: number, folder: string): StoredPassage[] => [
    {
      id: `${folder}/${town}.md#1`,
      title: `${folder} ${town}`,
      text: `The harbour of ${town} was built by engineer Sten${town.toLowerCase()} with a lamp of ${lamps[index]} glass at the end of its long pier.`,
    },
    {
      id: `${folder}/${town}.md#2`,
      title: `${folder} ${town}`,
      text: `Every winter the people of ${town} close the gate number ${100 + index} and carry their ${lamps[index]} boats over the hill to the lake behind it.`,
    },
  ];
  return [
    ...towns.flatMap((town, index) => page(town, index, "pages")),
    ...towns.slice(0, copies).flatMap((town, index) => page(town, index, "copies")),
  ];
}

async function make(passages: StoredPassage[], more: Partial<MakeOptions> = {}): Promise<Made> {
  const engine = Bm25Engine.fromPassages(passages);
  return makeClozeQuestions({
    ...{ engine, passages: new PassagesInMemory(passages), count: 100, perDocument: 4, k: 3, seed: 0 },
    ...more,
  });
}

describe("made questions", () => {
  it("have an answer that stands in their evidence and not in the question, in each part, the same for a seed", async () => {
    const passages = corpus(0);
    const textOf = new Map(passages.map(({ id, text }) => [id, text]));
    const { parts, report } = await make(passages);
    const all = Object.values(parts).flat();
    expect(all.length).toBeGreaterThanOrEqual(10);
    expect(report.kept).toBe(all.length);
    for (const { question, answers, evidence = [] } of all) {
      expect(answerComparison.lookIn(textOf.get(evidence[0].id) ?? "")(normaliseAnswer(answers[0]))).toBe(true);
      expect(answerComparison.lookIn(question)(normaliseAnswer(answers[0]))).toBe(false);
    }
    expect(Object.values(parts).every(({ length }) => length > 0)).toBe(true);
    expect((await make(passages)).parts).toEqual(parts);
    expect((await make(passages, { seed: 1 })).parts).not.toEqual(parts);
  });

  it("of a document and its copy stand on one side", async () => {
    const { parts } = await make(corpus(10));
    const sides = new Map<string, Set<string>>();
    for (const [part, questions] of Object.entries(parts))
      for (const { evidence = [] } of questions) {
        const town = documentOf(evidence[0].id).split("/")[1];
        sides.set(town, (sides.get(town) ?? new Set()).add(part));
      }
    expect([...sides.values()].map(({ size }) => size)).toEqual([...sides.values()].map(() => 1));
  });

  it("that were struck do not come again, and a document has no more than asked for", async () => {
    const first = await make(corpus(0), { perDocument: 1 });
    const all = Object.values(first.parts).flat();
    expect(all).toHaveLength(towns.length);
    const struck = new Set([all[0].id]);
    const { parts, report } = await make(corpus(0), { perDocument: 1, struck });
    expect(
      Object.values(parts)
        .flat()
        .map(({ id }) => id),
    ).not.toContain(all[0].id);
    expect(report.rejected.struck).toBe(1);
  });

  it("of one large document are as many as of many small ones, where no limit is named", async () => {
    const letters = "abcdefghijklmnopqrst";
    const passages = Array.from(letters, (_, index) => ({
      id: `options.md#${index + 1}`,
      title: "options",
      text: `--option-${index}\n\nShow ${[..."abcdefgh"].map((letter) => `${letters[index]}an${letter}er`).join(" ")}.`,
    }));
    const kept = async (perDocument?: number): Promise<number> => (await make(passages, { perDocument })).report.kept;
    expect(await kept(12)).toBe(12);
    expect(await kept()).toBe(20);
    expect([documentShare(2000, 30), documentShare(2000, 1000), documentShare(2000, 0)]).toEqual([134, 12, 4000]);
  });

  it.each([
    [
      "no candidates",
      [{ id: "a#1", title: "a", text: "See below.\n\n- this\n- that" }],
      /No question could be made of 1 passage:.*--model/,
    ],
    [
      "none that search finds",
      Array.from({ length: 9 }, (_, index) => ({
        id: `${index}#1`,
        title: "",
        text: `Boats that come from the north must call the station ${towns[index]} before they pass the second light.`,
      })),
      /None of 9 possible questions is worth keeping: 9 × the same question has another answer elsewhere/,
    ],
  ])("%s: a UserError with counts", async (_, passages, message) => {
    const attempt = make(passages);
    await expect(attempt).rejects.toThrow(message);
    await expect(attempt).rejects.toBeInstanceOf(UserError);
  });
});

describe("documents that repeat each other", () => {
  const words = (from: number, count: number): string =>
    Array.from({ length: count }, (_, index) => `w${(from + index) * 7919}`).join(" ");

  it("are a group, also where one holds the other among much else, in other punctuation; others are not", () => {
    const texts = { long: words(0, 2000), part: words(500, 300).replaceAll(" ", ", "), other: words(9000, 600) };
    const groups = groupRepeated(new Map(Object.entries(texts).map(([name, text]) => [name, fingerprint(text)])));
    expect(groups.get("part")).toBe(groups.get("long"));
    expect(groups.get("other")).not.toBe(groups.get("long"));
  });

  it("the parts are about 80, 10 and 10 %, in whole groups", () => {
    const items = Array.from({ length: 1000 }, (_, index) => index);
    const parts = splitByGroup(items, (item) => String(item % 97), 3);
    expect(parts.train.length / 1000).toBeCloseTo(0.8, 1);
    expect(parts.test.length / 1000).toBeCloseTo(0.1, 1);
    expect(new Set([...parts.train, ...parts.validation, ...parts.test]).size).toBe(1000);
    const trained = new Set(parts.train.map((item) => item % 97));
    expect(parts.test.some((item) => trained.has(item % 97))).toBe(false);
  });
});
