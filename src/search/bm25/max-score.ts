/**
 * @file The best passages of one segment, without scoring them all: MaxScore (Turtle and Flood, "Query evaluation: strategies and
 * optimizations", 1995) over windows of passages, as Lucene's MaxScoreBulkScorer does it.
 *
 * A term adds at most its bound to a score. Terms are ordered by rarity; once the bounds of the most frequent ones together stay below the
 * score that a passage needs, passages that hold only such terms are out of question. In each window, the postings of the other terms, the
 * essential ones, are added up in an array of scores; what then can still reach the needed score is looked up in the long lists of the
 * rest. As the needed score rises from window to window, fewer terms are essential and fewer passages are looked up.
 *
 * Sums come in another order than the scores that are given out, and so differ from them in the last bits. Passages within `slack` of the
 * needed score are therefore added up once more, in the order of the query's terms; only that sum decides.
 */
import type { TopK } from "../top-k.js";
import { SegmentBounds, compactLengths, tfReachedBy } from "./impacts.js";
import type { Lengths, TfComponents } from "./impacts.js";
import type { IndexSegment } from "./snapshot.js";

/** Relative. Sums of n terms in two orders differ by less than n · 2⁻⁵²: with room for a million terms. */
const slack = 1e-9;

/** A term of the query as a segment holds it. */
export interface QueryTerm {
  /** Number of the term in the segment. */
  number: number;
  /** What its tf components are multiplied with; above 0. */
  weight: number;
}

/** The postings of a term on their way through the windows. */
interface List {
  number: number;
  weight: number;
  /** What the term adds to a score at most. */
  bound: number;
  start: number;
  end: number;
  /** First posting of the current window, or one before it. */
  from: number;
  /** First posting behind the current window, once the list has been added. */
  next: number;
}

/** Memory for one window, which the searches of all segments share: one at a time uses it. */
export class Workspace {
  /** All 0 between windows. */
  readonly scores: Float64Array;
  /** Passages with a score, numbered within the window; several runs, each ascending. */
  readonly touched: Uint32Array;
  /** Sums of the first passages of `touched`, once they are no longer in `scores`. */
  readonly sums: Float64Array;

  constructor(windowPassages: number) {
    this.scores = new Float64Array(windowPassages);
    this.touched = new Uint32Array(windowPassages);
    this.sums = new Float64Array(windowPassages);
  }
}

export class SegmentSearch {
  readonly #segment: IndexSegment;
  readonly #tf: TfComponents;
  readonly #workspace: Workspace;
  readonly #lengths: Lengths;
  readonly #bounds: SegmentBounds;
  readonly #sets: PassageSets;
  /** Where the runs of `touched` end. */
  #runs: number[] = [];

  /** `longest`: no passage is longer. */
  constructor(segment: IndexSegment, longest: number, tf: TfComponents, workspace: Workspace) {
    this.#segment = segment;
    this.#tf = tf;
    this.#workspace = workspace;
    this.#lengths = compactLengths(segment.lengths, longest);
    this.#bounds = new SegmentBounds(segment, this.#lengths, tf);
    this.#sets = new PassageSets(segment);
  }

