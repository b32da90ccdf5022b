/**
 * @file The operations of a tensor graph and their shape rules. One union, total tables: every pass over graphs
 * (shape, interpretation, ONNX lowering, gradient) is a table from operation to rule, so that a new operation
 * without a rule does not compile.
 */
import { broadcast, difference, formatShape, product, sum, type Dim, type Shape } from "./dim.js";

export type DType = "float32" | "int32" | "int8" | "bool";

/** Values that lie in a file: the runtime maps them into memory, so that several sessions share one copy. */
export interface StoredData {
  /** Absolute path. */
  file: string;
  /** Bytes from the beginning of the file. */
  offset: number;
  /** Numbers, not bytes. */
  length: number;
  /** Default float32. */
  dtype?: "int8";
  /** Of a matrix: the same numbers column by column. */
  transposed?: StoredData;
}

/** Values of a constant. */
export type ConstantData = Float32Array | Int32Array | Int8Array | StoredData;

export const isStored = (data: ConstantData): data is StoredData => "file" in data;

/** The type of a constant. */
export function dtypeOf(data: ConstantData): DType {
  if (isStored(data)) return data.dtype ?? "float32";
  if (data instanceof Int8Array) return "int8";
  return data instanceof Int32Array ? "int32" : "float32";
}

/** Of 8-bit numbers: the largest magnitude. */
export const largestInt8 = 127;

/** Attributes of each operation. The arrays in comments are the shapes of inputs → output. */
export interface Attributes {
  input: { name: string; shape: Shape; dtype: DType };
  constant: { name: string; shape: Shape; data: ConstantData };
  add: None; // broadcast
  sub: None; // broadcast
  mul: None; // broadcast
  div: None; // broadcast
  minimum: None; // broadcast
  maximum: None; // broadcast
  neg: None;
  exp: None;
  log: None;
  sqrt: None;
  sigmoid: None;
  silu: None; // x·sigmoid(x)
  less: None; // broadcast → bool
  equal: None; // broadcast → bool
  where: None; // bool, a, b → broadcast of all three
  cast: { to: DType };
  matmul: { transA: boolean; transB: boolean; alpha: number }; // [..,m,k] [..,k,n] → [..,m,n], equal rank, leading dims broadcast
  int8Matmul: { transB: boolean }; // x[m,k], weight[k,n] int8, scale[n] → [m,n]; transB: x[m,n] → [m,k]. See `Graph.int8Matmul`
  roundRows: None; // x[m,k] → the same as `int8Matmul` sees it
  softmax: None; // over the last axis
  rmsNorm: { epsilon: number }; // x[..,d], weight[d] → x·rsqrt(mean(x²)+ε)·weight
  rmsInverse: None; // an rmsNorm node → its rsqrt(mean(x²)+ε), [..,1]
  rope: None; // x[B,H,L,D], positions[B,L], cos[P,D/2], sin[P,D/2] → rotated x (halves, not pairs)
  gatherRows: None; // table[V,d], ids[..] → [..,d]
  scatterAddRows: { rows: Dim }; // ids[N], updates[N,d] → [rows,d], rows of equal id summed
  reshape: { shape: Shape };
  transpose: { permutation: readonly number[] };
  concat: { axis: number };
  slice: { axis: number; start: number; end: number }; // a fixed range of an axis of fixed size
  pad: { axis: number; before: number; after: number }; // zeros around an axis of fixed size
  split: { axis: number; part: 0 | 1; size: Dim }; // the first `size` or the remaining elements of an axis
  expand: { shape: Shape };
  stopGradient: None; // the same values, a constant to differentiation
  after: None; // x, other → x, but not before other has been computed
  linearized: None; // y[M,1], x[M,d], slope[M,d] → y, whose derivative by each row of x is known to be the slope's row
  reduceSum: { axes: readonly number[]; keepDims: boolean };
  reduceMax: { axes: readonly number[]; keepDims: boolean };
  iota: { size: Dim }; // 0, 1, 2, … as int32 [size]
}

type None = Readonly<Record<never, never>>;
export type OpName = keyof Attributes;

