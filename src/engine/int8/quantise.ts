/**
 * @file From float32 weights to layers in 8 bits. Nothing is trained for it: all there is to know is how large each input channel gets
 * (`channelRanges`). What each part is worth on SmolLM2 is in docs/engine.md, "8-bit frozen weights".
 */
import { largestInt8 } from "../graph/ops.js";

/** How much of the work of large channels goes from the inputs to the weights: SmoothQuant's α (arXiv:2211.10438, eq. 4). */
const alpha = 0.5;

/** A matrix in 8 bits: Ŵ[o, i] = weight[i, o]·scale[o]·factors[i], and the columns of wide channels as they were. */
export interface QuantisedMatrix {
  /** `[inputs]`, 0 for wide channels. */
  factors: Float32Array;
  wide: number[];
  /** `[inputs, outputs]`, 0 for wide channels. */
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
  for (let i = 0; i < row.length; i++) largest = Math.max(largest, Math.abs(row[i] * kept[i]));
  scale[o] = largest / largestInt8;
  for (let i = 0; i < row.length && largest > 0; i++)
    weight[i * scale.length + o] = Math.round((row[i] * kept[i]) / scale[o]);
  wide.forEach((channel, place) => (wideColumns[o * wide.length + place] = row[channel]));
}

/** By what each channel of the input is divided, and the weights multiplied: √(its magnitude / its largest weight) for α = ½. */
function smoothingOf(matrices: readonly Float32Array[], ranges: Float32Array): Float32Array {
  const inputs = ranges.length;
  const largest = new Float32Array(inputs);
  for (const values of matrices) {
    for (let start = 0; start < values.length; start += inputs)
      for (let i = 0; i < inputs; i++) largest[i] = Math.max(largest[i], Math.abs(values[start + i]));
  }
  return ranges.map((range, i) => (range > 0 && largest[i] > 0 ? range ** alpha / largest[i] ** (1 - alpha) : 1));
}

/** `[outputs, inputs]` in float32: what the matrix is worth. */
export function dequantise({ weight, scale, factors, wide, wideColumns }: QuantisedMatrix): Float32Array {
  const [inputs, outputs] = [factors.length, scale.length];
  const values = new Float32Array(inputs * outputs);
  for (let o = 0; o < outputs; o++) {
    for (let i = 0; i < inputs; i++) values[o * inputs + i] = weight[i * outputs + o] * scale[o] * factors[i];
    wide.forEach((channel, place) => (values[o * inputs + channel] = wideColumns[o * wide.length + place]));
  }
  return values;
}

/** The 8-bit numbers as `[outputs, inputs]`. */
export function columnByColumn({ weight, scale }: QuantisedMatrix): Int8Array {
  const outputs = scale.length;
  const inputs = weight.length / outputs;
  const columns = new Int8Array(weight.length);
  for (let i = 0; i < inputs; i++) for (let o = 0; o < outputs; o++) columns[o * inputs + i] = weight[i * outputs + o];
  return columns;
}

/** Some outputs of the 8-bit numbers: `[inputs, end − start]`. */
export function columnsOf({ weight, scale }: QuantisedMatrix, start: number, end: number): Int8Array {
  const outputs = scale.length;
  const width = end - start;
  const columns = new Int8Array((weight.length / outputs) * width);
  for (let from = start, to = 0; to < columns.length; from += outputs, to += width)
    columns.set(weight.subarray(from, from + width), to);
  return columns;
}
