/**
 * @file A folder of questions as `sleuth data` writes it: `train.jsonl`, `validation.jsonl` and `test.jsonl`, those of them that there are, and
 * `data.json`, which says where every question came from.
 */
import { createHash } from "node:crypto";
import { readdir } from "node:fs/promises";
import path from "node:path";
import { z } from "zod";
import { UserError } from "../../errors.js";
import { replaceFolder, writeError, writeFileDurably } from "../../files/durable.js";
import { readOptionalJsonAs } from "../../files/json-file.js";
import { toJsonLines } from "../../files/lines.js";
import type { Question } from "../../types.js";
import { partFile, questionParts, type QuestionPart } from "../questions.js";

const manifestName = "data.json";
const format = "sleuth-data";

/** Where questions of a part came from. */
export interface Origin {
  /** `hf:ORG/NAME/FOLDER@COMMIT`, or a path. */
  from: string;
  dataset: string;
  split: string;
  /** Records of the split, malformed ones counted. */
  rows: number;
  /** Left out as malformed. */
  skipped: number;
  /** Questions that were taken. */
  questions: number;
}

/** A part to be written. */
export interface Part {
  questions: readonly Question[];
  origins: readonly Origin[];
}

const manifestSchema = z.looseObject({
  format: z.literal(format),
  version: z.literal(1),
  parts: z.partialRecord(
    z.enum(questionParts),
    z.looseObject({
      questions: z.number(),
      sha256: z.string(),
      origins: z.array(z.looseObject({ from: z.string(), dataset: z.string(), split: z.string() })),
    }),
  ),
});
export type DataManifest = z.infer<typeof manifestSchema>;

/**
 * What a folder says of itself; undefined where `sleuth data` did not write it.
 * @throws UserError where its manifest is damaged
 */
export async function readDataManifest(folder: string): Promise<DataManifest | undefined> {
  return readOptionalJsonAs(path.join(folder, manifestName), manifestSchema, "Make the folder again with sleuth data.");
}

/** @throws UserError for a folder with other things in it */
export async function requireOwnFolder(folder: string): Promise<void> {
  const names = await readdir(folder).catch((error: NodeJS.ErrnoException): string[] => {
    if (error.code === "ENOENT") return [];
    throw new UserError(`${folder} is no folder that can be written: ${error.message}. Name another with --out.`);
  });
  if (names.length === 0 || names.includes(manifestName)) return;
  throw new UserError(
    `${folder} has other files in it and no ${manifestName}: sleuth data did not write it. Name another folder with --out.`,
  );
}

/**
 * Writes a folder, whole or not at all.
 * @param asked what made it, for people
 * @returns what changed against the folder that was there before, in words; undefined where nothing was there or nothing changed
 * @throws UserError when the disk refuses
 */
export async function writeDataFolder(
  folder: string,
  parts: Readonly<Partial<Record<QuestionPart, Part>>>,
  asked: object,
): Promise<string | undefined> {
  const before = await readDataManifest(folder).catch(() => undefined);
  const texts = questionParts.flatMap((part) => {
    const own = parts[part];
    return own === undefined ? [] : [{ part, own, text: toJsonLines(own.questions) }];
  });
  const described = Object.fromEntries(
    texts.map(({ part, own, text }) => [
      part,
      {
        questions: own.questions.length,
        sha256: createHash("sha256").update(text).digest("hex"),
        origins: own.origins,
      },
    ]),
  );
  const manifest = { format, version: 1, asked, parts: described };
  try {
    await replaceFolder(folder, async (temporary) => {
      for (const { part, text } of texts) await writeFileDurably(partFile(temporary, part), text);
      await writeFileDurably(path.join(temporary, manifestName), `${JSON.stringify(manifest, null, 2)}\n`);
    });
  } catch (error) {
    throw writeError(folder, error, "Make room or name another folder with --out, then run the same command again.");
  }
  return before === undefined ? undefined : changesOf(before, described);
}

function changesOf(
  before: DataManifest,
  now: Readonly<Record<string, { questions: number; sha256: string }>>,
): string | undefined {
  const changed = questionParts.filter((part) => before.parts[part]?.sha256 !== now[part]?.sha256);
  if (changed.length === 0) return undefined;
  return changed
    .map(
      (part) =>
        `${part}.jsonl had ${before.parts[part]?.questions ?? "no"} questions and has ${now[part]?.questions ?? "none"} now`,
    )
    .join("; ");
}
