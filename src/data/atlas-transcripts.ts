/**
 * @file Transcripts of the built-in world: how an ideal searcher answers questions about training countries, in plain
 * English. Its searches are really made, so that a reader learns from what this search engine returns.
 */
import { UserError } from "../errors.js";
import type { Protocol } from "../prompts/protocol.js";
import { Random } from "../random.js";
import { Bm25Engine } from "../search/bm25/engine.js";
import type { Passage } from "../types.js";
import { buildAtlas, type Atlas } from "./atlas/atlas.js";
import type { Step } from "./atlas/chains.js";
import { fill } from "./atlas/pages.js";
import { bridgePhrases, type Bridge } from "./atlas/phrases.js";
import type { AtlasQuestion } from "./atlas/questions.js";
import type { Transcript } from "./transcripts.js";

export interface AtlasTranscriptOptions {
  /** How many. */
  count: number;
  /** Draws questions and wordings. */
  seed: number;
  /** Which countries are held out. */
  worldSeed: number;
  /** Questions of 1 to so many hops, equally many of each. */
  maxHops: number;
  /** Passages per search, and BM25's settings: those of the rollouts to come. */
  topK: number;
  k1: number;
  b: number;
  protocol: Protocol;
}

/**
 * Transcripts about training countries alone: of questions whose searches find what they need and show no page that speaks of
 * a held-out country. A pure function of its options.
 * @throws UserError when the world has fewer
 */
export async function atlasTranscripts(options: AtlasTranscriptOptions): Promise<Transcript[]> {
  const { count, seed, worldSeed, maxHops } = options;
  const world = buildAtlas({ seed: worldSeed });
  const engine = Bm25Engine.fromPassages(world.passages, { k1: options.k1, b: options.b });
  const allowed = new Set(world.trainingPages.map((page) => page.id));
  const random = new Random(seed, "atlas-transcripts");
  const transcripts: Transcript[] = [];
  try {
    for (let hops = 1; hops <= maxHops; hops++) {
      const wanted = Math.floor(count / maxHops) + (hops <= count % maxHops ? 1 : 0);
      const made = await ofHops(world, hops, wanted, { ...options, engine, allowed });
      if (made.length < wanted) {
        throw new UserError(
          `The built-in world gives ${made.length} transcripts of ${hops} ${hops === 1 ? "search" : "searches"}, and ${wanted} were asked for. Ask for fewer with sft.count, or raise search.topK.`,
        );
      }
      transcripts.push(...made);
    }
  } finally {
    await engine.close();
  }
  return random.shuffle(transcripts);
}

interface Library extends AtlasTranscriptOptions {
  engine: Bm25Engine;
  /** Pages that may be shown. */
  allowed: ReadonlySet<string>;
}

async function ofHops(world: Atlas, hops: number, wanted: number, library: Library): Promise<Transcript[]> {
  const questions = world.questions.train.filter((question) => question.hops === hops);
  const transcripts: Transcript[] = [];
  for (const question of new Random(library.seed, "questions", hops).shuffle(questions)) {
    if (transcripts.length === wanted) break;
    const transcript = await tryTranscript(question, library);
    if (transcript !== null) transcripts.push(transcript);
  }
  return transcripts;
}

/** Null when a search does not find its page, or shows one of a held-out country. */
async function tryTranscript(question: AtlasQuestion, library: Library): Promise<Transcript | null> {
  const { engine, allowed, topK, protocol, seed } = library;
  const random = new Random(seed, "wording", question.id);
  const { think, search, answer } = protocol;
  const turns: Transcript["turns"] = [];
  for (const [index, step] of question.chain.entries()) {
    const thought =
      index === 0 ? openingThought(random, step) : furtherThought(random, question.chain[index - 1], step);
    const query = naturalQuery(random, step);
    const [passages] = await engine.searchBatch([query], topK);
    if (!passages.some(({ id }) => id === step.pageId) || !passages.every(({ id }) => allowed.has(id))) return null;
    turns.push({ role: "policy", text: `${wrap(think, thought)}\n${wrap(search, query)}` });
    turns.push({ role: "environment", passages: passages.map(bare) });
  }
  const last = question.chain[question.chain.length - 1];
  turns.push({ role: "policy", text: `${wrap(think, closingThought(random, last))}\n${wrap(answer, last.value)}` });
  const { id, question: text, answers } = question;
  return { id, question: text, answers, turns, place: `atlas: ${id}` };
}

function wrap([open, close]: readonly [string, string], text: string): string {
  return `${open} ${text} ${close}`;
}

function bare({ title, text }: Passage): { title: string; text: string } {
  return { title, text };
}

function openingThought(random: Random, step: Step): string {
  const wanted = nounPhrase(random, step);
  return random.choice([
    `I need ${wanted}.`,
    `I need to find ${wanted}.`,
    `I should look up ${wanted}.`,
    `First I search for ${wanted}.`,
  ]);
}

function furtherThought(random: Random, found: Step, step: Step): string {
  const next = random.choice(["Now I need", "Next I need", "Now I search for"]);
  return `${random.choice(findings(found))} ${next} ${nounPhrase(random, step)}.`;
}

function closingThought(random: Random, found: Step): string {
  return random.choice(findings(found));
}

/** What was read, in words. */
function findings({ need, value }: Step): string[] {
  const kind = needNames[need] ?? need;
  return [`The ${kind} is ${value}.`, `It says the ${kind} is ${value}.`, `I found the ${kind}: ${value}.`];
}

/** As a person would type it: a phrase, a question or keywords. */
function naturalQuery(random: Random, step: Step): string {
  const phrase = nounPhrase(random, step);
  const plain = phrase.replace(/^the /, "");
  return random.choice([plain, plain, `${step.need === "country" ? "Which" : "What"} is ${phrase}?`, step.query]);
}

/** What a step is after: `the capital of Peru`, `the country whose capital is Lima`, … */
function nounPhrase(random: Random, { need, query }: Step): string {
  // An ideal searcher's keywords begin with the attribute; the rest is what is known.
  const [attribute, ...rest] = query.split(" ");
  const known = rest.join(" ");
  if (need === "country") return fill(random.choice(bridgePhrases[attribute as Bridge]), { v: known });
  if (need === "currency name") return `the currency with the code ${known}`;
  if (need === "code") return `the code of the ${known}`;
  return `the ${needNames[need] ?? need} of ${known}`;
}

/** Needs that people call otherwise. */
const needNames: Readonly<Partial<Record<Step["need"], string>>> = {
  phone: "phone prefix",
  name: "local name",
  "currency name": "currency",
};
