/**
 * @file Lowers a tensor graph to an ONNX model. One total table from operation to operators; sizes that are known only when
 * the graph runs are read off the shapes of its inputs inside the model, so that no shape needs a rebuild.
 */
import { factors, terms, type Dim, type Shape } from "../graph/dim.js";
import type { Graph } from "../graph/graph.js";
import { isStored, largestInt8, type Attributes, type Node, type OpName } from "../graph/ops.js";
import { elementType, OnnxEmitter, type EncodedModel } from "./emitter.js";

/** The model, ready for a runtime session. */
export function lower(graph: Graph): EncodedModel {
  const live = graph.live();
  const names = new Map<Node, string>();
  const context: Context = { emitter: new OnnxEmitter(), sizeSources: sizeSources(live), live, names };
  const addedIn = productsAddedOnce(live, new Set(graph.outputs.values()));
  for (const node of emissionOrder(live)) {
    if (addedIn.has(node)) continue;
    const product = node.inputs.find((input) => addedIn.get(input) === node);
    const name = product
      ? productAndSum(context, product as Node<"matmul">, node)
      : (rules[node.op] as Rule<OpName>)(context, inputNames(context, node), node);
    names.set(node, name);
    if (node.op !== "input" && node.op !== "constant") context.emitter.value(name, node.shape, node.dtype);
  }
  for (const [name, node] of graph.outputs) {
    context.emitter.emitNamed("Identity", [names.get(node) as string], [name]);
    context.emitter.output(name, node.shape, node.dtype);
  }
  return context.emitter.encode();
}

/**
 * The runtime orders a graph by walking back from its last ends first. Ends (a loss, the gradients of weights) therefore come last and in
 * reverse: it then computes each as soon as it can. In the order of building it would leave the gradients of all weights for the end,
 * and keep what they are made of in memory until then.
 */
function emissionOrder(live: readonly Node[]): Node[] {
  const used = new Set(live.flatMap(({ inputs }) => inputs));
  const isEnd = (node: Node): boolean => node.op !== "input" && !used.has(node);
  return [...live.filter((node) => !isEnd(node)), ...live.filter(isEnd).reverse()];
}

/** Matrix products that nothing reads but a sum of the same shape, by that sum; one for a sum. The runtime computes both at once. */
function productsAddedOnce(live: readonly Node[], outputs: ReadonlySet<Node>): Map<Node, Node> {
  const readers = new Map<Node, Node[]>();
  for (const node of live) for (const input of node.inputs) readers.set(input, [...(readers.get(input) ?? []), node]);
  const result = new Map<Node, Node>();
  const taken = new Set<Node>();
  for (const node of live) {
    const [sum, another] = readers.get(node) ?? [];
    if (node.op !== "matmul" || node.shape.length !== 2 || outputs.has(node) || sum?.op !== "add" || another) continue;
    if (taken.has(sum) || sum.inputs.some(({ shape }) => String(shape) !== String(node.shape))) continue;
    result.set(node, sum);
    taken.add(sum);
  }
  return result;
}

interface Context {
  emitter: OnnxEmitter;
  /** Where each named size can be read: an input and an axis. */
  sizeSources: Map<string, { input: string; axis: number }>;
  live: readonly Node[];
  /** Of the nodes lowered so far. */
  names: ReadonlyMap<Node, string>;
}
type Rule<K extends OpName> = (context: Context, inputs: readonly string[], node: Node<K>) => string;

const microsoft = "com.microsoft";

function sizeSources(nodes: readonly Node[]): Context["sizeSources"] {
  const sources: Context["sizeSources"] = new Map();
  for (const node of nodes) {
    if (node.op !== "input") continue;
    const { name, shape } = node.attributes as Attributes["input"];
    shape.forEach((dim, axis) => {
      if (typeof dim === "string" && !/[*+]/.test(dim) && !sources.has(dim)) sources.set(dim, { input: name, axis });
    });
  }
  return sources;
}

/** The name of an int64 [1] tensor with the dimension's value. */
function sizeTensor(context: Context, dim: Dim): string {
  const { emitter } = context;
  const { coefficient, names } = factors(dim);
  const parts = names.map((name) => namedSize(context, name));
  if (coefficient !== 1 || parts.length === 0) parts.push(emitter.int64([coefficient]));
  return parts.reduce((product, part) => emitter.emit("Mul", [product, part]));
}

function namedSize(context: Context, name: string): string {
  const { emitter, sizeSources } = context;
  if (name.includes("+")) {
    const parts = terms(name).map((term) => sizeTensor(context, term));
    return parts.reduce((total, part) => emitter.emit("Add", [total, part]));
  }
  const source = sizeSources.get(name);
  if (!source) throw new Error(`internal: no input of the graph has the size ${name}`);
  const shape = emitter.emit("Shape", [source.input]);
  return emitter.emit("Gather", [shape, emitter.int64([source.axis])]);
}

