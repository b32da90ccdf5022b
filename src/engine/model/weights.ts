/**
 * @file A model in the engine's hands: which parameters are trained and where the others lie, and how they enter a graph. All weights
 * are trained, or an adapter over frozen ones (LoRA); builders of graphs see no difference.
 */
import type { Graph } from "../graph/graph.js";
import type { Node, StoredData } from "../graph/ops.js";
import type { Feed } from "../runtime/session.js";
import type { ModelConfig } from "./config.js";
import { headChunks, headTensor, partOf, type Head } from "./head.js";
import { int8Head, int8Linears, int8LinearsInTraining, type Int8Base, type Int8Layers, type LowRank } from "./int8.js";
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
  /** The linear layers in 8 bits, in place of their tensors. */
  int8?: Int8Base;
}

/** What builders of graphs ask for. */
export interface Weights {
  /** A parameter of the model by its Hugging Face name. */
  get(name: string): Node;
  /** x·Wᵀ of the layers `modules` (their names without `.weight`), which read the same `x [T, inputs]`, with the adapter's update where it has one. */
  linears(x: Node, modules: readonly string[]): Node[];
  head: Head;
}

/** How what is trained enters a graph: as inputs by name; or as constants, where sessions are made anew after every update. */
export type Entry = "inputs" | "constants";

/** The model's weights as nodes. Frozen ones are constants. */
export function weightNodes(g: Graph, model: EngineModel, entry: Entry = "inputs"): Weights {
  const shapes = new Map(
    [...parameterShapes(model.config), ...model.trainable.shapes].map(({ name, shape }) => [name, shape]),
  );
  const get = (name: string): Node => {
    const shape = shapes.get(name);
    const view = model.trainable.views.get(name);
    const frozen = view ? undefined : model.base?.tensors.get(name);
    if (!shape || !(view ?? frozen)) throw new Error(`internal: the model has no parameter ${name}`);
    if (frozen) return g.constant(name, shape, frozen);
    return entry === "inputs" ? g.input(name, shape) : g.constant(name, shape, view as Float32Array);
  };
  const plain = (x: Node, module: string): Node => g.matmul(x, get(`${module}.weight`), { transB: true });
  const { base } = model;
  const shared = { get, head: headOf(g, model, get) };
  if (!base) return { ...shared, linears: (x, modules) => modules.map((module) => plain(x, module)) };
  const { int8, lora } = base;
  const lowRank = (module: string): LowRank<Node> | undefined => {
    const { a, b } = loraNames(module);
    if (!model.trainable.views.has(a)) return undefined;
    return { a: get(a), b: get(b), rank: lora.rank, factor: lora.alpha / lora.rank };
  };
  if (int8) {
    const linears = (x: Node, modules: readonly string[]): Node[] => {
      const [name] = modules;
      const layers = int8.layers.get(name);
      if (!layers) throw new Error(`internal: no layers in 8 bits begin with ${name}`);
      return entry === "constants"
        ? int8Linears(g, name, layers, x, loraNumbers(model, layers))
        : int8LinearsInTraining(g, name, layers, x, modules.map(lowRank));
    };
    return { ...shared, linears };
  }
  const linear = (x: Node, module: string): Node => {
    const added = lowRank(module);
    if (!added) return plain(x, module);
    const low = g.matmul(x, added.a, { transB: true });
    return g.add(plain(x, module), g.matmul(low, added.b, { transB: true, alpha: added.factor }));
  };
  return { ...shared, linears: (x, modules) => modules.map((module) => linear(x, module)) };
}

function headOf(g: Graph, { config, base }: EngineModel, get: (name: string) => Node): Head {
  const { hiddenSize, vocabSize } = config;
  const name = headTensor(config);
  const stored = base?.tensors.get(name);
  const rowsOf = (chunk: number): Node => {
    if (!stored) return get(name);
    const { start, end } = headChunks(vocabSize)[chunk];
    const part = partOf(stored, start * hiddenSize, end * hiddenSize);
    return g.constant(`${name}[${start}]`, [end - start, hiddenSize], part);
  };
  const head: Head = {
    trained: !stored,
    chunks: stored ? headChunks(vocabSize).length : 1,
    logits: (hidden, chunk) => g.matmul(hidden, rowsOf(chunk), { transB: true }),
    weightedRows: (weights, chunk) => g.matmul(weights, rowsOf(chunk)),
    logitsOf: (hidden, tokens) => g.reduceSum(g.mul(hidden, g.gatherRows(get(name), tokens)), [1]),
    allLogits: (hidden) => g.matmul(hidden, get(name), { transB: true }),
  };
  return base?.int8 ? int8Head(g, base.int8.head, vocabSize, head) : head;
}

/** The adapters of layers that read the same input, as numbers. */
function loraNumbers({ trainable, base }: EngineModel, { modules }: Int8Layers): (LowRank<Float32Array> | undefined)[] {
  const { alpha, rank } = (base as FrozenBase).lora;
  return modules.map(({ module }) => {
    const { a, b } = loraNames(module);
    const [viewA, viewB] = [trainable.views.get(a), trainable.views.get(b)];
    return viewA && viewB ? { a: viewA, b: viewB, rank, factor: alpha / rank } : undefined;
  });
}

/** Every parameter of a store as an input of the same name. */
export function parameterFeeds({ shapes, views }: ParameterStore): Record<string, Feed> {
  return Object.fromEntries(
    shapes.map(({ name, shape }) => [name, { data: views.get(name) as Float32Array, dims: shape }]),
  );
}
