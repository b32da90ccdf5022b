import { expect, it } from "vitest";
import { ours } from "../rewards/answers.js";
import { Random } from "../random.js";
import { PassagesInMemory } from "../search/passages.js";
import type { Question, StoredPassage } from "../types.js";
import { answersInCorpus } from "./in-corpus.js";

const passages: StoredPassage[] = [
  { id: "1", title: "Peru", text: "The currency is the sol, not the solution; it costs $3,000 or 5½." },
  { id: "2", title: "Vitamin A", text: "Vitamin A is a vitamin. The The is a band." },
  { id: "3", title: "北京", text: "中国的首都是北京。" },
  { id: "4", title: "C++", text: "A language since 1979/1985. !!!" },
];
const question = (...answers: string[]): Question => ({ id: answers.join(), question: "?", answers });

it("finds what a look at every passage for every question finds", async () => {
  const words = passages.flatMap(({ title, text }) => `${title} ${text}`.split(/\s+/));
  const random = new Random(3, "corpus");
  const drawn = Array.from({ length: 300 }, () => {
    const first = random.integer(words.length);
    return words.slice(first, first + 1 + random.integer(3)).join(" ");
  });
  const asked = [
    ...[
      "sol",
      "solution",
      "lution",
      "The The",
      "Vitamin A",
      "a",
      "首都",
      "北京",
      "京中",
      "C++",
      "C",
      "3000",
      "!!!",
      " ",
    ],
    ...["1979", "Lima", "peru the currency", "5 1/2"],
    ...drawn,
  ].map((answer) => question("nowhere", answer));
  const brute = asked.map(({ answers }) => passages.some(ours.holdsAnswer(answers)));
  expect(await answersInCorpus(new PassagesInMemory(passages), asked)).toEqual(brute);
  expect(brute.filter(Boolean).length).toBeGreaterThan(200);
  expect(brute.filter((found) => !found).length).toBeGreaterThan(5);
});

it("reads no more once everything is found, leaves deleted passages out and stops when told", async () => {
  const many = Array.from({ length: 1000 }, (_, id) => ({ id: String(id), title: "", text: `word${id}` }));
  const source = new PassagesInMemory(many);
  const seen: number[] = [];
  const onProgress = (done: number): void => void seen.push(done);
  expect(await answersInCorpus(source, [question("word7")], { onProgress })).toEqual([true]);
  expect(seen).toEqual([256]);
  const corpus = { count: 1000, isDeleted: (number: number) => number === 7, read: source.read.bind(source) };
  expect(await answersInCorpus(corpus, [question("word7"), question("word8")])).toEqual([false, true]);
  await expect(
    answersInCorpus(source, [question("x")], { signal: AbortSignal.abort(new Error("enough")) }),
  ).rejects.toThrow("enough");
});
