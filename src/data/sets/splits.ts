/** @file Which files hold which split of a set, and for what Sleuth uses a split. */
import path from "node:path";
import type { QuestionPart } from "../questions.js";

/** A split of a set under the name that its owners gave it, with its files in order. */
export interface Split {
  name: string;
  /** Of one split there may be several: `train-00000-of-00002.parquet`. */
  files: string[];
}

const names = ["train", "validation", "dev", "val", "test"];
const splitFile = new RegExp(`^(${names.join("|")})(?:-\\d+-of-\\d+)?\\.(?:jsonl|jsonl\\.gz|parquet)$`, "i");

/** The split that a file's name says it holds. */
export function splitOfFile(file: string): string | undefined {
  return splitFile.exec(path.posix.basename(file.replaceAll("\\", "/")))?.[1].toLowerCase();
}

/** The splits among files; others are left out. Where a split comes in two formats, Parquet is left. */
export function splitsAmong(files: readonly string[]): Split[] {
  const splits = names.map((name): Split => {
    const own = files.filter((file) => splitOfFile(file) === name).sort();
    const lines = own.filter((file) => !file.toLowerCase().endsWith(".parquet"));
    return { name, files: lines.length > 0 ? lines : own };
  });
  return splits.filter((split) => split.files.length > 0);
}

/**
 * What each split is for. Of sets whose test answers are not public, papers measure on `dev`: without a `test` it is that.
 * @returns names of splits by part
 */
export function partsOfSplits(splits: readonly string[]): Partial<Record<QuestionPart, string>> {
  const first = (...wanted: string[]): string | undefined => wanted.find((name) => splits.includes(name));
  const test = first("test") ?? first("dev", "val");
  const validation = first("validation", "dev", "val");
  const train = first("train");
  return {
    ...(train === undefined ? {} : { train }),
    ...(validation === undefined || validation === test ? {} : { validation }),
    ...(test === undefined ? {} : { test }),
  };
}
