/**
 * @file AdamW (Loshchilov & Hutter, arXiv:1711.05101, algorithm 2) with clipping by the global norm, run as graphs over a few parameters
 * at a time, so that memory stays at about one copy of the largest. Its state is kept beside the weights of a model folder.
 */
import { existsSync } from "node:fs";
import path from "node:path";
import type { AdamOptions, OptimStepResult } from "../../contracts/policy.js";
import { UserError } from "../../errors.js";
import { Graph } from "../graph/graph.js";
import { namedTensors, SafetensorsFile, writeSafetensors } from "../io/safetensors.js";
import { createParameterStore, elementCount, parameter, type ParameterStore } from "../model/parameters.js";
import { lower } from "../onnx/lower.js";
import { Session, type Feed, type RuntimeOptions } from "../runtime/session.js";

/** Moments in the layout of the parameters, and the number of steps taken. */
interface AdamState {
  step: number;
  firstMoment: Float32Array;
  secondMoment: Float32Array;
}

/** Before the first step. */
function freshAdamState(size: number): AdamState {
  return { step: 0, firstMoment: new Float32Array(size), secondMoment: new Float32Array(size) };
}

/**
 * The optimizer: θ ← θ·(1 − η·λ) − η·m̂ / (√v̂ + ε), with λ on matrices only (algorithm 2 of the paper, as in PyTorch).
 */
export class AdamW {
  /** Saved and restored with the weights. */
  state: AdamState;
  readonly #update: Promise<Session>;
  readonly #norm: Promise<Session>;

  constructor(size: number, options: RuntimeOptions & { onRun: (milliseconds: number) => void }) {
    this.state = freshAdamState(size);
    this.#update = Session.create(lower(adamGraph()), options, options.onRun);
    this.#norm = Session.create(lower(squaresGraph()), options, options.onRun);
  }

  /**
   * Updates `parameters` in place by `gradients`, which has the layout of `parameters.flat`.
   * @returns the global L2 norm before clipping; when it is not finite, nothing was changed
   */
  async step(parameters: ParameterStore, gradients: Float32Array, options: AdamOptions): Promise<OptimStepResult> {
    const gradNorm = await this.#globalNorm(parameters, gradients);
    if (!Number.isFinite(gradNorm)) return { gradNorm };
    const clip = options.maxGradNorm > 0 ? Math.min(1, options.maxGradNorm / (gradNorm + 1e-6)) : 1;
    const step = ++this.state.step;
    const session = await this.#update;
    const { firstMoment, secondMoment } = this.state;
    for (const { start, end, isDecayed } of stretches(parameters, options.weightDecay)) {
      const slice = (array: Float32Array): Feed => vector(array.subarray(start, end));
      const result = await session.run({
        parameter: slice(parameters.flat),
        gradient: slice(gradients),
        first: slice(firstMoment),
        second: slice(secondMoment),
        clip: scalar(clip),
        beta1: scalar(options.beta1),
        beta2: scalar(options.beta2),
        oneMinusBeta1: scalar(1 - options.beta1),
        oneMinusBeta2: scalar(1 - options.beta2),
        keep: scalar(1 - (isDecayed ? options.learningRate * options.weightDecay : 0)),
        stepSize: scalar(options.learningRate / (1 - options.beta1 ** step)),
        secondScale: scalar(1 / (1 - options.beta2 ** step)),
        epsilon: scalar(options.epsilon),
      });
      parameters.flat.set(result.newParameter, start);
      firstMoment.set(result.newFirst, start);
      secondMoment.set(result.newSecond, start);
    }
    return { gradNorm };
  }

