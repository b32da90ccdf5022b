/**
 * @file Reverse-mode differentiation of tensor graphs: one rule per operation, in one total table. Broadcasting is undone in
 * one place (`sumTo`), so that rules read like calculus.
 */
import { formatShape, product, type Shape } from "../graph/dim.js";
import type { Graph } from "../graph/graph.js";
import type { Node, OpName } from "../graph/ops.js";

/**
 * The gradient of an operation's inputs from the gradient `dy` of its output: one entry per input, null where
 * there is none (integers, conditions). `y` is the operation's own node.
 */
type GradientRule<K extends OpName> = (g: Graph, dy: Node, y: Node<K>) => (Node | null)[];
/** Total: an operation without a rule does not compile. */
type GradientRules = { [K in OpName]: GradientRule<K> };

/**
 * A part of the forward pass whose activations are not kept: the backward pass computes it again from its inputs
 * (Chen et al., arXiv:1604.06174). Everything that was built from `first` up to `end` (node ids) and depends on `inputs` belongs to it.
 */
export interface RecomputedSegment {
  inputs: readonly Node[];
  first: number;
  end: number;
}

interface GradientOptions {
  rules?: GradientRules;
  /** In the order in which they were built; they do not overlap. */
  recomputed?: readonly RecomputedSegment[];
}

/**
 * Adds to the graph the gradient of the scalar `loss` with respect to each of `parameters`, in their order and shapes.
 * @throws Error when the loss is not a scalar or does not depend on a parameter.
 */
export function gradients(
  g: Graph,
  loss: Node,
  parameters: readonly Node[],
  { rules = gradientRules, recomputed = [] }: GradientOptions = {},
): Node[] {
  if (loss.shape.length !== 0) throw new Error(`internal: the loss has shape ${formatShape(loss.shape)} instead of []`);
  const pass: ReversePass = {
    g,
    rules,
    relevant: dependents(g, parameters),
    gradient: new Map([[loss, g.constant("one", [], Float32Array.of(1))]]),
  };
  const segmentEndingAt = new Map(recomputed.map((segment) => [segment.end - 1, segment]));
  for (let id = loss.id; id >= 0; id--) {
    const segment = segmentEndingAt.get(id);
    if (segment) passThroughAgain(pass, segment);
    passThrough(pass, g.nodes[id]);
  }
  return parameters.map((parameter) => {
    const result = pass.gradient.get(parameter);
    if (!result) throw new Error(`internal: the loss does not depend on ${JSON.stringify(parameter.attributes)}`);
    return result;
  });
}

interface ReversePass {
  g: Graph;
  rules: GradientRules;
  /** The nodes through which a parameter can reach the loss. */
  relevant: Set<Node>;
  /** Known so far; complete for a node once everything that uses it has been passed. */
  gradient: Map<Node, Node>;
}

/** Hands the gradient of one node on to its inputs. */
function passThrough({ g, rules, relevant, gradient }: ReversePass, y: Node): void {
  const dy = gradient.get(y);
  if (!dy || !relevant.has(y) || y.op === "input") return;
  const contributions = (rules[y.op] as GradientRule<OpName>)(g, dy, y);
  y.inputs.forEach((input, index) => {
    const contribution = contributions[index];
    if (!contribution || !relevant.has(input)) return;
    const summed = sumTo(g, contribution, input.shape);
    const known = gradient.get(input);
    gradient.set(input, known ? plus(g, known, summed) : summed);
  });
}

/** The sum. Of what flows back to neighbouring slices it is their concatenation, without the zeros around them. */
function plus(g: Graph, a: Node, b: Node): Node {
  if (a.op !== "pad" || b.op !== "pad") return g.add(a, b);
  const [first, second] = [a, b].map((node) => ({ ...(node as Node<"pad">).attributes, x: node.inputs[0] }));
  const { axis } = first;
  const [low, high] = first.before < second.before ? [first, second] : [second, first];
  const end = low.before + Number(low.x.shape[axis]);
  if (second.axis !== axis || end !== high.before) return g.add(a, b);
  return g.pad(g.concat([low.x, high.x], axis), axis, low.before, high.after);
}

/**
 * Passes a segment's gradients through a copy of it, which waits for the first of them: until then its activations are not in memory.
 * The originals' gradients are handed over, so that nothing passes them twice.
 */
