/**
 * @file Frozen linear layers in 8 bits: y = x̂·Ŵᵀ. Rows of x are rounded by their own magnitude and channels of Ŵ by theirs
 * (`Graph.int8Matmul`), after SmoothQuant (arXiv:2211.10438, eq. 4) has divided the work between the two; the few input channels with
 * the largest outliers stay in float32 (LLM.int8(), arXiv:2208.07339, §3.2).
 */
import type { Graph } from "../graph/graph.js";
import type { ConstantData, Node, StoredData } from "../graph/ops.js";
import type { ModelConfig } from "./config.js";
import { headChunks, headTensor, partOf, type Head } from "./head.js";

/** In what frozen weights are multiplied. */
export type Precision = "int8" | "float32";

/** A matrix in 8 bits. */
interface Int8Matrix<Data> {
  /** `[inputs]`: by what each channel is multiplied before it is rounded; 0 for the wide ones. */
  factors: Data;
  /** Channels that stay in float32. */
  wide: readonly number[];
  /** `[inputs, outputs]` int8, with zeros for the wide channels. */
  weight: Data;
  /** `[outputs]` */
  scale: Data;
  /** `[outputs, wide]`: the columns of the wide channels. */
  wideColumns: ConstantData;
}

/** Linear layers that read the same input, as one matrix: their outputs lie one after the other. */
export interface Int8Layers<Data = StoredData> extends Int8Matrix<Data> {
  modules: readonly { module: string; outputs: number }[];
}

/** All layers in 8 bits, by the first module of those that read the same input. */
export interface Int8Base {
  layers: ReadonlyMap<string, Int8Layers>;
  /** From which the numbers were made. */
  ranges: ChannelRanges;
  head: Int8HeadWeights;
}

