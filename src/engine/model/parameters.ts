/** @file The parameters of a model: their names and shapes, one flat array that holds them all, and a fresh start. */
import { Random } from "../../random.js";
import type { ModelConfig } from "./config.js";

/** One named tensor. Names and layouts are Hugging Face's: a matrix is `[out, in]`. */
export interface ParameterShape {
  name: string;
  shape: number[];
}

/** All parameters in one array, in the order of `shapes`, without gaps: optimizers see one vector, models see names. */
export interface ParameterStore {
  flat: Float32Array;
  /** Views into `flat`, row-major. */
  views: Map<string, Float32Array>;
  shapes: ParameterShape[];
}

/** Names and shapes of every parameter of `config`, in the order of the forward pass. */
export function parameterShapes(config: ModelConfig): ParameterShape[] {
  const { hiddenSize, vocabSize } = config;
  const shapes: ParameterShape[] = [{ name: "model.embed_tokens.weight", shape: [vocabSize, hiddenSize] }];
  for (let layer = 0; layer < config.layers; layer++) shapes.push(...layerShapes(config, `model.layers.${layer}.`));
  shapes.push({ name: "model.norm.weight", shape: [hiddenSize] });
  if (!config.tieWordEmbeddings) shapes.push({ name: "lm_head.weight", shape: [vocabSize, hiddenSize] });
  return shapes;
}

function layerShapes(config: ModelConfig, prefix: string): ParameterShape[] {
  const { hiddenSize, intermediateSize, headDim } = config;
  const queryWidth = config.heads * headDim;
  const keyWidth = config.kvHeads * headDim;
  const shapes: [string, number[]][] = [["input_layernorm.weight", [hiddenSize]]];
  const projections: [string, number][] = [
    ["q", queryWidth],
    ["k", keyWidth],
    ["v", keyWidth],
  ];
  for (const [letter, width] of projections) {
    shapes.push([`self_attn.${letter}_proj.weight`, [width, hiddenSize]]);
    if (config.attentionBias) shapes.push([`self_attn.${letter}_proj.bias`, [width]]);
  }
  if (config.qkNorm) shapes.push(["self_attn.q_norm.weight", [headDim]], ["self_attn.k_norm.weight", [headDim]]);
  shapes.push(
    ["self_attn.o_proj.weight", [hiddenSize, queryWidth]],
    ["post_attention_layernorm.weight", [hiddenSize]],
    ["mlp.gate_proj.weight", [intermediateSize, hiddenSize]],
    ["mlp.up_proj.weight", [intermediateSize, hiddenSize]],
    ["mlp.down_proj.weight", [hiddenSize, intermediateSize]],
  );
  return shapes.map(([name, shape]) => ({ name: prefix + name, shape }));
}

/** The layer that a weight belongs to: its name without `.weight`. */
export const moduleOf = (name: string): string => name.replace(/\.weight$/, "");

/** Number of elements of a shape; 1 for a scalar. */
export function elementCount(shape: readonly number[]): number {
  return shape.reduce((product, size) => product * size, 1);
}

/** Names the pieces of one array. Without `flat` the parameters are zeros. */
export function createParameterStore(shapes: readonly ParameterShape[], flat?: Float32Array): ParameterStore {
  const total = shapes.reduce((sum, { shape }) => sum + elementCount(shape), 0);
  const array = flat ?? new Float32Array(total);
  if (array.length !== total) throw new Error(`internal: ${array.length} numbers for ${total} parameters`);
  const views = new Map<string, Float32Array>();
  let offset = 0;
  for (const { name, shape } of shapes) {
    const end = offset + elementCount(shape);
    views.set(name, array.subarray(offset, end));
    offset = end;
  }
  return { flat: array, views, shapes: shapes.map(({ name, shape }) => ({ name, shape: [...shape] })) };
}

/** The view of one parameter; a missing name is a bug. */
export function parameter(store: ParameterStore, name: string): Float32Array {
  const view = store.views.get(name);
  if (!view) throw new Error(`internal: no parameter ${name}`);
  return view;
}

/**
 * Random parameters for training from nothing. Embeddings are N(0, 0.02²); a matrix with fan-in d is N(0, 0.49/d);
 * what writes into the residual stream is further divided by √(2·layers) (as in GPT-2, §2.3); norms are 1, biases 0.
 * Every tensor has its own random stream, so its values do not depend on the other tensors.
 */
export function initParameters(config: ModelConfig, seed: number): ParameterStore {
  const store = createParameterStore(parameterShapes(config));
  for (const { name, shape } of store.shapes) {
    const view = parameter(store, name);
    if (shape.length === 1) {
      view.fill(name.endsWith(".bias") ? 0 : 1);
      continue;
    }
    const random = new Random(seed, "init", name);
    const deviation = initialDeviation(name, shape, config.layers);
    for (let index = 0; index < view.length; index++) view[index] = deviation * random.normal();
  }
  return store;
}

function initialDeviation(name: string, shape: readonly number[], layers: number): number {
  if (name === "model.embed_tokens.weight" || name === "lm_head.weight") return 0.02;
  const deviation = 0.7 / Math.sqrt(shape[1]);
  const writesResidual = name.endsWith("o_proj.weight") || name.endsWith("down_proj.weight");
  return writesResidual ? deviation / Math.sqrt(2 * layers) : deviation;
}
