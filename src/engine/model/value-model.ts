/**
 * @file The model of a value function: a trunk of its own, which begins as the model beside it, and a head of one output, which begins at
 * 0. Over frozen weights the trunk is another adapter; where everything is trained, it is another copy of all weights but the LM head's.
 */
import type { ModelConfig } from "./config.js";
import { adapterShapes, type LoraConfig } from "./lora.js";
import {
  createParameterStore,
  elementCount,
  parameterShapes,
  type ParameterShape,
  type ParameterStore,
} from "./parameters.js";
import type { EngineModel } from "./weights.js";

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
