/** @file The scripted searcher in the one rollout: one search or two, what it reads of an observation, what it thinks. */
import { describe, expect, it } from "vitest";
import { byteTokenizer } from "../../policy/testing.js";
import { atlas, searchR1, type Protocol } from "../../prompts/protocol.js";
import { renderObservation } from "../../prompts/render.js";
import { engineOf, passage } from "../../rollout/fixtures.test-support.js";
import { rollout } from "../../rollout/rollout.js";
import type { Passage, Trajectory } from "../../types.js";
import { scriptedSearcher, shownPassages } from "./searcher.js";
import { closingThought, openingThought, queryOf, searchWords } from "./thoughts.js";

const question = 'Which word is missing: "The mole of Ystad was built of ____ in 1866"?';
const mole = passage("The mole of Ystad was built of granite in 1866.", "Moles › Ystad (old)");
const other = passage("Bees live in Halmstad.", "Bees");

function attempt(
  find: (query: string) => Passage[],
  given: { attempt?: number; protocol?: Protocol; asked?: string; told?: string[] } = {},
): Promise<Trajectory> {
  const { attempt: number = 0, protocol = searchR1, asked = question, told } = given;
  const tokenizer = byteTokenizer(protocol);
  const contextLength = 100_000;
  const policy = scriptedSearcher({
    question: asked,
    protocol,
    tokenizer,
    contextLength,
    maxSearches: 2,
    attempt: number,
    answers: told,
  });
  return rollout(
    { id: "q", question: asked, answers: ["never looked at"] },
    {
      ...{ policy, protocol, search: engineOf(find), topK: 2 },
      ...{ maxSearches: 2, maxTokensPerTurn: 1000, maxTokens: 50_000, maxObservationTokens: 5000 },
    },
  );
}

describe("the scripted searcher", () => {
  it.each([searchR1, atlas])("searches once where it is sure, and answers with what it read", async (protocol) => {
    const { answer, finishReason, searches, texts } = await attempt(() => [mole], { protocol });
    expect({ answer, finishReason }).toEqual({ answer: "granite", finishReason: "answered" });
    expect(searches.map(({ query }) => query)).toEqual(["The mole of Ystad was built of in 1866"]);
    expect(texts.at(-1)).toMatch(/^<think> .*built of granite in 1866.* <\/think>\n<answer> granite <\/answer>$/);
  });

  it("searches with the rarer words where nothing fits, and never more than twice", async () => {
    const asked = 'Which word is missing: "The mole of Ystad was slowly built by masons out of ____ in 1866"?';
    const found = await attempt((query) => (query.startsWith("The") ? [other] : [mole]), { asked });
    expect(found.searches.map(({ query }) => query)).toEqual([
      "The mole of Ystad was slowly built by masons out of in 1866",
      "Ystad slowly built masons 1866",
    ]);
    const lost = await attempt(() => []);
    expect(lost).toMatchObject({ answer: "unknown", finishReason: "answered" });
    expect(lost.searches).toHaveLength(2);
  });

  it.each([
    {
      case: "the sentence that fits best",
      text: "Lund has a cathedral. Its first stone was laid in 1085. The cathedral of Lund was consecrated in 1145.",
      asked: "when was the cathedral of lund consecrated",
      told: ["1085", "1145"],
      answer: "1145",
      thought: '"cathedral of Lund was consecrated in 1145" gives 1145.',
    },
    {
      case: "the longest answer, as it is written there",
      text: "In 1145 it was consecrated by archbishop ESKIL of Lund.",
      asked: "who consecrated the cathedral of lund",
      told: ["Eskil", "eskil, of lund", "Absalon"],
      answer: "ESKIL of Lund",
      thought: '"1145 it was consecrated by archbishop ESKIL of Lund" gives ESKIL of Lund.',
    },
    {
      case: "a title",
      text: "It is a church of the twelfth century.",
      title: "Lund Cathedral",
      asked: "which church is of the twelfth century",
      told: ["lund cathedral"],
      answer: "Lund Cathedral",
      thought: '"It is a church of the" gives Lund Cathedral.',
    },
  ])(
    "shows, told the right answers, where one stands: $case",
    async ({ text, title = "Lund", asked, told, ...shown }) => {
      const { answer, texts, searches } = await attempt(() => [other, passage(text, title)], { asked, told });
      expect(answer).toBe(shown.answer);
      expect(texts.at(-1)).toContain(shown.thought);
      expect(searches).toHaveLength(1);
    },
  );

  it("answers with no right answer that no passage holds, and with none inside of a word", async () => {
    const mills = passage("The millstones of Ystad are old.", "Mills");
    const { answer, searches } = await attempt(() => [other, mills], {
      asked: "what is old in Ystad",
      told: ["mill", "stone"],
    });
    expect(answer).toBe("unknown");
    expect(searches).toHaveLength(2);
  });

  it("is the same for a seed, and words later attempts otherwise", async () => {
    const told = await Promise.all([0, 0, 1, 2, 3].map((number) => attempt(() => [mole], { attempt: number })));
    const [first, again, ...later] = told.map(({ texts }) => texts.join(""));
    expect(again).toBe(first);
    expect(new Set(later).size).toBeGreaterThan(1);
  });
});

