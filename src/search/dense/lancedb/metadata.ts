/** @file What a table of ours says about itself, in the metadata of its schema: fixed when it is made. */
import type { EncoderSource } from "../encoder.js";

const keys = { encoder: "sleuth.encoder", source: "sleuth.source", encoderSource: "sleuth.encoder.source" } as const;

export interface TableNotes {
  /** `name` of the encoder that made the vectors. */
  encoder?: string;
  /** Tells the source of the passages from any other: a build is continued from the same one only. */
  source?: string;
  /** What opens that encoder again. */
  encoderSource?: EncoderSource;
}

export function toMetadata({ encoder, source, encoderSource }: TableNotes): Map<string, string> {
  const metadata = new Map<string, string>();
  if (encoder !== undefined) metadata.set(keys.encoder, encoder);
  if (source !== undefined) metadata.set(keys.source, source);
  if (encoderSource !== undefined) metadata.set(keys.encoderSource, JSON.stringify(encoderSource));
  return metadata;
}

export function fromMetadata(metadata: ReadonlyMap<string, string>): TableNotes {
  const found = metadata.get(keys.encoderSource);
  return {
    encoder: metadata.get(keys.encoder),
    source: metadata.get(keys.source),
    encoderSource: found === undefined ? undefined : (JSON.parse(found) as TableNotes["encoderSource"]),
  };
}
