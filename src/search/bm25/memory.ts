/** @file An index built in memory from a list of passages. */
import type { Analyzer } from "../analyzer.js";
import type { Bm25Data } from "./data.js";
import { frequencyArray } from "./data.js";
import { Inverter } from "./inverter.js";
import type { StoredPassage } from "./passages.js";

export function indexInMemory(passages: readonly StoredPassage[], analyzer: Analyzer): Bm25Data {
  const inverter = new Inverter(analyzer);
  for (const { title, text } of passages) inverter.add(title, text);
  const run = inverter.takeRun();
  const frequencies = frequencyArray(inverter.maxFrequency, run.frequencies.length);
  frequencies.set(run.frequencies);
  return {
    lengths: inverter.lengths.view().slice(),
    totalLength: inverter.totalLength,
    postingOffsets: offsetsOf(run.counts),
    postingPassages: run.passages,
    postingFrequencies: frequencies,
    termNumber: (term) => inverter.terms.get(term) ?? -1,
  };
}

/** Where each term's postings start, and where the last one's end. */
export function offsetsOf(counts: Uint32Array): Uint32Array {
  const offsets = new Uint32Array(counts.length + 1);
  for (let term = 0; term < counts.length; term++) offsets[term + 1] = offsets[term] + counts[term];
  return offsets;
}
