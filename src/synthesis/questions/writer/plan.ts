/** @file Which passages a language model is asked about, in which order, and what that will cost at most. */
import { Random } from "../../../random.js";
import type { StoredPassage } from "../../../types.js";
import { documentOf } from "../candidate.js";
import { isSpecific, looksLikeName } from "../cloze/answers.js";
import { sentencesOf } from "../cloze/parts.js";
import { forEachPassage, type MakeOptions } from "../corpus.js";
import { inTurns } from "../draw.js";
import { WordRarity } from "../word-rarity.js";

/** One request for questions: about a passage, or about two that share a name. Passages by their numbers. */
export interface Target {
  numbers: [first: number] | [first: number, second: number];
  bridge?: string;
}

export interface WritingPlan {
  targets: Target[];
  /** That have a passage worth asking about. */
  documents: number;
  estimate: Estimate;
}

/** Upper bounds. */
export interface Estimate {
  requests: number;
  promptTokens: number;
  completionTokens: number;
}

/** US dollars per million tokens. */
export interface Price {
  prompt: number;
  completion: number;
}

/** Characters of a token, about, in English and in code. */
const charactersPerToken = 3.5;
/** Characters of a request beside its passages; tokens of a reply, and of a closed-book check with its reply. */
const sizes = { instructions: 1100, reply: 120, checkPrompt: 70, checkReply: 8 };

/** A name that leads from one passage to another stands in so many passages at most. */
const mostHolders = 6;

/**
 * The requests in their order: documents take turns, and every so many requests one asks about two passages.
 * @param options.requests most requests for questions
 * @param options.twoHops share of the requests that ask about two passages, in [0, 1]
 * @throws the signal's reason
 */
export async function planWriting(
  options: MakeOptions & { requests: number; twoHops: number; closedBook: boolean },
): Promise<WritingPlan> {
  const { seed, requests, twoHops, count, closedBook } = options;
  const rarity = new WordRarity();
  await forEachPassage(options, "reading", ({ text }) => rarity.add(text));
  const ofDocument = new Map<string, number[]>();
  const holders = new Map<string, Holder[]>();
  let [characters, suitable] = [0, 0];
  await forEachPassage(options, "finding", (passage, number) => {
    if (!isWorthAsking(passage)) return;
    const document = documentOf(passage.id);
    const numbers = ofDocument.get(document);
    if (numbers === undefined) ofDocument.set(document, [number]);
    else numbers.push(number);
    characters += passage.text.length;
    suitable++;
    if (twoHops > 0)
      for (const name of namesIn(passage, rarity))
        holders.set(name, [...(holders.get(name) ?? []), { number, document }]);
  });
  const random = new Random(seed, "written-questions");
  const pairs = random.shuffle(pairsOf(holders)).slice(0, Math.round(requests * twoHops));
  const turns = inTurns(random.shuffle([...ofDocument.values()].map((numbers) => random.shuffle(numbers))));
  const single = turns.map((number): Target => ({ numbers: [number] }));
  const targets = interleaved(single, pairs).slice(0, requests);
  const passagesAsked = targets.reduce((sum, { numbers }) => sum + numbers.length, 0);
  const mean = characters / Math.max(1, suitable);
  const checks = closedBook ? Math.min(count * 2, targets.length * 2) : 0;
  const written = targets.length * sizes.instructions + passagesAsked * mean;
  return {
    targets,
    documents: ofDocument.size,
    estimate: {
      requests: targets.length + checks,
      promptTokens: Math.ceil(written / charactersPerToken) + checks * sizes.checkPrompt,
      completionTokens: targets.length * sizes.reply + checks * sizes.checkReply,
    },
  };
}

/** US dollars. */
export function costOf(
  { promptTokens, completionTokens }: Pick<Estimate, "promptTokens" | "completionTokens">,
  price: Price,
): number {
  return (promptTokens * price.prompt + completionTokens * price.completion) / 1e6;
}

interface Holder {
  number: number;
  document: string;
}

/** Running text, and some of it. */
function isWorthAsking({ text }: StoredPassage): boolean {
  return sentencesOf(text).join(" ").length >= 120;
}

/** Names in a passage that only a few passages have. */
function namesIn({ text }: StoredPassage, rarity: WordRarity): Set<string> {
  const names = text.match(/[\p{L}_][\p{L}\p{N}_.-]{3,38}[\p{L}\p{N}_]/gu) ?? [];
  return new Set(names.filter((name) => looksLikeName(name) && isSpecific(name, rarity) && rarity.isRare(name, 0)));
}

/** A pair of passages of different documents for each name. */
function pairsOf(holders: ReadonlyMap<string, readonly Holder[]>): Target[] {
  return [...holders].flatMap(([bridge, all]): Target[] => {
    if (all.length < 2 || all.length > mostHolders) return [];
    const second = all.find(({ document }) => document !== all[0].document);
    return second === undefined ? [] : [{ numbers: [all[0].number, second.number], bridge }];
  });
}

/** The pairs spread evenly among the others. */
function interleaved(single: readonly Target[], pairs: readonly Target[]): Target[] {
  const every = pairs.length === 0 ? Infinity : Math.max(1, Math.floor(single.length / pairs.length));
  const all: Target[] = [];
  let next = 0;
  for (const [at, target] of single.entries()) {
    all.push(target);
    if ((at + 1) % Math.min(every, 4) === 0 && next < pairs.length) all.push(pairs[next++]);
  }
  return [...all, ...pairs.slice(next)];
}
