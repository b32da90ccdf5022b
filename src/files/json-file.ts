/** @file The one reader of JSON in files: errors say which file, what is wrong with it, and what to do. */
import { readFile } from "node:fs/promises";
import type { z } from "zod";
import { UserError } from "../errors.js";
import { requireRegular } from "./regular.js";

/** A JSON object. */
export type Json = Record<string, unknown>;

const usualAdvice = "Copy it again from the model's source.";

/** No file that is read here nests deeper than a dozen levels. What does could exhaust the stack of everything that walks through it. */
const mostLevels = 100;

/**
 * The object in a file.
 * @param advice why the file is needed and where to get it
 * @throws UserError when the file cannot be read or holds no JSON object
 */
export async function readRequiredJson(file: string, advice: string): Promise<Json> {
  return objectIn(await readRequiredText(file, advice), file);
}

/** Undefined when there is no such file. */
export async function readOptionalJson(file: string): Promise<Json | undefined> {
  const text = await readOptionalText(file);
  return text === undefined ? undefined : objectIn(text, file);
}

/**
 * The value in a file, which must be as `schema` says.
 * @param advice what to do about a file that is not
 * @throws UserError naming the file and the first field that is wrong
 */
export async function readJsonAs<T>(file: string, schema: z.ZodType<T>, advice: string): Promise<T> {
  return parseJsonAs(await readRequiredText(file, advice), file, schema, advice);
}

/** The same; undefined when there is no such file. */
export async function readOptionalJsonAs<T>(
  file: string,
  schema: z.ZodType<T>,
  advice: string,
): Promise<T | undefined> {
  const text = await readOptionalText(file);
  return text === undefined ? undefined : parseJsonAs(text, file, schema, advice);
}

/** The same of a text that `source` names in messages. */
export function parseJsonAs<T>(text: string, source: string, schema: z.ZodType<T>, advice: string): T {
  const parsed = schema.safeParse(parseJson(text, source, advice));
  if (parsed.success) return parsed.data;
  throw new UserError(`${source} is damaged: ${firstIssue(parsed.error)}. ${advice}`);
}

/** The first field that a schema refuses, and why. */
export function firstIssue({ issues: [{ path, message }] }: z.ZodError): string {
  return `field "${path.join(".") || "(the whole file)"}": ${message}`;
}

/**
 * JSON of bounded depth.
 * @param source names the text in messages
 * @throws UserError
 */
export function parseJson(text: string, source: string, advice = usualAdvice): unknown {
  if (isDeeperThan(text, mostLevels))
    throw new UserError(`${source} is not valid: its JSON is nested deeper than ${mostLevels} levels. ${advice}`);
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new UserError(`${source} is not valid JSON (${(error as Error).message}). ${advice}`, { cause: error });
  }
}

/** Undefined when there is no such file. */
export async function readOptionalText(file: string): Promise<string | undefined> {
  await requireRegular(file);
  return readFile(file, "utf8").catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") return undefined;
    throw new UserError(`Cannot read ${file}: ${error.message}. Check what is there, and its permissions.`, {
      cause: error,
    });
  });
}

async function readRequiredText(file: string, advice: string): Promise<string> {
  await requireRegular(file);
  return readFile(file, "utf8").catch((error: NodeJS.ErrnoException) => {
    throw new UserError(`Cannot read ${file}: ${error.message}. ${advice}`, { cause: error });
  });
}

function objectIn(text: string, file: string): Json {
  const value = parseJson(text, file);
  if (typeof value === "object" && value !== null && !Array.isArray(value)) return value as Json;
  throw new UserError(`${file} does not hold a JSON object. ${usualAdvice}`);
}

const [quote, backslash, openList, closeList, openObject, closeObject] = [34, 92, 91, 93, 123, 125];

/** Whether lists and objects of a JSON text stand inside each other in more than `most` levels. */
export function isDeeperThan(text: string, most: number): boolean {
  let depth = 0;
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (code === quote) at = endOfString(text, at);
    else if (code === openList || code === openObject) {
      if (++depth > most) return true;
    } else if (code === closeList || code === closeObject) depth--;
  }
  return false;
}

/** The place of the quote that ends the string that begins at `start`; the text's end where none does. */
function endOfString(text: string, start: number): number {
  for (let end = text.indexOf('"', start + 1); end >= 0; end = text.indexOf('"', end + 1)) {
    let slashes = 0;
    while (text.charCodeAt(end - 1 - slashes) === backslash) slashes++;
    if (slashes % 2 === 0) return end;
  }
  return text.length;
}
