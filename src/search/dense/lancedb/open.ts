/** @file A LanceDB table as a search engine, from settings. */
import { locateIndex } from "../../locate-index.js";
import type { EngineContext, EngineSettings } from "../../settings.js";
import { DenseEngine } from "../engine.js";
import { parseCollection } from "./columns.js";
import { LancePassages } from "./passages.js";
import { openQueryEncoder } from "../open.js";

/**
 * `index` is the folder or address (or a folder of several engines' indexes), `collection` the table and, where they cannot be told, its columns (`parseCollection`). The encoder is
 * the one given, else the one that the table remembers.
 * @throws UserError for a table that cannot be searched, and for another encoder than the one that made its vectors
 */
export async function openLance(settings: EngineSettings, context: EngineContext): Promise<DenseEngine> {
  const environment = context.environment ?? process.env;
  const { table, columns } = parseCollection(settings.collection);
  const passages = await LancePassages.open({
    address: settings.index === "" ? "" : await locateIndex(settings.index, "lancedb"),
    table,
    columns,
    environment,
    timeoutMs: settings.timeoutMs,
  });
  try {
    const encoder = await openQueryEncoder(settings, passages.encoderSource, context);
    try {
      return new DenseEngine(encoder, passages, "lancedb");
    } catch (error) {
      await encoder.close();
      throw error;
    }
  } catch (error) {
    await passages.close();
    throw error;
  }
}