  /** Frees the runtime's sessions. */
  async release(): Promise<void> {
    await (await this.#update).release();
    await (await this.#norm).release();
  }

  async #globalNorm(parameters: ParameterStore, gradients: Float32Array): Promise<number> {
    const session = await this.#norm;
    let total = 0;
    for (const { start, end } of stretches(parameters, 0)) {
      const { squares } = await session.run({ x: vector(gradients.subarray(start, end)) });
      total += squares[0];
    }
    return Math.sqrt(total);
  }
}

/** Parameters that lie one after the other are updated in one call up to this many numbers; a larger one has a call to itself. */
const mostTogether = 2 ** 20;

/** The parts of `flat` that are updated together: whole parameters, decayed alike. Only matrices are. */
function stretches(
  { shapes }: ParameterStore,
  weightDecay: number,
): { start: number; end: number; isDecayed: boolean }[] {
  const result: { start: number; end: number; isDecayed: boolean }[] = [];
  let start = 0;
  for (const { shape } of shapes) {
    const end = start + elementCount(shape);
    const isDecayed = weightDecay !== 0 && shape.length > 1;
    const last = result.at(-1);
    if (last?.isDecayed === isDecayed && end - last.start <= mostTogether) last.end = end;
    else result.push({ start, end, isDecayed });
    start = end;
  }
  return result;
}

const vector = (data: Float32Array): Feed => ({ data, dims: [data.length] });
const scalar = (value: number): Feed => ({ data: Float32Array.of(value), dims: [] });

/** m' = β₁m + (1−β₁)g;  v' = β₂v + (1−β₂)g²;  θ' = keep·θ − stepSize·m' / (√(v'·secondScale) + ε) */
export function adamGraph(): Graph {
  const g = new Graph();
  const input = (name: string) => g.input(name, ["N"]);
  const factor = (name: string) => g.input(name, []);
  const gradient = g.mul(input("gradient"), factor("clip"));
  const first = g.add(g.mul(input("first"), factor("beta1")), g.mul(gradient, factor("oneMinusBeta1")));
  const squared = g.mul(gradient, gradient);
  const second = g.add(g.mul(input("second"), factor("beta2")), g.mul(squared, factor("oneMinusBeta2")));
  const denominator = g.add(g.sqrt(g.mul(second, factor("secondScale"))), factor("epsilon"));
  const update = g.div(g.mul(first, factor("stepSize")), denominator);
  g.output("newParameter", g.sub(g.mul(input("parameter"), factor("keep")), update));
  g.output("newFirst", first);
  g.output("newSecond", second);
  return g;
}

function squaresGraph(): Graph {
  const g = new Graph();
  const x = g.input("x", ["N"]);
  g.output("squares", g.reduceSum(g.mul(x, x), [0]));
  return g;
}

/** Both moments of every parameter by name. */
const stateFile = "optimizer.safetensors";
const moments = [
  ["first", "firstMoment"],
  ["second", "secondMoment"],
] as const;

/** Writes both moments, in float32, and the number of steps beside the weights in `folder`, which must exist. */
export async function saveOptimizer(folder: string, { shapes }: ParameterStore, state: AdamState): Promise<void> {
  const tensors = moments.flatMap(([prefix, key]) =>
    namedTensors(createParameterStore(shapes, state[key]), `${prefix}.`),
  );
  await writeSafetensors(path.join(folder, stateFile), tensors, { metadata: { step: String(state.step) } });
}

/**
 * The state beside the weights; a fresh one where weights were saved alone.
 * @throws UserError when the file is damaged or of another model
 */
export async function loadOptimizer(folder: string, { shapes, flat }: ParameterStore): Promise<AdamState> {
  if (!existsSync(path.join(folder, stateFile))) return freshAdamState(flat.length);
  const source = await SafetensorsFile.open(path.join(folder, stateFile));
  try {
    const step = Number(source.metadata.step);
    if (!Number.isInteger(step) || step < 0) {
      throw new UserError(`${source.file} does not say how many steps were taken. Resume from another checkpoint.`);
    }
    const state = { ...freshAdamState(flat.length), step };
    for (const [prefix, key] of moments) {
      const store = createParameterStore(shapes, state[key]);
      for (const { name } of shapes) await source.read(`${prefix}.${name}`, parameter(store, name));
    }
    return state;
  } finally {
    await source.close();
  }
}
