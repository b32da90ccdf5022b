/**
 * @file When segments are merged by themselves. Every search looks up its terms in every segment, and deleted passages are scored and thrown
 * away, so few segments with few deleted passages are fast; but merging rewrites them.
 *
 * Tiered: segments whose sizes lie between the same two powers of `fanIn` are of one tier. When `fanIn` or more neighbours at the end of the index
 * are of one tier or lower ones, and the largest is not larger than the others together, they become one. So there are a few segments for each
 * tier, and a passage that is rewritten finds itself in a segment at least twice as large: that happens at most log2(size) times.
 */

export interface MergePolicy {
  /** Fewest segments that become one; 2 or more. Default: 8. */
  fanIn: number;
  /** A segment of which more than this part is deleted is rewritten. Default: 0.3. */
  maxDeleted: number;
}

export const defaultMergePolicy: MergePolicy = { fanIn: 8, maxDeleted: 0.3 };

export interface SegmentSize {
  /** Passages, deleted ones included. */
  passages: number;
  deleted: number;
  postings: number;
}

/** Neighbours to merge into one: from `start` (inclusive) to `end`. */
export interface MergePlan {
  start: number;
  end: number;
}

/** The next merge, or undefined when all is well. A plan of a single segment rewrites it. */
export function planMerge(
  segments: readonly SegmentSize[],
  { fanIn, maxDeleted }: MergePolicy,
  maxPostings: number,
): MergePlan | undefined {
  const worn = segments.findIndex(({ passages, deleted }) => deleted > maxDeleted * passages);
  if (worn >= 0) return { start: worn, end: worn + 1 };
  const sizes = segments.map(({ passages, deleted }) => Math.max(1, passages - deleted));
  const tiers = sizes.map((size) => Math.floor(Math.log(size) / Math.log(fanIn) + 1e-9));
  for (let tier = 0; tier <= Math.max(0, ...tiers); tier++) {
    let start = segments.length;
    let postings = 0;
    let living = 0;
    let largest = 0;
    while (start > 0 && tiers[start - 1] <= tier && postings + segments[start - 1].postings <= maxPostings) {
      start--;
      postings += segments[start].postings;
      living += sizes[start];
      largest = Math.max(largest, sizes[start]);
    }
    if (segments.length - start >= fanIn && living >= 2 * largest) return { start, end: segments.length };
  }
  return undefined;
}
