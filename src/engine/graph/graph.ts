/**
 * @file The tensor graph: building it, printing it. Equal operations on equal inputs are one node, so what a model
 * builder writes twice (masks, positions, negated sines) is computed once.
 */
import { formatShape, type Dim, type Shape } from "./dim.js";
import { shapeRules, type Attributes, type ConstantData, type DType, type Node, type OpName } from "./ops.js";

const none = {};

/** A graph under construction; nodes are in topological order. Methods are the vocabulary of model builders. */
export class Graph {
  readonly nodes: Node[] = [];
  readonly outputs = new Map<string, Node>();
  readonly #known = new Map<string, Node>();

  node<K extends OpName>(op: K, inputs: readonly Node[], attributes: Attributes[K]): Node<K> {
    const key = `${op}|${inputs.map((input) => input.id).join()}|${attributeKey(op, attributes)}`;
    const known = this.#known.get(key);
    if (known) return known as Node<K>;
    const { shape, dtype } = shapeRules[op](inputs, attributes);
    const node: Node<K> = { id: this.nodes.length, op, inputs, attributes, shape, dtype };
    this.nodes.push(node as Node);
    this.#known.set(key, node as Node);
    return node;
  }

  input = (name: string, shape: Shape, dtype: DType = "float32"): Node =>
    this.node("input", [], { name, shape, dtype });
  constant = (name: string, shape: Shape, data: ConstantData): Node => this.node("constant", [], { name, shape, data });
  /** A float32 constant that broadcasts. */
  scalar = (value: number): Node => this.constant(`scalar(${value})`, [], Float32Array.of(value));
  integer = (value: number): Node => this.constant(`integer(${value})`, [], Int32Array.of(value));

  add = (a: Node, b: Node): Node => this.node("add", [a, b], none);
  sub = (a: Node, b: Node): Node => this.node("sub", [a, b], none);
  mul = (a: Node, b: Node): Node => this.node("mul", [a, b], none);
  div = (a: Node, b: Node): Node => this.node("div", [a, b], none);
  minimum = (a: Node, b: Node): Node => this.node("minimum", [a, b], none);
  maximum = (a: Node, b: Node): Node => this.node("maximum", [a, b], none);
  scale = (x: Node, factor: number): Node => this.mul(x, this.scalar(factor));
  neg = (x: Node): Node => this.node("neg", [x], none);
  exp = (x: Node): Node => this.node("exp", [x], none);
  log = (x: Node): Node => this.node("log", [x], none);
  sqrt = (x: Node): Node => this.node("sqrt", [x], none);
  sigmoid = (x: Node): Node => this.node("sigmoid", [x], none);
  silu = (x: Node): Node => this.node("silu", [x], none);
  less = (a: Node, b: Node): Node => this.node("less", [a, b], none);
  equal = (a: Node, b: Node): Node => this.node("equal", [a, b], none);
  where = (condition: Node, a: Node, b: Node): Node => this.node("where", [condition, a, b], none);
  cast = (x: Node, to: DType): Node => (x.dtype === to ? x : this.node("cast", [x], { to }));

  matmul = (a: Node, b: Node, { transA = false, transB = false, alpha = 1 } = {}): Node =>
    this.node("matmul", [a, b], { transA, transB, alpha });
  /**
   * The product of `x [m, k]` with an 8-bit matrix `weight [k, n]` whose columns are worth `scale [n]` each; transposed, of `x [m, n]`. Rows of x (times
   * the scale, where transposed) are rounded to 8 bits, each by its own largest magnitude / 127, so that a row depends on no other
   * (row-wise quantisation, SwitchBack, arXiv:2304.13013). Products are summed in int32. The gradient passes straight through the rounding, as the transposed product.
   */
  int8Matmul = (x: Node, weight: Node, scale: Node, { transB = false } = {}): Node =>
    this.node("int8Matmul", [x, weight, scale], { transB });
  /** What 8 bits keep of rows `[m, k]`, as `int8Matmul` rounds them; the gradient passes straight through. */
  roundRows = (x: Node): Node => this.node("roundRows", [x], none);
  softmax = (x: Node): Node => this.node("softmax", [x], none);
  rmsNorm = (x: Node, weight: Node, epsilon: number): Node => this.node("rmsNorm", [x, weight], { epsilon });
  rmsInverse = (norm: Node): Node => this.node("rmsInverse", [norm], none);
  rope = (x: Node, positions: Node, cos: Node, sin: Node): Node => this.node("rope", [x, positions, cos, sin], none);

