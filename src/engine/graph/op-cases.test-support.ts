/**
 * @file One small example of every operation: the total table that the gradient test and the runtime test share. A new operation
 * without an example does not compile.
 */
import { Random } from "../../random.js";
import type { Graph } from "./graph.js";
import { tensor, type Tensor } from "./interpret.test-support.js";
import type { Node, OpName } from "./ops.js";

/** Builds the operation over named inputs and says what to feed. Float inputs are differentiated. */
export interface OpCase {
  build: (g: Graph) => Node;
  /** The smooth function whose gradient the operation's gradient stands for, where it rounds: as good as `within` says. */
  smooth?: { build: (g: Graph) => Node; within: number };
  inputs: Record<string, Tensor>;
}

const random = new Random("op-cases");
const normal = (...shape: number[]): Tensor => fill(shape, () => random.normal());
const positive = (...shape: number[]): Tensor => fill(shape, () => 0.5 + random.next());
const integers = (below: number, ...shape: number[]): Tensor => fill(shape, () => random.integer(below));
const fill = (shape: number[], value: () => number): Tensor =>
  tensor(shape, Array.from({ length: shape.reduce((a, b) => a * b, 1) }, value));

const unary = (op: "neg" | "exp" | "log" | "sqrt" | "sigmoid" | "silu" | "softmax"): OpCase => ({
  build: (g) => g.node(op, [g.input("x", ["B", 5])], {}),
  inputs: { x: op === "log" || op === "sqrt" ? positive(3, 5) : normal(3, 5) },
});
const binary = (op: "add" | "sub" | "mul" | "div" | "minimum" | "maximum"): OpCase => ({
  build: (g) => g.node(op, [g.input("a", ["B", 1, 4]), g.input("b", [3, 4])], {}),
  inputs: { a: normal(2, 1, 4), b: op === "div" ? positive(3, 4) : normal(3, 4) },
});
const choice = (op: "less" | "equal"): OpCase => ({
  build: (g) => {
    const ids = g.input("ids", ["B"], "int32");
    const condition = g.node(op, [ids, g.iota("B")], {});
    return g.where(condition, g.input("a", ["B"]), g.input("b", []));
  },
  inputs: { ids: tensor([4], [1, 1, 0, 5]), a: normal(4), b: normal() },
});

/** Twice, so that both forms are made: with `transB` back to the first width. */
const int8Matmul = (): OpCase => {
  const [inputs, outputs] = [24, 16];
  const weight = Int8Array.from({ length: inputs * outputs }, () => random.integer(255) - 127);
  const scale = Float32Array.from({ length: outputs }, () => (0.5 + random.next()) / 400);
  const dequantised = Float32Array.from(weight, (value, at) => value * scale[at % outputs]);
  const build = (product: (g: Graph, x: Node, transB: boolean) => Node) => (g: Graph) =>
    product(g, g.sigmoid(product(g, g.input("x", ["B", inputs]), false)), true);
  return {
    build: build((g, x, transB) =>
      g.int8Matmul(x, g.constant("weight", [inputs, outputs], weight), g.constant("scale", [outputs], scale), {
        transB,
      }),
    ),
    smooth: {
      build: build((g, x, transB) => g.matmul(x, g.constant("float", [inputs, outputs], dequantised), { transB })),
      within: 0.02,
    },
    inputs: { x: withZeroRow(normal(3, inputs)) },
  };
};

function withZeroRow({ shape, data }: Tensor): Tensor {
  return { shape, data: data.map((value, at) => (at < shape[1] ? 0 : value)) };
}

