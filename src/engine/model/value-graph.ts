/**
 * @file The graphs of a value function: V_t is a linear function of the hidden state behind the final norm at t − 1, before token t is
 * chosen. There is no LM head.
 */
import { Graph } from "../graph/graph.js";
import type { Node } from "../graph/ops.js";
import { outputGradients, predictors, type Layout, type TrainingOptions } from "./sequence-layout.js";
import { valueHead } from "./value-model.js";
import { weightNodes, type EngineModel, type Weights } from "./weights.js";

/** Per-token inputs `[M]` of the value loss. */
export const valueInputs = ["returns", "oldValues", "weights"] as const;

/** Inputs: those of the layout, `rows [M]`, every trained parameter by name. Output: `values [M]`. */
export function valueGraph(model: EngineModel, layout: Layout = "plain"): Graph {
  const g = new Graph();
  const weights = weightNodes(g, model);
  g.output("values", valuesOf(g, predictors(g, model, weights, layout).hidden, weights));
  return g;
}

/**
 * As `valueGraph`, with `VALUE_INPUTS` and `clip []` besides; a clip of infinity clips nothing. Outputs: `values`, `loss []` (see
 * `ValueResult`) and `gradient:NAME` of what is trained.
 */
export function valueTrainingGraph(
  model: EngineModel,
  { layout = "plain", recompute = false }: TrainingOptions = {},
): Graph {
  const g = new Graph();
  const weights = weightNodes(g, model);
  const { hidden, blocks } = predictors(g, model, weights, layout);
  const values = valuesOf(g, hidden, weights);
  g.output("values", values);
  outputGradients(g, model, { loss: valueLoss(g, values), weights, recomputed: recompute ? blocks : [] });
  return g;
}

/** `[M]` */
function valuesOf(g: Graph, hidden: Node, weights: Weights): Node {
  const products = g.matmul(hidden, weights.get(valueHead.weight), { transB: true });
  return g.reshape(g.add(products, weights.get(valueHead.bias)), ["M"]);
}

/** ½ Σ weight·max((V − R)², (clip(V) − R)²). */
function valueLoss(g: Graph, values: Node): Node {
  const [returns, oldValues, weights] = valueInputs.map((name) => g.input(name, ["M"]));
  const clip = g.input("clip", []);
  const clipped = g.minimum(g.maximum(values, g.sub(oldValues, clip)), g.add(oldValues, clip));
  const square = (x: Node): Node => g.mul(x, x);
  // Equal ones go to the first, so that inside the clip the gradient is the unclipped one.
  const errors = g.maximum(square(g.sub(values, returns)), square(g.sub(clipped, returns)));
  return g.scale(g.reduceSum(g.mul(weights, errors), [0]), 0.5);
}