/** The name of an int64 vector with the shape's values. */
function shapeTensor(context: Context, shape: Shape): string {
  const { emitter } = context;
  if (shape.every((dim) => typeof dim === "number")) return emitter.int64(shape as number[]);
  return emitter.emit(
    "Concat",
    shape.map((dim) => sizeTensor(context, dim)),
    { axis: 0 },
  );
}

/** A reshape's target: constant where 0 (same as the input's) and one −1 can say it. */
function reshapeTarget(context: Context, from: Shape, to: Shape): string {
  const codes = to.map((dim, axis) => (typeof dim === "number" ? dim : dim === from[axis] ? 0 : -1));
  return codes.filter((code) => code === -1).length <= 1 ? context.emitter.int64(codes) : shapeTensor(context, to);
}

const direct =
  (operator: string): Rule<OpName> =>
  ({ emitter }, inputs) =>
    emitter.emit(operator, inputs);

const reduction =
  (operator: string): Rule<"reduceSum" | "reduceMax"> =>
  ({ emitter }, [x], { attributes: { axes, keepDims } }) =>
    emitter.emit(operator, [x, emitter.int64(axes)], { keepdims: Number(keepDims) });

const rules: { [K in OpName]: Rule<K> } = {
  input: ({ emitter }, _, { attributes: { name, shape, dtype } }) => {
    emitter.input(name, shape, dtype);
    return name;
  },
  constant: ({ emitter }, _, { attributes: { name, shape, data } }) => {
    emitter.initializer(name, shape as number[], data);
    return name;
  },
  add: direct("Add"),
  sub: direct("Sub"),
  mul: direct("Mul"),
  div: direct("Div"),
  minimum: direct("Min"),
  maximum: direct("Max"),
  neg: direct("Neg"),
  exp: direct("Exp"),
  log: direct("Log"),
  sqrt: direct("Sqrt"),
  sigmoid: direct("Sigmoid"),
  silu: ({ emitter }, inputs) => emitter.emit("QuickGelu", inputs, { alpha: { float: 1 } }, microsoft),
  less: direct("Less"),
  equal: direct("Equal"),
  where: direct("Where"),
  cast: ({ emitter }, inputs, { attributes: { to } }) => emitter.emit("Cast", inputs, { to: elementType(to) }),
  matmul: ({ emitter }, inputs, node) =>
    node.shape.length === 2
      ? emitter.emit("Gemm", inputs, productAttributes(node))
      : emitter.emit("FusedMatMul", inputs, productAttributes(node), microsoft),
  int8Matmul: ({ emitter }, [x, weight, scale], { inputs, attributes: { transB } }) => {
    const rows = quantisedRows(emitter, transB ? emitter.emit("Mul", [x, scale]) : x);
    const matrix = transB ? transposed(emitter, weight, inputs[1]) : weight;
    const columns = transB ? emitter.scalar("float32", 1) : scale;
    const operands = [rows.values, matrix, rows.step, columns, rows.zero];
    return emitter.emit("Mul", [emitter.emit("MatMulIntegerToFloat", operands, {}, microsoft), rows.largest]);
  },
  roundRows: ({ emitter }, [x]) => {
    const { values, step, zero, largest } = quantisedRows(emitter, x);
    return emitter.emit("Mul", [emitter.emit("DequantizeLinear", [values, step, zero]), largest]);
  },
  softmax: ({ emitter }, inputs) => emitter.emit("Softmax", inputs, { axis: -1 }),
  // The runtime's RMSNorm; its third output is the inverse root mean square that the backward pass needs.
  rmsNorm: ({ emitter, live }, inputs, node) => {
    const name = `norm${node.id}`;
    const wanted = live.some((other) => other.op === "rmsInverse" && other.inputs[0] === node);
    const outputs = wanted ? [name, inverseName(name)] : [name];
    emitter.emitNamed("SimplifiedLayerNormalization", inputs, outputs, {
      axis: -1,
      epsilon: { float: node.attributes.epsilon },
      stash_type: 1,
    });
    return name;
  },
  rmsInverse: (_, [norm]) => inverseName(norm),
  rope: ({ emitter }, [x, positions, cos, sin]) => {
    const positions64 = emitter.emit("Cast", [positions], { to: elementType("int64") });
    return emitter.emit("RotaryEmbedding", [x, positions64, cos, sin], { interleaved: 0 }, microsoft);
  },
  gatherRows: ({ emitter }, inputs) => emitter.emit("Gather", inputs, { axis: 0 }),
  // ScatterElements adds one after another. ScatterND adds rows in parallel and without care for rows of equal id: with two
  // threads it loses some, differently each time.
  scatterAddRows: (context, [ids, updates], node) => {
    const { emitter } = context;
    const zero = emitter.emit("ConstantOfShape", [shapeTensor(context, node.shape)]);
    const column = emitter.emit("Unsqueeze", [ids, emitter.int64([1])]);
    const indices = emitter.emit("Expand", [column, shapeTensor(context, node.inputs[1].shape)]);
    return emitter.emit("ScatterElements", [zero, indices, updates], { axis: 0, reduction: "add" });
  },
  reshape: (context, [x], { inputs, shape }) =>
    context.emitter.emit("Reshape", [x, reshapeTarget(context, inputs[0].shape, shape)]),
  transpose: ({ emitter }, inputs, { attributes: { permutation } }) =>
    emitter.emit("Transpose", inputs, { perm: permutation }),
  concat: ({ emitter }, inputs, { attributes: { axis } }) => emitter.emit("Concat", inputs, { axis }),
  slice: ({ emitter }, [x], { attributes: { axis, start, end } }) =>
    emitter.emit("Slice", [x, emitter.int64([start]), emitter.int64([end]), emitter.int64([axis])]),
  pad: ({ emitter }, [x], { attributes: { axis, before, after } }) => {
    return emitter.emit("Pad", [
      x,
      emitter.int64([before, after]),
      emitter.scalar("float32", 0),
      emitter.int64([axis]),
    ]);
  },
  split: (context, [x], { attributes: { axis, part, size } }) => {
    const { emitter } = context;
    const boundary = sizeTensor(context, size);
    const [start, end] = part === 0 ? [emitter.int64([0]), boundary] : [boundary, emitter.int64([2 ** 31 - 1])];
    return emitter.emit("Slice", [x, start, end, emitter.int64([axis])]);
  },
  expand: (context, [x], { shape }) => context.emitter.emit("Expand", [x, shapeTensor(context, shape)]),
  stopGradient: (_, [x]) => x,
  // Adds a 0 made from the other's shape: the runtime orders operations by their data only.
  after: ({ emitter }, [x, other]) => {
    const size = emitter.emit("Gather", [emitter.emit("Shape", [other]), emitter.int64([0])]);
    const nothing = emitter.emit("Mul", [size, emitter.int64([0])]);
    return emitter.emit("Add", [x, emitter.emit("Cast", [nothing], { to: elementType("float32") })]);
  },
  linearized: (_, [y]) => y,
  reduceSum: reduction("ReduceSum"),
  reduceMax: reduction("ReduceMax"),
  iota: (context, _, { attributes: { size } }) => {
    const { emitter } = context;
    const scalar = emitter.emit("Squeeze", [sizeTensor(context, size), emitter.int64([0])]);
    const limit = emitter.emit("Cast", [scalar], { to: elementType("int32") });
    return emitter.emit("Range", [emitter.scalar("int32", 0), limit, emitter.scalar("int32", 1)]);
  },
};

