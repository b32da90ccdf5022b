/**
 * @file Low-rank adaptation (LoRA, Hu et al., arXiv:2106.09685, eq. 3): y = W·x + (α/r)·B·A·x, with W frozen. Which layers are
 * adapted, and the names and shapes of A and B as the PEFT library writes them.
 */
import { Random } from "../../random.js";
import type { ModelConfig } from "./config.js";
import {
  createParameterStore,
  moduleOf,
  parameter,
  parameterShapes,
  type ParameterShape,
  type ParameterStore,
} from "./parameters.js";

/** Every linear layer of a block, by the last part of its module's name. */
export const allLoraTargets = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"] as const;
export type LoraTarget = (typeof allLoraTargets)[number];

/** An adapter's settings; `adapter_config.json` calls them `r`, `lora_alpha` and `target_modules`. */
export interface LoraConfig {
  rank: number;
  /** The update is scaled by alpha/rank. */
  alpha: number;
  targets: readonly LoraTarget[];
}

/** Of adapters that are not described. */
export const defaultLora: LoraConfig = { rank: 16, alpha: 32, targets: allLoraTargets };

/** A model's adapter: its settings and its matrices. */
export interface Adapter {
  lora: LoraConfig;
  parameters: ParameterStore;
}

/** Names of an adapted layer's two matrices. `module` is a layer without its `.weight`, as `model.layers.0.self_attn.q_proj`. */
export const loraNames = (module: string): { a: string; b: string } => ({
  a: `${module}.lora_A.weight`,
  b: `${module}.lora_B.weight`,
});

/** The adapted layers in the order of the forward pass, with the sizes of their weights `[outputs, inputs]`. */
export function adaptedLayers(
  config: ModelConfig,
  { targets }: Pick<LoraConfig, "targets">,
): { module: string; outputs: number; inputs: number }[] {
  return parameterShapes(config).flatMap(({ name, shape }) => {
    const module = moduleOf(name);
    const last = module.slice(module.lastIndexOf(".") + 1);
    if (shape.length !== 2 || !(targets as readonly string[]).includes(last)) return [];
    return [{ module, outputs: shape[0], inputs: shape[1] }];
  });
}

/** Names and shapes of an adapter's matrices: A `[rank, inputs]` and B `[outputs, rank]` of each adapted layer. */
export function adapterShapes(config: ModelConfig, lora: LoraConfig): ParameterShape[] {
  return adaptedLayers(config, lora).flatMap(({ module, outputs, inputs }) => {
    const { a, b } = loraNames(module);
    return [
      { name: a, shape: [lora.rank, inputs] },
      { name: b, shape: [outputs, lora.rank] },
    ];
  });
}

/**
 * A fresh adapter, which changes nothing yet: B is 0. A is uniform in ±1/√inputs, as in PEFT (Kaiming with a = √5). Every matrix has
 * its own random stream.
 */
export function initAdapter(config: ModelConfig, lora: LoraConfig, seed: number): Adapter {
  const parameters = createParameterStore(adapterShapes(config, lora));
  for (const { module, inputs } of adaptedLayers(config, lora)) {
    const { a } = loraNames(module);
    const random = new Random(seed, "lora", module);
    const view = parameter(parameters, a);
    const bound = 1 / Math.sqrt(inputs);
    for (let index = 0; index < view.length; index++) view[index] = bound * (2 * random.next() - 1);
  }
  return { lora, parameters };
}

/** Adds the adapter's update to one weight in place: W += (α/r)·B·A. Weights that are not adapted stay as they are. */
export function mergeInto(weight: Float32Array, name: string, { lora, parameters }: Adapter): void {
  const { a, b } = loraNames(moduleOf(name));
  const [viewA, viewB] = [parameters.views.get(a), parameters.views.get(b)];
  if (!viewA || !viewB) return;
  const { rank } = lora;
  const scale = lora.alpha / rank;
  const inputs = viewA.length / rank;
  const row = new Float64Array(inputs);
  for (let output = 0; output < viewB.length / rank; output++) {
    row.fill(0);
    for (let r = 0; r < rank; r++) {
      const factor = scale * viewB[output * rank + r];
      for (let input = 0; input < inputs; input++) row[input] += factor * viewA[r * inputs + input];
    }
    for (let input = 0; input < inputs; input++) weight[output * inputs + input] += row[input];
  }
}