/** One value of a graph. Nodes are immutable and shared: the same operation on the same inputs is the same node. */
export interface Node<K extends OpName = OpName> {
  readonly id: number;
  readonly op: K;
  readonly inputs: readonly Node[];
  readonly attributes: Attributes[K];
  readonly shape: Shape;
  readonly dtype: DType;
}

interface Typed {
  shape: Shape;
  dtype: DType;
}
type ShapeRule<K extends OpName> = (inputs: readonly Node[], attributes: Attributes[K]) => Typed;

function require(condition: boolean, message: () => string): asserts condition {
  if (!condition) throw new Error(`internal: ${message()}`);
}

const describe = (nodes: readonly Node[]): string =>
  nodes.map((node) => `${node.dtype}${formatShape(node.shape)}`).join(" and ");

const elementwise2 = ([a, b]: readonly Node[]): Typed => {
  require(a.dtype === b.dtype, () => `${describe([a, b])} differ in type`);
  return { shape: broadcast(a.shape, b.shape), dtype: a.dtype };
};
const compare = (inputs: readonly Node[]): Typed => ({ ...elementwise2(inputs), dtype: "bool" });
const float1 = ([x]: readonly Node[]): Typed => {
  require(x.dtype === "float32", () => `expected float32, got ${describe([x])}`);
  return { shape: x.shape, dtype: "float32" };
};

const reduce = ([x]: readonly Node[], { axes, keepDims }: Attributes["reduceSum" | "reduceMax"]): Typed => {
  const kept = x.shape.map((dim, index) => (axes.includes(index) ? 1 : dim));
  return { shape: keepDims ? kept : kept.filter((_, index) => !axes.includes(index)), dtype: x.dtype };
};

