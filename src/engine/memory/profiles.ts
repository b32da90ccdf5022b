/**
 * @file What the engine's graphs take in memory for a model that has not been read yet: shapes are all that is needed. A graph is built
 * when its memory is first asked for.
 */
import { evaluate, type Sizes } from "../graph/dim.js";
import type { Graph } from "../graph/graph.js";
import type { Node, StoredData } from "../graph/ops.js";
import type { ModelConfig } from "../model/config.js";
import { headChunks } from "../model/head.js";
import {
  headInput,
  linearInputs,
  linearWeights,
  type Int8Base,
  type Int8Layers,
  type Precision,
} from "../model/int8.js";
import { adapterShapes, type LoraConfig } from "../model/lora.js";
import { elementCount, parameterShapes, type ParameterShape, type ParameterStore } from "../model/parameters.js";
import { samplingGraph } from "../model/sampling-graph.js";
import type { Layout } from "../model/sequence-layout.js";
import { logprobGraph, trainingGraph } from "../model/training-graph.js";
import { valueGraph, valueTrainingGraph, trunkConfig, valueShapes } from "../model/value-model.js";
import type { EngineModel } from "../model/weights.js";
import { adamGraph } from "../optim/adamw.js";
import { memoryProfile } from "./peak-bytes.js";

const float = Float32Array.BYTES_PER_ELEMENT;
/** What the runtime keeps for each operation of a session besides tensors. */
const sessionBytesPerNode = 12_000;
/** What tensors of unlike sizes leave unused between them in the runtime's arena. */
const arenaSlack = 1.2;

/** Memory of one of the engine's sessions, which the runtime keeps for its next run. */
export interface SessionProfile {
  /** The session without a run: its operations, and constants that are in memory anyway are not counted. */
  fixedBytes: number;
  /** The fullest moment of a run, outputs included. */
  runBytes(sizes: Sizes): number;
  /** The outputs, which are handed over as copies. */
  outputBytes(sizes: Sizes): number;
}

/** The sessions of a model and the sizes of its weights. Nothing of the weights is touched or made. */
export function modelProfiles(config: ModelConfig, lora: LoraConfig | undefined, precision: Precision) {
  const shapes = parameterShapes(config);
  const base = frozen(config, lora ? precision : "float32");
  const trained = lora ? adapterShapes(config, lora) : shapes;
  const model: EngineModel = lora
    ? { config, trainable: placeholder(trained), base: { lora, ...base } }
    : { config, trainable: placeholder(trained) };
  // Where everything is trained, sampling has all weights as constants: as if nothing were.
  const sampled: EngineModel = lora
    ? model
    : {
        config,
        trainable: placeholder([]),
        base: { lora: { rank: 1, alpha: 1, targets: [] }, ...base },
      };
  // An adapter's matrices have no numbers yet, and enter as inputs.
  const sampling = once(() => samplingGraph(sampled, lora ? "inputs" : "constants"));
  return {
    weightBytes: fileBytes(base),
    trainableBytes: bytesOf(trained),
    /** Copies of weights that the sampling session makes for the processor. */
    packedBytes: once(() => packedBytes(sampling(), lora === undefined) + (lora ? bytesOf(trained) : 0)),
    sampling: once(() => sessionProfile(sampling())),
    training: onceEach((layout: Layout, options: { recompute: boolean; entropy: boolean }) =>
      sessionProfile(trainingGraph(model, "ppo", { layout, ...options })),
    ),
    logprobs: onceEach((layout: Layout) => sessionProfile(logprobGraph(model, layout))),
    /** The optimizer works on one parameter at a time. */
    optimizerBytes: optimizerBytes(trained),
    critic: criticProfiles(model),
  };
}

/** A value function beside the model: all of its weights are trained. */
function criticProfiles({ config, base }: EngineModel) {
  const shapes = valueShapes(config, base?.lora);
  const model: EngineModel = { config: trunkConfig(config), trainable: placeholder(shapes), base };
  return {
    trainableBytes: bytesOf(shapes),
    training: onceEach((layout: Layout, recompute: boolean) =>
      sessionProfile(valueTrainingGraph(model, { layout, recompute })),
    ),
    values: onceEach((layout: Layout) => sessionProfile(valueGraph(model, layout))),
    optimizerBytes: optimizerBytes(shapes),
  };
}

function sessionProfile(graph: Graph): SessionProfile {
  const peak = memoryProfile(graph);
  return {
    fixedBytes: sessionBytesPerNode * graph.live().length,
    runBytes: (sizes) => arenaSlack * peak(sizes),
    outputBytes: (sizes) => [...graph.outputs.values()].reduce((sum, { shape }) => sum + sizeOf(shape, sizes), 0),
  };
}

