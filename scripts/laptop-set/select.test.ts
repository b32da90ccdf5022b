import { describe, expect, it } from "vitest";
import { LaptopCorpus, plain } from "./select.js";

const passages = [
  ["Lima", "Lima is the capital of Peru, on the coast."],
  ["Peru", "Peru is a country. Its currency is the sol."],
  ["Sol (currency)", "The sol replaced the inti in 1991."],
  ["Coast", "A coast is where land meets the sea. Currency traders live on it."],
  ["Capital", "The capital of a country, the capital of a region, the capital of a company: a capital is a capital."],
  ["The Who", "The Who are a band from London. Their drummer was Keith Moon."],
  ["Apollo 11", "Neil Armstrong walked on the Moon in 1969."],
].map(([title, text], index) => ({ id: String(index), title, text }));
const corpus = new LaptopCorpus(passages);
const select = (question: string, ...answers: string[]) => {
  const { found, hard } = corpus.select("set-test", [
    { question: "nothing at all?", answers: ["x"] },
    { question, answers },
  ]);
  return { found: found.map(({ id }) => id), hard: hard.map(({ id }) => id) };
};

describe("the laptop set", () => {
  it.each([
    ["The Beatles, an  album", " beatles album "],
    ["rock-n-roll a día a día", " rock n roll día día "],
    ["the", "  "],
    ["“L’Été”", " “l’été” "],
  ])("compares %j as %j", (text, expected) => {
    expect(plain(text)).toBe(expected);
  });

  it.each<[string, string, string[], "found" | "hard" | "neither"]>([
    ["an answer in the passage that the question is about", "what is the currency of peru", ["sol"], "found"],
    [
      "an answer that is the title of what was found",
      "what is the capital of peru",
      ["Lima", "Ciudad de Lima"],
      "found",
    ],
    ["an answer that the question holds", "is lima the capital of peru", ["Lima"], "neither"],
    ["an answer of two letters", "what is the currency of peru", ["so"], "neither"],
    ["passages about something else", "who walked there first", ["Neil Armstrong"], "neither"],
    [
      "an answer in a named passage that search does not find",
      "in peru, the inti of 1991, the drummer of a band from london, land meets the sea, neil armstrong walked",
      ["its currency"],
      "hard",
    ],
    ["an answer that no passage holds", "what is the currency of peru", ["dollar"], "neither"],
  ])("%s", (_, question, answers, kind) => {
    expect(select(question, ...answers)).toEqual({
      found: kind === "found" ? ["set-test-1"] : [],
      hard: kind === "hard" ? ["set-test-1"] : [],
    });
  });

  it("keeps the place in the set as the identity, and an answer once", () => {
    const { found } = corpus.select("nq-dev", [{ question: "what is the currency of peru", answers: ["sol", "sol"] }]);
    expect(found).toEqual([
      { id: "nq-dev-0", question: "what is the currency of peru", answers: ["sol"], source: "nq-dev" },
    ]);
  });
});
