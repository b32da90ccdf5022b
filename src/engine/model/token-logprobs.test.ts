import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { Random } from "../../random.js";
import type { Datum } from "../../types.js";
import { gradientRules, gradients } from "../autodiff/gradients.js";
import { Graph } from "../graph/graph.js";
import { interpret, tensor, type Tensor } from "../graph/interpret.test-support.js";
import type { Node } from "../graph/ops.js";
import { memoryProfile } from "../memory/peak-bytes.js";
import { lower } from "../onnx/lower.js";
import { Trainer } from "../optim/forward-backward.js";
import { Session } from "../runtime/session.js";
import { frozenHead } from "./head.test-support.js";
import { initAdapter, loraNames } from "./lora.js";
import { createParameterStore, elementCount, initParameters, parameter } from "./parameters.js";
import { tinyConfig } from "./tiny-config.test-support.js";
import { nextTokens } from "./token-logprobs.js";
import { trainingGraph } from "./training-graph.js";
import type { Head } from "./head.js";
import { weightNodes, type EngineModel } from "./weights.js";

const random = new Random("token-logprobs");
const [rows, width, tokens] = [4, 3, 11];
const hidden = Float64Array.from({ length: rows * width }, () => 2 * random.normal());
const table = Float32Array.from({ length: tokens * width }, () => random.normal());
/** The last two rows choose the same token. */
const chosen = [0, tokens - 1, 5, 5];
const rowWeights = [0.5, -1, 2, 0.25];

/** A loss over both, with its gradient by the hidden states. */
function lossGraph(g: Graph, head: Head, x: Node, rules = gradientRules): Graph {
  const next = nextTokens(g, head, x, { gradients: true, entropies: true });
  const logprobs = next.logprobs(g.input("ids", ["U"], "int32"));
  const weights = g.input("weights", ["U"]);
  g.output("logprobs", logprobs);
  g.output("entropies", next.entropies());
  const loss = g.reduceSum(g.mul(weights, g.add(g.mul(logprobs, logprobs), next.entropies())), [0]);
  g.output("loss", loss);
  g.output("gradient", gradients(g, loss, [x], { rules })[0]);
  return g;
}

function inChunksOf(chunkRows: number, rules = gradientRules): Graph {
  const g = new Graph();
  return lossGraph(g, frozenHead(g, table, { width, chunkRows }), g.input("hidden", ["U", width]), rules);
}

const inputsAt = (data: Float64Array): Record<string, Tensor> => ({
  hidden: tensor([rows, width], data),
  ids: tensor([rows], chosen),
  weights: tensor([rows], rowWeights),
});

function worst(a: ArrayLike<number>, b: ArrayLike<number>): number {
  expect(a.length).toBe(b.length);
  return Math.max(...Array.from(a, (value, at) => Math.abs(value - b[at])));
}

/** By the definition, one row after the other. */
function defined(data: Float64Array): { logprobs: number[]; entropies: number[] } {
  const perRow = Array.from({ length: rows }, (_, row) => {
    const logits = Array.from({ length: tokens }, (__, id) =>
      Array.from({ length: width }, (___, k) => data[row * width + k] * table[id * width + k]).reduce((a, b) => a + b),
    );
    const most = Math.max(...logits);
    const normaliser = most + Math.log(logits.reduce((sum, logit) => sum + Math.exp(logit - most), 0));
    const logprobs = logits.map((logit) => logit - normaliser);
    return {
      logprob: logprobs[chosen[row]],
      entropy: -logprobs.reduce((sum, logprob) => sum + Math.exp(logprob) * logprob, 0),
    };
  });
  return { logprobs: perRow.map(({ logprob }) => logprob), entropies: perRow.map(({ entropy }) => entropy) };
}

describe("a frozen head in chunks", () => {
  // One for all; unlike ones; one for each token. The last: logits of which exponentials would overflow.
  it.each([
    [tokens, 1],
    [4, 1],
    [1, 1],
    [4, 200],
  ])("of %d tokens, hidden states times %d: what the definition says", (chunkRows, factor) => {
    const data = hidden.map((value) => factor * value);
    const { logprobs, entropies } = interpret(inChunksOf(chunkRows), inputsAt(data));
    const expected = defined(data);
    expect(worst(logprobs.data, expected.logprobs)).toBeLessThan(1e-10 * factor);
    expect(worst(entropies.data, expected.entropies)).toBeLessThan(1e-10 * factor);
  });

  function errorAgainstDifferences(rules: typeof gradientRules): number {
    const g = inChunksOf(4, rules);
    const lossAt = (data: Float64Array): number => interpret(g, inputsAt(data)).loss.data[0];
    const numeric = hidden.map((_, at) => {
      const shifted = (delta: number): Float64Array => hidden.map((value, i) => (i === at ? value + delta : value));
      return (lossAt(shifted(1e-5)) - lossAt(shifted(-1e-5))) / 2e-5;
    });
    return worst(interpret(g, inputsAt(hidden)).gradient.data, numeric);
  }

  it("gives the gradient of central differences, which a broken one misses", () => {
    expect(errorAgainstDifferences(gradientRules)).toBeLessThan(1e-8);
    const unweighted: (typeof gradientRules)["linearized"] = (_, __, { inputs: [, , slope] }) => [null, slope, null];
    expect(errorAgainstDifferences({ ...gradientRules, linearized: unweighted })).toBeGreaterThan(1e-2);
  });

  it("is computed by the runtime as by the interpreter", async () => {
    const expected = interpret(inChunksOf(4), inputsAt(hidden));
    const session = await Session.create(lower(inChunksOf(4)), { threads: 1, provider: "cpu" }, () => {});
    const actual = await session.run({
      hidden: { data: Float32Array.from(hidden), dims: [rows, width] },
      ids: { data: Int32Array.from(chosen), dims: [rows] },
      weights: { data: Float32Array.from(rowWeights), dims: [rows] },
    });
    await session.release();
    for (const [name, { data }] of Object.entries(expected)) {
      expect(worst(actual[name], data), name).toBeLessThan(2e-5 * (1 + Math.max(...data.map(Math.abs))));
    }
  });

  it("keeps the logits of one chunk at a time, and without gradients nothing of the hidden size for them", () => {
    const [many, few] = [64, 8];
    const graph = (chunkRows: number, wanted: boolean): Graph => {
      const g = new Graph();
      const head = frozenHead(g, new Float32Array(256 * few), { width: few, chunkRows });
      const x = g.input("hidden", ["U", few]);
      const next = nextTokens(g, head, x, { gradients: wanted, entropies: false });
      const logprobs = next.logprobs(g.input("ids", ["U"], "int32"));
      g.output("logprobs", logprobs);
      if (wanted) g.output("gradient", gradients(g, g.reduceSum(logprobs, [0]), [x])[0]);
      return g;
    };
    const peak = (chunkRows: number, wanted = true): number => memoryProfile(graph(chunkRows, wanted))({ U: many });
    const chunk = 4 * many * 32;
    expect(peak(256)).toBeGreaterThanOrEqual(2 * 8 * chunk);
    // Beside two tensors of its size: hidden states, their slopes, numbers of each row.
    expect(peak(32)).toBeLessThan(2 * chunk + 4 * many * (4 * few + 10));
    expect(
      graph(32, false)
        .live()
        .filter(({ op }) => op === "matmul" || op === "linearized"),
    ).toHaveLength(8);
  });
});

