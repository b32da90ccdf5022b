/** @file JSON objects in files, with errors that say which file and what to do. */
import { readFile } from "node:fs/promises";
import { UserError } from "../../errors.js";

export type Json = Record<string, unknown>;

/** @param advice why the file is needed and where to get it */
export async function readRequiredJson(file: string, advice: string): Promise<Json> {
  const text = await readFile(file, "utf8").catch((error: NodeJS.ErrnoException) => {
    throw new UserError(`Cannot read ${file}: ${error.message}. ${advice}`, { cause: error });
  });
  return parseObject(text, file);
}

/** Undefined when there is no such file. */
export async function readOptionalJson(file: string): Promise<Json | undefined> {
  const text = await readOptionalText(file);
  return text === undefined ? undefined : parseObject(text, file);
}

/** Undefined when there is no such file. */
export async function readOptionalText(file: string): Promise<string | undefined> {
  return readFile(file, "utf8").catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") return undefined;
    throw new UserError(`Cannot read ${file}: ${error.message}. Check the file's permissions.`, { cause: error });
  });
}

function parseObject(text: string, file: string): Json {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new UserError(
      `${file} is not valid JSON (${(error as Error).message}). Copy it again from the model's source.`,
      { cause: error },
    );
  }
  if (typeof value === "object" && value !== null && !Array.isArray(value)) return value as Json;
  throw new UserError(`${file} does not hold a JSON object. Copy it again from the model's source.`);
}