  /** A score that at least `k` passages reach, or 0 when none is known. */
  reachedBy(k: number, terms: readonly QueryTerm[]): number {
    return terms.reduce(
      (most, { number, weight }) => Math.max(most, weight * tfReachedBy(k, this.#bounds.of(number))),
      0,
    );
  }

  /** Offers every passage that may be among the best. `terms` in the order in which a score adds them up; `needed`: nothing below it counts. */
  offerTo(best: TopK, terms: readonly QueryTerm[], needed: number): void {
    const { postingPassages, firstPassage } = this.#segment;
    const { touched, sums } = this.#workspace;
    const lists = terms.map((term) => this.#listOf(term));
    const byRarity = [...lists].sort((a, b) => a.end - a.start - (b.end - b.start));
    const bounds = boundsFrom(byRarity);
    let essential = byRarity.length;
    for (;;) {
      const threshold = Math.max(needed, best.threshold) * (1 - slack);
      while (essential > 0 && bounds[essential - 1] < threshold) essential--;
      const base = firstOf(byRarity, essential, postingPassages);
      if (base === undefined) return;
      this.#addUp(byRarity, essential, base);
      let count = this.#takeScores(threshold - bounds[essential]);
      for (let index = essential; index < byRarity.length && count > 0; index++) {
        this.#lookUp(byRarity[index], base);
        count = this.#keep(threshold - bounds[index + 1]);
      }
      if (count > 0) {
        sums.fill(0, 0, count);
        for (const list of lists) this.#lookUp(list, base);
        for (let place = 0; place < count; place++) best.offer(firstPassage + base + touched[place], sums[place]);
      }
      for (let index = 0; index < essential; index++) byRarity[index].from = byRarity[index].next;
    }
  }

  #listOf({ number, weight }: QueryTerm): List {
    const { postingOffsets } = this.#segment;
    const start = postingOffsets[number];
    const bound = weight * this.#bounds.of(number).largest;
    return { number, weight, bound, start, end: postingOffsets[number + 1], from: start, next: start };
  }

  /** Adds what the essential lists contribute to the scores of the window that begins at passage `base`. */
  #addUp(lists: readonly List[], essential: number, base: number): void {
    let count = 0;
    this.#runs = [];
    for (let index = 0; index < essential; index++) {
      const before = count;
      count = this.#add(lists[index], base, count);
      if (this.#segment.deleted !== undefined) count = this.#dropDeleted(this.#segment.deleted, base, before, count);
      this.#runs.push(count);
    }
  }

  #add(list: List, base: number, touchedBefore: number): number {
    const { postingPassages, postingFrequencies } = this.#segment;
    const { scores, touched } = this.#workspace;
    const lengths = this.#lengths;
    const tf = this.#tf;
    const { weight, end } = list;
    const stop = base + scores.length;
    let count = touchedBefore;
    let posting = list.from;
    for (; posting < end; posting++) {
      const passage = postingPassages[posting];
      if (passage >= stop) break;
      const place = passage - base;
      const before = scores[place];
      // Every contribution is above zero, so zero means "not touched yet".
      if (before === 0) touched[count++] = place;
      scores[place] = before + weight * tf.of(postingFrequencies[posting], lengths[passage]);
    }
    list.next = posting;
    return count;
  }

  #dropDeleted(deleted: Uint8Array, base: number, from: number, to: number): number {
    const { scores, touched } = this.#workspace;
    let kept = from;
    for (let index = from; index < to; index++) {
      const place = touched[index];
      if (deleted[base + place] === 1) scores[place] = 0;
      else touched[kept++] = place;
    }
    return kept;
  }

  /** Moves the scores of at least `least` to the front of `sums`, and their passages to the front of `touched`; returns how many. */
  #takeScores(least: number): number {
    const { scores, touched, sums } = this.#workspace;
    const runs = this.#runs;
    let kept = 0;
    let index = 0;
    for (let run = 0; run < runs.length; run++) {
      for (const end = runs[run]; index < end; index++) {
        const place = touched[index];
        const score = scores[place];
        scores[place] = 0;
        if (score < least) continue;
        sums[kept] = score;
        touched[kept++] = place;
      }
      runs[run] = kept;
    }
    return kept;
  }

  /** Keeps the passages whose sums are at least `least`; returns how many. */
  #keep(least: number): number {
    const { touched, sums } = this.#workspace;
    const runs = this.#runs;
    let kept = 0;
    let index = 0;
    for (let run = 0; run < runs.length; run++) {
      for (const end = runs[run]; index < end; index++) {
        if (sums[index] < least) continue;
        sums[kept] = sums[index];
        touched[kept++] = touched[index];
      }
      runs[run] = kept;
    }
    return kept;
  }

  /** Adds what a list contributes to every sum. */
  #lookUp(list: List, base: number): void {
    const set = this.#sets.of(list.number);
    if (set !== undefined) return this.#lookUpInSet(list, set, base);
    list.from = firstAtLeast(this.#segment.postingPassages, list.from, list.end, base);
    let from = 0;
    for (const to of this.#runs) {
      if (to > from) this.#lookUpRun(list, base, from, to);
      from = to;
    }
  }

  #lookUpInSet({ weight, start }: List, set: PassageSet, base: number): void {
    const { postingFrequencies } = this.#segment;
    const { touched, sums } = this.#workspace;
    const lengths = this.#lengths;
    const tf = this.#tf;
    const count = this.#runs.at(-1) ?? 0;
    for (let index = 0; index < count; index++) {
      const passage = base + touched[index];
      const place = set.placeOf(passage);
      if (place >= 0) sums[index] += weight * tf.of(postingFrequencies[start + place], lengths[passage]);
    }
  }

  /** Both the list and the passages ascend: steps of a length that suits their distances, then single steps. */
  #lookUpRun({ weight, start, from, end }: List, base: number, first: number, last: number): void {
    const { postingPassages, postingFrequencies } = this.#segment;
    const { touched, sums } = this.#workspace;
    const lengths = this.#lengths;
    const tf = this.#tf;
    const postingsOfWindow = ((end - start) * sums.length) / lengths.length;
    const step = Math.ceil(Math.sqrt((2 * postingsOfWindow) / (last - first)));
    let at = from;
    for (let index = first; index < last; index++) {
      const passage = base + touched[index];
      while (at + step < end && postingPassages[at + step] <= passage) at += step;
      while (at < end && postingPassages[at] < passage) at++;
      if (at === end) return;
      if (postingPassages[at] === passage) sums[index] += weight * tf.of(postingFrequencies[at], lengths[passage]);
    }
  }
}

