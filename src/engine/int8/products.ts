/** @file What 8-bit products are on this machine: whether their sums are exact, and how much faster than float32 they are. */
import { Graph } from "../graph/graph.js";
import type { Node } from "../graph/ops.js";
import { int8Linears, linearInputs } from "../model/int8.js";
import type { ModelConfig } from "../model/config.js";
import { lower } from "../onnx/lower.js";
import { Session, type Feed, type RuntimeOptions } from "../runtime/session.js";

interface ProductSizes {
  rows: number;
  inputs: number;
  outputs: number;
}

/** The products of rows `x [rows, inputs]` with 8-bit weights `[inputs, outputs]`, as `Graph.int8Matmul` with scales of 1. */
export type Int8Products = (x: Float32Array, weight: Int8Array, sizes: ProductSizes) => Promise<Float32Array>;

/** The runtime's. */
export function runtimeProducts(runtime: RuntimeOptions): Int8Products {
  return async (x, weight, { rows, inputs, outputs }) => {
    const g = new Graph();
    const scale = g.constant("scale", [outputs], new Float32Array(outputs).fill(1));
    g.output("y", g.int8Matmul(g.input("x", [rows, inputs]), g.constant("weight", [inputs, outputs], weight), scale));
    const session = await Session.create(lower(g), runtime, () => {});
    try {
      return (await session.run({ x: { data: x, dims: [rows, inputs] } })).y;
    } finally {
      await session.release();
    }
  };
}

/**
 * Whether sums of the largest numbers there are come out right. Processors without instructions for it (AVX2 without VNNI) add pairs of products in 16
 * bits, and what does not fit is cut off.
 */
export async function sumsAreExact(products: Int8Products): Promise<boolean> {
  const [inputs, outputs] = [64, 48];
  const signs = [() => 1, () => -1, (i: number) => (i % 2 ? 1 : -1), (i: number) => (i % 4 < 2 ? 1 : -1)];
  const weight = new Int8Array(inputs * outputs);
  for (let i = 0; i < inputs; i++)
    for (let o = 0; o < outputs; o++) weight[i * outputs + o] = 127 * signs[o % signs.length](i);
  // One row takes another path through the runtime than several.
  for (const rows of [1, 8]) {
    const x = Float32Array.from({ length: rows * inputs }, (_, place) => {
      return 127 * signs[Math.floor(place / inputs) % signs.length](place % inputs);
    });
    const y = await products(x, weight, { rows, inputs, outputs });
    for (let row = 0; row < rows; row++) {
      for (let o = 0; o < outputs; o++) {
        let sum = 0;
        for (let i = 0; i < inputs; i++) sum += x[row * inputs + i] * weight[i * outputs + o];
        if (!(Math.abs(y[row * outputs + o] - sum) < 0.5)) return false;
      }
    }
  }
  return true;
}

/** Operations of one product that is timed, and milliseconds for all of them. */
const usual = { flops: 5e8, milliseconds: 50 };

/**
 * How many times as fast as a float32 product with constant weights the whole form of a layer in 8 bits is (`int8Linears` without an adapter), at
 * the size of the model's MLP.
 */
export async function int8Speedup(config: ModelConfig, runtime: RuntimeOptions): Promise<number> {
  const [inputs, outputs] = [config.hiddenSize, config.intermediateSize];
  const rows = Math.max(64, Math.min(256, Math.round(usual.flops / (2 * inputs * outputs))));
  const x: Feed = { data: Float32Array.from({ length: rows * inputs }, (_, i) => (i % 13) - 6), dims: [rows, inputs] };
  const wide = linearInputs(config)[0].wideCount;
  const forms = [floatLayer, int8Layer].map((layer) => {
    const g = new Graph();
    // Of the result only what must be there to compute all of it: outputs are copied.
    g.output("y", g.reduceMax(layer(g, g.input("x", [rows, inputs]), { inputs, outputs, wide }), [0]));
    return lower(g);
  });
  const sessions: Session[] = [];
  try {
    for (const form of forms) sessions.push(await Session.create(form, runtime, () => {}));
    const best = [Infinity, Infinity];
    for (const session of [...sessions, ...sessions]) await session.run({ x });
    const begun = performance.now();
    for (let round = 0; round < 8 || performance.now() - begun < usual.milliseconds; round++) {
      for (const [place, session] of sessions.entries()) {
        const start = performance.now();
        await session.run({ x });
        best[place] = Math.min(best[place], performance.now() - start);
      }
    }
    return best[0] / best[1];
  } finally {
    for (const session of sessions) await session.release();
  }
}

interface LayerSizes {
  inputs: number;
  outputs: number;
  wide: number;
}

function floatLayer(g: Graph, x: Node, { inputs, outputs }: LayerSizes): Node {
  const weight = Float32Array.from({ length: inputs * outputs }, (_, i) => (i % 11) - 5);
  return g.matmul(x, g.constant("weight", [outputs, inputs], weight), { transB: true });
}

function int8Layer(g: Graph, x: Node, { inputs, outputs, wide }: LayerSizes): Node {
  const filled = (length: number): Float32Array => new Float32Array(length).fill(0.5);
  const layer = {
    modules: [{ module: "layer", outputs }],
    factors: filled(inputs),
    wide: Array.from({ length: wide }, (_, channel) => channel),
    weight: Int8Array.from({ length: inputs * outputs }, (_, i) => (i % 11) - 5),
    scale: filled(outputs),
    wideColumns: filled(outputs * wide),
  };
  return int8Linears(g, "layer", layer, x, [undefined])[0];
}
