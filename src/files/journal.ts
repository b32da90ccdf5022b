/** @file A journal: lines of JSON that one process appends, and from which the next one goes on. */
import { appendFile } from "node:fs/promises";
import { writeError } from "./durable.js";
import { readOptionalText } from "./json-file.js";
import { parseJsonLines, toJsonLines } from "./lines.js";

export interface Journal {
  /** What earlier processes have appended; a line that a kill tore is undefined. */
  readonly earlier: readonly unknown[];
  /** @throws UserError when the disk refuses */
  append(records: readonly object[]): Promise<void>;
}

/**
 * Opens a journal; the file is made by the first line. What is appended behind a torn line begins a line of its own.
 * @param advice what to do where it cannot be written
 * @throws UserError where it cannot be read or written
 */
export async function openJournal(file: string, advice: string): Promise<Journal> {
  const text = (await readOptionalText(file)) ?? "";
  const write = async (lines: string): Promise<void> => {
    try {
      await appendFile(file, lines);
    } catch (error) {
      throw writeError(file, error, advice);
    }
  };
  if (text !== "" && !text.endsWith("\n")) await write("\n");
  return { earlier: parseJsonLines(text), append: (records) => write(toJsonLines(records)) };
}