/** What the lists from each place on add to a score at most; one more than there are lists, the last 0. */
function boundsFrom(lists: readonly List[]): Float64Array {
  const bounds = new Float64Array(lists.length + 1);
  for (let index = lists.length - 1; index >= 0; index--) bounds[index] = bounds[index + 1] + lists[index].bound;
  return bounds;
}

/** The first passage that the first `count` lists have not come to; undefined at their end. */
function firstOf(lists: readonly List[], count: number, postingPassages: Uint32Array): number | undefined {
  let first: number | undefined;
  for (let index = 0; index < count; index++) {
    const { from, end } = lists[index];
    if (from < end && (first === undefined || postingPassages[from] < first)) first = postingPassages[from];
  }
  return first;
}

/** The first place from `from` on whose value is at least `wanted`, or `end`: in growing strides, then by halves. */
function firstAtLeast(values: Uint32Array, from: number, end: number, wanted: number): number {
  let low = from;
  let stride = 1;
  let high = from;
  while (high < end && values[high] < wanted) {
    low = high + 1;
    high += stride;
    stride *= 2;
  }
  high = Math.min(high, end);
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (values[middle] < wanted) low = middle + 1;
    else high = middle;
  }
  return low;
}

/*
 * The passages of a frequent term as a set of bits with counts, so that one passage's posting is found at once: the place of a bit is the
 * number of bits before it (Jacobson's rank, 1989). A quarter of a byte for each passage of the segment.
 */

/** A term is frequent when at least one passage in this many holds it: shorter lists are searched about as fast. */
const sparsest = 16;

/** For the sets of one segment, in each thread. Terms that come when it is used up have none: to make sets again and again costs more. */
const mostBytes = 64 * 1024 * 1024;
const mostBytesPerPassage = 32;

export class PassageSet {
  readonly #bits: Uint32Array;
  /** Bits set before each word of `bits`. */
  readonly #before: Uint32Array;

  /** The passages at `start` to `end` of `postingPassages`; `count`: passages of the segment. */
  constructor(postingPassages: Uint32Array, start: number, end: number, count: number) {
    this.#bits = new Uint32Array((count + 31) >>> 5);
    this.#before = new Uint32Array(this.#bits.length);
    for (let posting = start; posting < end; posting++) {
      const passage = postingPassages[posting];
      this.#bits[passage >>> 5] |= 1 << (passage & 31);
    }
    for (let word = 1; word < this.#bits.length; word++)
      this.#before[word] = this.#before[word - 1] + bitsIn(this.#bits[word - 1]);
  }

  get bytes(): number {
    return this.#bits.byteLength + this.#before.byteLength;
  }

  /** How many passages of the set come before this one; -1 when it is not in the set. */
  placeOf(passage: number): number {
    const word = this.#bits[passage >>> 5];
    const bit = 1 << (passage & 31);
    return (word & bit) === 0 ? -1 : this.#before[passage >>> 5] + bitsIn(word & (bit - 1));
  }
}

/** Sets of one segment's frequent terms, made when they are first asked for. */
export class PassageSets {
  readonly #segment: IndexSegment;
  readonly #sets = new Map<number, PassageSet>();
  #bytes = 0;

  constructor(segment: IndexSegment) {
    this.#segment = segment;
  }

  /** Undefined for a term that is not frequent, and when no more sets are made. */
  of(number: number): PassageSet | undefined {
    const { postingOffsets, postingPassages, lengths } = this.#segment;
    const [start, end] = [postingOffsets[number], postingOffsets[number + 1]];
    if ((end - start) * sparsest < lengths.length) return undefined;
    const known = this.#sets.get(number);
    if (known !== undefined || this.#bytes >= Math.min(mostBytes, mostBytesPerPassage * lengths.length)) return known;
    const set = new PassageSet(postingPassages, start, end, lengths.length);
    this.#sets.set(number, set);
    this.#bytes += set.bytes;
    return set;
  }
}

function bitsIn(word: number): number {
  const pairs = word - ((word >>> 1) & 0x55555555);
  const fours = (pairs & 0x33333333) + ((pairs >>> 2) & 0x33333333);
  return Math.imul((fours + (fours >>> 4)) & 0x0f0f0f0f, 0x01010101) >>> 24;
}
