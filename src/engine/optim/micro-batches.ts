/**
 * @file How training sequences are cut into micro-batches: sorted by length, so that little is padded, and bounded, so that
 * memory is.
 */

/** What one sequence needs: tokens that go through the model and rows that go through the LM head. */
export interface SequenceSize {
  length: number;
  lossRows: number;
}

export interface MicroBatchLimits {
  /** Most tokens of one micro-batch, padding included. */
  tokens: number;
  /** Most rows of logits of one micro-batch. */
  lossRows: number;
}

/**
 * Indices of the sequences of each micro-batch. Every sequence is in exactly one; one that exceeds a limit alone is
 * alone. Sequences without loss are left out.
 */
export function planMicroBatches(sizes: readonly SequenceSize[], limits: MicroBatchLimits): number[][] {
  const order = sizes.flatMap(({ lossRows }, index) => (lossRows > 0 ? [index] : []));
  order.sort((a, b) => sizes[b].length - sizes[a].length || a - b);
  const batches: number[][] = [];
  let current: number[] = [];
  let rows = 0;
  for (const index of order) {
    const longest = sizes[current[0] ?? index].length;
    const full = (current.length + 1) * longest > limits.tokens || rows + sizes[index].lossRows > limits.lossRows;
    if (current.length > 0 && full) {
      batches.push(current);
      current = [];
      rows = 0;
    }
    current.push(index);
    rows += sizes[index].lossRows;
  }
  if (current.length > 0) batches.push(current);
  return batches;
}
