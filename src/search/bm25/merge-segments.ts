/** @file Neighbouring segments become one, without what was deleted. */
import { join } from "node:path";
import type { OutputFiles } from "../../files/disk.js";
import type { SegmentRecord } from "./format.js";
import { mergeSources } from "./merge.js";
import { deletedFlags } from "./deleted-flags.js";
import type { Existing } from "./segment-builder.js";
import { SegmentFiles } from "./segment-files.js";
import { StoredSegment } from "./stored-segment.js";

/** Can be sent to a worker. */
export interface MergeOptions {
  out: string;
  /** Name of the new segment's folder. */
  folder: string;
  segments: readonly Existing[];
}

/** Writes the new segment. Yields the part of the work that is done, 0 to 1. The caller removes the folder after an error. */
export function* mergeSegments(
  { out, folder, segments }: MergeOptions,
  disk: OutputFiles,
): Generator<number, SegmentRecord> {
  disk.makeFolder(join(out, folder));
  const files = new SegmentFiles(join(out, folder), disk);
  const stored = segments.map(({ record }) => new StoredSegment(out, record));
  try {
    const sources = stored.map((segment, index) =>
      segment.source(deletedFlags(segments[index].record.passages, segments[index].deleted)),
    );
    const merged = yield* mergeSources(sources, files);
    return { folder, ...merged, files: files.finish() };
  } finally {
    files.abandon();
    for (const segment of stored) segment.close();
  }
}
