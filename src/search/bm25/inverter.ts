/**
 * @file From passages in order to postings by term. Postings gather passage by passage; a counting sort then turns what
 * has gathered into a run: all postings of term 0, then of term 1, … each in passage order. A large corpus makes several
 * runs, which are merged in their order, so memory is bounded by one run and the dictionary.
 */
import type { Analyzer } from "../analyzer.js";
import { GrowingUint32 } from "./growing.js";

/** Postings sorted by term. */
export interface Run {
  /** Postings of each term; terms are numbered in the order of their first appearance. */
  counts: Uint32Array;
  passages: Uint32Array;
  frequencies: Uint32Array;
}

/** Words remembered with their term, so that most words are stemmed once. Cleared when full: memory stays bounded. */
const rememberedWords = 1_000_000;
const notIndexed = -1;

export class Inverter {
  /** Term → number, in the order of first appearance. */
  readonly terms = new Map<string, number>();
  readonly lengths = new GrowingUint32();
  totalLength = 0;
  maxFrequency = 0;
  private readonly analyzer: Analyzer;
  private readonly words = new Map<string, number>();
  private readonly termNumbers = new GrowingUint32();
  private readonly frequencies = new GrowingUint32();
  /** Distinct terms of each passage gathered since the last run. */
  private readonly distinct = new GrowingUint32();
  /** Where a term's posting of the current passage may stand; checked before it is believed. */
  private readonly slots = new GrowingUint32();

  constructor(analyzer: Analyzer) {
    this.analyzer = analyzer;
  }

  /** Postings gathered since the last run. */
  get gathered(): number {
    return this.termNumbers.length;
  }

  /** Adds the next passage. Title and text are indexed alike, as in Pyserini's `contents`. */
  add(title: string, text: string): void {
    const first = this.termNumbers.length;
    let length = 0;
    this.analyzer.forEachWord(`${title}\n${text}`, (word) => {
      const term = this.termNumberOf(word);
      if (term === notIndexed) return;
      length++;
      const slot = this.slots.at(term);
      if (slot >= first && slot < this.termNumbers.length && this.termNumbers.at(slot) === term) {
        this.frequencies.increment(slot);
      } else {
        this.slots.set(term, this.termNumbers.length);
        this.termNumbers.push(term);
        this.frequencies.push(1);
      }
    });
    for (let slot = first; slot < this.frequencies.length; slot++)
      this.maxFrequency = Math.max(this.maxFrequency, this.frequencies.at(slot));
    this.distinct.push(this.termNumbers.length - first);
    this.lengths.push(length);
    this.totalLength += length;
  }

  /** Sorts what has gathered into a run and starts anew. */
  takeRun(): Run {
    const counts = new Uint32Array(this.terms.size);
    const gatheredTerms = this.termNumbers.view();
    const gatheredFrequencies = this.frequencies.view();
    for (const term of gatheredTerms) counts[term]++;
    const next = new Uint32Array(counts.length);
    for (let term = 1; term < counts.length; term++) next[term] = next[term - 1] + counts[term - 1];
    const passages = new Uint32Array(gatheredTerms.length);
    const frequencies = new Uint32Array(gatheredTerms.length);
    let passage = this.lengths.length - this.distinct.length;
    let slot = 0;
    for (const distinct of this.distinct.view()) {
      for (const end = slot + distinct; slot < end; slot++) {
        const place = next[gatheredTerms[slot]]++;
        passages[place] = passage;
        frequencies[place] = gatheredFrequencies[slot];
      }
      passage++;
    }
    this.termNumbers.clear();
    this.frequencies.clear();
    this.distinct.clear();
    return { counts, passages, frequencies };
  }

  private termNumberOf(word: string): number {
    const known = this.words.get(word);
    if (known !== undefined) return known;
    if (this.words.size >= rememberedWords) this.words.clear();
    const term = this.analyzer.termOf(word);
    const number = term === null ? notIndexed : this.numberOf(term);
    this.words.set(detached(word), number);
    return number;
  }

  private numberOf(term: string): number {
    const known = this.terms.get(term);
    if (known !== undefined) return known;
    const number = this.terms.size;
    this.terms.set(detached(term), number);
    this.slots.push(0);
    return number;
  }
}

/** A copy that does not keep the passage alive it was cut from, as V8's slices do. */
function detached(text: string): string {
  return Buffer.from(text, "utf16le").toString("utf16le");
}