describe("a model whose vocabulary is more than one chunk", async () => {
  const config = tinyConfig({ layers: 1, vocabSize: 9000, hiddenSize: 16, tieWordEmbeddings: false });
  const full = initParameters(config, 3);
  const folder = mkdtempSync(path.join(tmpdir(), "sleuth-head-"));
  afterAll(() => rmSync(folder, { recursive: true }));
  const file = path.join(folder, "weights.f32");
  writeFileSync(file, new Uint8Array(full.flat.buffer));
  let offset = 0;
  const tensors = new Map(
    full.shapes.map(({ name, shape }) => {
      const length = elementCount(shape);
      offset += 4 * length;
      return [name, { file, offset: offset - 4 * length, length }] as const;
    }),
  );
  const lora = { rank: 2, alpha: 2, targets: ["q_proj"] as const };
  const adapter = initAdapter(config, lora, 1).parameters;
  const frozen: EngineModel = { config, trainable: adapter, base: { lora, tensors } };
  const trained: EngineModel = { config, trainable: full };
  const options = { threads: 1, provider: "cpu", onRun: () => {}, microBatchTokens: 64 };
  const data_D = [1, 2].map((row): Datum => {
    const tokens_T = Array.from({ length: 12 }, (_, t) => (row * 4001 + t * 2503) % config.vocabSize);
    const weights_T = Float32Array.from(tokens_T, (_, t) => (t % 3) - 0.5);
    return {
      ...{ tokens_T, weights_T, sampledMask_T: new Uint8Array(12).fill(1) },
      entropyWeights_T: new Float32Array(12).fill(0.3),
    };
  });

  it("is cut into chunks where it is frozen, whole where it is trained", () => {
    expect(weightNodes(new Graph(), frozen).head).toMatchObject({ trained: false, chunks: 3 });
    expect(weightNodes(new Graph(), trained).head).toMatchObject({ trained: true, chunks: 1 });
    const whole = trainingGraph(frozen, "cross_entropy", { entropy: true }).live();
    expect(whole.filter(({ op, shape }) => op !== "constant" && shape.includes(config.vocabSize))).toEqual([]);
  });

  it("has the same losses, log-probabilities, entropies and, by the chain rule, gradients in both", async () => {
    const [a, b] = [frozen, trained].map((model) => new Trainer(model, options));
    const [chunked, whole] = await Promise.all(
      [a, b].map((one) => one.forwardBackward(data_D, { kind: "cross_entropy" })),
    );
    expect(chunked.loss).toBeCloseTo(whole.loss, 4);
    data_D.forEach((_, index) => {
      expect(worst(chunked.logprobs_D_T[index], whole.logprobs_D_T[index])).toBeLessThan(1e-5);
      expect(worst(chunked.entropies_D_T?.[index] ?? [], whole.entropies_D_T?.[index] ?? [])).toBeLessThan(1e-5);
    });
    // Where B is 0, its gradient is that of the weight times A transposed (alpha is the rank).
    const module = "model.layers.0.self_attn.q_proj";
    const names = loraNames(module);
    const ofWeight = parameter(createParameterStore(full.shapes, b.gradients), `${module}.weight`);
    const ofB = parameter(createParameterStore(adapter.shapes, a.gradients), names.b);
    const matrixA = parameter(adapter, names.a);
    const expected = Float64Array.from(ofB, (_, at) => {
      const [output, r] = [Math.floor(at / lora.rank), at % lora.rank];
      return Array.from({ length: 16 }, (__, k) => ofWeight[output * 16 + k] * matrixA[r * 16 + k]).reduce(
        (x, y) => x + y,
      );
    });
    const size = Math.max(...expected.map(Math.abs));
    expect(size).toBeGreaterThan(1e-4);
    expect(worst(ofB, expected) / size).toBeLessThan(1e-3);
    await Promise.all([a.release(), b.release()]);
  });
});
