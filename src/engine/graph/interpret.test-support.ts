/**
 * @file The slow truth: a float64 interpreter of tensor graphs, written for clarity. Everything that the runtime
 * computes is compared with it.
 */
import { closeSync, openSync, readSync } from "node:fs";
import { evaluate, type Shape, type Sizes } from "./dim.js";
import type { Graph } from "./graph.js";
import { isStored, largestInt8, type Attributes, type ConstantData, type Node, type OpName } from "./ops.js";

/** A dense tensor in row-major order; booleans are 0 and 1. */
export interface Tensor {
  shape: readonly number[];
  data: Float64Array;
}

/**
 * A tensor of row-major numbers.
 * @throws Error (internal) when they do not fill the shape
 */
export function tensor(shape: readonly number[], data: ArrayLike<number>): Tensor {
  const size = shape.reduce((total, dim) => total * dim, 1);
  if (data.length !== size) throw new Error(`internal: ${data.length} values do not fill the shape [${shape.join()}]`);
  return { shape, data: Float64Array.from(data) };
}

/**
 * Computes the graph's outputs. Named sizes are read off the inputs.
 * @throws Error when an input is missing or its shape contradicts the graph.
 */
export function interpret(graph: Graph, inputs: Readonly<Record<string, Tensor>>): Record<string, Tensor> {
  const live = graph.live();
  const sizes = bindSizes(live, inputs);
  const values = new Map<Node, Tensor>();
  for (const node of live) {
    const operands = node.inputs.map((input) => values.get(input) as Tensor);
    values.set(node, apply(node, operands, { sizes, inputs, values }));
  }
  return Object.fromEntries([...graph.outputs].map(([name, node]) => [name, values.get(node) as Tensor]));
}

/** The numbers of the named sizes, from the shapes of the inputs. */
function bindSizes(nodes: readonly Node[], inputs: Readonly<Record<string, Tensor>>): Sizes {
  const sizes: Record<string, number> = {};
  for (const node of nodes) {
    if (node.op !== "input") continue;
    const { name, shape } = node.attributes as Attributes["input"];
    const given = inputs[name];
    if (!given || given.shape.length !== shape.length)
      throw new Error(`internal: input ${name} is missing or has another rank`);
    shape.forEach((dim, axis) => {
      if (typeof dim === "string" && !/[*+]/.test(dim)) sizes[dim] ??= given.shape[axis];
    });
    const expected = shape.map((dim) => evaluate(dim, sizes));
    if (String(expected) !== String(given.shape)) {
      throw new Error(`internal: input ${name} has shape [${given.shape.join()}] instead of [${expected.join()}]`);
    }
  }
  return sizes;
}

interface Context {
  sizes: Sizes;
  inputs: Readonly<Record<string, Tensor>>;
  values: Map<Node, Tensor>;
}
type Rule<K extends OpName> = (
  operands: readonly Tensor[],
  attributes: Attributes[K],
  shape: readonly number[],
  node: Node,
  context: Context,
) => Tensor;

function apply(node: Node, operands: readonly Tensor[], context: Context): Tensor {
  const shape = node.shape.map((dim) => evaluate(dim, context.sizes));
  const rule = rules[node.op] as Rule<OpName>;
  return rule(operands, node.attributes, shape, node, context);
}

const strides = (shape: readonly number[]): number[] => {
  const result = new Array<number>(shape.length);
  let stride = 1;
  for (let axis = shape.length - 1; axis >= 0; axis--) {
    result[axis] = stride;
    stride *= shape[axis];
  }
  return result;
};
const count = (shape: readonly number[]): number => shape.reduce((total, dim) => total * dim, 1);

/** Builds a tensor from a function of the output's multi-index. */
function build(shape: readonly number[], value: (index: readonly number[]) => number): Tensor {
  const data = new Float64Array(count(shape));
  const index = new Array<number>(shape.length).fill(0);
  for (let flat = 0; flat < data.length; flat++) {
    data[flat] = value(index);
    for (let axis = shape.length - 1; axis >= 0 && ++index[axis] === shape[axis]; axis--) index[axis] = 0;
  }
  return { shape, data };
}

/** Reads x at an index of a shape that x broadcasts to. */
function at(x: Tensor, index: readonly number[]): number {
  const offset = index.length - x.shape.length;
  let flat = 0;
  for (let axis = 0; axis < x.shape.length; axis++) {
    flat = flat * x.shape[axis] + (x.shape[axis] === 1 ? 0 : index[axis + offset]);
  }
  return x.data[flat];
}

