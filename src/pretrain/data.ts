/**
 * @file The text of stage 0: an endless stream of short sequences about countries, three quarters of them freshly
 * invented. They teach to read and to copy, and they show every single move of a searcher, but no sequence holds more
 * than one search: chaining searches is left for reinforcement learning to find.
 */
import type { Atlas } from "../data/atlas/atlas.js";
import { inventName, withPieces } from "../data/atlas/invented.js";
import type { Page } from "../data/atlas/pages.js";
import { badThoughts, knowThought, needThought } from "../data/atlas/phrases.js";
import type { Step } from "../data/atlas/chains.js";
import { trainBpe, type TokenizerJson } from "../engine/io/train-bpe.js";
import { atlas as protocol, type TagPair } from "../prompts/protocol.js";
import { Random } from "../random.js";
import type { Datum, Tokenizer } from "../types.js";
import { renderObservation, renderPrompt } from "../prompts/render.js";
import { makeScene, sceneSource, wrongValue, type Scene, type SceneSource } from "./scenes.js";

/** How often each kind of sequence is drawn. */
interface Mixture {
  /** Repeating and looking up random words. */
  drill: number;
  /** Passages, a question, and its answer or the next query: no noise. */
  reading: number;
  /** The first turn of a rollout, mostly a guess. */
  opening: number;
  /** A later turn: passages are given, one search or an answer follows. */
  middle: number;
}

/**
 * What a noisy searcher does in one turn; the numbers add up to 1. Every move announces itself in its thought ("I need …",
 * "I know it", "I guess", …), so that noise in what is done does not blur how it is done: a name once begun is copied.
 */
interface Noise {
  right: number;
  guess: number;
  useless: number;
  malformed: number;
}

interface Script {
  /** First turn. */
  opening: Noise;
  /** Given passages do not answer the question yet. */
  lacking: Noise;
  /** The last passage holds the answer. */
  knowing: Noise;
  /** After its own search that did not suffice, a sequence ends there, unless (with this probability) it guesses or stops. */
  giveUp: number;
}

const defaultScript: Script = {
  opening: { right: 0.18, guess: 0.62, useless: 0.14, malformed: 0.06 },
  lacking: { right: 0.45, guess: 0.3, useless: 0.15, malformed: 0.1 },
  knowing: { right: 0.6, guess: 0.2, useless: 0.12, malformed: 0.08 },
  giveUp: 0.03,
};

/** Most of what is learned early is copying; the noisy turns come later. Linear in between. */
const defaultCurriculum: { from: Mixture; to: Mixture } = {
  from: { drill: 0.4, reading: 0.45, opening: 0.05, middle: 0.1 },
  to: { drill: 0.03, reading: 0.27, opening: 0.35, middle: 0.35 },
};

/** Weight of the tokens that the environment writes: enough to learn the language of passages. */
const contextWeight = 0.2;

/** A stretch of text and the weight of its tokens in the loss. */
interface Piece {
  text: string;
  weight: number;
}

export const padToken = "<pad>";
export const endToken = "<eos>";

/** Special tokens of the built-in world, in the order of their ids. */
export const atlasSpecialTokens: readonly string[] = [
  padToken,
  endToken,
  ...protocol.think,
  ...protocol.search,
  ...protocol.information,
  ...protocol.answer,
];

/**
 * Trains the built-in world's tokenizer. Sentences come from invented countries; every name and value of a training country
 * is seen equally often, whatever the number of its pages, so that training names are cut into pieces much as held-out ones.
 */
export function atlasTokenizerJson(world: Atlas, vocabSize = 1280): TokenizerJson {
  const source = sceneSource(world, 0);
  const random = new Random("atlas tokenizer");
  const texts: string[] = [];
  for (let index = 0; index < 400; index++) {
    const scene = makeScene(random, source, 1 + (index % 3));
    for (const piece of [...opening(random, scene, source), ...reading(random, scene)]) texts.push(piece.text);
    for (const page of scene.others) texts.push(` (${page.title}) ${page.text}`);
  }
  const values = new Set(source.real.flatMap((country) => [country.name, ...Object.values(country.facts)]));
  for (const value of values) texts.push(...Array<string>(6).fill(` ${value}`));
  return trainBpe(texts, { vocabSize, specialTokens: atlasSpecialTokens });
}

/** Draws sequences; sequence `index` is a pure function of the seed and `index`. */
export class PretrainStream {
  readonly #tokenizer: Tokenizer;
  readonly #source: SceneSource;
  readonly #words: readonly string[];
  readonly #seed: number;