describe("what it reads of an observation", () => {
  it.each([
    ["titles with brackets", [mole, passage("Two\n\nparagraphs (with brackets).", "git(1) › Name")]],
    ["nothing", []],
  ])("is what was shown: %s", (_, passages) => {
    const shown = shownPassages(renderObservation(searchR1, passages), searchR1);
    expect(shown).toEqual(passages.map(({ title, text }) => ({ title, text })));
  });

  it("is one passage where a protocol does not tell them apart", () => {
    expect(shownPassages("<information> something else </information>", searchR1)).toEqual([
      { title: "", text: "something else" },
    ]);
  });
});

describe("its words", () => {
  it("are those of the question that can find something, without marks around them, once each", () => {
    expect(
      searchWords(
        'Which option of git-clone is described like this: "Create a `shallow` clone (see `--depth`), shallow"?',
      ),
    ).toEqual("option git-clone Create shallow clone see --depth".split(" "));
    expect(searchWords("What is it?")).toEqual([]);
  });

  it.each([
    ['Which word is missing: "The mole of ____ is old"?', "The mole of is old"],
    ['Which option of git-clone is described like this: "Be quiet, please."?', "git-clone Be quiet, please"],
    ["What is the default of the term length of bloom?", "the default of the term length of bloom"],
    ["In which version was the class Mole added?", "version was the class Mole added"],
    ["Who built the mole of Ystad?", "built the mole of Ystad"],
    ["What is it?", "it"],
    ["What?", "What?"],
  ])("ask for a stretch of %j", (asked, query) => {
    expect(queryOf(asked, "words")).toBe(query);
  });

  it("stay short, whatever the question", () => {
    const long = `Which word is missing: "${"extraordinarily_long_identifier_of_a_library ".repeat(3)}${Array.from({ length: 40 }, (_, n) => `word${n}`).join(" ")} ____ end"?`;
    expect(queryOf(long, "words").length).toBeLessThan(170);
    expect(openingThought(long).length).toBeLessThan(60);
    const sentence = `${"before ".repeat(60)}granite${" after".repeat(60)}.`;
    const thought = closingThought({ answer: "granite", sentence, document: 1, fit: 1 });
    expect(thought).toContain("before granite after");
    expect(thought.length).toBeLessThan(140);
    const term = closingThought({
      answer: "--quiet",
      sentence: '--quiet: Print "nothing" at all.',
      document: 1,
      fit: 1,
    });
    expect(term).toBe("\"Print 'nothing' at all\" gives --quiet.");
  });
});
