/**
 * @file From passages in order to postings by term. Postings gather passage by passage; a counting sort then turns what
 * has gathered into a run: all postings of term 0, then of term 1, … each in passage order.
 */
import type { Analyzer } from "../text/analyzer.js";

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

/** Where each term's postings start, and where the last one's end. */
export function offsetsOf(counts: Uint32Array): Uint32Array {
  const offsets = new Uint32Array(counts.length + 1);
  for (let term = 0; term < counts.length; term++) offsets[term + 1] = offsets[term] + counts[term];
  return offsets;
}

/** A copy that does not keep the passage alive it was cut from, as V8's slices do. */
function detached(text: string): string {
  return Buffer.from(text, "utf16le").toString("utf16le");
}

/** Words remembered; more are forgotten all at once, so memory stays bounded. */
const rememberedWords = 1_000_000;

/** Numbers of a slot: the word's hash, where its units begin, their count + 1 (0: the slot is free), the word's number. */
const slotSize = 4;

/**
 * Numbers of words, asked for by where the word stands in a text: no string is made for a word that is known, which is what most of the time
 * of indexing would go into.
 */
export class WordNumbers {
  readonly #numberFor: (word: string) => number;
  readonly #capacity: number;
  /** An open hash table; everything about a word in one cache line. */
  #slots = new Int32Array(slotSize << 10);
  #size = 0;
  /** UTF-16 units of all words, one after another. */
  #units = new Uint16Array(1 << 12);
  #unitsEnd = 0;

  /** `numberFor` is asked about words that are not remembered; numbers are integers from −2³¹ to 2³¹ − 1. */
  constructor(numberFor: (word: string) => number, capacity = rememberedWords) {
    this.#numberFor = numberFor;
    this.#capacity = capacity;
  }

  /** The number of the word from `start` to `end`. */
  numberAt(text: string, start: number, end: number): number {
    const slots = this.#slots;
    const units = this.#units;
    let hash = 0x811c9dc5;
    for (let at = start; at < end; at++) hash = Math.imul(hash ^ text.charCodeAt(at), 0x01000193);
    hash ^= hash >>> 15;
    const mask = slots.length - 1;
    const stored = end - start + 1;
    for (let slot = (hash * slotSize) & mask; slots[slot + 2] !== 0; slot = (slot + slotSize) & mask) {
      if (slots[slot] !== hash || slots[slot + 2] !== stored) continue;
      let at = start;
      for (let unit = slots[slot + 1]; at < end && units[unit] === text.charCodeAt(at); unit++) at++;
      if (at === end) return slots[slot + 3];
    }
    return this.#remember(text.slice(start, end), hash);
  }

  #remember(word: string, hash: number): number {
    const number = this.#numberFor(word);
    if (this.#size >= this.#capacity) this.#forget();
    if (this.#unitsEnd + word.length > this.#units.length) {
      const grown = new Uint16Array(Math.max(this.#unitsEnd + word.length, this.#units.length * 2));
      grown.set(this.#units);
      this.#units = grown;
    }
    const start = this.#unitsEnd;
    for (let at = 0; at < word.length; at++) this.#units[start + at] = word.charCodeAt(at);
    this.#unitsEnd += word.length;
    this.#size++;
    if (this.#size * 2 * slotSize > this.#slots.length) this.#grow();
    this.#put(hash, start, word.length + 1, number);
    return number;
  }

  #put(hash: number, start: number, stored: number, number: number): void {
    const slots = this.#slots;
    const mask = slots.length - 1;
    let slot = (hash * slotSize) & mask;
    while (slots[slot + 2] !== 0) slot = (slot + slotSize) & mask;
    slots[slot] = hash;
    slots[slot + 1] = start;
    slots[slot + 2] = stored;
    slots[slot + 3] = number;
  }

  #grow(): void {
    const old = this.#slots;
    this.#slots = new Int32Array(old.length * 2);
    for (let slot = 0; slot < old.length; slot += slotSize)
      if (old[slot + 2] !== 0) this.#put(old[slot], old[slot + 1], old[slot + 2], old[slot + 3]);
  }

  #forget(): void {
    this.#slots.fill(0);
    this.#size = 0;
    this.#unitsEnd = 0;
  }
}

/** A typed array that grows by doubling. */
abstract class Growing<Values extends Uint32Array | Float64Array> {
  readonly #kind: new (length: number) => Values;
  protected values: Values;
  length = 0;

  constructor(kind: new (length: number) => Values) {
    this.#kind = kind;
    this.values = new kind(1024);
  }

  push(value: number): void {
    if (this.length === this.values.length) this.#reserve(this.length + 1);
    this.values[this.length++] = value;
  }

  at(index: number): number {
    return this.values[index];
  }

  set(index: number, value: number): void {
    this.values[index] = value;
  }

  increment(index: number): void {
    this.values[index]++;
  }

  /** Back to length 0; the memory is kept. */
  clear(): void {
    this.length = 0;
  }

  /** What is held, without a copy: valid until the next push. */
  view(): Values {
    return this.values.subarray(0, this.length) as Values;
  }

  #reserve(length: number): void {
    const grown = new this.#kind(Math.max(length, this.values.length * 2));
    grown.set(this.values);
    this.values = grown;
  }
}

/** Unsigned 32-bit integers. */
export class GrowingUint32 extends Growing<Uint32Array> {
  constructor() {
    super(Uint32Array);
  }
}

/** Numbers, such as byte offsets beyond 4 GiB. */
export class GrowingFloat64 extends Growing<Float64Array> {
  constructor() {
    super(Float64Array);
  }
}
