/** @file From the name of an encoder to its files: folders as they are, `hf:` names through the Hugging Face cache. */
import type { PullOptions } from "../../engine/io/hub/pull.js";
import { isHubName } from "../../engine/io/hub/name.js";

/** How a model of the Hub is fetched: progress, notes, cancelling, environment. */
export type HubOptions = PullOptions;

/**
 * The folder of an encoder or cross-encoder.
 * @throws UserError when it cannot be had
 */
export async function resolveEncoderModel(
  location: string,
  variant: string,
  options: HubOptions = {},
): Promise<string> {
  if (!isHubName(location)) return location;
  const { resolveEncoder } = await import("../../engine/io/hub/pull.js");
  return resolveEncoder(location, variant, options);
}
