import { describe, expect, it } from "vitest";
import { Graph, print } from "../graph/graph.js";
import { interpret, tensor, type Tensor } from "../graph/interpret.test-support.js";
import { opCases, type OpCase } from "../graph/op-cases.test-support.js";
import type { Attributes, Node, OpName } from "../graph/ops.js";
import { gradientRules, gradients } from "./gradients.js";

/** A scalar that depends on every element of the operation's output in a different, non-linear way. */
function scalarLoss(g: Graph, y: Node): Node {
  const weighted = g.mul(g.sigmoid(y), g.add(y, g.scalar(0.3)));
  return g.reduceSum(
    weighted,
    y.shape.map((_, axis) => axis),
  );
}

function differentiable(g: Graph): Node[] {
  return g.nodes.filter((node) => node.op === "input" && node.dtype === "float32");
}

/** The largest difference between the rules' gradient and central differences, relative to the gradient's size. */
function worstError({ build, smooth, inputs }: OpCase, rules: typeof gradientRules): number {
  const g = new Graph();
  const loss = scalarLoss(g, build(g));
  const parameters = differentiable(g);
  gradients(g, loss, parameters, { rules }).forEach((node, index) => g.output(`gradient${index}`, node));
  const compared = smooth ? new Graph() : g;
  compared.output("loss", smooth ? scalarLoss(compared, smooth.build(compared)) : loss);
  const analytic = interpret(g, inputs);
  let worst = 0;
  parameters.forEach((parameter, index) => {
    const { name } = parameter.attributes as Attributes["input"];
    const numeric = centralDifferences(compared, inputs, name);
    const exact = analytic[`gradient${index}`];
    expect(exact.shape).toEqual(inputs[name].shape);
    numeric.forEach((value, i) => (worst = Math.max(worst, Math.abs(value - exact.data[i]) / (1 + Math.abs(value)))));
  });
  return worst;
}

function centralDifferences(g: Graph, inputs: Record<string, Tensor>, name: string, step = 1e-5): Float64Array {
  const lossAt = (data: Float64Array): number =>
    interpret(g, { ...inputs, [name]: tensor(inputs[name].shape, data) }).loss.data[0];
  return inputs[name].data.map((_, index) => {
    const shifted = (delta: number): Float64Array => inputs[name].data.map((x, i) => (i === index ? x + delta : x));
    return (lossAt(shifted(step)) - lossAt(shifted(-step))) / (2 * step);
  });
}

describe("gradient rules against central differences", () => {
  for (const op of Object.keys(opCases) as OpName[]) {
    it(op, () => expect(worstError(opCases[op], gradientRules)).toBeLessThan(opCases[op].smooth?.within ?? 1e-7));
  }

  it("a broken rule is caught", () => {
    const broken: Record<string, Partial<typeof gradientRules>> = {
      mul: { mul: (g, dy, { inputs: [a, b] }) => [g.mul(dy, a), g.mul(dy, b)] },
      rope: {
        rope: (g, dy, { inputs: [, positions, cos, sin] }) => [g.rope(dy, positions, cos, sin), null, null, null],
      },
      // Without the scales of the columns.
      int8Matmul: {
        int8Matmul: (g, dy, { inputs: [, weight, scale], attributes: { transB } }) => {
          const ones = g.constant("ones", scale.shape, new Float32Array(Number(scale.shape[0])).fill(1 / 400));
          return [g.int8Matmul(dy, weight, ones, { transB: !transB }), null, null];
        },
      },
      softmax: { softmax: (g, dy, y) => [g.mul(dy, y)] },
      // Without the row's own incoming gradient.
      linearized: { linearized: (_, __, { inputs: [, , slope] }) => [null, slope, null] },
    };
    for (const [op, rule] of Object.entries(broken)) {
      const { within = 1e-3 } = opCases[op as OpName].smooth ?? {};
      expect(worstError(opCases[op as OpName], { ...gradientRules, ...rule })).toBeGreaterThan(within);
    }
  });
});

describe("gradients", () => {
  it("builds what calculus says", () => {
    const g = new Graph();
    const [x, w] = [g.input("x", ["N", 4]), g.input("w", [2, 4])];
    const y = g.matmul(x, w, { transB: true });
    const loss = g.reduceSum(y, [0, 1]);
    g.output("dw", gradients(g, loss, [w])[0]);
    expect(print(g)).toMatchInlineSnapshot(`
      "%0: float32[N,4] = input() name=x
      %4: float32[] = constant() name=one shape=[]
      %5: float32[1,1] = reshape(%4) shape=[1,1]
      %6: float32[N,2] = expand(%5) shape=[N,2]
      %8: float32[2,4] = matmul(%6, %0) transA=true transB=false alpha=1
      return dw = %8"
    `);
  });

  it("refuses losses that are no scalars or do not depend on a parameter", () => {
    const g = new Graph();
    const [x, y] = [g.input("x", [2]), g.input("y", [2])];
    expect(() => gradients(g, x, [x])).toThrow(/internal: the loss has shape \[2\]/);
    expect(() => gradients(g, g.reduceSum(x, [0]), [y])).toThrow(/does not depend/);
  });
});
