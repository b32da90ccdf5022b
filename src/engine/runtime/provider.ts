/** @file Where the runtime may compute. */
import { UserError } from "../../errors.js";

/**
 * The execution providers whose numbers are right. `webgpu` of onnxruntime-node 1.30 is not among them: the second output of
 * `SimplifiedLayerNormalization` is the mean there instead of 1/rms, so that gradients would be wrong, and `Softmax` fails over an empty axis.
 */
export const providers = ["cpu"] as const;

/** Why another one is refused, for people. */
export const onlyProvider =
  "only cpu computes right gradients (docs/engine.md says why webgpu does not). Leave it out, or set it to cpu.";

/**
 * @param key the name under which a person knows the setting
 * @throws UserError for a provider whose numbers are not known to be right
 */
export function requireProvider(provider: string, key: string): void {
  if ((providers as readonly string[]).includes(provider)) return;
  throw new UserError(`${key} is ${provider}, but ${onlyProvider}`);
}
