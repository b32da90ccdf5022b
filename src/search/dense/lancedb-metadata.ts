/** @file What a table of ours says about itself, in the metadata of its schema: fixed when it is made. */

const keys = { encoder: "sleuth.encoder", source: "sleuth.source", spec: "sleuth.encoder.settings" } as const;

export interface TableNotes {
  /** `name` of the encoder that made the vectors. */
  encoder?: string;
  /** Tells the source of the passages from any other: a build is continued from the same one only. */
  source?: string;
  /** How the encoder was opened (folder or address, and model), to open it again. */
  encoderSettings?: { encoder: string; encoderModel: string };
}

export function toMetadata({ encoder, source, encoderSettings }: TableNotes): Map<string, string> {
  const metadata = new Map<string, string>();
  if (encoder !== undefined) metadata.set(keys.encoder, encoder);
  if (source !== undefined) metadata.set(keys.source, source);
  if (encoderSettings !== undefined) metadata.set(keys.spec, JSON.stringify(encoderSettings));
  return metadata;
}

export function fromMetadata(metadata: ReadonlyMap<string, string>): TableNotes {
  const spec = metadata.get(keys.spec);
  return {
    encoder: metadata.get(keys.encoder),
    source: metadata.get(keys.source),
    encoderSettings: spec === undefined ? undefined : (JSON.parse(spec) as TableNotes["encoderSettings"]),
  };
}
