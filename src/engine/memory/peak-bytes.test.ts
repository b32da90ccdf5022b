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

  it("knows that a linearized value is no copy, and keeps what flows back until it has", () => {
    const g = new Graph();
    const x = g.input("x", ["N", 4]);
    const slope = g.exp(x);
    const y = g.linearized(g.reduceSum(slope, [1], true), x, slope);
    g.output("y", y);
    expect(peakBytes(g, { N: 10 })).toBe((40 + 10) * float);
    g.output("gradient", gradients(g, g.reduceSum(y, [0, 1]), [x])[0]);
    // The sums, their own sum and its gradient in each row, the slopes, and their products with these.
    expect(peakBytes(g, { N: 10 })).toBe((10 + 10 + 40 + 40) * float);
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
