/** @file The modules behind the pooling of a sentence-transformers model: from the pooled vector to the one that is compared. */
import { openSafetensors } from "../../engine/io/safetensors-set.js";
import type { TensorSet } from "../../engine/io/tensor-set.js";
import { UserError } from "../../errors.js";
import type { Activation, DenseHead, Head } from "./sentence-folder.js";

type Step = (vector: Float32Array) => Float32Array;

/**
 * Reads the weights of the modules. @returns what applies them one after another
 * @throws UserError naming a tensor that is missing or has another shape than its folder's config.json says
 */
export async function openHeads(heads: readonly Head[]): Promise<Step> {
  const steps = await Promise.all(heads.map(async (head) => (head === "normalize" ? normalised : openDense(head))));
  return (vector) => steps.reduce((value, step) => step(value), vector);
}

/** As torch's `normalize`: a vector of zeros stays as it is. */
function normalised(vector: Float32Array): Float32Array {
  const length = Math.max(Math.hypot(...vector), 1e-12);
  return vector.map((value) => value / length);
}

const functions: Readonly<Record<Activation, (value: number) => number>> = {
  Identity: (value) => value,
  Tanh: Math.tanh,
  ReLU: (value) => Math.max(0, value),
  Sigmoid: (value) => 1 / (1 + Math.exp(-value)),
};

async function openDense({ folder, inputs, outputs, hasBias, isResidual, activation }: DenseHead): Promise<Step> {
  const set = await openSafetensors(folder);
  try {
    const weights = await read(set, "linear.weight", [outputs, inputs]);
    const bias = hasBias ? await read(set, "linear.bias", [outputs]) : new Float32Array(outputs);
    const isProjected = isResidual && inputs !== outputs;
    const residual = isProjected ? await read(set, "residual.weight", [outputs, inputs]) : undefined;
    const apply = functions[activation];
    return (vector) => {
      if (vector.length !== inputs)
        throw new UserError(
          `${folder} takes vectors of ${inputs} numbers, and ${vector.length} come in: it belongs to another model. Copy the folder again.`,
        );
      const beside = residual === undefined ? vector : times(residual, vector, outputs);
      return times(weights, vector, outputs).map(
        (value, row) => apply(value + bias[row]) + (isResidual ? beside[row] : 0),
      );
    };
  } finally {
    await set.close();
  }
}

async function read(set: TensorSet, name: string, shape: readonly number[]): Promise<Float32Array> {
  const stored = set.tensors.get(name);
  if (stored?.shape.join() !== shape.join())
    throw new UserError(
      `${set.location} ${stored === undefined ? `has no tensor "${name}"` : `has "${name}" in the shape [${stored.shape.join(", ")}]`}; ` +
        `${set.described} calls for [${shape.join(", ")}]. Copy the folder again from the model's source.`,
    );
  return set.read(name);
}

/** `matrix` [rows × vector] times the vector. */
function times(matrix: Float32Array, vector: Float32Array, rows: number): Float32Array {
  const result = new Float32Array(rows);
  for (let row = 0; row < rows; row++) {
    let sum = 0;
    for (let column = 0; column < vector.length; column++) sum += matrix[row * vector.length + column] * vector[column];
    result[row] = sum;
  }
  return result;
}