const map1 =
  (f: (x: number) => number): Rule<OpName> =>
  ([x], _, shape) => ({ shape, data: x.data.map(f) });
const map2 =
  (f: (a: number, b: number) => number): Rule<OpName> =>
  ([a, b], _, shape) =>
    build(shape, (index) => f(at(a, index), at(b, index)));

/** Applies f to each row of the last axis. */
function mapRows(x: Tensor, f: (row: Float64Array) => ArrayLike<number>): Tensor {
  const width = x.shape[x.shape.length - 1];
  const data = new Float64Array(x.data.length);
  for (let start = 0; start < data.length; start += width)
    data.set(Array.from(f(x.data.subarray(start, start + width))), start);
  return { shape: x.shape, data };
}

function logSoftmaxRow(row: Float64Array): Float64Array {
  const largest = row.reduce((a, b) => Math.max(a, b), -Infinity);
  const total = row.reduce((sum, value) => sum + Math.exp(value - largest), 0);
  return row.map((value) => value - largest - Math.log(total));
}

const reduction =
  (start: number, join: (a: number, b: number) => number): Rule<"reduceSum" | "reduceMax"> =>
  ([x], { axes }, shape) => {
    const kept = x.shape.map((dim, axis) => (axes.includes(axis) ? 1 : dim));
    const keptStrides = strides(kept);
    const data = new Float64Array(count(kept)).fill(start);
    build(x.shape, (index) => {
      const target = index.reduce((flat, i, axis) => flat + (kept[axis] === 1 ? 0 : i * keptStrides[axis]), 0);
      return (data[target] = join(data[target], at(x, index)));
    });
    return { shape, data };
  };

const rules: { [K in OpName]: Rule<K> } = {
  input: (_, { name }, __, ___, { inputs }) => inputs[name],
  constant: (_, { data }, shape) => ({ shape, data: Float64Array.from(readStored(data)) }),
  add: map2((a, b) => a + b),
  sub: map2((a, b) => a - b),
  mul: map2((a, b) => a * b),
  div: map2((a, b) => a / b),
  minimum: map2(Math.min),
  maximum: map2(Math.max),
  neg: map1((x) => -x),
  exp: map1(Math.exp),
  log: map1(Math.log),
  sqrt: map1(Math.sqrt),
  sigmoid: map1((x) => 1 / (1 + Math.exp(-x))),
  silu: map1((x) => x / (1 + Math.exp(-x))),
  less: map2((a, b) => Number(a < b)),
  equal: map2((a, b) => Number(a === b)),
  where: ([condition, a, b], _, shape) => build(shape, (index) => (at(condition, index) ? at(a, index) : at(b, index))),
  cast: ([x], { to }, shape) => ({ shape, data: to === "int32" ? x.data.map(Math.trunc) : x.data }),
  matmul: ([a, b], { transA, transB, alpha }, shape) => {
    const rank = shape.length;
    const inner = a.shape[transA ? rank - 2 : rank - 1];
    return build(shape, (index) => {
      const lead = index.slice(0, -2);
      const [row, column] = index.slice(-2);
      let total = 0;
      for (let k = 0; k < inner; k++) {
        total +=
          at(a, [...lead, ...(transA ? [k, row] : [row, k])]) *
          at(b, [...lead, ...(transB ? [column, k] : [k, column])]);
      }
      return alpha * total;
    });
  },
  int8Matmul: ([x, weight, scale], { transB }, shape) => {
    const scaled = transB ? build(x.shape, ([row, column]) => at(x, [row, column]) * at(scale, [column])) : x;
    const rounded = mapRows(scaled, roundedRow);
    return build(shape, ([row, column]) => {
      let total = 0;
      for (let k = 0; k < scaled.shape[1]; k++)
        total += at(rounded, [row, k]) * at(weight, transB ? [column, k] : [k, column]);
      return transB ? total : total * at(scale, [column]);
    });
  },
  roundRows: ([x]) => mapRows(x, roundedRow),
  softmax: ([x]) => mapRows(x, (row) => logSoftmaxRow(row).map(Math.exp)),
  rmsNorm: ([x, weight], { epsilon }) =>
    mapRows(x, (row) => row.map((value, i) => value * inverseRms(row, epsilon) * weight.data[i])),
  rmsInverse: (_, __, shape, node, { values }) => {
    const norm = node.inputs[0] as Node<"rmsNorm">;
    const x = values.get(norm.inputs[0]) as Tensor;
    return build(shape, (index) => {
      const width = x.shape[x.shape.length - 1];
      const start = index.slice(0, -1).reduce((flat, i, axis) => flat * x.shape[axis] + i, 0) * width;
      return inverseRms(x.data.subarray(start, start + width), norm.attributes.epsilon);
    });
  },
  rope: ([x, positions, cos, sin], _, shape) => {
    const half = cos.shape[1];
    return build(shape, ([b, head, l, i]) => {
      const angle: [number, number] = [at(positions, [b, l]), i % half];
      const partner = at(x, [b, head, l, (i + half) % (2 * half)]);
      return at(x, [b, head, l, i]) * at(cos, angle) + (i < half ? -partner : partner) * at(sin, angle);
    });
  },
  gatherRows: ([table, ids], _, shape) =>
    build(shape, (index) => at(table, [at(ids, index.slice(0, -1)), index[index.length - 1]])),
  scatterAddRows: ([ids, updates], _, shape) => {
    const data = new Float64Array(count(shape));
    updates.data.forEach((value, flat) => {
      const row = Math.floor(flat / shape[1]);
      data[ids.data[row] * shape[1] + (flat % shape[1])] += value;
    });
    return { shape, data };
  },
  reshape: ([x], _, shape) => ({ shape, data: x.data }),
  transpose: ([x], { permutation }, shape) =>
    build(shape, (index) => {
      const source = new Array<number>(index.length);
      permutation.forEach((axis, position) => (source[axis] = index[position]));
      return at(x, source);
    }),
  concat: (operands, { axis }, shape) =>
    build(shape, (index) => {
      let position = index[axis];
      const part = operands.find(
        (operand) => position < operand.shape[axis] || ((position -= operand.shape[axis]), false),
      ) as Tensor;
      return part.data[flatten(part.shape, replaceAt(index, axis, position))];
    }),
  slice: ([x], { axis, start }, shape) => build(shape, (index) => at(x, replaceAt(index, axis, index[axis] + start))),
  pad: ([x], { axis, before }, shape) =>
    build(shape, (index) => {
      const position = index[axis] - before;
      return position < 0 || position >= x.shape[axis] ? 0 : x.data[flatten(x.shape, replaceAt(index, axis, position))];
    }),
  split: ([x], { axis, part, size }, shape, _, { sizes }) => {
    const start = part === 0 ? 0 : evaluate(size, sizes);
    return build(shape, (index) => x.data[flatten(x.shape, replaceAt(index, axis, index[axis] + start))]);
  },
  expand: ([x], _, shape) => build(shape, (index) => at(x, index)),
  stopGradient: ([x]) => x,
  after: ([x]) => x,
  linearized: ([y]) => y,
  reduceSum: reduction(0, (a, b) => a + b),
  reduceMax: reduction(-Infinity, Math.max),
  iota: (_, __, shape) => build(shape, ([index]) => index),
};