function passThroughAgain(pass: ReversePass, { inputs, first, end }: RecomputedSegment): void {
  const { g, relevant, gradient } = pass;
  const originals = dependents(g, inputs, g.nodes.slice(first, end));
  const reached = g.nodes.slice(first, end).filter((node) => originals.has(node) && gradient.has(node));
  if (reached.length === 0) return;
  const start = gradient.get(reached[reached.length - 1]) as Node;
  const copies = new Map<Node, Node>();
  const copyOf = (node: Node, copy: Node): void => {
    copies.set(node, copy);
    if (relevant.has(node)) relevant.add(copy);
  };
  for (const input of inputs) copyOf(input, g.after(input, start));
  for (const node of g.nodes.slice(first, end)) {
    if (!originals.has(node) || inputs.includes(node)) continue;
    const copiedInputs = node.inputs.map((input) => copies.get(input) ?? input);
    copyOf(node, g.node(node.op, copiedInputs, node.attributes));
  }
  for (const node of reached) {
    gradient.set(copies.get(node) as Node, gradient.get(node) as Node);
    gradient.delete(node);
  }
  for (const copy of [...copies.values()].reverse()) passThrough(pass, copy);
}

/** The given nodes and those among `nodes` (in the order of building) that depend on them. */
function dependents(g: Graph, sources: readonly Node[], nodes: readonly Node[] = g.nodes): Set<Node> {
  const result = new Set<Node>(sources);
  for (const node of nodes) if (node.inputs.some((input) => result.has(input))) result.add(node);
  return result;
}

/** Undoes broadcasting: sums the axes along which `shape` was stretched. */
function sumTo(g: Graph, x: Node, shape: Shape): Node {
  if (String(x.shape) === String(shape)) return x;
  const extra = x.shape.length - shape.length;
  const leading = Array.from({ length: extra }, (_, axis) => axis);
  const dropped = leading.length > 0 ? g.reduceSum(x, leading) : x;
  const stretched = shape.flatMap((dim, axis) => (dim === 1 && dropped.shape[axis] !== 1 ? [axis] : []));
  return stretched.length > 0 ? g.reduceSum(dropped, stretched, true) : dropped;
}

const lastAxis = (x: Node): number => x.shape.length - 1;
const leadingAxes = (x: Node): number[] => x.shape.slice(0, -1).map((_, axis) => axis);
const none: GradientRule<OpName> = (_, __, y) => y.inputs.map(() => null);