/** Shape and type of each operation's output; throws `internal:` errors where the inputs do not fit. */
export const shapeRules: { [K in OpName]: ShapeRule<K> } = {
  input: (_, { shape, dtype }) => ({ shape, dtype }),
  constant: (_, { shape, data }) => {
    const size = product(shape);
    require(size === data.length, () => `constant of ${data.length} values has shape ${formatShape(shape)}`);
    return { shape, dtype: dtypeOf(data) };
  },
  add: elementwise2,
  sub: elementwise2,
  mul: elementwise2,
  div: elementwise2,
  minimum: elementwise2,
  maximum: elementwise2,
  neg: float1,
  exp: float1,
  log: float1,
  sqrt: float1,
  sigmoid: float1,
  silu: float1,
  less: compare,
  equal: compare,
  where: ([condition, a, b]) => {
    require(condition.dtype === "bool", () => `where: the condition is ${describe([condition])}`);
    return { shape: broadcast(condition.shape, broadcast(a.shape, b.shape)), dtype: a.dtype };
  },
  cast: ([x], { to }) => ({ shape: x.shape, dtype: to }),
  matmul: ([a, b], { transA, transB }) => {
    const rank = a.shape.length;
    require(rank >= 2 && b.shape.length === rank, () => `matmul of ${describe([a, b])}`);
    const [m, k] = transA ? [a.shape[rank - 1], a.shape[rank - 2]] : [a.shape[rank - 2], a.shape[rank - 1]];
    const [k2, n] = transB ? [b.shape[rank - 1], b.shape[rank - 2]] : [b.shape[rank - 2], b.shape[rank - 1]];
    require(k === k2, () => `matmul of ${describe([a, b])} (transA ${transA}, transB ${transB})`);
    return { shape: [...broadcast(a.shape.slice(0, -2), b.shape.slice(0, -2)), m, n], dtype: "float32" };
  },
  int8Matmul: ([x, weight, scale], { transB }) => {
    const [rows, width] = x.shape;
    const [inputs, outputs] = transB ? [weight.shape[1], weight.shape[0]] : weight.shape;
    const fits = x.shape.length === 2 && weight.shape.length === 2 && weight.dtype === "int8" && width === inputs;
    const isScaled = scale.shape.length === 1 && scale.shape[0] === weight.shape[1];
    require(fits && isScaled, () => `int8Matmul of ${describe([x, weight, scale])} (transB ${transB})`);
    return { shape: [rows, outputs], dtype: "float32" };
  },
  roundRows: float1,
  softmax: float1,
  rmsNorm: ([x, weight]) => {
    const width = x.shape.at(-1);
    require(weight.shape.length === 1 && weight.shape[0] === width, () => `rmsNorm of ${describe([x, weight])}`);
    return { shape: x.shape, dtype: "float32" };
  },
  rmsInverse: ([norm]) => {
    require(norm.op === "rmsNorm", () => `rmsInverse of a ${norm.op} node`);
    return { shape: [...norm.shape.slice(0, -1), 1], dtype: "float32" };
  },
  rope: ([x, positions, cos, sin]) => {
    const fits =
      x.shape.length === 4 && positions.shape.length === 2 && cos.shape.length === 2 && sin.shape.length === 2;
    require(fits && positions.dtype === "int32", () => `rope of ${describe([x, positions, cos, sin])}`);
    return { shape: x.shape, dtype: "float32" };
  },
  gatherRows: ([table, ids]) => {
    require(table.shape.length === 2 && ids.dtype === "int32", () => `gatherRows of ${describe([table, ids])}`);
    return { shape: [...ids.shape, table.shape[1]], dtype: table.dtype };
  },
  scatterAddRows: ([ids, updates], { rows }) => {
    const fits = ids.shape.length === 1 && updates.shape.length === 2 && ids.shape[0] === updates.shape[0];
    require(fits, () => `scatterAddRows of ${describe([ids, updates])}`);
    return { shape: [rows, updates.shape[1]], dtype: "float32" };
  },
  reshape: ([x], { shape }) => {
    require(product(x.shape) === product(shape), () => `reshape of ${describe([x])} to ${formatShape(shape)}`);
    return { shape, dtype: x.dtype };
  },
  transpose: ([x], { permutation }) => {
    require(permutation.length === x.shape.length, () => `transpose of ${describe([x])} by ${permutation.join()}`);
    return { shape: permutation.map((axis) => x.shape[axis]), dtype: x.dtype };
  },
  concat: (inputs, { axis }) => ({
    shape: inputs[0].shape.map((dim, index) => (index === axis ? sum(inputs.map((x) => x.shape[axis])) : dim)),
    dtype: inputs[0].dtype,
  }),
  slice: ([x], { axis, start, end }) => {
    const size = x.shape[axis];
    const fits = typeof size === "number" && 0 <= start && start < end && end <= size;
    require(fits, () => `slice ${start}:${end} of axis ${axis} of ${describe([x])}`);
    return { shape: x.shape.map((dim, index) => (index === axis ? end - start : dim)), dtype: x.dtype };
  },
  pad: ([x], { axis, before, after }) => {
    const size = x.shape[axis];
    require(typeof size === "number", () => `pad of the named axis ${axis} of ${describe([x])}`);
    return { shape: x.shape.map((dim, index) => (index === axis ? before + size + after : dim)), dtype: x.dtype };
  },
  split: ([x], { axis, part, size }) => {
    const kept = part === 0 ? size : difference(x.shape[axis], size);
    return { shape: x.shape.map((dim, index) => (index === axis ? kept : dim)), dtype: x.dtype };
  },
  expand: ([x], { shape }) => {
    require(String(broadcast(x.shape, shape)) === String(shape), () =>
      `expand of ${describe([x])} to ${formatShape(shape)}`);
    return { shape, dtype: x.dtype };
  },
  stopGradient: float1,
  after: float1,
  linearized: ([y, x, slope]) => {
    const fits = x.shape.length === 2 && String(y.shape) === String([x.shape[0], 1]);
    require(fits && String(slope.shape) === String(x.shape), () => `linearized of ${describe([y, x, slope])}`);
    return { shape: y.shape, dtype: y.dtype };
  },
  reduceSum: reduce,
  reduceMax: reduce,
  iota: (_, { size }) => ({ shape: [size], dtype: "int32" }),
};
