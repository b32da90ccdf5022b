/** @file The passages that questions are made of, one after another, and what all ways of making questions are told. */
import { TimeSlice } from "../../async.js";
import { deriveSeed } from "../../random.js";
import type { SearchEngine } from "../../search/engine.js";
import { allPassages, type PassageSource } from "../../search/passages.js";
import type { StoredPassage } from "../../types.js";
import { documentOf } from "./candidate.js";

export type Passages = Pick<PassageSource, "count" | "isDeleted" | "read">;

export interface MakeOptions {
  engine: SearchEngine;
  passages: Passages;
  /** Most questions. */
  count: number;
  /** Most questions of a document. Absent: 12, and more where documents are few (`documentShare`). */
  perDocument?: number;
  /** The passage must be among so many when the question is searched for. */
  k: number;
  seed: number;
  /** Ids that a person struck. */
  struck?: ReadonlySet<string>;
  onProgress?: (phase: "reading" | "finding" | "checking", done: number, total: number) => void;
  signal?: AbortSignal;
}

/** Many documents teach more than much of one. */
export const usualPerDocument = 12;
/** Documents differ in what can be asked about them: some give more than an even share. */
const shareMargin = 2;

/** Most questions of a document, where a caller names none: a few large documents bring as many questions as many small ones. */
export function documentShare(count: number, documents: number): number {
  return Math.max(usualPerDocument, Math.ceil((shareMargin * count) / Math.max(1, documents)));
}

/** Of larger indexes, so many passages are looked at: whole documents, chosen by the seed. */
const mostPassages = 400_000;

/**
 * Calls `use` with the passages that are looked at, in slices of time.
 * @param options.seed chooses those of a larger index; left out, all are looked at
 */
export async function forEachPassage(
  { passages, seed, onProgress, signal }: Pick<MakeOptions, "passages" | "onProgress" | "signal"> & { seed?: number },
  phase: "reading" | "finding",
  use: (passage: StoredPassage, number: number) => void,
): Promise<void> {
  const share = Math.min(1, mostPassages / Math.max(1, passages.count));
  const isChosen = ({ id }: StoredPassage): boolean =>
    share === 1 || seed === undefined || deriveSeed(seed, documentOf(id)) < share * 2 ** 32;
  const slice = new TimeSlice();
  for await (const { numbers, passages: some, done } of allPassages(passages, signal)) {
    for (const [index, passage] of some.entries()) {
      if (isChosen(passage)) use(passage, numbers[index]);
      if (slice.isOver) await slice.next();
    }
    onProgress?.(phase, done, passages.count);
  }
}
