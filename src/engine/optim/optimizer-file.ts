/** @file Optimizer state beside the weights of a model folder: `optimizer.safetensors`, both moments of every parameter by name. */
import { existsSync } from "node:fs";
import path from "node:path";
import { UserError } from "../../errors.js";
import { SafetensorsFile, writeSafetensors, type NamedTensor } from "../io/safetensors.js";
import { createParameterStore, parameter, type ParameterStore } from "../model/parameters.js";
import { freshAdamState, type AdamState } from "./adamw.js";

const fileName = "optimizer.safetensors";
const moments = [
  ["first", "firstMoment"],
  ["second", "secondMoment"],
] as const;

/** Writes both moments, in float32, and the number of steps beside the weights in `folder`, which must exist. */
export async function saveOptimizer(folder: string, { shapes }: ParameterStore, state: AdamState): Promise<void> {
  const tensors = moments.flatMap(([prefix, key]): NamedTensor[] => {
    const store = createParameterStore(shapes, state[key]);
    return shapes.map(({ name, shape }) => ({ name: `${prefix}.${name}`, shape, data: parameter(store, name) }));
  });
  await writeSafetensors(path.join(folder, fileName), tensors, { metadata: { step: String(state.step) } });
}

/**
 * The state beside the weights; a fresh one where weights were saved alone.
 * @throws UserError when the file is damaged or of another model
 */
export async function loadOptimizer(folder: string, { shapes, flat }: ParameterStore): Promise<AdamState> {
  if (!existsSync(path.join(folder, fileName))) return freshAdamState(flat.length);
  const source = await SafetensorsFile.open(path.join(folder, fileName));
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
