/** @file The order in which candidates are tried: seeded, balanced over their kinds and over the documents. */
import { Random } from "../../random.js";
import { documentOf, type Candidate } from "./candidate.js";

/** How many of a kind are wanted for one of another. What can be guessed (a version, a number), or is a dull word, comes seldom. */
const weights: Readonly<Record<string, number>> = {
  definition: 4,
  default: 4,
  table: 3,
  gap: 3,
  abbreviation: 2,
  since: 1,
  number: 1,
  word: 0.4,
};

/**
 * The candidates in the order in which they are tried: at any time, so many of each kind as its weight says, as long as it has some. Within a kind,
 * every document has its first question before any has its second.
 */
export function* balanced(candidates: readonly Candidate[], seed: number): Generator<Candidate> {
  const queues = [...groupBy(new Random(seed, "question-candidates").shuffle(candidates), ({ kind }) => kind)].map(
    ([kind, all]) => ({
      weight: weights[kind] ?? 1,
      taken: 0,
      waiting: inTurns(groupBy(all, documentOfCandidate).values()),
    }),
  );
  for (;;) {
    const open = queues.filter(({ waiting, taken }) => taken < waiting.length);
    if (open.length === 0) return;
    const next = open.reduce((a, b) => (b.taken / b.weight < a.taken / a.weight ? b : a));
    yield next.waiting[next.taken++];
  }
}

/** Each list's first, then each one's second, and so on. */
export function inTurns<Item>(lists: Iterable<readonly Item[]>): Item[] {
  const rounds: Item[][] = [];
  for (const list of lists) for (const [round, item] of list.entries()) (rounds[round] ??= []).push(item);
  return rounds.flat();
}

/** The document of the passage that holds the answer. */
export function documentOfCandidate({ evidence }: Pick<Candidate, "evidence">): string {
  return documentOf((evidence.at(-1) as Candidate["evidence"][number]).id);
}

/** Items by a key, in the order in which the keys come. */
export function groupBy<Item, Key>(items: Iterable<Item>, keyOf: (item: Item) => Key): Map<Key, Item[]> {
  const groups = new Map<Key, Item[]>();
  for (const item of items) {
    const group = groups.get(keyOf(item));
    if (group === undefined) groups.set(keyOf(item), [item]);
    else group.push(item);
  }
  return groups;
}
