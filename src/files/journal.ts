/** @file A journal: lines of JSON that one process appends, and from which the next one goes on. */
import { appendFile, open, type FileHandle } from "node:fs/promises";
import { writeError } from "./durable.js";
import { readOptionalText } from "./json-file.js";
import { linesOf, parseJsonLines, readLineBlocks, toJsonLines, type Line } from "./lines.js";

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
  if (text !== "" && !text.endsWith("\n")) await appendText(file, "\n", advice);
  return { earlier: parseJsonLines(text), append: appender(file, advice) };
}

/**
 * Appends records to a file, those of one call together and all in the order of the calls; what comes while it writes is written at once.
 * @returns a function whose promise resolves once its records are in the file, and rejects with a UserError when the disk refuses
 */
export function appender(file: string, advice: string): Journal["append"] {
  let waiting = "";
  let written = Promise.resolve();
  const writeWaiting = (): Promise<void> => {
    const text = waiting;
    waiting = "";
    return appendText(file, text, advice);
  };
  return (records) => {
    const isFirst = waiting === "";
    waiting += toJsonLines(records);
    if (isFirst && waiting !== "") written = written.then(writeWaiting);
    return written;
  };
}

async function appendText(file: string, text: string, advice: string): Promise<void> {
  try {
    await appendFile(file, text);
  } catch (error) {
    throw writeError(file, error, advice);
  }
}

/**
 * The lines of a journal of any size, without one at the end that a process has not finished writing.
 * @throws UserError as `readLineBlocks`
 */
export async function* wholeLines(file: string): AsyncGenerator<Line[]> {
  for await (const { bytes, firstLine } of readLineBlocks(file)) {
    const end = bytes.lastIndexOf(lineFeed) + 1;
    const isWhole = end === bytes.length || isJson(bytes.subarray(end));
    yield [...linesOf(file, { bytes: isWhole ? bytes : bytes.subarray(0, end), firstLine })];
  }
}

/** Cuts off what a process that died left behind the last line break. A file that is not there is left so. */
export async function cutTornLine(file: string): Promise<void> {
  const handle = await open(file, "r+").catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") return undefined;
    throw error;
  });
  if (handle === undefined) return;
  try {
    const { size } = await handle.stat();
    const end = await endOfLastLine(handle, size);
    if (end < size) await handle.truncate(end);
  } finally {
    await handle.close();
  }
}

/** Bytes up to and with the last line break. */
async function endOfLastLine(handle: FileHandle, size: number): Promise<number> {
  const piece = Buffer.alloc(pieceBytes);
  for (let end = size; end > 0; end -= pieceBytes) {
    const start = Math.max(0, end - pieceBytes);
    const { bytesRead } = await handle.read(piece, 0, end - start, start);
    const found = piece.lastIndexOf(lineFeed, bytesRead - 1);
    if (found >= 0 && bytesRead > 0) return start + found + 1;
  }
  return 0;
}

const lineFeed = 10;
const pieceBytes = 65_536;

function isJson(bytes: Uint8Array): boolean {
  try {
    JSON.parse(Buffer.from(bytes).toString("utf8"));
    return true;
  } catch {
    return false;
  }
}