  gatherRows = (table: Node, ids: Node): Node => this.node("gatherRows", [table, ids], none);
  scatterAddRows = (ids: Node, updates: Node, rows: Dim): Node => this.node("scatterAddRows", [ids, updates], { rows });

  /** Of a reshaped node the node itself is reshaped. */
  reshape = (x: Node, shape: Shape): Node => {
    const whole = x.op === "reshape" ? x.inputs[0] : x;
    return String(whole.shape) === String(shape) ? whole : this.node("reshape", [whole], { shape });
  };
  transpose = (x: Node, permutation: readonly number[]): Node => this.node("transpose", [x], { permutation });
  concat = (inputs: readonly Node[], axis: number): Node =>
    inputs.length === 1 ? inputs[0] : this.node("concat", inputs, { axis });
  slice = (x: Node, axis: number, start: number, end: number): Node => this.node("slice", [x], { axis, start, end });
  pad = (x: Node, axis: number, before: number, after: number): Node =>
    before === 0 && after === 0 ? x : this.node("pad", [x], { axis, before, after });
  split = (x: Node, axis: number, part: 0 | 1, size: Dim): Node => this.node("split", [x], { axis, part, size });
  expand = (x: Node, shape: Shape): Node =>
    String(x.shape) === String(shape) ? x : this.node("expand", [x], { shape });
  stopGradient = (x: Node): Node => this.node("stopGradient", [x], none);
  after = (x: Node, other: Node): Node => this.node("after", [x, other], none);
  linearized = (y: Node, x: Node, slope: Node): Node => this.node("linearized", [y, x, slope], none);
  reduceSum = (x: Node, axes: readonly number[], keepDims = false): Node =>
    this.node("reduceSum", [x], { axes, keepDims });
  reduceMax = (x: Node, axes: readonly number[], keepDims = false): Node =>
    this.node("reduceMax", [x], { axes, keepDims });
  iota = (size: Dim): Node => this.node("iota", [], { size });

  /** Names a node as a result of the graph. */
  output(name: string, node: Node): void {
    if (this.outputs.has(name)) throw new Error(`internal: the graph has two outputs named ${name}`);
    this.outputs.set(name, node);
  }

  /** The nodes that the outputs depend on, in topological order. */
  live(): Node[] {
    const needed = new Set<Node>();
    const visit = (node: Node): void => {
      if (needed.has(node)) return;
      needed.add(node);
      node.inputs.forEach(visit);
    };
    this.outputs.forEach(visit);
    return this.nodes.filter((node) => needed.has(node));
  }
}

/** Identity of attributes; large constants are identified by their name, which is unique within a graph. */
function attributeKey<K extends OpName>(op: K, attributes: Attributes[K]): string {
  if (op === "constant") return (attributes as Attributes["constant"]).name;
  return JSON.stringify(attributes);
}

/** One line per node: `%3: float32[B,8] = add(%1, %2)`. For snapshots and for people. */
export function print(graph: Graph): string {
  const lines = graph.live().map((node) => {
    const detail = Object.entries(node.attributes)
      .filter(([key]) => key !== "data" && !(node.op === "input" && key !== "name"))
      .map(([key, value]) => ` ${key}=${Array.isArray(value) ? formatShape(value as Shape) : String(value)}`);
    const inputs = node.inputs.map((input) => `%${input.id}`).join(", ");
    return `%${node.id}: ${node.dtype}${formatShape(node.shape)} = ${node.op}(${inputs})${detail.join("")}`;
  });
  for (const [name, node] of graph.outputs) lines.push(`return ${name} = %${node.id}`);
  return lines.join("\n");
}
