/**
 * @file From float32 weights to layers in 8 bits. Nothing is trained for it: all there is to know is how large each input channel gets
 * (`channel-ranges.ts`). What each part is worth on SmolLM2 is in docs/log.md, "8-bit frozen weights".
 */
import { largestInt8 } from "../graph/ops.js";

/** How much of the work of large channels goes from the inputs to the weights: SmoothQuant's α (arXiv:2211.10438, eq. 4). */
const alpha = 0.5;

/** A matrix in 8 bits: Ŵ[o, i] = weight[o, i]·scale[o]·factors[i], and the columns of wide channels as they were. */
export interface QuantisedMatrix {
  /** `[inputs]`, 0 for wide channels. */
  factors: Float32Array;
  wide: number[];
  /** `[outputs, inputs]`, 0 for wide channels. */
  weight: Int8Array;
  /** `[outputs]` */
  scale: Float32Array;
  /** `[outputs, wide]` */
  wideColumns: Float32Array;
}

/**
 * Matrices that read one input, as one: their outputs lie one after the other.
 * @param matrices `[outputs, inputs]` each, row-major, in float32
 * @param ranges `[inputs]`: the largest magnitude of each channel
 * @param wideCount how many channels stay in float32: those whose magnitude is largest after smoothing
 */
export function quantise(matrices: readonly Float32Array[], ranges: Float32Array, wideCount: number): QuantisedMatrix {
  const inputs = ranges.length;
  const smoothing = smoothingOf(matrices, ranges);
  const order = Array.from(ranges, (_, channel) => channel);
  order.sort((a, b) => ranges[b] / smoothing[b] - ranges[a] / smoothing[a] || a - b);
  const wide = order.slice(0, wideCount).sort((a, b) => a - b);
  const factors = smoothing.map((value) => 1 / value);
  const kept = smoothing.slice();
  for (const channel of wide) factors[channel] = kept[channel] = 0;
  const outputs = matrices.reduce((sum, { length }) => sum + length / inputs, 0);
  const result: QuantisedMatrix = {
    factors,
    wide,
    weight: new Int8Array(inputs * outputs),
    scale: new Float32Array(outputs),
    wideColumns: new Float32Array(outputs * wide.length),
  };
  let output = 0;
  for (const values of matrices) {
    for (let start = 0; start < values.length; start += inputs)
      quantiseRow(values.subarray(start, start + inputs), kept, result, output++);
  }
  return result;
}

/** One output's weights `[inputs]`. */
function quantiseRow(
  row: Float32Array,
  kept: Float32Array,
  { wide, weight, scale, wideColumns }: QuantisedMatrix,
  o: number,
): void {
  let largest = 0;
  for (let i = 0; i < row.length; i++) {
    const magnitude = Math.abs(row[i] * kept[i]);
    if (magnitude > largest) largest = magnitude;
  }
  scale[o] = largest / largestInt8;
  const start = o * row.length;
  const step = scale[o];
  for (let i = 0; i < row.length && step > 0; i++) weight[start + i] = Math.floor((row[i] * kept[i]) / step + 0.5);
  wide.forEach((channel, place) => (wideColumns[o * wide.length + place] = row[channel]));
}

/** By what each channel of the input is divided, and the weights multiplied: √(its magnitude / its largest weight) for α = ½. */
function smoothingOf(matrices: readonly Float32Array[], ranges: Float32Array): Float32Array {
  const inputs = ranges.length;
  const largest = new Float32Array(inputs);
  for (const values of matrices) {
    for (let start = 0; start < values.length; start += inputs)
      for (let i = 0; i < inputs; i++) {
        const magnitude = Math.abs(values[start + i]);
        if (magnitude > largest[i]) largest[i] = magnitude;
      }
  }
  return ranges.map((range, i) => (range > 0 && largest[i] > 0 ? range ** alpha / largest[i] ** (1 - alpha) : 1));
}

/** `[outputs, inputs]` in float32: what the matrix is worth. */
export function dequantise({ weight, scale, factors, wide, wideColumns }: QuantisedMatrix): Float32Array {
  const [inputs, outputs] = [factors.length, scale.length];
  const values = new Float32Array(inputs * outputs);
  for (let o = 0; o < outputs; o++) {
    for (let i = 0; i < inputs; i++) values[o * inputs + i] = weight[o * inputs + i] * scale[o] * factors[i];
    wide.forEach((channel, place) => (values[o * inputs + channel] = wideColumns[o * wide.length + place]));
  }
  return values;
}

/** Cells of a square that a cache holds. */
const square = 64;

/** The 8-bit numbers of some outputs, the other way round: `[inputs, end − start]`. */
export function columnsOf({ weight, scale }: QuantisedMatrix, start = 0, end = scale.length): Int8Array {
  const inputs = weight.length / scale.length;
  const width = end - start;
  const columns = new Int8Array(inputs * width);
  for (let from = start; from < end; from += square) {
    const to = Math.min(from + square, end);
    for (let left = 0; left < inputs; left += square) {
      const right = Math.min(left + square, inputs);
      for (let i = left; i < right; i++)
        for (let o = from; o < to; o++) columns[i * width + o - start] = weight[o * inputs + i];
    }
  }
  return columns;
}
