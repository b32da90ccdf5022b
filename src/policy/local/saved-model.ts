/** @file What the folders of a policy and of its critic have in common: a whole model, or an adapter. */
import { loadAdapterFolder, saveAdapterFolder } from "../../engine/io/adapter-folder.js";
import { loadModelFolder, saveModelFolder } from "../../engine/io/model-folder.js";
import type { LoraConfig } from "../../engine/model/lora.js";
import type { ParameterStore } from "../../engine/model/parameters.js";
import type { EngineModel } from "../../engine/model/weights.js";
import { UserError } from "../../errors.js";
import type { LocalOptions } from "./protocol.js";

/**
 * Writes a model that is trained whole, or its adapter, with `parameters` as its weights.
 * @param options where the tokenizer's files come from, and what an adapter calls its base
 */
export async function saveTrained(
  folder: string,
  { config, base }: EngineModel,
  parameters: ParameterStore,
  { model, base: baseFolder, baseName = baseFolder ?? model }: LocalOptions,
): Promise<void> {
  if (!base) return saveModelFolder(folder, { config, parameters, tokenizerFrom: model });
  await saveAdapterFolder(folder, {
    adapter: { lora: base.lora, parameters },
    base: baseName,
    config,
    ranges: base.int8?.ranges,
  });
}

/**
 * What `saveTrained` wrote, in the same layout.
 * @throws UserError when the folder holds another model, or an adapter that does not fit the one that is open
 */
export async function loadTrained(folder: string, { config, base }: EngineModel): Promise<ParameterStore> {
  if (!base) return (await loadModelFolder(folder, config)).parameters;
  const { adapter } = await loadAdapterFolder(folder, config);
  requireSameLora(folder, adapter.lora, base.lora);
  return adapter.parameters;
}

function requireSameLora(folder: string, found: LoraConfig, open: LoraConfig): void {
  const text = ({ rank, alpha, targets }: LoraConfig): string =>
    `rank ${rank}, alpha ${alpha} on ${[...targets].sort().join(", ")}`;
  if (text(found) === text(open)) return;
  throw new UserError(
    `${folder} holds an adapter with ${text(found)}, but the one that is open has ${text(open)}. ` +
      "Load a checkpoint of the same run, or start a new run from this adapter.",
  );
}
