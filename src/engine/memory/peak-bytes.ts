/**
 * @file How much memory a run of a graph takes at its fullest moment, from the graph alone: every value counts from the step that
 * computes it to the last that reads it. There is no formula of ours for a model or a gradient that could grow wrong with them.
 */
import { evaluate, type Shape, type Sizes } from "../graph/dim.js";
import type { Graph } from "../graph/graph.js";
import type { DType, Node, OpName } from "../graph/ops.js";

const bytesOf: Record<DType | "int64", number> = { float32: 4, int32: 4, int8: 1, int64: 8, bool: 1 };

/** The runtime hands these on without a copy. */
const aliases: ReadonlySet<OpName> = new Set(["reshape", "stopGradient", "linearized"]);
/** These lie elsewhere: the caller's memory, or the model's. */
const given: ReadonlySet<OpName> = new Set(["input", "constant"]);

interface Tensor {
  shape: Shape;
  bytesEach: number;
}

/** Tensors that exist because of how an operation is lowered, for as long as that runs. */
const besides: { [K in OpName]?: (node: Node) => Tensor[] } = {
  // The rows before they are rounded and as 8-bit numbers, and the product without the rows' scales.
  int8Matmul: ({ shape, inputs: [x] }) => [
    { shape: x.shape, bytesEach: bytesOf.float32 + bytesOf.int8 },
    { shape, bytesEach: bytesOf.float32 },
  ],
  roundRows: ({ shape }) => [{ shape, bytesEach: bytesOf.float32 + bytesOf.int8 }],
  // One index per number that is added.
  scatterAddRows: ({ inputs: [, updates] }) => [{ shape: updates.shape, bytesEach: bytesOf.int64 }],
};

/** The fullest moment of a run in bytes, outputs included; inputs and constants are not counted. The graph is walked through once for all sizes. */
export function memoryProfile(graph: Graph): (sizes: Sizes) => number {
  const { tensors, takenAt, freedAt } = lifetimes(graph);
  const { kinds, kindOf } = kindsOf(tensors);
  return (sizes) => {
    const bytes = kinds.map(({ shape, bytesEach }) =>
      shape.reduce((total: number, dim) => total * evaluate(dim, sizes), bytesEach),
    );
    let current = 0;
    let peak = 0;
    takenAt.forEach((taken, step) => {
      for (const tensor of taken) current += bytes[kindOf[tensor]];
      peak = Math.max(peak, current);
      for (const tensor of freedAt[step]) current -= bytes[kindOf[tensor]];
    });
    return peak;
  };
}

/** A graph has thousands of tensors of some dozens of sizes. */
function kindsOf(tensors: readonly Tensor[]): { kinds: Tensor[]; kindOf: number[] } {
  const known = new Map<string, number>();
  const kinds: Tensor[] = [];
  const kindOf = tensors.map((tensor) => {
    const key = `${tensor.bytesEach} ${tensor.shape.join()}`;
    const kind = known.get(key) ?? kinds.push(tensor) - 1;
    known.set(key, kind);
    return kind;
  });
  return { kinds, kindOf };
}

/** Which tensors come and go at each step; numbers are indices into `tensors`. */
interface Lifetimes {
  tensors: Tensor[];
  takenAt: number[][];
  freedAt: number[][];
}

function lifetimes(graph: Graph): Lifetimes {
  const live = graph.live();
  const tensors: Tensor[] = [];
  const takenAt: number[][] = [];
  const lastUse: number[] = [];
  /** The tensor that holds a node's value; none for what is given. */
  const holderOf = new Map<Node, number>();

  live.forEach((node, step) => {
    const taken: number[] = [];
    takenAt.push(taken);
    for (const input of node.inputs) {
      const holder = holderOf.get(input);
      if (holder !== undefined) lastUse[holder] = step;
    }
    if (given.has(node.op)) return;
    if (aliases.has(node.op)) {
      const holder = holderOf.get(node.inputs[0]);
      if (holder !== undefined) holderOf.set(node, holder);
      return;
    }
    const take = (tensor: Tensor): number => {
      const index = tensors.push(tensor) - 1;
      lastUse.push(step);
      taken.push(index);
      return index;
    };
    holderOf.set(node, take({ shape: node.shape, bytesEach: bytesOf[node.dtype] }));
    besides[node.op]?.(node).forEach(take);
  });

  for (const node of graph.outputs.values()) {
    const holder = holderOf.get(node);
    if (holder !== undefined) lastUse[holder] = Infinity;
  }
  const freedAt = takenAt.map((): number[] => []);
  lastUse.forEach((step, tensor) => freedAt[step]?.push(tensor));
  return { tensors, takenAt, freedAt };
}
