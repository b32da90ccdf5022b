/** @file `sleuth index`: a corpus becomes an index folder, in bounded memory, all or nothing. */
import { Analyzer } from "../text/analyzer.js";
import { checkTarget, putInForce, tidy, writeError } from "./commit.js";
import { diskFiles } from "../../files/disk.js";
import { formatName, formatVersion } from "./format.js";
import { growSegment } from "./grow.js";
import type { GrowOptions } from "./grow.js";
import { withIndexLock } from "../index-lock.js";
import { checkRanking, defaultBm25 } from "./settings.js";
import type { Bm25Settings } from "./settings.js";

/** Besides what follows: where the passages come from (`corpus` or `passages`), and how the work is done. */
export interface BuildIndexOptions extends GrowOptions {
  /** Folder of the index: new, empty, or an index that is replaced. */
  out: string;
  settings?: Partial<Bm25Settings>;
}

export interface IndexSummary {
  out: string;
  passages: number;
  terms: number;
  postings: number;
  /** Mean number of terms in a passage. */
  meanLength: number;
  /** Size of the index on disk. */
  bytes: number;
  /** Passages that an earlier, interrupted call had indexed already. */
  resumed: number;
}

/**
 * Builds an index. An index that stood in `out` stays whole and usable until the new one replaces it in one step, and for
 * good when the build fails, is cancelled or is killed.
 *
 * A build that was cancelled or killed goes on when it is called again with the same source and settings (`resume: false` begins anew). Files
 * count as the same while path, size and time of change are; passages while `contents` is.
 * @throws UserError for a malformed corpus, a repeated id, a source without passages, a folder that is not an index, a full disk; `IndexBusy`
 * (a UserError) when another writer is at work in `out`; the signal's reason when cancelled.
 */
export async function buildIndex(options: BuildIndexOptions): Promise<IndexSummary> {
  const { out, files = diskFiles } = options;
  const { k1, b, analyzer } = { ...defaultBm25, ...options.settings };
  checkRanking(k1, b);
  const { settings } = new Analyzer(analyzer);
  checkTarget(out);
  try {
    return await withIndexLock(out, async () => {
      const target = { out, analyzer: settings, existing: [], replace: false, context: "build" };
      const { record, resumed } = await growSegment(target, options);
      const head = { format: formatName, version: formatVersion, analyzer: settings, k1, b } as const;
      putInForce(out, { ...head, segments: [record] }, record.folder, files);
      tidy(out, { ...head, segments: [record] }, files, false);
      const { passages, terms, postings, totalLength } = record;
      const bytes = Object.values(record.files).reduce((sum, file) => sum + file.bytes, 0);
      return { out, passages, terms, postings, meanLength: totalLength / passages, bytes, resumed };
    });
  } catch (error) {
    throw writeError(out, error);
  }
}
