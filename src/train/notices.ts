/** @file What a run says before it begins: what was measured, and settings that fit together but most likely are a mistake. */
import { buildAtlas } from "../data/atlas/atlas.js";
import { protocolFor } from "../prompts/protocol.js";
import type { Question, Tokenizer } from "../types.js";
import type { Config } from "./config/config.js";
import type { OpenedSearch } from "./parts.js";

/** Something to know that does not stop the work. A warning asks for a decision, a note does not. */
export interface Notice {
  kind: "note" | "warning";
  message: string;
}

export type OnNotice = (notice: Notice) => void;

/** Where nobody listens: warnings go where Node's own go (stderr, once each, silent under `--no-warnings`), and notes nowhere. */
export const noticeToProcess: OnNotice = ({ kind, message }) => {
  if (kind === "warning") process.emitWarning(message, "SleuthWarning");
};

/** How many questions or passages are looked at to know whose they are; one question alone says nothing. */
const looks = 8;

function areBuiltIn(questions: readonly Question[]): boolean {
  return questions.slice(0, looks).every(({ source }) => source?.startsWith("atlas-"));
}

/**
 * Built-in questions over passages of the user's, or the other way round: most likely a setting was forgotten. Null where they belong together,
 * or nobody can say.
 */
export async function mismatch(
  { data }: Pick<Config, "data">,
  questions: readonly Question[],
  { passages, isBuiltIn }: Pick<OpenedSearch, "passages" | "isBuiltIn">,
): Promise<string | null> {
  const isLocal = isBuiltIn || data.index !== "" || passages !== undefined;
  if (!isLocal || questions.length < 2) return null;
  if (isBuiltIn) {
    return areBuiltIn(questions)
      ? null
      : "The questions are yours, but the passages are the built-in world's. Give yours with --corpus, --index or --search-url (data.corpus, data.index, search.url).";
  }
  if (!areBuiltIn(questions)) return null;
  // An index may have been made of the built-in world.
  const known = new Set(buildAtlas({ seed: data.worldSeed }).passages.map(({ text }) => text));
  const some = passages === undefined ? [] : await passages.read(numbers(Math.min(looks, passages.count)));
  if (some.some(({ text }) => known.has(text))) return null;
  return "The questions are the built-in world's, but the passages are yours: hardly any answer will stand in them. Give your questions with --questions (data.questions), or leave --index and --corpus out.";
}

function numbers(count: number): number[] {
  return Array.from({ length: count }, (_, number) => number);
}

/** The shipped model, or what was trained from it, on other questions than the built-in world's; null where it is not. */
export function wrongModel(
  { model }: Pick<Config, "model">,
  questions: readonly Question[],
  tokenizer: Tokenizer,
): string | null {
  if (protocolFor(tokenizer) !== "atlas" || areBuiltIn(questions)) return null;
  return (
    `${model.folder} is the model of the built-in world, or was trained from it: it knows a thousand pieces of words and sentences about invented countries, and will not learn ` +
    "to answer other questions. Name a language model with --model (model.folder), for example hf:HuggingFaceTB/SmolLM2-135M-Instruct."
  );
}