/** What 8 bits keep of a row, with the float32 steps of the runtime: ties go to the even number. */
function roundedRow(row: Float64Array): Float64Array {
  const largest = Math.max(...row.map((value) => Math.abs(Math.fround(value))));
  if (largest === 0) return row;
  const step = Math.fround(1 / largestInt8);
  return row.map((value) => {
    const inSteps = Math.fround(Math.fround(Math.fround(value) / largest) / step);
    const [below, fraction] = [Math.floor(inSteps), inSteps - Math.floor(inSteps)];
    const up = fraction > 0.5 || (fraction === 0.5 && below % 2 !== 0);
    return (up ? below + 1 : below) * step * largest;
  });
}

const inverseRms = (row: Float64Array, epsilon: number): number =>
  1 / Math.sqrt(row.reduce((total, value) => total + value * value, 0) / row.length + epsilon);
const replaceAt = (index: readonly number[], axis: number, value: number): number[] =>
  index.map((i, a) => (a === axis ? value : i));
const flatten = (shape: Shape, index: readonly number[]): number =>
  index.reduce((flat, i, axis) => flat * Number(shape[axis]) + i, 0);

/** The numbers of a constant, in memory. */
function readStored(data: ConstantData): Float32Array | Int32Array | Int8Array {
  if (!isStored(data)) return data;
  const values = data.dtype === "int8" ? new Int8Array(data.length) : new Float32Array(data.length);
  const bytes = new Uint8Array(values.buffer);
  const descriptor = openSync(data.file, "r");
  try {
    for (let done = 0; done < bytes.length;) {
      const count = readSync(descriptor, bytes, done, bytes.length - done, data.offset + done);
      if (count === 0) throw new Error(`internal: ${data.file} ends before its constants do`);
      done += count;
    }
  } finally {
    closeSync(descriptor);
  }
  return values;
}