/** The LM head in 8 bits. Its tensor in float32 holds what the 8-bit numbers are worth, for embeddings and for what flows back. */
export interface Int8HeadWeights extends Int8Matrix<StoredData> {
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

/** The weights of the layers that become 8-bit numbers. */
export const linearWeights = (config: ModelConfig): string[] =>
  linearInputs(config).flatMap(({ modules }) => modules.map((module) => `${module}.weight`));

/** What the LM head reads: by what name its ranges are known, and the tensor of its table. */
export function headInput(config: ModelConfig) {
  return {
    input: "lm_head",
    wideCount: wideCount(config.hiddenSize, 8),
    tensor: headTensor(config),
  };
}

/** Every input that ranges are known of, and its width. */
export function allInputs(config: ModelConfig): { input: string; width: number }[] {
  const linear = linearInputs(config).map(({ modules, width }) => ({ input: modules[0], width }));
  return [...linear, { input: headInput(config).input, width: config.hiddenSize }];
}

/** A low-rank matrix that is added to a layer's: the adapter's A `[rank, inputs]` and B `[outputs, rank]`. */
export interface LowRank<T> {
  a: T;
  b: T;
  rank: number;
  /** By which B·A is multiplied. */
  factor: number;
}

/**
 * The layers that read `x [T, inputs]`: `[T, outputs]` each, in as few operations as can be. The thin float32 product beside the 8-bit one
 * has constants. `added` has an entry for each module.
 */
export function int8Linears(
  g: Graph,
  name: string,
  layers: Int8Layers<ConstantData>,
  x: Node,
  added: readonly (LowRank<Float32Array> | undefined)[],
): Node[] {
  const { inside, outside, width, thin, outputs } = besideNumbers(layers, added);
  const low = g.matmul(x, g.constant(`${name}.inside`, [width, thin], inside));
  const beside = g.matmul(low, g.constant(`${name}.outside`, [thin, outputs], outside));
  return partsOf(g, layers, g.add(int8Product(g, name, layers, x), beside));
}

/** The same from the adapters as they are trained, with as few multiplications as can be. `added` has an entry for each module. */
export function int8LinearsInTraining(
  g: Graph,
  name: string,
  layers: Int8Layers<ConstantData>,
  x: Node,
  added: readonly (LowRank<Node> | undefined)[],
): Node[] {
  const { wide, wideColumns, modules } = layers;
  const lowRanks = added.filter((one) => one !== undefined);
  const factor = lowRanks.at(0)?.factor ?? 1;
  // The wide channels are picked together with the adapters' A, and enter together with each one's B.
  const picking = pickingRows(g, `${name}.wide_channels`, wide, Number(x.shape[1]), 1 / factor);
  const thin = g.matmul(x, g.concat([picking, ...lowRanks.map(({ a }) => a)], 0), { transB: true });
  const picked = g.slice(thin, 1, 0, wide.length);
  const parts = partsOf(g, layers, int8Product(g, name, layers, x));
  let [row, column] = [0, wide.length];
  return modules.map(({ module, outputs }, place) => {
    const numbers = partOf(wideColumns, row * wide.length, (row + outputs) * wide.length);
    const columns = g.constant(`${module}.int8_wide`, [outputs, wide.length], numbers);
    row += outputs;
    const low = added[place];
    if (!low) return g.add(parts[place], g.matmul(picked, columns, { transB: true, alpha: factor }));
    const own = g.concat([picked, g.slice(thin, 1, column, column + low.rank)], 1);
    column += low.rank;
    return g.add(parts[place], g.matmul(own, g.concat([columns, low.b], 1), { transB: true, alpha: factor }));
  });
}

/** `[T, outputs]` of all layers that read `x`, without what lies beside. */
function int8Product(g: Graph, name: string, layers: Int8Layers<ConstantData>, x: Node): Node {
  const width = Number(x.shape[1]);
  const outputs = outputsOf(layers);
  const scaled = g.mul(x, g.constant(`${name}.int8_factors`, [width], layers.factors));
  const weight = g.constant(`${name}.int8`, [width, outputs], layers.weight);
  return g.int8Matmul(scaled, weight, g.constant(`${name}.int8_scale`, [outputs], layers.scale));
}

/** The outputs of each layer. */
function partsOf(g: Graph, { modules }: Pick<Int8Layers, "modules">, all: Node): Node[] {
  let end = 0;
  return modules.map(({ outputs }) => {
    end += outputs;
    return modules.length === 1 ? all : g.slice(all, 1, end - outputs, end);
  });
}

const outputsOf = ({ modules }: Pick<Int8Layers, "modules">): number =>
  modules.reduce((sum, { outputs }) => sum + outputs, 0);

/**
 * What lies beside, x·inside·outside: inside `[width, thin]` picks the wide channels and holds the adapters' A; outside `[thin, outputs]` holds
 * the wide channels' columns and, layer beside layer, the adapters' B.
 */
function besideNumbers(layers: Int8Layers<ConstantData>, added: readonly (LowRank<Float32Array> | undefined)[]) {
  const { modules, wide, wideColumns, factors } = layers;
  if (!(wideColumns instanceof Float32Array)) throw new Error("internal: the wide columns are not in memory");
  const width = factors.length;
  const thin = added.reduce((sum, low) => sum + (low?.rank ?? 0), wide.length);
  const outputs = outputsOf(layers);
  const inside = new Float32Array(width * thin);
  const outside = new Float32Array(thin * outputs);
  wide.forEach((channel, place) => {
    inside[channel * thin + place] = 1;
    for (let o = 0; o < outputs; o++) outside[place * outputs + o] = wideColumns[o * wide.length + place];
  });
  let [first, place] = [0, wide.length];
  modules.forEach((module, index) => {
    const low = added[index];
    for (let r = 0; low && r < low.rank; r++, place++) {
      for (let i = 0; i < width; i++) inside[i * thin + place] = low.a[r * width + i];
      for (let o = 0; o < module.outputs; o++)
        outside[place * outputs + first + o] = low.factor * low.b[o * low.rank + r];
    }
    first += module.outputs;
  });
  return { inside, outside, width, thin, outputs };
}

/** The head in 8 bits, where `float` is the same in float32. */
export function int8Head(g: Graph, weights: Int8HeadWeights, vocabSize: number, float: Head): Head {
  const { factors, wide, wideColumns } = weights;
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
    const columns = partOf(wideColumns, start * count, end * count);
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
