/**
 * @file How much of a new prefix may be taken from a slot, and in which pieces the rest is computed.
 *
 * Rounding makes the keys and values of a token depend, in their last bits, on how the tokens before it were cut into
 * runs. So that a sequence does not depend on which others happen to be held, the cut is a function of the prefix alone:
 * - From the beginning, a prefix without its last token is cut at the multiples of `pieceLength`. Every piece runs
 *   at its own length rounded up to a multiple of `pad`, only beside pieces of the same padded length.
 * - Of a slot that was computed so ("canonical"), whole pieces are shared: they are what would be computed anyway.
 * - The state in which an identical prefix went into decoding is shared whole.
 * - A finished sequence that the new prefix continues, its last sampled token included, is taken over whole (a
 *   conversation's next turn); what follows is cut into pieces of `continuationPiece` from
 *   there. Its sampled tokens were computed by decoding, so this is the one case where a last bit can differ from a computation from the beginning, after an eviction.
 * The last token of a prefix is never part of a piece: it is the first decode step, for everyone alike.
 */
import type { Slot } from "./slots.js";

/** Padded lengths of runs are multiples of this; a run of one token would take another arithmetic path. */
const pad = 8;

/** Longest piece of new tokens behind a sequence that is continued. */
const continuationPiece = 256;

interface Reuse {
  /** Positions to take. */
  length: number;
  /** Whether this is everything that an idle slot holds, sampled tokens included: the slot may be taken over. */
  whole: boolean;
}

/** How many leading positions of `prefix_T` (its last token excluded) may be taken from `held`. */
export function findReuse(held: Slot, idle: boolean, prefix_T: Int32Array, pieceLength: number): Reuse {
  const wanted = prefix_T.length - 1;
  const common = commonLength(held.tokens, prefix_T, Math.min(held.length, wanted));
  const continues = common === held.length && held.tokens[common] === prefix_T[common];
  if (idle && continues && common > held.canonical) return { length: common, whole: true };
  if (common === wanted && held.prefixEnd === wanted) return { length: common, whole: false };
  const shared = Math.min(common, held.canonical);
  return { length: shared - (shared % pieceLength), whole: false };
}

function commonLength(a: Int32Array, b: Int32Array, limit: number): number {
  let length = 0;
  while (length < limit && a[length] === b[length]) length++;
  return length;
}

/** End of the piece that begins at `held.length`, for a slot whose prefix ends at `prefixEnd`. */
export function nextPieceEnd(held: Slot, pieceLength: number): number {
  const start = held.length;
  const canonical = start < held.canonical;
  const end = canonical ? (Math.floor(start / pieceLength) + 1) * pieceLength : start + continuationPiece;
  return Math.min(end, held.prefixEnd);
}

/** Whether computing the next piece of both gives the same keys and values, so that one computation serves both. */
export function samePiece(a: Slot, b: Slot, pieceLength: number): boolean {
  if (a.length !== b.length || a.length >= a.canonical || b.length >= b.canonical) return false;
  const end = nextPieceEnd(a, pieceLength);
  return end === nextPieceEnd(b, pieceLength) && commonLength(a.tokens, b.tokens, end) === end;
}

/** The length at which a piece of `count` tokens runs. */
export function paddedLength(count: number): number {
  return Math.ceil(count / pad) * pad;
}