export const opCases: { [K in OpName]: OpCase } = {
  input: { build: (g) => g.input("x", ["B", 2]), inputs: { x: normal(3, 2) } },
  constant: {
    build: (g) => g.add(g.input("x", ["B", 2]), g.constant("c", [2], Float32Array.of(1, 2))),
    inputs: { x: normal(3, 2) },
  },
  add: binary("add"),
  sub: binary("sub"),
  mul: binary("mul"),
  div: binary("div"),
  minimum: binary("minimum"),
  maximum: binary("maximum"),
  neg: unary("neg"),
  exp: unary("exp"),
  log: unary("log"),
  sqrt: unary("sqrt"),
  sigmoid: unary("sigmoid"),
  silu: unary("silu"),
  softmax: unary("softmax"),
  less: choice("less"),
  equal: choice("equal"),
  where: choice("less"),
  cast: {
    build: (g) => g.mul(g.cast(g.input("ids", ["B"], "int32"), "float32"), g.input("x", ["B"])),
    inputs: { ids: integers(9, 4), x: normal(4) },
  },
  matmul: {
    build: (g) => {
      const [a, b] = [g.input("a", ["B", 3, 4]), g.input("b", ["B", 3, 5])];
      const c = g.matmul(a, b, { transA: true, alpha: 0.5 });
      const d = g.matmul(c, g.input("d", ["B", 2, 5]), { transB: true });
      const e = g.matmul(g.input("e", ["B", 6, 2]), d, { transB: true, alpha: 2 });
      const f = g.matmul(g.input("f", ["B", 3, 6]), e);
      const h = g.matmul(f, g.input("h", ["B", 2, 3]), { transA: true, transB: true });
      const flat = g.reshape(h, ["4*B", 2]);
      const i = g.matmul(g.input("i", [3, 2]), flat, { transB: true });
      const j = g.matmul(i, g.input("j", [3, 2]), { transA: true });
      const heads = g.matmul(g.input("heads", ["B", 3, 1, 2]), g.input("shared", ["B", 1, 4, 2]), { transB: true });
      return g.add(g.reduceSum(j, [0, 1]), g.matmul(heads, g.input("values", ["B", 1, 4, 5])));
    },
    inputs: {
      ...{ a: normal(2, 3, 4), b: normal(2, 3, 5), d: normal(2, 2, 5), e: normal(2, 6, 2) },
      ...{ f: normal(2, 3, 6), h: normal(2, 2, 3), i: normal(3, 2), j: normal(3, 2) },
      ...{ heads: normal(2, 3, 1, 2), shared: normal(2, 1, 4, 2), values: normal(2, 1, 4, 5) },
    },
  },
  int8Matmul: int8Matmul(),
  roundRows: {
    build: (g) => g.roundRows(g.input("x", ["B", 24])),
    smooth: { build: (g) => g.input("x", ["B", 24]), within: 0.02 },
    inputs: { x: normal(3, 24) },
  },
  rmsNorm: {
    build: (g) => g.rmsNorm(g.input("x", ["B", 2, 6]), g.input("weight", [6]), 1e-5),
    inputs: { x: normal(3, 2, 6), weight: positive(6) },
  },
  rmsInverse: {
    // Reached through the gradient of rmsNorm, where it is made.
    build: (g) => g.rmsNorm(g.input("x", ["B", 4]), g.input("weight", [4]), 0.1),
    inputs: { x: normal(3, 4), weight: positive(4) },
  },
  rope: {
    build: (g) => {
      const angles = Float32Array.from({ length: 30 }, (_, i) => Math.floor(i / 3) * 10 ** (-(i % 3) / 3));
      const cos = g.constant("cos", [10, 3], angles.map(Math.cos));
      const sin = g.constant("sin", [10, 3], angles.map(Math.sin));
      return g.rope(g.input("x", ["B", 2, "L", 6]), g.input("positions", ["B", "L"], "int32"), cos, sin);
    },
    inputs: { x: normal(2, 2, 3, 6), positions: integers(10, 2, 3) },
  },
  gatherRows: {
    build: (g) => g.gatherRows(g.input("table", [5, 3]), g.input("ids", ["B", "L"], "int32")),
    inputs: { table: normal(5, 3), ids: tensor([2, 3], [0, 4, 4, 1, 0, 4]) },
  },
  scatterAddRows: {
    build: (g) => g.scatterAddRows(g.input("ids", ["N"], "int32"), g.input("updates", ["N", 3]), 4),
    inputs: { ids: tensor([5], [0, 3, 3, 1, 3]), updates: normal(5, 3) },
  },
  reshape: {
    build: (g) => {
      const split = g.reshape(g.input("x", ["B", "L", 6]), ["B", "L", 2, 3]);
      const swapped = g.transpose(split, [0, 2, 1, 3]);
      const flat = g.reshape(swapped, ["2*B*L", 3]);
      return g.reshape(flat, ["B", 2, "L", 3]);
    },
    inputs: { x: normal(2, 3, 6) },
  },
  transpose: { build: (g) => g.transpose(g.input("x", ["B", 3, 4]), [2, 0, 1]), inputs: { x: normal(2, 3, 4) } },
  concat: {
    build: (g) => {
      const fixed = g.concat([g.input("a", ["B", 2]), g.input("b", ["B", 3])], 1);
      const named = g.concat([g.input("c", ["K", 5]), g.input("d", ["L", 5])], 0);
      return g.matmul(fixed, named, { transB: true });
    },
    inputs: { a: normal(2, 2), b: normal(2, 3), c: normal(3, 5), d: normal(1, 5) },
  },
  slice: { build: (g) => g.slice(g.input("x", ["B", 5]), 1, 1, 4), inputs: { x: normal(2, 5) } },
  pad: { build: (g) => g.pad(g.input("x", ["B", 3]), 1, 1, 2), inputs: { x: normal(2, 3) } },
  // Reached through the gradient of a concat along a named axis, where it is differentiated in turn.
  split: {
    build: (g) => {
      const x = g.input("x", ["B", 5, 2]);
      return g.add(g.split(x, 1, 1, 3), g.slice(g.split(x, 1, 0, 3), 1, 1, 3));
    },
    inputs: { x: normal(2, 5, 2) },
  },
  expand: { build: (g) => g.expand(g.input("x", ["B", 1]), ["B", 3]), inputs: { x: normal(2, 1) } },
  stopGradient: {
    // The stopped factor is a different input, whose own gradient arrives by another path.
    build: (g) =>
      g.add(g.mul(g.stopGradient(g.cast(g.input("ids", ["B"], "int32"), "float32")), g.input("x", ["B"])), g.scalar(1)),
    inputs: { ids: integers(5, 4), x: normal(4) },
  },
  after: {
    build: (g) => {
      const other = g.input("other", [4]);
      return g.matmul(g.after(g.input("x", ["B", 4]), other), g.reshape(other, [4, 1]));
    },
    inputs: { x: normal(2, 4), other: normal(4) },
  },
  linearized: {
    // Σ x³ of each row, whose derivative is said to be 3·x².
    build: (g) => {
      const x = g.input("x", ["M", 4]);
      const square = g.mul(x, x);
      return g.linearized(g.reduceSum(g.mul(square, x), [1], true), x, g.scale(square, 3));
    },
    inputs: { x: normal(3, 4) },
  },
  reduceSum: {
    build: (g) => {
      const x = g.input("x", ["B", 3, 4]);
      return g.mul(g.reduceSum(x, [1], true), g.reshape(g.reduceSum(g.mul(x, x), [0, 2]), [3, 1]));
    },
    inputs: { x: normal(2, 3, 4) },
  },
  reduceMax: {
    // The logarithm of summed exponentials does not depend on what is taken off before, so that nothing flows back through it.
    build: (g) => {
      const x = g.input("x", ["B", 3, 4]);
      const largest = g.stopGradient(g.reduceMax(x, [1, 2], true));
      const sums = g.reduceSum(g.exp(g.sub(x, largest)), [1, 2]);
      return g.add(g.log(sums), g.reshape(largest, ["B"]));
    },
    inputs: { x: normal(2, 3, 4) },
  },
  iota: {
    build: (g) => g.mul(g.cast(g.iota("B"), "float32"), g.input("x", ["B"])),
    inputs: { x: normal(4) },
  },
};
