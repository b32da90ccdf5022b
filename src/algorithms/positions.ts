/**
 * @file Where a batch's advantages are made. Sequences are compressed to those positions, one after the other (axis `_N`), before any
 * estimator sees them: what passes from one token to the next then passes over observations by construction, and a mean over `_N` is a
 * masked mean.
 */

export interface Positions {
  /** Index of each position within its own sequence. */
  at_N: Int32Array;
  /** The positions of sequence d are starts_D[d] … starts_D[d + 1] − 1. */
  starts_D: Int32Array;
}

/** The positions whose mask is 1. */
export function positionsOf(masks_D_T: readonly Uint8Array[]): Positions {
  const starts_D = new Int32Array(masks_D_T.length + 1);
  masks_D_T.forEach((mask_T, d) => {
    let count = 0;
    for (let t = 0; t < mask_T.length; t++) count += mask_T[t];
    starts_D[d + 1] = starts_D[d] + count;
  });
  const at_N = new Int32Array(starts_D[masks_D_T.length]);
  masks_D_T.forEach((mask_T, d) => {
    for (let t = 0, n = starts_D[d]; t < mask_T.length; t++) if (mask_T[t] === 1) at_N[n++] = t;
  });
  return { at_N, starts_D };
}

/** The values at the positions. */
export function compress(values_D_T: readonly Float32Array[], { at_N, starts_D }: Positions): Float64Array {
  const values_N = new Float64Array(at_N.length);
  values_D_T.forEach((values_T, d) => {
    for (let n = starts_D[d]; n < starts_D[d + 1]; n++) values_N[n] = values_T[at_N[n]];
  });
  return values_N;
}

/** The values back at their places in sequences of these lengths; 0 elsewhere. */
export function expand(values_N: Float64Array, positions: Positions, lengths_D: readonly number[]): Float32Array[] {
  const { at_N, starts_D } = positions;
  return lengths_D.map((length, d) => {
    const values_T = new Float32Array(length);
    for (let n = starts_D[d]; n < starts_D[d + 1]; n++) values_T[at_N[n]] = values_N[n];
    return values_T;
  });
}

/** One value per sequence, at all of its positions. */
export function spread(values_D: ArrayLike<number>, { at_N, starts_D }: Positions): Float64Array {
  const values_N = new Float64Array(at_N.length);
  for (let d = 0; d < values_D.length; d++) values_N.fill(values_D[d], starts_D[d], starts_D[d + 1]);
  return values_N;
}
