/** @file An index built in memory from a list of passages. */
import type { Analyzer } from "../text/analyzer.js";
import { frequencyArray } from "./data.js";
import { Inverter } from "./inverter.js";
import type { Segment } from "./snapshot.js";
import { termBlockOf } from "./term-block.js";
import type { StoredPassage } from "../../types.js";

/** One segment with all passages. */
export function indexInMemory(passages: readonly StoredPassage[], analyzer: Analyzer): Segment {
  const inverter = new Inverter(analyzer);
  for (const { title, text } of passages) inverter.add(title, text);
  return segmentOf(inverter);
}

/** What an inverter has gathered, as a segment. */
export function segmentOf(inverter: Inverter): Segment {
  const run = inverter.takeRun();
  const frequencies = frequencyArray(run.maxFrequency, run.frequencies.length);
  frequencies.set(run.frequencies);
  return {
    firstPassage: 0,
    terms: termBlockOf(new Map(run.terms.map((term, place) => [term, place]))),
    lengths: run.lengths,
    postingOffsets: offsetsOf(run.counts),
    postingPassages: run.passages,
    postingFrequencies: frequencies,
  };
}

/** Where each term's postings start, and where the last one's end. */
export function offsetsOf(counts: Uint32Array): Uint32Array {
  const offsets = new Uint32Array(counts.length + 1);
  for (let term = 0; term < counts.length; term++) offsets[term + 1] = offsets[term] + counts[term];
  return offsets;
}
