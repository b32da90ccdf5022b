/** @file Dense search from settings: an index folder, and the encoder that it names or that is given. */
import { UserError } from "../../errors.js";
import type { EngineContext, EngineSettings } from "../settings.js";
import type { Encoder, EncoderSource } from "./encoder.js";
import { DenseEngine } from "./engine.js";
import { openDenseIndex } from "./index/open.js";
import { openEncoder } from "./open-encoder.js";

/** @throws UserError without an index, for another encoder than the index's, and as `openDenseIndex` and `openEncoder` do */
export async function openDense(settings: EngineSettings, context: EngineContext): Promise<DenseEngine> {
  if (settings.index === "")
    throw new UserError(
      "dense needs an index. Make one with `sleuth index CORPUS.jsonl --engine dense --encoder ENCODER --out FOLDER` and name it with --index FOLDER.",
    );
  const { nearest, encoderSource } = await openDenseIndex(settings.index);
  try {
    const encoder = await openQueryEncoder(settings, encoderSource, context);
    try {
      return new DenseEngine(encoder, nearest);
    } catch (error) {
      await encoder.close();
      throw error;
    }
  } catch (error) {
    await nearest.close();
    throw error;
  }
}

/**
 * The encoder for queries: the one that the settings name, else the one that the index or table remembers.
 * @throws UserError when neither names one
 */
export async function openQueryEncoder(
  { encoder: location, encoderModel, timeoutMs }: EngineSettings,
  remembered: EncoderSource | undefined,
  { environment, http }: EngineContext,
): Promise<Encoder> {
  // Half of the time for one request, so that a second try fits into the deadline of the search.
  const options = { environment, http, timeoutMs: Math.ceil(timeoutMs / 2) };
  if (location !== "") {
    // Prefixes, pooling and lengths that the index was built with stay, when it is the same model elsewhere.
    const kept = remembered !== undefined && isEndpoint(remembered.location) === isEndpoint(location) ? remembered : {};
    return openEncoder({ ...kept, location, ...(encoderModel === "" ? {} : { model: encoderModel }) }, options);
  }
  if (remembered === undefined)
    throw new UserError(
      "The index does not say which encoder made its vectors. Name it with --encoder (search.encoder in a run file).",
    );
  try {
    return await openEncoder(remembered, { ...options, isFromIndex: true });
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    throw new UserError(
      `The encoder that the index names cannot be opened: ${error.message} If it lies elsewhere now, name it with --encoder.`,
      { cause: error },
    );
  }
}

function isEndpoint(location: string): boolean {
  return /^https?:\/\//i.test(location);
}
