/**
 * @file From passages in order to postings by term. Postings gather passage by passage; a counting sort then turns what
 * has gathered into a run: all postings of term 0, then of term 1, … each in passage order.
 */
import type { Analyzer } from "../text/analyzer.js";
import { GrowingUint32 } from "./growing.js";
import { WordNumbers } from "./word-numbers.js";

/** What has gathered, sorted by term. */
export interface SortedPostings {
  /** The terms that occur, in UTF-16 order. */
  terms: string[];
  /** Number of postings of each of them. */
  counts: Uint32Array;
  /** By term, ascending within a term; the first passage since the last run is 0. */
  passages: Uint32Array;
  frequencies: Uint32Array;
  /** Terms of each passage, repetitions included. */
  lengths: Uint32Array;
  totalLength: number;
  maxFrequency: number;
}

/** More terms than this are forgotten all at once after a run, so memory stays bounded. */
const defaultRemembered = 2_000_000;
const notIndexed = -1;

export class Inverter {
  readonly #analyzer: Analyzer;
  readonly #rememberedTerms: number;
  /** Term → number, in the order of first appearance. */
  readonly #terms = new Map<string, number>();
  /** The same, by number. */
  readonly #names: string[] = [];
  /** Numbers of the terms of earlier runs, sorted by term. */
  #sorted = new Uint32Array(0);
  #words: WordNumbers;
  readonly #lengths = new GrowingUint32();
  #totalLength = 0;
  #maxFrequency = 0;
  readonly #termNumbers = new GrowingUint32();
  readonly #frequencies = new GrowingUint32();
  /** Distinct terms of each passage. */
  readonly #distinct = new GrowingUint32();
  /** Where a term's posting of the current passage may stand; checked before it is believed. */
  readonly #slots = new GrowingUint32();

  /** `rememberedTerms`: terms kept from run to run. */
  constructor(analyzer: Analyzer, rememberedTerms = defaultRemembered) {
    this.#analyzer = analyzer;
    this.#rememberedTerms = rememberedTerms;
    this.#words = this.#noWords();
  }

  /** Adds the next passage. Title and text are indexed alike, as in Pyserini's `contents`. */
  add(title: string, text: string): void {
    const termNumbers = this.#termNumbers;
    const frequencies = this.#frequencies;
    const slots = this.#slots;
    const words = this.#words;
    const first = termNumbers.length;
    let length = 0;
    this.#analyzer.forEachWordAt(`${title}\n${text}`, (source, start, end) => {
      const term = words.numberAt(source, start, end);
      if (term === notIndexed) return;
      length++;
      const slot = slots.at(term);
      if (slot >= first && slot < termNumbers.length && termNumbers.at(slot) === term) {
        frequencies.increment(slot);
      } else {
        slots.set(term, termNumbers.length);
        termNumbers.push(term);
        frequencies.push(1);
      }
    });
    for (let slot = first; slot < frequencies.length; slot++)
      this.#maxFrequency = Math.max(this.#maxFrequency, frequencies.at(slot));
    this.#distinct.push(termNumbers.length - first);
    this.#lengths.push(length);
    this.#totalLength += length;
  }

  /** Sorts what has gathered into a run and starts anew. */
  takeRun(): SortedPostings {
    const totals = this.#countTerms();
    const order = this.#sortTerms().filter((term) => totals[term] > 0);
    const counts = Uint32Array.from(order, (term) => totals[term]);
    const next = totals;
    let end = 0;
    for (const term of order) {
      const count = totals[term];
      next[term] = end;
      end += count;
    }
    const run: SortedPostings = {
      terms: Array.from(order, (term) => this.#names[term]),
      counts,
      ...this.#placePostings(next),
      lengths: this.#lengths.view().slice(),
      totalLength: this.#totalLength,
      maxFrequency: this.#maxFrequency,
    };
    this.#clear();
    return run;
  }

  /** Postings gathered of each term, by number. */
  #countTerms(): Uint32Array {
    const counts = new Uint32Array(this.#names.length);
    for (const term of this.#termNumbers.view()) counts[term]++;
    return counts;
  }

  /** All terms, sorted: those that are new since the last run are sorted and merged into the others. */
  #sortTerms(): Uint32Array {
    const names = this.#names;
    const old = this.#sorted;
    const added = Array.from({ length: names.length - old.length }, (_, index) => old.length + index);
    added.sort((one, other) => (names[one] < names[other] ? -1 : 1));
    const merged = new Uint32Array(names.length);
    let [fromOld, fromAdded] = [0, 0];
    for (let place = 0; place < merged.length; place++) {
      const isOld =
        fromAdded === added.length || (fromOld < old.length && names[old[fromOld]] < names[added[fromAdded]]);
      merged[place] = isOld ? old[fromOld++] : added[fromAdded++];
    }
    this.#sorted = merged;
    return merged;
  }

  /** Puts every posting at the next place of its term. */
  #placePostings(next: Uint32Array): Pick<SortedPostings, "passages" | "frequencies"> {
    const gatheredTerms = this.#termNumbers.view();
    const gatheredFrequencies = this.#frequencies.view();
    const passages = new Uint32Array(gatheredTerms.length);
    const frequencies = new Uint32Array(gatheredTerms.length);
    let passage = 0;
    let slot = 0;
    for (const distinct of this.#distinct.view()) {
      for (const end = slot + distinct; slot < end; slot++) {
        const place = next[gatheredTerms[slot]]++;
        passages[place] = passage;
        frequencies[place] = gatheredFrequencies[slot];
      }
      passage++;
    }
    return { passages, frequencies };
  }

  #clear(): void {
    for (const list of [this.#lengths, this.#termNumbers, this.#frequencies, this.#distinct]) list.clear();
    this.#totalLength = 0;
    this.#maxFrequency = 0;
    if (this.#names.length < this.#rememberedTerms) return;
    this.#terms.clear();
    this.#names.length = 0;
    this.#slots.clear();
    this.#sorted = new Uint32Array(0);
    this.#words = this.#noWords();
  }

  /** Most words are stemmed once: afterwards the word's number is that of its term. */
  #noWords(): WordNumbers {
    return new WordNumbers((word) => {
      const term = this.#analyzer.termOf(word);
      return term === null ? notIndexed : this.#numberOf(term);
    });
  }

  #numberOf(term: string): number {
    const known = this.#terms.get(term);
    if (known !== undefined) return known;
    const number = this.#names.length;
    const own = detached(term);
    this.#terms.set(own, number);
    this.#names.push(own);
    this.#slots.push(0);
    return number;
  }
}

/** A copy that does not keep the passage alive it was cut from, as V8's slices do. */
function detached(text: string): string {
  return Buffer.from(text, "utf16le").toString("utf16le");
}
