/** @file In what the bench multiplies frozen weights: as asked for, or as the opening of the model decides on this machine. */
import type { LocalOptions } from "../src/policy/local/protocol.js";
import { openEngineModel, type OpenedModel } from "../src/policy/local/open-model.js";
import { UserError } from "../src/errors.js";
import { lora } from "./smollm2.js";

/** What may be asked for. */
export type AskedPrecision = NonNullable<LocalOptions["precision"]>;
export const askedPrecisions: readonly AskedPrecision[] = ["auto", "int8", "float32"];

export type Precision = OpenedModel["precision"];

/**
 * Opens the model once, so that everything in one run of the bench is then measured in the same precision.
 * @throws UserError when the model opens in another precision than was asked for
 */
export async function precisionOf(model: string, asked: AskedPrecision): Promise<Precision> {
  const opened = await openEngineModel({ model, adapt: "lora", lora, precision: asked });
  opened.remove();
  const { precision } = opened;
  if (asked !== "auto" && asked !== precision)
    throw new UserError(`The model was opened in ${precision} where ${asked} was asked for.`);
  return precision;
}
