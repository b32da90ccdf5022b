/**
 * @file Which questions a run works on: what is set aside for validation and test, and which come next. The order is a pure function of the
 * seed and of how many have been drawn, so that number is the whole data cursor.
 */
import { buildAtlas, type Atlas } from "../data/atlas/atlas.js";
import { balancedSample } from "../data/atlas/questions.js";
import { isQuestionsFolder, loadQuestions, partsOf, type QuestionPart } from "../data/questions.js";
import { UserError } from "../errors.js";
import { Random } from "../random.js";
import type { Question } from "../types.js";
import type { Config } from "./config/config.js";
import type { GivenParts } from "./parts.js";

/** A question together with how often it has come before: one group's identity. */
export interface Draw {
  question: Question;
  /** Epoch in which the question is drawn, from 0. */
  draw: number;
}

/** The next `count` questions after `drawn` of them: epochs follow each other, each shuffled anew. */
export function drawQuestions(questions: readonly Question[], seed: number, drawn: number, count: number): Draw[] {
  return drawItems(questions, seed, drawn, count).map(({ item, draw }) => ({ question: item, draw }));
}

/** The same of anything. */
export function drawItems<Item>(
  items: readonly Item[],
  seed: number,
  drawn: number,
  count: number,
): { item: Item; draw: number }[] {
  const orders = new Map<number, number[]>();
  return Array.from({ length: count }, (_, offset) => {
    const position = drawn + offset;
    const draw = Math.floor(position / items.length);
    const order = orders.get(draw) ?? epochOrder(items.length, seed, draw);
    orders.set(draw, order);
    return { item: items[order[position % items.length]], draw };
  });
}

function epochOrder(length: number, seed: number, epoch: number): number[] {
  return new Random(seed, "question-order", epoch).shuffle(Array.from({ length }, (_, index) => index));
}

interface QuestionSplits {
  questions: Question[];
  validation: Question[];
  test: Question[];
}

/** The part of a folder that a split comes from. */
const partOf: Readonly<Record<keyof QuestionSplits, QuestionPart>> = {
  questions: "train",
  validation: "validation",
  test: "test",
};

/**
 * The questions of a configuration, or those given, divided into training, validation and test. A folder brings its own division;
 * what it has no file for is set aside from its questions for training.
 * @throws UserError for files that cannot be read, and when there is nothing to train on
 */
export async function loadSplits(config: Config, given: GivenParts = {}): Promise<QuestionSplits> {
  const { data, train } = config;
  const atlas = lazyAtlas(data.worldSeed);
  const sizes = { validation: train.evalSize, test: train.testSize, seed: train.seed };
  // The same held-out questions for every run in a world, whatever its seed.
  const ofAtlas = (split: keyof QuestionSplits): Question[] => {
    const questions = atlas().questions[split === "questions" ? "train" : split].filter(withinHops(data));
    // A third per number of hops, of three: with fewer hops more are drawn to make up the number.
    return split === "questions"
      ? questions
      : balancedSample(questions, Math.round((sizes[split] * 3) / data.maxHops), data.worldSeed).slice(0, sizes[split]);
  };
  const read = (source: string, split: keyof QuestionSplits): Promise<Question[]> =>
    source === "atlas" ? Promise.resolve(ofAtlas(split)) : loadQuestions(source, partOf[split]);

  const isAtlas = given.questions === undefined && data.questions === "atlas";
  const all = given.questions ?? (await read(data.questions, "questions"));
  requireQuestions(all, given.questions === undefined ? data.questions : "The list of questions");
  const isFolder = given.questions === undefined && (await isQuestionsFolder(data.questions));
  const parts = isFolder ? await partsOf(data.questions) : [];
  const setAside = (split: "validation" | "test"): Promise<Question[] | null> => {
    const source = data[split] === "" && parts.includes(split) ? data.questions : data[split];
    return source === "" ? Promise.resolve(null) : read(source, split);
  };
  const validation = given.validation ?? (await setAside("validation"));
  const test = given.test ?? (await setAside("test"));
  if (isAtlas) {
    return {
      questions: [...all],
      validation: [...(validation ?? ofAtlas("validation"))],
      test: [...(test ?? ofAtlas("test"))],
    };
  }
  const aside = splitQuestions(all, {
    ...sizes,
    ...(validation === null ? {} : { validation: 0 }),
    ...(test === null ? {} : { test: 0 }),
  });
  return {
    questions: aside.questions,
    validation: [...(validation ?? aside.validation)],
    test: [...(test ?? aside.test)],
  };
}

/** Whether a question of the built-in world is among those that `data.maxHops` admits. */
export function withinHops({ maxHops }: Config["data"]): (question: Question) => boolean {
  return ({ hops = 1 }) => hops <= maxHops;
}

/** Built when first needed, once. */
function lazyAtlas(seed: number): () => Atlas {
  let atlas: Atlas | undefined;
  return () => (atlas ??= buildAtlas({ seed }));
}

/** Most of the questions that may be set aside; training keeps the rest. */
const shares = { validation: 0.1, test: 0.2 };

/** Sets `validation` and `test` questions aside, a function of the seed, at most a tenth and a fifth of all: for users who give one file for everything. */
function splitQuestions(
  questions: readonly Question[],
  sizes: { validation: number; test: number; seed: number },
): QuestionSplits {
  const validation = Math.min(sizes.validation, Math.floor(questions.length * shares.validation));
  const test = Math.min(sizes.test, Math.floor(questions.length * shares.test));
  const shuffled = new Random(sizes.seed, "split-questions").shuffle(questions);
  return {
    validation: shuffled.slice(0, validation),
    test: shuffled.slice(validation, validation + test),
    questions: shuffled.slice(validation + test),
  };
}

/** @throws UserError when there are none */
export function requireQuestions(questions: readonly Question[], source: string): void {
  if (questions.length > 0) return;
  throw new UserError(
    `${source} holds no questions to work on. A line looks like {"id":"1","question":"…","answers":["…"]}.`,
  );
}
