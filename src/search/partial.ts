/** @file Answers that would have been other ones if everything had worked: they are used, and never kept. */
import type { Passage } from "../types.js";

const partial = new WeakSet<readonly Passage[]>();

/** Marks an answer to which a failed part has given nothing. Wrappers that make lists of lists hand the mark on. */
export function markPartial<List extends readonly Passage[]>(list: List): List {
  partial.add(list);
  return list;
}

/** Whether an answer lacks the share of a part that failed. */
export function isPartial(list: readonly Passage[]): boolean {
  return partial.has(list);
}
