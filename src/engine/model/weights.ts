/**
 * @file A model in the engine's hands: which parameters are trained and where the others lie, and how they enter a graph. All weights
 * are trained, or an adapter over frozen ones (LoRA); builders of graphs see no difference.
 */
import type { Graph } from "../graph/graph.js";
import type { Node, StoredData } from "../graph/ops.js";
import type { Feed } from "../runtime/session.js";
import type { ModelConfig } from "./config.js";
import { loraNames, type LoraConfig } from "./lora.js";
import { parameterShapes, type ParameterStore } from "./parameters.js";

/** A model that computes and trains. */
export interface EngineModel {
  config: ModelConfig;
  /** What is trained: every parameter of the model, or the matrices of its adapter. Gradients and optimizer state have this layout. */
  trainable: ParameterStore;
  /** The frozen weights under an adapter; absent where everything is trained. */
  base?: FrozenBase;
}

/** Weights that never change, in one file, by name. */
interface FrozenBase {
  lora: LoraConfig;
  tensors: ReadonlyMap<string, StoredData>;
}

/** What builders of graphs ask for. */
export interface Weights {
  /** A parameter of the model by its Hugging Face name. */
  get(name: string): Node;
  /** x·Wᵀ of the layer `module` (its name without `.weight`), with the adapter's update where it has one. */
  linear(x: Node, module: string): Node;
  head: Head;
}

/** The LM head over hidden states behind the final norm, `[U, hidden]`. Its table, a row for each token of the vocabulary, is cut into chunks. */
export interface Head {
  /** Whether the table is trained; then there is one chunk. */
  trained: boolean;
  chunks: number;
  /** Logits of a chunk's tokens, `[U, C]`. */
  logits(hidden: Node, chunk: number): Node;
  /** The sum of a chunk's rows with the weights `[U, C]` of each, `[U, hidden]`: what flows back from its logits. */
  weightedRows(weights: Node, chunk: number): Node;
  /** The logit of one token in each row, `tokens [U]` → `[U]`. */
  logitsOf(hidden: Node, tokens: Node): Node;
  /** Logits of the whole vocabulary, for few rows. */
  allLogits(hidden: Node): Node;
}

/**
 * The model's weights as nodes. Frozen ones are constants; trained ones are inputs, or constants where sessions are made anew after
 * every update (`trained: "constant"`).
 */
export function weightNodes(g: Graph, model: EngineModel, trained: "input" | "constant" = "input"): Weights {
  const shapes = new Map(
    [...parameterShapes(model.config), ...model.trainable.shapes].map(({ name, shape }) => [name, shape]),
  );
  const get = (name: string): Node => {
    const shape = shapes.get(name);
    const view = model.trainable.views.get(name);
    const frozen = view ? undefined : model.base?.tensors.get(name);
    if (!shape || !(view ?? frozen)) throw new Error(`internal: the model has no parameter ${name}`);
    if (frozen) return g.constant(name, shape, frozen);
    return trained === "input" ? g.input(name, shape) : g.constant(name, shape, view as Float32Array);
  };
  const plain = (x: Node, module: string): Node => g.matmul(x, get(`${module}.weight`), { transB: true });
  const { base } = model;
  const head = headOf(g, model, get);
  if (!base) return { get, linear: plain, head };
  const alpha = base.lora.alpha / base.lora.rank;
  const linear = (x: Node, module: string): Node => {
    const { a, b } = loraNames(module);
    if (!model.trainable.views.has(a)) return plain(x, module);
    const low = g.matmul(x, get(a), { transB: true });
    return g.add(plain(x, module), g.matmul(low, get(b), { transB: true, alpha }));
  };
  return { get, linear, head };
}

/** Tokens of a chunk: of SmolLM2's vocabulary twelve (docs/engine.md). */
const chunkRows = 4096;

function headOf(g: Graph, { config, base }: EngineModel, get: (name: string) => Node): Head {
  const { hiddenSize, vocabSize } = config;
  const name = config.tieWordEmbeddings ? "model.embed_tokens.weight" : "lm_head.weight";
  const stored = base?.tensors.get(name);
  const rowsOf = (chunk: number): Node => {
    if (!stored) return get(name);
    const start = chunk * chunkRows;
    const rows = Math.min(chunkRows, vocabSize - start);
    const offset = stored.offset + start * hiddenSize * Float32Array.BYTES_PER_ELEMENT;
    return g.constant(`${name}[${start}]`, [rows, hiddenSize], { ...stored, offset, length: rows * hiddenSize });
  };
  return {
    trained: !stored,
    chunks: stored ? Math.ceil(vocabSize / chunkRows) : 1,
    logits: (hidden, chunk) => g.matmul(hidden, rowsOf(chunk), { transB: true }),
    weightedRows: (weights, chunk) => g.matmul(weights, rowsOf(chunk)),
    logitsOf: (hidden, tokens) => g.reduceSum(g.mul(hidden, g.gatherRows(get(name), tokens)), [1]),
    allLogits: (hidden) => g.matmul(hidden, get(name), { transB: true }),
  };
}

/** Every parameter of a store as an input of the same name. */
export function parameterFeeds({ shapes, views }: ParameterStore): Record<string, Feed> {
  return Object.fromEntries(
    shapes.map(({ name, shape }) => [name, { data: views.get(name) as Float32Array, dims: shape }]),
  );
}
