/** @file Whether the parsed `tokenizer.json` of a stranger has the shape that its readers rely on. What its parts mean is the library's business. */
import { z } from "zod";
import { UserError } from "../../errors.js";
import { kindOf } from "../../files/lines.js";
import type { Json } from "../../files/json-file.js";

const id = z.int().nonnegative();

const piece = z.union([
  z.looseObject({ SpecialToken: z.looseObject({ id: z.string(), type_id: id }) }),
  z.looseObject({ Sequence: z.looseObject({ id: z.enum(["A", "B"]), type_id: id }) }),
]);

const postProcessor = z.looseObject({
  type: z.string(),
  single: z.array(piece).optional(),
  pair: z.array(piece).optional(),
  special_tokens: z.record(z.string(), z.looseObject({ ids: z.array(id) })).optional(),
  cls: z.tuple([z.string(), id]).optional(),
  sep: z.tuple([z.string(), id]).optional(),
  get processors() {
    return z.array(postProcessor).optional();
  },
});

/** Parts with a kind, alone or in sequences. */
const part = z.looseObject({
  type: z.string(),
  get normalizers() {
    return z.array(part).optional();
  },
  get pretokenizers() {
    return z.array(part).optional();
  },
  get decoders() {
    return z.array(part).optional();
  },
});

const schema = z.looseObject({
  model: z.looseObject({ type: z.string().optional() }),
  added_tokens: z.array(z.looseObject({ id, content: z.string() })).nullish(),
  post_processor: postProcessor.nullish(),
  normalizer: part.nullish(),
  pre_tokenizer: part.nullish(),
  decoder: part.nullish(),
});

/**
 * @param source names the file in messages
 * @throws UserError naming the first field that is wrong
 */
export function checkTokenizerJson(json: object, source: string): void {
  const parsed = schema.safeParse(json);
  if ((json as { model?: Json | null }).model?.vocab === undefined)
    throw new UserError(`${source} has no model vocabulary. Is it a Hugging Face tokenizer.json?`);
  const [issue] = parsed.error?.issues ?? [];
  const wrong = issue
    ? `"${issue.path.join(".")}": ${issue.message}`
    : wrongVocabulary((json as { model: Json }).model);
  if (wrong === undefined) return;
  throw new UserError(
    `${source} cannot be used: field ${wrong}. Is it a Hugging Face tokenizer.json? Copy it again from the model's source.`,
  );
}

/** By hand: vocabularies have hundreds of thousands of entries. */
function wrongVocabulary({ vocab, merges }: Json): string | undefined {
  if (typeof vocab !== "object" || vocab === null) return '"model.vocab": it is no vocabulary';
  if (Array.isArray(vocab)) {
    const isPiece = (entry: unknown): boolean => isPair(entry, "string") && typeof (entry as unknown[])[1] === "number";
    if (!vocab.every(isPiece)) return '"model.vocab": a piece is no text with a score';
  } else {
    for (const value of Object.values(vocab))
      if (!Number.isSafeInteger(value) || (value as number) < 0) return `"model.vocab": ${kindOf(value)} that is no id`;
  }
  if (merges === undefined || merges === null) return undefined;
  const isMerge = (merge: unknown): boolean =>
    typeof merge === "string" || (isPair(merge, "string") && typeof (merge as unknown[])[1] === "string");
  return Array.isArray(merges) && merges.every(isMerge) ? undefined : '"model.merges": a merge is no pair of tokens';
}

function isPair(value: unknown, first: string): boolean {
  return Array.isArray(value) && value.length === 2 && typeof value[0] === first;
}
