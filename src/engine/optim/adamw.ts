/**
 * @file AdamW (Loshchilov & Hutter, arXiv:1711.05101, algorithm 2) with clipping by the global norm, run as graphs over one parameter
 * at a time, so that memory stays at one copy of the largest. Its state is kept beside the weights of a model folder.
 */
import { existsSync } from "node:fs";
import path from "node:path";
import type { AdamOptions, OptimStepResult } from "../../contracts/policy.js";
import { UserError } from "../../errors.js";
import { Graph } from "../graph/graph.js";
import { namedTensors, SafetensorsFile, writeSafetensors } from "../io/safetensors.js";
import { createParameterStore, parameter, type ParameterStore } from "../model/parameters.js";
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
    for (const { offset, shape, view } of slices(parameters)) {
      const slice = (array: Float32Array): Feed => vector(array.subarray(offset, offset + view.length));
      const result = await session.run({
        parameter: vector(view),
        gradient: slice(gradients),
        first: slice(firstMoment),
        second: slice(secondMoment),
        clip: scalar(clip),
        beta1: scalar(options.beta1),
        beta2: scalar(options.beta2),
        oneMinusBeta1: scalar(1 - options.beta1),
        oneMinusBeta2: scalar(1 - options.beta2),
        keep: scalar(1 - (shape.length > 1 ? options.learningRate * options.weightDecay : 0)),
        stepSize: scalar(options.learningRate / (1 - options.beta1 ** step)),
        secondScale: scalar(1 / (1 - options.beta2 ** step)),
        epsilon: scalar(options.epsilon),
      });
      view.set(result.newParameter);
      firstMoment.set(result.newFirst, offset);
      secondMoment.set(result.newSecond, offset);
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
    for (const { offset, view } of slices(parameters)) {
      const { squares } = await session.run({ x: vector(gradients.subarray(offset, offset + view.length)) });
      total += squares[0];
    }
    return Math.sqrt(total);
  }
}

function slices({
  flat,
  shapes,
  views,
}: ParameterStore): { offset: number; shape: readonly number[]; view: Float32Array }[] {
  return shapes.map(({ name, shape }) => {
    const view = views.get(name) as Float32Array;
    return { offset: (view.byteOffset - flat.byteOffset) / Float32Array.BYTES_PER_ELEMENT, shape, view };
  });
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
