/**
 * @file A folder of made questions: `train.jsonl`, `validation.jsonl` and `test.jsonl`; `questions.json`, which says how they came to be; and
 * `struck.jsonl`, a line for each question that a person struck. Those do not come again.
 */
import { mkdir, readdir } from "node:fs/promises";
import path from "node:path";
import { z } from "zod";
import { partFile, questionParts, type QuestionPart } from "../../data/questions.js";
import { UserError } from "../../errors.js";
import { writeError, writeFileDurably } from "../../files/durable.js";
import { readOptionalJsonAs, readOptionalText } from "../../files/json-file.js";
import { parseJsonLines, toJsonLines } from "../../files/lines.js";
import type { Question } from "../../types.js";

const manifestName = "questions.json";
const struckName = "struck.jsonl";
const format = "sleuth-questions";

const manifestSchema = z.looseObject({
  format: z.literal(format),
  version: z.literal(1),
  asked: z.looseObject({ top: z.number().optional() }).optional(),
});

/** A question that a person struck, and where it stood, so that it can be put back; a line that a person moved there by hand does not say. */
export interface StruckQuestion extends Question {
  part?: QuestionPart;
}

const struckSchema = z.looseObject({
  id: z.string(),
  question: z.string(),
  answers: z.array(z.string()),
  part: z.enum(questionParts).optional(),
});

/**
 * Makes the folder where it is missing.
 * @returns whether it was missing
 * @throws UserError for a folder with other things in it, or one that cannot be written
 */
export async function prepareFolder(folder: string): Promise<boolean> {
  const names = await readdir(folder).catch(() => undefined);
  if (names !== undefined && names.length > 0 && !(await isMadeFolder(folder)) && !names.every(isOwn))
    throw new UserError(
      `${folder} has other files in it and no ${manifestName}: it was not made by sleuth questions make. Name another folder with --out.`,
    );
  try {
    return (await mkdir(folder, { recursive: true })) !== undefined;
  } catch (error) {
    throw writeError(folder, error, "Name another folder with --out.");
  }
}

/** What a call that was stopped may have left. */
function isOwn(name: string): boolean {
  return name === struckName || name.startsWith("answered-");
}

async function readManifest(folder: string): Promise<z.infer<typeof manifestSchema> | undefined> {
  return readOptionalJsonAs(path.join(folder, manifestName), manifestSchema, "Name another folder.");
}

async function isMadeFolder(folder: string): Promise<boolean> {
  return (await readManifest(folder)) !== undefined;
}

/** Among how many first passages a question's own had to be found when the folder was made; undefined for a folder that came otherwise. */
export async function foundWithin(folder: string): Promise<number | undefined> {
  return (await readManifest(folder))?.asked?.top;
}

/** @throws UserError where the folder was not made by `sleuth questions make` */
export async function requireMadeFolder(folder: string): Promise<void> {
  if (await isMadeFolder(folder)) return;
  throw new UserError(`${folder} has no ${manifestName}. Name a folder that sleuth questions make has written.`);
}

/**
 * The struck questions of a folder; a line that is no question is passed over.
 * @throws UserError when the file cannot be read
 */
export async function readStruck(folder: string): Promise<StruckQuestion[]> {
  const lines = parseJsonLines((await readOptionalText(path.join(folder, struckName))) ?? "");
  return lines.flatMap((line) => (struckSchema.safeParse(line).data as StruckQuestion | undefined) ?? []);
}

/** Replaces the struck questions. */
export async function writeStruck(folder: string, struck: readonly StruckQuestion[]): Promise<void> {
  await writeFileDurably(path.join(folder, struckName), toJsonLines(struck));
}

/** Replaces one part. */
export async function writePart(folder: string, part: QuestionPart, questions: readonly Question[]): Promise<void> {
  await writeFileDurably(partFile(folder, part), toJsonLines(questions));
}

/**
 * Writes how the parts came to be, then the parts, file by file, each whole: a folder that a kill left incomplete is known as ours by the first.
 * @throws UserError when the disk refuses
 */
export async function writeFolder(
  folder: string,
  parts: Record<QuestionPart, Question[]>,
  madeBy: object,
): Promise<void> {
  try {
    const manifest = { format, version: 1, ...madeBy };
    await writeFileDurably(path.join(folder, manifestName), `${JSON.stringify(manifest, null, 2)}\n`);
    for (const part of questionParts) await writePart(folder, part, parts[part]);
  } catch (error) {
    throw writeError(folder, error, "Make room, then start the same command again.");
  }
}
