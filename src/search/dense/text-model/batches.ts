/** @file Which texts go through a model together: those of like length, since padding costs as much as text. */

/** Rows of one batch, by their places among all. */
export type Batch = number[];

/**
 * Puts rows of like length together.
 * @param lengths tokens of each row
 * @param maxTokens most tokens of a batch, padding included; a longer row is a batch of its own
 */
export function batchesOf(lengths: readonly number[], maxTokens: number): Batch[] {
  const order = lengths.map((_, row) => row).sort((a, b) => lengths[b] - lengths[a] || a - b);
  const batches: Batch[] = [];
  let batch: Batch = [];
  for (const row of order) {
    // The first row is the longest, and all are padded to it.
    if (batch.length > 0 && (batch.length + 1) * lengths[batch[0]] > maxTokens) {
      batches.push(batch);
      batch = [];
    }
    batch.push(row);
  }
  if (batch.length > 0) batches.push(batch);
  return batches;
}
