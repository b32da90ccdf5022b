/** @file Numbers that scripts of test/golden/ recorded, and how far ours are from them. */
import path from "node:path";
import { fileURLToPath } from "node:url";
import { expect } from "vitest";
import { SafetensorsFile } from "../io/safetensors.js";

export const golden = fileURLToPath(new URL("../../../test/golden/", import.meta.url));

/** Every tensor of a file below `golden`. */
export async function numbersOf(...parts: string[]): Promise<Map<string, Float32Array>> {
  const file = await SafetensorsFile.open(path.join(golden, ...parts));
  const numbers = new Map<string, Float32Array>();
  for (const name of file.tensors.keys()) numbers.set(name, await file.read(name));
  await file.close();
  return numbers;
}

/** Largest difference, as a share of the largest expected number. */
export function relativeError(actual: ArrayLike<number>, expected: ArrayLike<number>): number {
  expect(actual.length).toBe(expected.length);
  const scale = Math.max(...Array.from(expected, Math.abs), 1e-3);
  return Math.max(...Array.from(expected, (value, index) => Math.abs(value - actual[index]))) / scale;
}
