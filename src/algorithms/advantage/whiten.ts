/**
 * @file Whitening: (x − mean) / √(var + 1e-8) over the tokens of a batch, with the unbiased variance, as in Search-R1's code. What is
 * whitened was compressed to the positions with advantages, so no padding and no observation can enter the mean.
 */

/** Whitened values; a single one becomes 0, and so do equal ones, whose rounding errors would be multiplied by 10⁴. */
export function whiten(values_N: Float64Array): Float64Array {
  const count = values_N.length;
  if (values_N.every((value) => value === values_N[0])) return new Float64Array(count);
  let mean = 0;
  for (let n = 0; n < count; n++) mean += values_N[n];
  mean /= Math.max(1, count);
  let squares = 0;
  for (let n = 0; n < count; n++) squares += (values_N[n] - mean) * (values_N[n] - mean);
  const scale = 1 / Math.sqrt(squares / Math.max(1, count - 1) + 1e-8);
  const whitened_N = new Float64Array(count);
  for (let n = 0; n < count; n++) whitened_N[n] = (values_N[n] - mean) * scale;
  return whitened_N;
}
