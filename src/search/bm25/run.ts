/**
 * @file A run: a stretch of the corpus as it will stand in the index, with a dictionary and passage numbers of its own. Workers make runs;
 * merging them (`merge.ts`) makes a segment. Its arrays can be handed from thread to thread.
 *
 * Axes: N passages, V terms, P postings.
 */
import { parseDocument } from "../documents/corpus.js";
import { hashId } from "../id-table.js";
import { linesOf } from "../../files/lines.js";
import { checkNumber, passageLine } from "../passages.js";
import { GrowingFloat64, GrowingUint32, offsetsOf } from "./invert.js";
import type { Inverter } from "./invert.js";
import { frequencyArray } from "./snapshot.js";
import type { Frequencies } from "./snapshot.js";
import type { StoredPassage } from "../../types.js";

export interface Run {
  passages: number;
  totalLength: number;
  /** One passage per line, as in passages.jsonl. */
  lines: Uint8Array;
  /** Byte offsets into `lines`; length N + 1. */
  offsets: Float64Array;
  /** Check number of each line; length N. */
  checks: Uint32Array;
  /** Terms of each passage; length N. */
  lengths: Uint32Array;
  /** Two hashes of each id; length 2 N. */
  idHashes: Uint32Array;
  /** All terms in UTF-16 order. */
  terms: Uint8Array;
  /** Length V + 1. */
  termOffsets: Uint32Array;
  /** By place of the term; length V + 1. */
  postingOffsets: Uint32Array;
  /** Length P. */
  postingPassages: Uint32Array;
  /** Length P. */
  postingFrequencies: Frequencies;
}

/** A piece of the corpus: lines of JSONL. */
export interface Part {
  /** File, for messages. */
  label: string;
  /** Number of the first line, from 1. */
  firstLine: number;
  bytes: Uint8Array;
}

/**
 * Analyses the documents of some pieces in order. Yields after each of them, for other work on the thread.
 * @param inverter without postings; what it learns of words helps the next run
 * @throws UserError naming the first malformed line
 */
export function* invertParts(parts: readonly Part[], inverter: Inverter): Generator<void, Run> {
  const builder = new RunBuilder(inverter);
  for (const part of parts) {
    for (const line of linesOf(part.label, part)) {
      builder.add(parseDocument(part.label, line));
      yield;
    }
  }
  return builder.finish();
}

/** The buffers of a run, to hand it over without a copy. */
export function buffersOf(run: Run): ArrayBuffer[] {
  const arrays = Object.values(run).filter((value) => ArrayBuffer.isView(value));
  return arrays.map(({ buffer }) => buffer).filter((buffer) => buffer instanceof ArrayBuffer);
}

/** Takes passages in order, then `finish`. */
class RunBuilder {
  readonly #inverter: Inverter;
  #lines = Buffer.from(new ArrayBuffer(1 << 16));
  readonly #offsets = new GrowingFloat64();
  readonly #checks = new GrowingUint32();
  readonly #idHashes = new GrowingUint32();
  #end = 0;

  constructor(inverter: Inverter) {
    this.#inverter = inverter;
    this.#offsets.push(0);
  }

  add(passage: StoredPassage): void {
    const line = passageLine(passage);
    this.#reserve(line.length * 3);
    const start = this.#end;
    this.#end += this.#lines.write(line, start);
    this.#offsets.push(this.#end);
    this.#checks.push(checkNumber(this.#lines.subarray(start, this.#end)));
    const [high, low] = hashId(passage.id);
    this.#idHashes.push(high);
    this.#idHashes.push(low);
    this.#inverter.add(passage.title, passage.text);
  }

  finish(): Run {
    const { terms, counts, passages, frequencies, lengths, totalLength, maxFrequency } = this.#inverter.takeRun();
    const narrow = frequencyArray(maxFrequency, frequencies.length);
    narrow.set(frequencies);
    return {
      passages: lengths.length,
      totalLength,
      lines: this.#lines.subarray(0, this.#end),
      offsets: this.#offsets.view(),
      checks: this.#checks.view(),
      lengths,
      idHashes: this.#idHashes.view(),
      ...encode(terms),
      postingOffsets: offsetsOf(counts),
      postingPassages: passages,
      postingFrequencies: narrow,
    };
  }

  #reserve(bytes: number): void {
    if (this.#end + bytes <= this.#lines.length) return;
    const grown = Buffer.from(new ArrayBuffer(Math.max(this.#end + bytes, this.#lines.length * 2)));
    this.#lines.copy(grown, 0, 0, this.#end);
    this.#lines = grown;
  }
}

function encode(terms: readonly string[]): Pick<Run, "terms" | "termOffsets"> {
  const bytes = terms.reduce((sum, term) => sum + Buffer.byteLength(term), 0);
  const text = Buffer.from(new ArrayBuffer(bytes));
  const termOffsets = new Uint32Array(terms.length + 1);
  for (const [place, term] of terms.entries())
    termOffsets[place + 1] = termOffsets[place] + text.write(term, termOffsets[place]);
  return { terms: text, termOffsets };
}
