/**
 * @file From float32 weights to layers in 8 bits. Nothing is trained for it: all there is to know is how large each input channel gets
 * (`channelRanges`). What each part is worth on SmolLM2 is in docs/engine.md, "8-bit frozen weights".
 */
import { largestInt8 } from "../graph/ops.js";

/** How much of the work of large channels goes from the inputs to the weights: SmoothQuant's α (arXiv:2211.10438, eq. 4). */
const alpha = 0.5;

/** A matrix in 8 bits: Ŵ[o, i] = weight[i, o]·scale[o]·factors[i], and the wide columns as they were. */
export interface QuantisedMatrix {
  /** `[inputs, outputs]`, 0 for wide channels. */
  weight: Int8Array;
  /** `[outputs]` */
  scale: Float32Array;
  /** `[outputs, wide]` */
  wide: Float32Array;
}

/** Matrices that read one input. */
export interface QuantisedInput {
  /** `[inputs]`, 0 for wide channels. */
  factors: Float32Array;
  wide: number[];
  matrices: QuantisedMatrix[];
}

/**
 * @param matrices `[outputs, inputs]` each, row-major, in float32
 * @param ranges `[inputs]`: the largest magnitude of each channel
 * @param wideCount how many channels stay in float32: those whose magnitude is largest after smoothing
 */
export function quantise(matrices: readonly Float32Array[], ranges: Float32Array, wideCount: number): QuantisedInput {
  const smoothing = smoothingOf(matrices, ranges);
  const order = Array.from(ranges, (_, channel) => channel);
  order.sort((a, b) => ranges[b] / smoothing[b] - ranges[a] / smoothing[a] || a - b);
  const wide = order.slice(0, wideCount).sort((a, b) => a - b);
  const factors = smoothing.map((value) => 1 / value);
  for (const channel of wide) factors[channel] = 0;
  return { factors, wide, matrices: matrices.map((matrix) => quantiseMatrix(matrix, smoothing, wide)) };
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

function quantiseMatrix(values: Float32Array, smoothing: Float32Array, wide: readonly number[]): QuantisedMatrix {
  const inputs = smoothing.length;
  const outputs = values.length / inputs;
  const kept = smoothing.slice();
  for (const channel of wide) kept[channel] = 0;
  const weight = new Int8Array(inputs * outputs);
  const scale = new Float32Array(outputs);
  const columns = new Float32Array(outputs * wide.length);
  for (let o = 0; o < outputs; o++) {
    const row = values.subarray(o * inputs, (o + 1) * inputs);
    let largest = 0;
    for (let i = 0; i < inputs; i++) largest = Math.max(largest, Math.abs(row[i] * kept[i]));
    scale[o] = largest / largestInt8;
    for (let i = 0; i < inputs && largest > 0; i++) weight[i * outputs + o] = Math.round((row[i] * kept[i]) / scale[o]);
    wide.forEach((channel, place) => (columns[o * wide.length + place] = row[channel]));
  }
  return { weight, scale, wide: columns };
}

/** `[outputs, inputs]` in float32: what the matrix is worth. */
export function dequantise(
  { weight, scale, wide: columns }: QuantisedMatrix,
  factors: Float32Array,
  wide: readonly number[],
): Float32Array {
  const [inputs, outputs] = [factors.length, scale.length];
  const values = new Float32Array(inputs * outputs);
  for (let o = 0; o < outputs; o++) {
    for (let i = 0; i < inputs; i++) values[o * inputs + i] = weight[i * outputs + o] * scale[o] * factors[i];
    wide.forEach((channel, place) => (values[o * inputs + channel] = columns[o * wide.length + place]));
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