/** The rules in use; tested against central differences, operation by operation. */
export const gradientRules: GradientRules = {
  input: none,
  constant: none,
  less: none,
  equal: none,
  iota: none,
  cast: none,
  stopGradient: none,
  after: (_, dy) => [dy, null],
  linearized: (g, dy, { inputs: [, , slope] }) => [null, g.mul(dy, slope), null],
  add: (_, dy) => [dy, dy],
  sub: (g, dy) => [dy, g.neg(dy)],
  mul: (g, dy, { inputs: [a, b] }) => [g.mul(dy, b), g.mul(dy, a)],
  // d(a/b) = da/b − (a/b)·db/b
  div: (g, dy, y) => {
    const da = g.div(dy, y.inputs[1]);
    return [da, g.neg(g.mul(da, y))];
  },
  // Ties go to the first operand, so that a clipped ratio at its own value keeps the unclipped gradient.
  minimum: (g, dy, { inputs: [a, b] }) => chosen(g, dy, g.less(b, a)),
  maximum: (g, dy, { inputs: [a, b] }) => chosen(g, dy, g.less(a, b)),
  neg: (g, dy) => [g.neg(dy)],
  exp: (g, dy, y) => [g.mul(dy, y)],
  log: (g, dy, { inputs: [x] }) => [g.div(dy, x)],
  sqrt: (g, dy, y) => [g.div(g.scale(dy, 0.5), y)],
  // dσ = σ·(1 − σ)
  sigmoid: (g, dy, y) => [g.mul(dy, g.sub(y, g.mul(y, y)))],
  // d(x·σ) = σ + y·(1 − σ)
  silu: (g, dy, y) => {
    const sigma = g.sigmoid(y.inputs[0]);
    return [g.mul(dy, g.add(sigma, g.sub(y, g.mul(y, sigma))))];
  },
  where: (g, dy, { inputs: [condition, a] }) => {
    const zero = g.scalar(0);
    if (a.dtype !== "float32") return [null, null, null];
    return [null, g.where(condition, dy, zero), g.where(condition, zero, dy)];
  },
  matmul: (g, dy, { inputs: [a, b], attributes: { transA, transB, alpha } }) => [
    transA ? g.matmul(b, dy, { transA: transB, transB: true, alpha }) : g.matmul(dy, b, { transB: !transB, alpha }),
    transB ? g.matmul(dy, a, { transA: true, transB: transA, alpha }) : g.matmul(a, dy, { transA: !transA, alpha }),
  ],
  int8Matmul: (g, dy, { inputs: [, weight, scale], attributes: { transB } }) => [
    g.int8Matmul(dy, weight, scale, { transB: !transB }),
    null,
    null,
  ],
  roundRows: (_, dy) => [dy],
  // dx = y·(dy − Σ dy·y)
  softmax: (g, dy, y) => {
    const weighted = g.mul(dy, y);
    return [g.sub(weighted, g.mul(y, g.reduceSum(weighted, [lastAxis(y)], true)))];
  },
  // With r = rsqrt(mean x² + ε), x̂ = x·r, h = dy·weight: dx = r·(h − x̂·mean(h·x̂)), dweight = Σ dy·x̂
  rmsNorm: (g, dy, y) => {
    const [x, weight] = y.inputs;
    const r = g.rmsInverse(y);
    const normalised = g.mul(x, r);
    const h = g.mul(dy, weight);
    const mean = g.scale(g.reduceSum(g.mul(h, normalised), [lastAxis(x)], true), 1 / Number(x.shape[lastAxis(x)]));
    const dx = g.mul(r, g.sub(h, g.mul(normalised, mean)));
    return [dx, g.reduceSum(g.mul(dy, normalised), leadingAxes(x))];
  },
  rmsInverse: () => {
    throw new Error("internal: rmsInverse is only made by the rule of rmsNorm and has no gradient of its own");
  },
  // A rotation's transpose is the rotation by the negative angle.
  rope: (g, dy, { inputs: [, positions, cos, sin] }) => [g.rope(dy, positions, cos, g.neg(sin)), null, null, null],
  gatherRows: (g, dy, { inputs: [table, ids] }) => {
    const rows = product(ids.shape);
    const updates = g.reshape(dy, [rows, table.shape[1]]);
    return [g.scatterAddRows(g.reshape(ids, [rows]), updates, table.shape[0]), null];
  },
  scatterAddRows: (g, dy, { inputs: [ids] }) => [null, g.gatherRows(dy, ids)],
  reshape: (g, dy, { inputs: [x] }) => [g.reshape(dy, x.shape)],
  transpose: (g, dy, { attributes: { permutation } }) => {
    const inverse = permutation.map((_, axis) => permutation.indexOf(axis));
    return [g.transpose(dy, inverse)];
  },
  concat: (g, dy, { inputs, attributes: { axis } }) => {
    let rest = dy;
    return inputs.map((input, index) => {
      if (index === inputs.length - 1) return rest;
      const first = g.split(rest, axis, 0, input.shape[axis]);
      rest = g.split(rest, axis, 1, input.shape[axis]);
      return first;
    });
  },
  slice: (g, dy, { inputs: [x], attributes: { axis, start, end } }) => [
    g.pad(dy, axis, start, Number(x.shape[axis]) - end),
  ],
  pad: (g, dy, { inputs: [x], attributes: { axis, before } }) => [
    g.slice(dy, axis, before, before + Number(x.shape[axis])),
  ],
  split: (g, dy, { inputs: [x], attributes: { axis, part, size } }) => {
    const zeros = g.expand(g.scalar(0), g.split(x, axis, part === 0 ? 1 : 0, size).shape);
    return [g.concat(part === 0 ? [dy, zeros] : [zeros, dy], axis)];
  },
  expand: (_, dy) => [dy],
  reduceSum: (g, dy, { inputs: [x], attributes: { axes } }) => {
    const kept = x.shape.map((dim, axis) => (axes.includes(axis) ? 1 : dim));
    return [g.expand(g.reshape(dy, kept), x.shape)];
  },
  reduceMax: () => {
    throw new Error("internal: reduceMax is only there to be taken off and has no gradient: stop it");
  },
};

/** The gradient flows to the first operand except where `second` holds. */
function chosen(g: Graph, dy: Node, second: Node): Node[] {
  const zero = g.scalar(0);
  return [g.where(second, zero, dy), g.where(second, dy, zero)];
}