const inputNames = ({ names }: Context, { inputs }: Node): string[] =>
  inputs.map((input) => names.get(input) as string);

const productAttributes = ({ attributes: { transA, transB, alpha } }: Node<"matmul">) => ({
  transA: Number(transA),
  transB: Number(transB),
  alpha: { float: alpha },
});

/** A sum of which one part is a product that nothing else reads. */
function productAndSum(context: Context, product: Node<"matmul">, { inputs: [a, b] }: Node): string {
  const other = a === product ? b : a;
  const operands = [...inputNames(context, product), context.names.get(other) as string];
  return context.emitter.emit("Gemm", operands, productAttributes(product));
}

/** A matrix, or what lies in a file as its transpose. Where nothing does, the runtime transposes a constant when the session is made, which is a copy. */
function transposed(emitter: OnnxEmitter, name: string, node: Node): string {
  const data = node.op === "constant" ? (node as Node<"constant">).attributes.data : undefined;
  const stored = data && isStored(data) ? data.transposed : undefined;
  if (!stored) return emitter.emit("Transpose", [name], { perm: [1, 0] });
  return emitter.initializer(`${name}.transposed`, [...node.shape].reverse() as number[], stored);
}

/** Rows as 8-bit numbers: x ≈ (values − zero)·step·largest. Of an x that is asked for twice, they are computed once. */
function quantisedRows(emitter: OnnxEmitter, x: string) {
  const [step, zero] = [emitter.scalar("float32", 1 / largestInt8), emitter.scalar("uint8", largestInt8 + 1)];
  // A row of zeros stays one: it is divided by 0, but whatever numbers it then has are multiplied by 0.
  const largest = emitter.emit("ReduceMax", [emitter.emit("Abs", [x]), emitter.int64([1])], { keepdims: 1 });
  const values = emitter.emit("QuantizeLinear", [emitter.emit("Div", [x, largest]), step, zero]);
  return { values, step, zero, largest };
}

const inverseName = (norm: string): string => `${norm}_inverse`;
