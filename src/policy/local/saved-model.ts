/** @file What the folders of a policy and of its critic have in common. */
import type { LoraConfig } from "../../engine/model/lora.js";
import { UserError } from "../../errors.js";
import type { LocalOptions } from "./protocol.js";

/** What is written beside weights. */
export interface SavedWith {
  /** What adapters call their base. */
  baseName: string;
  /** The folder or GGUF file that the tokenizer's files come from. */
  tokenizerFrom: string;
}

export function savedWith({ model, base, baseName = base ?? model }: LocalOptions): SavedWith {
  return { baseName, tokenizerFrom: model };
}

/** @throws UserError when a saved adapter does not fit the one that is open */
export function requireSameLora(folder: string, found: LoraConfig, open: LoraConfig): void {
  const text = ({ rank, alpha, targets }: LoraConfig): string =>
    `rank ${rank}, alpha ${alpha} on ${[...targets].sort().join(", ")}`;
  if (text(found) === text(open)) return;
  throw new UserError(
    `${folder} holds an adapter with ${text(found)}, but the one that is open has ${text(open)}. ` +
      "Load a checkpoint of the same run, or start a new run from this adapter.",
  );
}
