import { fromBinary } from "@bufbuild/protobuf";
import { ModelProtoSchema } from "onnx-buf";
import { describe, expect, it } from "vitest";
import { gradients } from "../autodiff/gradients.js";
import { Random } from "../../random.js";
import { product } from "../graph/dim.js";
import { Graph } from "../graph/graph.js";
import { interpret, type Tensor } from "../graph/interpret.test-support.js";
import { opCases } from "../graph/op-cases.test-support.js";
import type { Attributes, OpName } from "../graph/ops.js";
import { Session, type Feed } from "../runtime/session.js";
import { lower } from "./lower.js";

/** Runs a graph on ONNX Runtime with the tensors of the interpreter. */
async function runOnnx(g: Graph, inputs: Record<string, Tensor>): Promise<Record<string, Float32Array>> {
  const session = await Session.create(lower(g), { threads: 1, provider: "cpu" }, () => {});
  const feeds: Record<string, Feed> = {};
  for (const node of g.nodes) {
    if (node.op !== "input") continue;
    const { name, dtype } = node.attributes as Attributes["input"];
    const { shape, data } = inputs[name];
    feeds[name] = { data: dtype === "int32" ? Int32Array.from(data) : Float32Array.from(data), dims: shape };
  }
  const outputs = await session.run(feeds);
  await session.release();
  return outputs;
}

describe("ONNX Runtime against the interpreter, forward and gradient", () => {
  for (const op of Object.keys(opCases) as OpName[]) {
    it(op, async () => {
      const { build, inputs } = opCases[op];
      const g = new Graph();
      const y = build(g);
      g.output("y", y);
      const loss = g.reduceSum(
        g.sigmoid(y),
        y.shape.map((_, axis) => axis),
      );
      const parameters = g.nodes.filter((node) => node.op === "input" && node.dtype === "float32");
      gradients(g, loss, parameters).forEach((node, index) => g.output(`gradient${index}`, node));
      const expected = interpret(g, inputs);
      const actual = await runOnnx(g, inputs);
      for (const [name, { data }] of Object.entries(expected)) {
        expect(actual[name].length).toBe(data.length);
        data.forEach((value, index) =>
          expect(Math.abs(actual[name][index] - value)).toBeLessThan(2e-5 * (1 + Math.abs(value))),
        );
      }
    });
  }
});

describe("the order of operators", () => {
  it("ends with what nothing else needs, the last built first: the runtime walks back from the end", () => {
    const g = new Graph();
    const x = g.input("x", ["B", 4]);
    g.output("first", g.exp(x));
    const middle = g.sigmoid(x);
    g.output("second", g.sqrt(middle));
    g.output("third", g.log(g.neg(middle)));
    const { graph } = fromBinary(ModelProtoSchema, lower(g).bytes);
    const operators = graph?.node.map(({ opType }) => opType).filter((type) => type !== "Identity");
    expect(operators).toEqual(["Sigmoid", "Neg", "Log", "Sqrt", "Exp"]);
  });
});

describe("shapes of values", () => {
  it("are told by name, where the runtime would know no name for them", () => {
    const g = new Graph();
    const flat = g.reshape(g.input("x", ["B", "L", 8]), [product(["B", "L"]), 8]);
    g.output("y", g.softmax(g.matmul(g.sigmoid(flat), g.input("w", [8, 4]))));
    const { graph } = fromBinary(ModelProtoSchema, lower(g).bytes);
    const told = new Map(graph?.valueInfo.map(({ name, type }) => [name, type?.value]));
    const shapes = graph?.node
      .filter(({ opType }) => opType !== "Identity")
      .map(({ opType, output: [name] }) => {
        const value = told.get(name);
        const dims = value?.case === "tensorType" ? value.value.shape?.dim : undefined;
        return [opType, ...(dims ?? []).map(({ value: dim }) => dim.value)];
      });
    expect(shapes).toEqual([
      ["Reshape", "B*L", 8n],
      ["Sigmoid", "B*L", 8n],
      ["Gemm", "B*L", 4n],
      ["Softmax", "B*L", 4n],
    ]);
  });
});

describe("a product and a sum", () => {
  const operatorsOf = (build: (g: Graph, product: ReturnType<Graph["matmul"]>) => void): string[] | undefined => {
    const g = new Graph();
    build(g, g.matmul(g.input("x", ["B", 3]), g.input("w", [3, 4])));
    const { graph } = fromBinary(ModelProtoSchema, lower(g).bytes);
    return graph?.node.map(({ opType }) => opType).filter((type) => type !== "Identity");
  };

  it("are one operator where nothing else reads the product", () => {
    expect(operatorsOf((g, product) => g.output("y", g.add(g.input("z", ["B", 4]), product)))).toEqual(["Gemm"]);
  });

  it("are two where something does, where the sum is of another shape, and where a product is added to itself", () => {
    const read = operatorsOf((g, product) => {
      g.output("y", g.add(product, g.input("z", ["B", 4])));
      g.output("product", product);
    });
    expect(read).toEqual(["Gemm", "Add"]);
    expect(operatorsOf((g, product) => g.output("y", g.add(product, g.input("z", [2, 1, 4]))))).toEqual([
      "Gemm",
      "Add",
    ]);
    expect(operatorsOf((g, product) => g.output("y", g.add(product, product)))).toEqual(["Gemm", "Add"]);
  });

  it("compute what they say, whichever comes first and with two products", async () => {
    const random = new Random("sums");
    const normal = (...shape: number[]): Tensor => {
      const size = shape.reduce((total, dim) => total * dim, 1);
      return { shape, data: Float64Array.from({ length: size }, () => random.normal()) };
    };
    const g = new Graph();
    const [x, w, v, z] = [g.input("x", ["B", 3]), g.input("w", [3, 4]), g.input("v", [4, 3]), g.input("z", ["B", 4])];
    const second = g.matmul(x, v, { transB: true, alpha: 0.5 });
    g.output("y", g.add(g.add(z, g.matmul(x, w)), second));
    const inputs = { x: normal(5, 3), w: normal(3, 4), v: normal(4, 3), z: normal(5, 4) };
    const { y } = await runOnnx(g, inputs);
    interpret(g, inputs).y.data.forEach((value, at) => expect(y[at]).toBeCloseTo(value, 5));
  });
});

describe("scatterAddRows on two threads", () => {
  it("adds every row of equal id, and the same bits each time", async () => {
    const [rows, width, ids] = [1024, 576, 13];
    const g = new Graph();
    g.output("y", g.scatterAddRows(g.input("ids", ["N"], "int32"), g.input("updates", ["N", width]), 4096));
    const session = await Session.create(lower(g), { threads: 2, provider: "cpu" }, () => {});
    const random = new Random("scatter");
    const updates = Float32Array.from({ length: rows * width }, () => random.next());
    const exact = new Float64Array(ids * width);
    updates.forEach((value, at) => (exact[(Math.floor(at / width) % ids) * width + (at % width)] += value));
    const feeds = {
      ids: { data: Int32Array.from({ length: rows }, (_, row) => row % ids), dims: [rows] },
      updates: { data: updates, dims: [rows, width] },
    };
    const first = (await session.run(feeds)).y.slice(0, exact.length);
    const worst = Math.max(...first.map((value, at) => Math.abs(value - exact[at]) / exact[at]));
    expect(worst).toBeLessThan(1e-5);
    for (let repeat = 0; repeat < 20; repeat++) {
      expect((await session.run(feeds)).y.subarray(0, exact.length)).toEqual(first);
    }
    await session.release();
  });
});
