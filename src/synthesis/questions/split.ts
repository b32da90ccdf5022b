/**
 * @file Questions divided into training, validation and test by document: documents that repeat each other (a page in two formats, a copy, a text
 * that includes another) go together, so that what is held out was in no form trained on.
 */
import type { QuestionPart } from "../../data/questions.js";
import { Random, deriveSeed } from "../../random.js";
import { groupBy } from "./draw.js";
import { wordsIn } from "./word-rarity.js";

/** Share of the questions that each part is to have. */
const shares: Readonly<Record<QuestionPart, number>> = { train: 0.8, validation: 0.1, test: 0.1 };

/** Words of a run that is compared; one in `sampling` runs, by its hash, is. */
const [runWords, sampling] = [7, 8];
/** Two documents repeat each other when this share of the smaller one's runs stands in the other, and so many runs at least. */
const repeats = { share: 0.3, runs: 4 };
/** A run in more documents is a formula ("Permission is hereby granted …"). */
const mostDocuments = 12;

/** The runs of a document that it is recognised by, as hashes. Text may come in pieces. */
export function fingerprint(text: string, into = new Set<number>()): Set<number> {
  const words = wordsIn(text);
  for (let start = 0; start + runWords <= words.length; start++) {
    const hash = deriveSeed(words.slice(start, start + runWords).join(" "));
    if (hash % sampling === 0) into.add(hash);
  }
  return into;
}

/** For each document, the name of its group: documents that repeat each other have the same one. */
export function groupRepeated(documents: ReadonlyMap<string, ReadonlySet<number>>): Map<string, string> {
  const holders = new Map<number, string[]>();
  for (const [document, runs] of documents)
    for (const run of runs) {
      const list = holders.get(run);
      if (list === undefined) holders.set(run, [document]);
      else if (list.length <= mostDocuments) list.push(document);
    }
  const groups = new Groups();
  for (const [document, runs] of documents) {
    const common = new Map<string, number>();
    for (const run of runs) {
      const list = holders.get(run) as string[];
      if (list.length > mostDocuments) continue;
      for (const other of list) if (other !== document) common.set(other, (common.get(other) ?? 0) + 1);
    }
    for (const [other, shared] of common) {
      const smaller = Math.min(runs.size, documents.get(other)?.size ?? 0);
      if (shared >= repeats.runs && shared >= repeats.share * smaller) groups.join(document, other);
    }
  }
  return new Map([...documents.keys()].map((document) => [document, groups.of(document)]));
}

/** Union–find. */
class Groups {
  readonly #parents = new Map<string, string>();

  of(name: string): string {
    const parent = this.#parents.get(name) ?? name;
    if (parent === name) return name;
    const root = this.of(parent);
    this.#parents.set(name, root);
    return root;
  }

  join(one: string, other: string): void {
    this.#parents.set(this.of(one), this.of(other));
  }
}

/**
 * Divides items by their groups. The parts come as near to their shares as whole groups allow; what is less than ten groups may leave validation
 * or test empty.
 */
export function splitByGroup<Item>(
  items: readonly Item[],
  groupOf: (item: Item) => string,
  seed: number,
): Record<QuestionPart, Item[]> {
  const parts: Record<QuestionPart, Item[]> = { train: [], validation: [], test: [] };
  const groups = new Random(seed, "question-parts").shuffle([...groupBy(items, groupOf).values()]);
  // The largest group cannot be held out whole without unbalancing everything.
  groups.sort((a, b) => b.length - a.length);
  for (const group of groups) {
    const lacking = (Object.keys(shares) as QuestionPart[]).map((part) => ({
      part,
      share: (parts[part].length + group.length) / shares[part],
    }));
    const { part } = lacking.reduce((a, b) => (b.share < a.share ? b : a));
    parts[part].push(...group);
  }
  return parts;
}