  constructor(world: Atlas, tokenizer: Tokenizer, vocabulary: readonly string[], seed: number) {
    const source = sceneSource(world);
    this.#tokenizer = tokenizer;
    this.#source = { ...source, invention: withPieces(source.invention, vocabulary) };
    this.#words = vocabulary.filter((piece) => /^Ġ[A-Za-z]+$/.test(piece)).map((piece) => piece.slice(1));
    this.#seed = seed;
  }

  /** The text of sequence `index`; `progress` in [0, 1] places it in the curriculum. */
  pieces(index: number, progress: number): Piece[] {
    const random = new Random(this.#seed, "sequence", index);
    const { from, to } = defaultCurriculum;
    const share = (kind: keyof Mixture) => from[kind] + (to[kind] - from[kind]) * Math.min(1, progress);
    const draw = random.next();
    if (draw < share("drill")) return drill(random, this.#source, this.#words);
    const hops = drawHops(random);
    const scene = makeScene(random, this.#source, hops);
    if (draw < share("drill") + share("reading")) return reading(random, scene);
    if (draw < share("drill") + share("reading") + share("opening")) return opening(random, scene, this.#source);
    return middle(random, scene, this.#source);
  }

  /** The same as a training sequence; `weights_T` are not yet divided by anything. */
  datum(index: number, progress: number): Datum {
    const tokens: number[] = [];
    const weights: number[] = [];
    for (const piece of this.pieces(index, progress)) {
      const ids = this.#tokenizer.encode(piece.text);
      tokens.push(...ids);
      for (let count = 0; count < ids.length; count++) weights.push(piece.weight);
    }
    weights[0] = 0;
    return {
      tokens_T: tokens,
      weights_T: Float32Array.from(weights),
      sampledMask_T: Uint8Array.from(weights, (weight) => (weight > 0 ? 1 : 0)),
    };
  }
}

function drawHops(random: Random): number {
  const draw = random.next();
  return draw < 0.34 ? 1 : draw < 0.67 ? 2 : 3;
}

/** Pure copying: a random list said twice, or a small table and one entry looked up. */
function drill(random: Random, source: SceneSource, words: readonly string[]): Piece[] {
  const word = () => (random.next() < 0.5 ? random.choice(words) : inventName(random, source.invention));
  if (random.next() < 0.5) {
    const list = Array.from({ length: 3 + random.integer(10) }, word).join(random.next() < 0.5 ? " " : ", ");
    return [
      { text: ` ${list}\n`, weight: 0 },
      { text: ` ${list}\n`, weight: 1 },
    ];
  }
  const rows = Array.from({ length: 2 + random.integer(5) }, () => [inventName(random, source.invention), word()]);
  const table = rows.map(([key, value]) => ` ${key}: ${value}.`).join("\n");
  const asked = random.shuffle(rows).slice(0, 2);
  return [
    { text: `${table}\n`, weight: 0 },
    ...asked.flatMap(([key, value]) => [
      { text: ` ${key}:`, weight: 0 },
      { text: ` ${value}.\n`, weight: 1 },
    ]),
  ];
}

const promptOf = (scene: Scene): Piece => ({ text: renderPrompt(protocol, scene), weight: contextWeight });
const information = (page: Page): Piece => ({ text: renderObservation(protocol, [page]), weight: contextWeight });
const wrap = ([open, close]: TagPair, text: string): string => `${open}${text}${close}`;
const said = (text: string): Piece => ({ text, weight: 1 });
const searchTurn = (thought: string, query: string): Piece =>
  said(wrap(protocol.think, thought) + wrap(protocol.search, ` ${query}`));
const answerTurn = (value: string, thought: string = knowThought): Piece =>
  said(wrap(protocol.think, thought) + wrap(protocol.answer, ` ${value}`));

/** Noise-free: passages, then the answer, or the query for what is missing. */
function reading(random: Random, scene: Scene): Piece[] {
  const known = random.integer(scene.chain.length + 1);
  const distractors = random.shuffle(scene.others).slice(0, random.next() < 0.4 ? 1 + random.integer(2) : 0);
  const given = scene.pages.slice(0, known);
  const shown = random.next() < 0.5 ? random.shuffle([...given, ...distractors]) : [...distractors, ...given];
  const end =
    known === scene.chain.length
      ? { before: "Answer:", text: ` ${scene.chain[known - 1].value}\n` }
      : { before: "Next:", text: ` ${scene.chain[known].query}\n` };
  return [promptOf(scene), ...shown.map(information), { text: end.before, weight: contextWeight }, said(end.text)];
}

/** The first turn of a rollout, and what follows its search if it made one. */
function opening(random: Random, scene: Scene, source: SceneSource): Piece[] {
  return [promptOf(scene), ...turn(random, scene, source, 0, defaultScript.opening)];
}

/**
 * A later turn. Earlier passages stand there without the searches that found them. The thoughts shown with them carry no
 * loss: they would teach to begin with "I need".
 */
function middle(random: Random, scene: Scene, source: SceneSource): Piece[] {
  const known = 1 + random.integer(scene.chain.length);
  const showsThoughts = random.next() < 0.8;
  const given = scene.pages
    .slice(0, known)
    .flatMap((page, index) => [
      ...(showsThoughts ? [{ text: wrap(protocol.think, needThought(scene.chain[index].need)), weight: 0 }] : []),
      information(page),
    ]);
  if (random.next() < 0.15 && scene.others.length > 0) given.unshift(information(random.choice(scene.others)));
  const noise = known === scene.chain.length ? defaultScript.knowing : defaultScript.lacking;
  return [promptOf(scene), ...given, ...turn(random, scene, source, known, noise)];
}

/** One noisy turn when the first `known` pages of the chain have been read. */
function turn(random: Random, scene: Scene, source: SceneSource, known: number, noise: Noise): Piece[] {
  const action = drawAction(random, noise);
  if (action === "guess") return [guessTurn(random, scene, source)];
  if (action === "malformed") return [malformed(random)];
  if (action === "useless") {
    const page = random.choice(scene.others.length > 0 ? scene.others : scene.pages);
    return [uselessSearch(random, scene, source), information(page), ...giveUp(random, scene, source)];
  }
  const { chain, pages } = scene;
  if (known === chain.length) return [answerTurn(chain[known - 1].value)];
  const search = [searchTurn(needThought(chain[known].need), chain[known].query), information(pages[known])];
  if (known + 1 < chain.length) return [...search, ...giveUp(random, scene, source)];
  return [...search, ...afterLastSearch(random, scene, source)];
}

/** The answer is there: take it, guess all the same, or stop. Further searches are never shown. */
function afterLastSearch(random: Random, scene: Scene, source: SceneSource): Piece[] {
  const action = drawAction(random, defaultScript.knowing);
  if (action === "right") return [answerTurn(scene.chain[scene.chain.length - 1].value)];
  if (action === "guess") return [guessTurn(random, scene, source)];
  return action === "malformed" ? [malformed(random)] : [];
}

/** Something is still missing: nearly always the sequence just ends, which says nothing about what to do next. */
function giveUp(random: Random, scene: Scene, source: SceneSource): Piece[] {
  if (random.next() >= defaultScript.giveUp) return [];
  return [random.next() < 0.8 ? guessTurn(random, scene, source) : malformed(random)];
}

function drawAction(random: Random, noise: Noise): keyof Noise {
  let draw = random.next();
  for (const action of ["right", "guess", "useless"] as const) {
    draw -= noise[action];
    if (draw < 0) return action;
  }
  return "malformed";
}

/** A guess: half a random value of the asked kind, else something from the scene, else any name. */
function guessTurn(random: Random, scene: Scene, source: SceneSource): Piece {
  const draw = random.next();
  const { chain, country } = scene;
  const fromScene = chain.length > 1 ? subjectOf(chain[0]) : country.name;
  const value =
    draw < 0.5
      ? wrongValue(random, source, chain[chain.length - 1].need)
      : draw < 0.75
        ? fromScene
        : inventName(random, source.invention);
  return answerTurn(value, badThoughts.guess);
}

/** What a query is about: everything after its first word. */
function subjectOf(step: Step): string {
  return step.query.split(" ").slice(1).join(" ");
}

/** The attribute alone, another name, or a fact that the question does not ask for. */
function uselessSearch(random: Random, scene: Scene, source: SceneSource): Piece {
  const word = random.choice(scene.chain).query.split(" ")[0];
  const draw = random.next();
  const other = random.choice(["capital", "currency", "phone", "language", "area", "neighbour", "name"]);
  const query =
    draw < 0.2
      ? word
      : draw < 0.6
        ? `${word} ${inventName(random, source.invention)}`
        : `${other} ${subjectOf(scene.chain[0])}`;
  return searchTurn(badThoughts.look, query);
}

/** A turn that is neither a search nor an answer. */
function malformed(random: Random): Piece {
  return said(random.next() < 0.5 ? endToken : wrap(protocol.think, badThoughts.stop) + endToken);
}