function sizeOf(shape: Node["shape"], sizes: Sizes): number {
  return shape.reduce((total: number, dim) => total * evaluate(dim, sizes), float);
}

/** Matrices are laid out anew; what else reads a constant needs it as it was, which is a copy unless it is mapped from a file. */
function packedBytes(graph: Graph, copied: boolean): number {
  const packed = new Set<Node>();
  const plain = new Set<Node>();
  for (const { op, inputs } of graph.live()) {
    inputs.forEach((input, index) => {
      if (input.op !== "constant" || input.shape.length === 0) return;
      ((op === "matmul" || op === "int8Matmul") && index === 1 ? packed : plain).add(input);
    });
  }
  const bytes = (nodes: Iterable<Node>): number =>
    [...nodes].reduce((sum, { shape, dtype }) => sum + sizeOf(shape, {}) / (dtype === "int8" ? float : 1), 0);
  return bytes(packed) + (copied ? bytes(plain) : 0);
}

function optimizerBytes(trained: readonly ParameterShape[]): number {
  const { runBytes, outputBytes } = sessionProfile(adamGraph());
  const sizes = { N: Math.max(...trained.map(({ shape }) => elementCount(shape))) };
  return runBytes(sizes) + outputBytes(sizes);
}

const bytesOf = (shapes: readonly ParameterShape[]): number =>
  shapes.reduce((sum, { shape }) => sum + float * elementCount(shape), 0);

/** Names and shapes without numbers. */
function placeholder(shapes: ParameterShape[]): ParameterStore {
  const empty = new Float32Array(0);
  return { flat: empty, shapes, views: new Map(shapes.map(({ name }) => [name, empty])) };
}

const nowhere = (length: number, dtype?: "int8"): StoredData => ({ file: "", offset: 0, length, dtype });

/** Frozen weights without numbers, and what they take. */
function frozen(config: ModelConfig, precision: Precision) {
  const shapes = parameterShapes(config);
  const int8 = precision === "int8" ? int8Placeholder(config) : undefined;
  const inInt8 = new Set(int8 ? linearWeights(config) : []);
  const tensors = new Map(
    shapes.filter(({ name }) => !inInt8.has(name)).map(({ name, shape }) => [name, nowhere(elementCount(shape))]),
  );
  return { tensors, int8 };
}

function int8Placeholder(config: ModelConfig): Int8Base {
  const shapes = new Map(parameterShapes(config).map(({ name, shape }) => [name, shape]));
  const matrix = (width: number, outputs: number, wideCount: number) => ({
    factors: nowhere(width),
    wide: Array.from({ length: wideCount }, (_, channel) => channel),
    weight: nowhere(width * outputs, "int8"),
    scale: nowhere(outputs),
    wideColumns: nowhere(outputs * wideCount),
  });
  const layers = linearInputs(config).map(({ modules, width, wideCount }): [string, Int8Layers] => {
    const sized = modules.map((module) => ({ module, outputs: shapes.get(`${module}.weight`)?.[0] ?? 0 }));
    const { weight, ...rest } = matrix(
      width,
      sized.reduce((sum, { outputs }) => sum + outputs, 0),
      wideCount,
    );
    return [modules[0], { ...rest, weight: { ...weight, transposed: weight }, modules: sized }];
  });
  const { hiddenSize, vocabSize } = config;
  const head = {
    ...matrix(hiddenSize, vocabSize, headInput(config).wideCount),
    restoring: nowhere(hiddenSize),
    chunks: headChunks(vocabSize).map(({ start, end }) => nowhere(hiddenSize * (end - start), "int8")),
  };
  return { layers: new Map(layers), ranges: new Map(), head };
}

/** Everything that lies in the file of frozen weights. */
function fileBytes({ tensors, int8 }: ReturnType<typeof frozen>): number {
  const bytes = ({ length, dtype, transposed }: StoredData): number =>
    length * (dtype === "int8" ? 1 : float) * (transposed ? 2 : 1);
  const layers = int8 ? [...int8.layers.values(), int8.head] : [];
  const all = [
    ...tensors.values(),
    ...layers.flatMap(({ weight, scale }) => [weight, scale]),
    ...(int8?.head.chunks ?? []),
  ];
  return all.reduce((sum, stored) => sum + bytes(stored), 0);
}

function once<T>(make: () => T): () => T {
  let made: { value: T } | undefined;
  return () => (made ??= { value: make() }).value;
}

function onceEach<A extends unknown[], T>(make: (...values: A) => T): (...values: A) => T {
  const made = new Map<string, T>();
  return (...values) => {
    const key = JSON.stringify(values);
    if (!made.has(key)) made.set(key, make(...values));
    return made.get(key) as T;
  };
}
