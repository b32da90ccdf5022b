/** @file Dense search from settings: an index folder or a LanceDB table, and the encoder that it names or that is given. */
import { UserError } from "../../errors.js";
import { locateIndex } from "../locate-index.js";
import { isAddress, timesOf, type EngineContext, type EngineSettings } from "../settings.js";
import { asNamed, type Encoder, type EncoderSource } from "./encoder.js";
import { DenseEngine, type NearestPassages } from "./engine.js";
import { openDenseIndex } from "./index/open.js";
import { parseCollection } from "./lancedb/columns.js";
import { LancePassages } from "./lancedb/passages.js";
import { openEncoder } from "./open-encoder.js";

/** @throws UserError without an index, for another encoder than the index's, and as `openDenseIndex` and `openEncoder` do */
export async function openDense(settings: EngineSettings, context: EngineContext): Promise<DenseEngine> {
  if (settings.index === "")
    throw new UserError(
      "dense needs an index. Make one with `sleuth index CORPUS.jsonl --engine dense --encoder ENCODER --out FOLDER` and name it with --index FOLDER.",
    );
  const { nearest, passages, encoderSource } = await openDenseIndex(settings.index);
  const engine = await withEncoder("dense", nearest, () =>
    openQueryEncoder(settings, encoderSource, nearest.encoder, context),
  );
  context.onPassages?.(passages);
  return engine;
}

/**
 * A LanceDB table as a search engine. `index` is the folder or address (or a folder of several engines' indexes), `collection` the table
 * and, where they cannot be told, its columns (`parseCollection`). The encoder is the one given, else the one that the table remembers.
 * @throws UserError for a table that cannot be searched, and for another encoder than the one that made its vectors
 */
export async function openLance(settings: EngineSettings, context: EngineContext): Promise<DenseEngine> {
  const { index, collection, timeoutMs } = settings;
  const { environment = process.env } = context;
  const address = index === "" ? "" : await locateIndex(index, "lancedb");
  const passages = await LancePassages.open({ address, ...parseCollection(collection), environment, timeoutMs });
  return withEncoder("lancedb", passages, () =>
    openQueryEncoder(settings, passages.encoderSource, passages.encoder, context),
  );
}

/** The engine over opened passages. They are closed when the encoder cannot be opened or does not fit them. */
async function withEncoder(
  name: string,
  nearest: NearestPassages,
  openIt: () => Promise<Encoder>,
): Promise<DenseEngine> {
  let encoder: Encoder | undefined;
  try {
    encoder = await openIt();
    return new DenseEngine(encoder, nearest, name);
  } catch (error) {
    await Promise.all([encoder?.close(), nearest.close()]);
    throw error;
  }
}

/**
 * The encoder for queries: the one that the settings name, else the one that the index or table remembers.
 * @param name the name of the encoder that made the vectors, where it was recorded
 * @throws UserError when neither names one
 */
async function openQueryEncoder(
  settings: EngineSettings,
  remembered: EncoderSource | undefined,
  name: string | undefined,
  { environment, http }: EngineContext,
): Promise<Encoder> {
  const { encoder: location, encoderModel } = settings;
  const options = { environment, http, timeoutMs: timesOf(settings).timeoutMs };
  if (location !== "") {
    // Prefixes, pooling and lengths that the index was built with stay, when it is the same model elsewhere.
    const kept = remembered !== undefined && isAddress(remembered.location) === isAddress(location) ? remembered : {};
    const settled = isAddress(location) ? kept : asNamed(kept, name);
    return openEncoder({ ...settled, location, ...(encoderModel === "" ? {} : { model: encoderModel }) }, options);
  }
  if (remembered === undefined)
    throw new UserError(
      "The index does not say which encoder made its vectors. Name it with --encoder (search.encoder in a run file).",
    );
  try {
    return await openEncoder(asNamed(remembered, name), { ...options, isFromIndex: true });
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    throw new UserError(
      `The encoder that the index names cannot be opened: ${error.message} If it lies elsewhere now, name it with --encoder.`,
      { cause: error },
    );
  }
}
