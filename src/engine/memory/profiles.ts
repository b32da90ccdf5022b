/**
 * @file What the engine's graphs take in memory for a model that has not been read yet: shapes are all that is needed. A graph is built
 * when its memory is first asked for.
 */
import { evaluate, type Sizes } from "../graph/dim.js";
import type { Graph } from "../graph/graph.js";
import type { Node, StoredData } from "../graph/ops.js";
import type { ModelConfig } from "../model/config.js";
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
export function modelProfiles(config: ModelConfig, lora: LoraConfig | undefined) {
  const shapes = parameterShapes(config);
  const trained = lora ? adapterShapes(config, lora) : shapes;
  const model: EngineModel = lora
    ? { config, trainable: placeholder(trained), base: { lora, tensors: stored(shapes) } }
    : { config, trainable: placeholder(trained) };
  // Where everything is trained, sampling has all weights as constants: as if nothing were.
  const sampled: EngineModel = lora
    ? model
    : {
        config,
        trainable: placeholder([]),
        base: { lora: { rank: 1, alpha: 1, targets: [] }, tensors: stored(shapes) },
      };
  const sampling = once(() => samplingGraph(sampled));
  return {
    weightBytes: bytesOf(shapes),
    trainableBytes: bytesOf(trained),
    /** Copies of weights that the sampling session makes for the processor. */
    packedBytes: once(() => packedBytes(sampling(), lora === undefined)),
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
      (op === "matmul" && index === 1 ? packed : plain).add(input);
    });
  }
  const bytes = (nodes: Iterable<Node>): number => [...nodes].reduce((sum, { shape }) => sum + sizeOf(shape, {}), 0);
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

function stored(shapes: readonly ParameterShape[]): Map<string, StoredData> {
  return new Map(shapes.map(({ name, shape }) => [name, { file: "", offset: 0, length: elementCount(shape) }]));
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
