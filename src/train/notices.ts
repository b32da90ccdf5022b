/** @file What a run says before it begins: what was measured, and settings that fit together but most likely are a mistake. */
import { buildAtlas } from "../data/atlas/atlas.js";
import { shellWord } from "../printable.js";
import { protocolFor } from "../prompts/protocol.js";
import type { Question, Tokenizer } from "../types.js";
import type { Config } from "./config/config.js";
import type { OpenedSearch } from "./open-search.js";
import { readRunConfig, runAround } from "./run-folder.js";

/** Something to know that does not stop the work. A warning asks for a decision, a note does not. */
export interface Notice {
  kind: "note" | "warning";
  message: string;
}

/** Is told of notices. */
export type OnNotice = (notice: Notice) => void;

/** Without a listener: warnings go where Node's own go (stderr, once each, silent under `--no-warnings`), and notes nowhere. */
export const noticeToProcess: OnNotice = ({ kind, message }) => {
  if (kind === "warning") process.emitWarning(message, "SleuthWarning");
};

/** How many questions or passages are looked at to know whose they are; one question alone says nothing. */
const looks = 8;

type Asked = Pick<Question, "id" | "source">;

function areBuiltIn(questions: readonly Asked[]): boolean {
  return questions.slice(0, looks).every(({ id, source = id }) => /^atlas-(train|validation|test)\b/.test(source));
}

/**
 * Built-in questions over passages of the user's, or the other way round: most likely a setting was forgotten. Null where they belong together,
 * or nobody can say.
 */
export async function mismatch(
  { data }: Pick<Config, "data">,
  questions: readonly Asked[],
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

/** A run's model that would read another prompt than the one it was trained with: most likely a setting was forgotten. Null where it does not. */
export async function otherPrompt({ model, rollout }: Pick<Config, "model" | "rollout">): Promise<string | null> {
  const run = runAround(model.folder);
  // Whoever names a method wants its prompt.
  if (run === undefined || rollout.method !== "search-r1") return null;
  const trained = await readRunConfig(run).then(
    ({ rollout: ofRun }) => ofRun,
    () => undefined,
  );
  // A run whose configuration cannot be read has a model all the same.
  if (trained === undefined) return null;
  const sets = (["method", "protocol", "chat", "context", "templateVariables"] as const).flatMap((key) => {
    const [before, now] = [trained, rollout].map(({ [key]: value }) =>
      typeof value === "string" ? value : JSON.stringify(value),
    );
    return before === now ? [] : [`--set ${shellWord(`rollout.${key}=${before}`)}`];
  });
  if (sets.length === 0) return null;
  return `The model was trained with another prompt than it is given now. As it knows it: ${sets.join(" ")}`;
}

/** Tells of everything that is not null. */
export function warnOf(onNotice: OnNotice, ...messages: readonly (string | null)[]): void {
  for (const message of messages) if (message !== null) onNotice({ kind: "warning", message });
}

/** The shipped model, or what was trained from it, on other questions than the built-in world's; null where it is not. */
export function wrongModel(
  { model }: Pick<Config, "model">,
  questions: readonly Asked[],
  tokenizer: Tokenizer,
): string | null {
  if (protocolFor(tokenizer) !== "atlas" || areBuiltIn(questions)) return null;
  return (
    `${model.folder} is the model of the built-in world, or was trained from it: it knows a thousand pieces of words and sentences about invented countries, and will not learn ` +
    "to answer other questions. Name a language model with --model (model.folder), for example hf:HuggingFaceTB/SmolLM2-135M-Instruct."
  );
}
