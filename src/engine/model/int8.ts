/**
 * @file Frozen linear layers in 8 bits: y = x̂·Ŵᵀ. Rows of x are rounded by their own magnitude and channels of Ŵ by theirs
 * (`Graph.int8Matmul`), after SmoothQuant (arXiv:2211.10438, eq. 4) has divided the work between the two; the few input channels with
 * the largest outliers stay in float32 (LLM.int8(), arXiv:2208.07339, §3.2).
 */
import type { Graph } from "../graph/graph.js";
import type { Node, StoredData } from "../graph/ops.js";
import type { ModelConfig } from "./config.js";
import { headChunks, partOf, type Head } from "./head.js";

/** In what frozen weights are multiplied. */
export type Precision = "int8" | "float32";

/** What layers that read the same input have in common. */
export interface Int8Input {
  /** `[inputs]`: by what each channel is multiplied before it is rounded; 0 for the wide ones. */
  factors: StoredData;
  /** Channels that stay in float32. */
  wide: readonly number[];
}

/** A linear layer in 8 bits. */
export interface Int8Layer {
  /** `[inputs, outputs]` int8, with zeros for the wide channels. */
  weight: StoredData;
  /** `[outputs]` */
  scale: StoredData;
  /** `[outputs, wide]`: the columns of the wide channels. */
  wide: StoredData;
}

/** All layers in 8 bits, by module, and their inputs, by the module that they are known by. */
export interface Int8Base {
  layers: ReadonlyMap<string, Int8Layer>;
  inputs: ReadonlyMap<string, Int8Input>;
  /** From which the numbers were made. */
  ranges: ChannelRanges;
  head: Int8HeadWeights;
}

/** The LM head in 8 bits. Its tensor in float32 holds what the 8-bit numbers are worth, for embeddings and for what flows back. */
export interface Int8HeadWeights extends Int8Layer {
  input: Int8Input;
  /** `[hidden]`: 1 / factors, 0 for the wide channels. */
  restoring: StoredData;
  /** The columns of `weight` again, chunk by chunk: `[hidden, C]` each. */
  chunks: readonly StoredData[];
}

/** The largest magnitude of each channel `[inputs]` of each input, by the module that it is known by. */
export type ChannelRanges = ReadonlyMap<string, Float32Array>;

/** How many channels of an input stay in float32: few beside its width. */
const wideCount = (width: number, count: number): number => Math.max(1, Math.min(count, Math.floor(width / 16)));

/** The modules of a model's linear layers that read the same input, in the order of the forward pass, with its width and its wide channels. */
export function linearInputs({ layers, hiddenSize, intermediateSize, heads, headDim }: ModelConfig) {
  return Array.from({ length: layers }, (_, layer) => {
    const modules = (part: string, letters: readonly string[]): string[] =>
      letters.map((letter) => `model.layers.${layer}.${part}.${letter}_proj`);
    return [
      { modules: modules("self_attn", ["q", "k", "v"]), width: hiddenSize, wideCount: wideCount(hiddenSize, 8) },
      { modules: modules("self_attn", ["o"]), width: heads * headDim, wideCount: wideCount(heads * headDim, 8) },
      { modules: modules("mlp", ["gate", "up"]), width: hiddenSize, wideCount: wideCount(hiddenSize, 8) },
      // A product of two has the most outliers.
      { modules: modules("mlp", ["down"]), width: intermediateSize, wideCount: wideCount(intermediateSize, 16) },
    ];
  }).flat();
}

/** What the LM head reads: by what name its ranges are known, and the tensor of its table. */
export function headInput({ tieWordEmbeddings, hiddenSize }: ModelConfig) {
  return {
    input: "lm_head",
    wideCount: wideCount(hiddenSize, 8),
    tensor: tieWordEmbeddings ? "model.embed_tokens.weight" : "lm_head.weight",
  };
}

/** Every input that ranges are known of, and its width. */
export function allInputs(config: ModelConfig): { input: string; width: number }[] {
  const linear = linearInputs(config).map(({ modules, width }) => ({ input: modules[0], width }));
  return [...linear, { input: headInput(config).input, width: config.hiddenSize }];
}

/** A low-rank matrix that is added to a layer's: the adapter's A `[rank, inputs]` and B `[outputs, rank]`. */
export interface LowRank {
  a: Node;
  b: Node;
  /** By which B·A is multiplied. */
  factor: number;
}

/**
 * The layers `modules`, which read the same `x [T, inputs]`: `[T, outputs]` each, with what is added to some of them. The wide channels are picked together with the
 * adapters' A and enter together with their B: one thin float32 product beside each 8-bit one.
 */
