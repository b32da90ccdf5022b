import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import type { AdamOptions } from "../../contracts/policy.js";
import { SafetensorsFile } from "../io/safetensors.js";
import { createParameterStore, parameter, type ParameterStore } from "../model/parameters.js";
import { AdamW } from "./adamw.js";

const runtime = { threads: 1, provider: "cpu", onRun: () => {} };
const shapes = [
  { name: "matrix", shape: [5, 7] },
  { name: "vector", shape: [11] },
];

describe("AdamW", async () => {
  const file = await SafetensorsFile.open(
    fileURLToPath(new URL("../../../test/golden/adamw.safetensors", import.meta.url)),
  );
  const options = JSON.parse(file.metadata.settings) as AdamOptions;

  async function recorded(prefix: string): Promise<ParameterStore> {
    const store = createParameterStore(shapes);
    for (const { name } of shapes) await file.read(`${prefix}.${name}`, parameter(store, name));
    return store;
  }

  it("takes the ten steps that PyTorch took (test/golden/adamw.py)", async () => {
    const store = await recorded("start");
    const optimizer = new AdamW(store.flat.length, runtime);
    const norms: number[] = [];
    for (let step = 1; step <= 10; step++) {
      const { gradNorm } = await optimizer.step(store, (await recorded(`gradient.${step}`)).flat, options);
      norms.push(gradNorm);
      expect(gradNorm).toBeCloseTo((await file.read(`norm.${step}`))[0], 4);
      const after = (await recorded(`after.${step}`)).flat;
      const error = Math.max(...after.map((value, index) => Math.abs(value - store.flat[index])));
      expect(error, `step ${step}`).toBeLessThan(2e-6);
    }
    // Both sides of the clipping threshold were tried.
    expect(Math.min(...norms)).toBeLessThan(options.maxGradNorm);
    expect(Math.max(...norms)).toBeGreaterThan(options.maxGradNorm);
    await optimizer.release();
  });

  it("changes nothing when the gradient is not finite", async () => {
    const store = await recorded("start");
    const before = store.flat.slice();
    const gradient = new Float32Array(store.flat.length);
    gradient[3] = Number.NaN;
    const optimizer = new AdamW(store.flat.length, runtime);
    expect((await optimizer.step(store, gradient, options)).gradNorm).toBeNaN();
    expect(store.flat).toEqual(before);
    expect(optimizer.state.step).toBe(0);
    await optimizer.release();
  });
});
