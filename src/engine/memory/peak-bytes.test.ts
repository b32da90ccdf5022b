import { describe, expect, it } from "vitest";
import { gradients } from "../autodiff/gradients.js";
import type { Sizes } from "../graph/dim.js";
import { Graph } from "../graph/graph.js";
import { trainingGraph } from "../model/training-graph.js";
import { createParameterStore, parameterShapes } from "../model/parameters.js";
import { tinyConfig } from "../model/tiny-config.test-support.js";
import { memoryProfile } from "./peak-bytes.js";

const float = 4;
const peakBytes = (graph: Graph, sizes: Sizes): number => memoryProfile(graph)(sizes);

describe("the peak of a run, counted by hand", () => {
  it("frees a value after its last use", () => {
    const g = new Graph();
    const a = g.exp(g.input("x", ["N"]));
    const b = g.exp(a);
    const c = g.exp(b);
    g.output("y", g.exp(c));
    // Two of the chain at any time: the one that is read and the one that is made.
    expect(peakBytes(g, { N: 100 })).toBe(2 * 100 * float);
  });

  it("keeps what is needed later", () => {
    const g = new Graph();
    const a = g.exp(g.input("x", ["N"]));
    const b = g.exp(a);
    const c = g.exp(b);
    g.output("y", g.add(c, a));
    // a waits for the sum; beside it b and c, then c and the sum.
    expect(peakBytes(g, { N: 100 })).toBe(3 * 100 * float);
  });

  it("keeps outputs to the end, and counts neither inputs nor constants", () => {
    const g = new Graph();
    const x = g.input("x", ["N"]);
    const small = g.reduceSum(x, [0]);
    g.output("first", g.exp(x));
    g.output("second", g.mul(g.neg(x), g.scalar(2)));
    g.output("sum", small);
    // At the product: the first output, the sum, and the product beside its negation.
    expect(peakBytes(g, { N: 100 })).toBe((3 * 100 + 1) * float);
  });

  it("knows that a reshape is no copy, and that its source lives as long as it does", () => {
    const g = new Graph();
    const a = g.exp(g.input("x", ["N", 4]));
    const flat = g.reshape(a, ["4*N"]);
    const b = g.neg(a);
    g.output("y", g.add(g.reshape(b, ["4*N"]), g.stopGradient(flat)));
    expect(peakBytes(g, { N: 10 })).toBe(3 * 40 * float);
  });

  it("counts one byte for a condition", () => {
    const g = new Graph();
    const x = g.input("x", ["N"]);
    g.output("y", g.where(g.less(x, g.scalar(0)), g.scalar(0), x));
    expect(peakBytes(g, { N: 100 })).toBe(100 + 100 * float);
  });

  it("counts logits twice while they are made, and once more in the backward pass", () => {
    const g = new Graph();
    const hidden = g.input("hidden", ["M", 8]);
    const table = g.input("table", [1000, 8]);
    const logprobs = g.tokenLogprobs(hidden, table, g.input("ids", ["M"], "int32"));
    g.output("logprobs", logprobs);
    expect(peakBytes(g, { M: 5 })).toBe((2 * 5 * 1000 + 5) * float);
    const loss = g.reduceSum(logprobs, [0]);
    g.output("gradient", gradients(g, loss, [hidden])[0]);
    const most = (2 * 5 * 1000 + 5 + 1) * float;
    expect(peakBytes(g, { M: 5 })).toBeGreaterThanOrEqual(most);
    expect(peakBytes(g, { M: 5 })).toBeLessThan(most + 4 * 5 * 8 * float);
  });

  it("counts what an entropy bonus adds to logits", () => {
    const g = new Graph();
    const hidden = g.input("hidden", ["M", 8]);
    const table = g.input("table", [1000, 8]);
    const logprobs = g.tokenLogprobs(hidden, table, g.input("ids", ["M"], "int32"));
    const entropies = g.tokenEntropies(hidden, table);
    const loss = g.reduceSum(g.add(logprobs, entropies), [0]);
    g.output("gradient", gradients(g, loss, [hidden])[0]);
    // Logarithms, probabilities and their products; then both gradients' factors.
    const logits = 5 * 1000 * float;
    expect(peakBytes(g, { M: 5 })).toBeGreaterThanOrEqual(3 * logits);
    expect(peakBytes(g, { M: 5 })).toBeLessThan(5 * logits);
  });
});

describe("memoryProfile of a training graph", () => {
  const config = tinyConfig({ layers: 6, vocabSize: 64 });
  const model = { config, trainable: createParameterStore(parameterShapes(config)) };
  const kept = memoryProfile(trainingGraph(model, "ppo"));
  const again = memoryProfile(trainingGraph(model, "ppo", { recompute: true }));

  it("grows with the tokens, linearly where nothing else does", () => {
    const [once, twice] = [2, 4].map((B) => kept({ B0: B, L0: 64, U: 8 * B, M: 8 * B }));
    expect(twice).toBeGreaterThan(1.9 * once);
    expect(twice).toBeLessThan(2 * once + 1);
  });

  it("says that computing activations again takes far less", () => {
    const sizes = { B0: 4, L0: 64, U: 32, M: 32 };
    expect(again(sizes)).toBeLessThan(0.5 * kept(sizes));
  });
});