export function int8Linears(
  g: Graph,
  base: Int8Base,
  x: Node,
  modules: readonly { module: string; outputs: number; added?: LowRank }[],
): Node[] {
  const name = modules[0].module;
  const width = Number(x.shape[1]);
  const input = base.inputs.get(name);
  if (input === undefined) throw new Error(`internal: no layer in 8 bits reads the input of ${name}`);
  const scaled = g.mul(x, g.constant(`${name}.int8_factors`, [width], input.factors));
  const lowRanks = modules.flatMap(({ added }) => added ?? []);
  const factor = lowRanks.at(0)?.factor ?? 1;
  const picking = pickingRows(g, `${name}.wide_channels`, input.wide, width, 1 / factor);
  const thin = g.matmul(x, g.concat([picking, ...lowRanks.map(({ a }) => a)], 0), { transB: true });
  let place = input.wide.length;
  return modules.map(({ module, outputs, added }) => {
    const { weight, scale, wide } = layerNodes(g, base, module, width, outputs);
    const product = g.int8Matmul(scaled, weight, scale);
    const picked = g.slice(thin, 1, 0, input.wide.length);
    if (added === undefined) return g.add(product, g.matmul(picked, wide, { transB: true, alpha: factor }));
    const end = place + Number(added.a.shape[0]);
    const own = g.concat([picked, g.slice(thin, 1, place, end)], 1);
    place = end;
    return g.add(product, g.matmul(own, g.concat([wide, added.b], 1), { transB: true, alpha: factor }));
  });
}

/** The head in 8 bits, where `float` is the same in float32. */
export function int8Head(g: Graph, weights: Int8HeadWeights, vocabSize: number, float: Head): Head {
  const { factors, wide } = weights.input;
  const count = wide.length;
  const read = (hidden: Node) => {
    const width = Number(hidden.shape[1]);
    const scaled = g.mul(hidden, g.constant("head.int8_factors", [width], factors));
    return { width, scaled, picking: pickingRows(g, "head.wide_channels", wide, width, 1) };
  };
  const logits = (hidden: Node, weight: StoredData, start: number, end: number): Node => {
    const { width, scaled, picking } = read(hidden);
    const matrix = g.constant(`head.int8[${start}:${end}]`, [width, end - start], weight);
    const scale = g.constant(`head.int8_scale[${start}:${end}]`, [end - start], partOf(weights.scale, start, end));
    const columns = partOf(weights.wide, start * count, end * count);
    const wideRows = g.constant(`head.int8_wide[${start}:${end}]`, [end - start, count], columns);
    const picked = g.matmul(hidden, picking, { transB: true });
    return g.add(g.int8Matmul(scaled, matrix, scale), g.matmul(picked, wideRows, { transB: true }));
  };
  return {
    ...float,
    logits(hidden, chunk) {
      const { start, end } = headChunks(vocabSize)[chunk];
      return logits(hidden, weights.chunks[chunk], start, end);
    },
    // Of the rounded row, since the table holds what the 8-bit numbers are worth.
    logitsOf(hidden, tokens) {
      const { width, scaled } = read(hidden);
      const mask = Float32Array.from({ length: width }, (_, channel) => Number(wide.includes(channel)));
      const restoring = g.constant("head.int8_restoring", [width], weights.restoring);
      const rounded = g.mul(g.roundRows(scaled), restoring);
      return float.logitsOf(g.add(rounded, g.mul(hidden, g.constant("head.wide_mask", [width], mask))), tokens);
    },
    allLogits: (hidden) => logits(hidden, weights.weight, 0, vocabSize),
  };
}

/** `[wide, inputs]`: rows that pick the wide channels of x, times `value`. */
function pickingRows(g: Graph, name: string, wide: readonly number[], width: number, value: number): Node {
  const rows = new Float32Array(wide.length * width);
  wide.forEach((channel, row) => (rows[row * width + channel] = value));
  return g.constant(name, [wide.length, width], rows);
}

function layerNodes(g: Graph, { layers }: Int8Base, module: string, inputs: number, outputs: number) {
  const layer = layers.get(module);
  if (layer === undefined) throw new Error(`internal: the layer ${module} is not in 8 bits`);
  return {
    weight: g.constant(`${module}.int8`, [inputs, outputs], layer.weight),
    scale: g.constant(`${module}.int8_scale`, [outputs], layer.scale),
    wide: g.constant(`${module}.int8_wide`, [outputs, layer.wide.length / outputs], layer.wide),
  };
}
