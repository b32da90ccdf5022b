/**
 * @file A value function: a trunk of its own, which begins as the model beside it, and a head of one output, which begins at 0. Over frozen
 * weights the trunk is another adapter; where everything is trained, it is another copy of all weights but the LM head's. V_t is a linear
 * function of the hidden state behind the final norm at t − 1, before token t is chosen; there is no LM head.
 */
import { Graph } from "../graph/graph.js";
import type { Node } from "../graph/ops.js";
import type { ModelConfig } from "./config.js";
import { adapterShapes, type LoraConfig } from "./lora.js";
import {
  createParameterStore,
  elementCount,
  parameterShapes,
  type ParameterShape,
  type ParameterStore,
} from "./parameters.js";
import { outputGradients, predictors, type Layout, type TrainingOptions } from "./sequence-layout.js";
import { weightNodes, type EngineModel, type Weights } from "./weights.js";

/** Names of the head's parameters: `[1, hidden]` and `[1]`. */
export const valueHead = { weight: "value_head.weight", bias: "value_head.bias" } as const;

/** A trunk has no LM head. What is described is a model whose head is its embedding. */
export function trunkConfig(config: ModelConfig): ModelConfig {
  return config.tieWordEmbeddings ? config : { ...config, tieWordEmbeddings: true };
}

/** Names and shapes of what a value function trains beside a model of this kind: the trunk, then the head. */
export function valueShapes(config: ModelConfig, lora: LoraConfig | undefined): ParameterShape[] {
  return [...trunkShapes(config, lora), ...headShapes(config)];
}

const trunkShapes = (config: ModelConfig, lora: LoraConfig | undefined): ParameterShape[] =>
  lora ? adapterShapes(config, lora) : parameterShapes(trunkConfig(config));

const headShapes = ({ hiddenSize }: ModelConfig): ParameterShape[] => [
  { name: valueHead.weight, shape: [1, hiddenSize] },
  { name: valueHead.bias, shape: [1] },
];

/** A value function that begins as `model` is now; frozen weights are shared with it. All values are 0. */
export function createValueModel({ config, trainable, base }: EngineModel): EngineModel {
  const store = createParameterStore(valueShapes(config, base?.lora));
  for (const [name, view] of store.views) {
    const start = trainable.views.get(name);
    if (start) view.set(start);
  }
  return { config: trunkConfig(config), trainable: store, base };
}

/** The two parts of a value function's parameters, as views of them. */
export function valueParts({ config, trainable, base }: EngineModel): { trunk: ParameterStore; head: ParameterStore } {
  const [trunk, head] = [trunkShapes(config, base?.lora), headShapes(config)];
  const size = trunk.reduce((sum, { shape }) => sum + elementCount(shape), 0);
  return {
    trunk: createParameterStore(trunk, trainable.flat.subarray(0, size)),
    head: createParameterStore(head, trainable.flat.subarray(size)),
  };
}

/** Per-token inputs `[M]` of the value loss. */
const valueInputs = ["returns", "oldValues", "weights"] as const;

/** Inputs: those of the layout (`predictors`), every trained parameter by name. Output: `values [M]`. */
export function valueGraph(model: EngineModel, layout: Layout = "plain"): Graph {
  const g = new Graph();
  const weights = weightNodes(g, model);
  const { hidden, perToken } = predictors(g, model, weights, layout);
  g.output("values", perToken(valuesOf(g, hidden, weights)));
  return g;
}

/**
 * As `valueGraph`, with `valueInputs` and `clip []` besides; a clip of infinity clips nothing. Outputs: `values`, `loss []` (see
 * `ValueResult`) and `gradient:NAME` of what is trained.
 */
export function valueTrainingGraph(
  model: EngineModel,
  { layout = "plain", recompute = false }: TrainingOptions = {},
): Graph {
  const g = new Graph();
  const weights = weightNodes(g, model);
  const { hidden, perToken, segments } = predictors(g, model, weights, layout);
  const values = perToken(valuesOf(g, hidden, weights));
  g.output("values", values);
  outputGradients(g, model, { loss: valueLoss(g, values), weights, segments, recompute });
  return g;
}

/** `[U]` */
function valuesOf(g: Graph, hidden: Node, weights: Weights): Node {
  const products = g.matmul(hidden, weights.get(valueHead.weight), { transB: true });
  return g.reshape(g.add(products, weights.get(valueHead.bias)), ["U"]);
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
