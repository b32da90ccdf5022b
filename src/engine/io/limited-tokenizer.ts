/**
 * @file A stranger's `tokenizer.json` as an encoder with limits. Its regular expressions are programs: some texts can keep them busy for ever,
 * and each replacement can make a text longer. So a text may take some seconds, and a file that could make texts a thousand times as long is
 * refused. Files whose expressions are those of well-known models are spared the clock, which costs 0.08 ms a text.
 */
import { Tokenizer } from "@huggingface/tokenizers";
import { UserError } from "../../errors.js";
import { gpt2Words, unicodeDigit, unicodeDigits, wordsAndDigits } from "./tokenizer-patterns.js";
import { OutOfTime, withTimeLimit } from "./time-limit.js";

/** What one text may take to be encoded or decoded. */
const defaultMs = 5000;

/** How many times as long a text can become. SentencePiece's replacements keep the length; the largest known file stays below 10. */
const mostGrowth = 1000;

/** A tokenizer whose work on one text ends. */
export interface LimitedTokenizer {
  /** @throws UserError when the text takes too long */
  encode(text: string, options: { add_special_tokens: boolean }): number[];
  /** Special tokens included. @throws UserError as `encode` */
  decode(ids: readonly number[]): string;
}

/**
 * @param json the parsed `tokenizer.json`
 * @throws UserError naming `source` when it cannot be used
 */
export function limitedTokenizer(json: object, source: string, milliseconds = defaultMs): LimitedTokenizer {
  const { inner, longer, isQuick } = open(json, source);
  if (longer !== undefined) {
    throw new UserError(
      `${source}: its ${longer} could make a text more than ${mostGrowth} times as long. That is no tokenizer to use; take the file from the model's makers.`,
    );
  }
  const limited = <T>(work: () => T, what: string): T => {
    try {
      return withTimeLimit(milliseconds, work);
    } catch (error) {
      if (!(error instanceof OutOfTime)) throw error;
      throw new UserError(
        `${source}: ${what} was ended, ${error.message}. A regular expression in the file is probably the cause; take the tokenizer.json from the model's makers.`,
        { cause: error },
      );
    }
  };
  const encode: LimitedTokenizer["encode"] = (text, options) =>
    usable(source, () => inner.encode(text, options).ids as number[]);
  const decode: LimitedTokenizer["decode"] = (ids) =>
    usable(source, () => inner.decode([...ids], { skip_special_tokens: false, clean_up_tokenization_spaces: false }));
  return {
    encode: isQuick.encode
      ? encode
      : (text, options) => limited(() => encode(text, options), `encoding a text of ${text.length} characters`),
    decode: isQuick.decode ? decode : (ids) => limited(() => decode(ids), `decoding ${ids.length} tokens`),
  };
}

interface Opened {
  inner: Tokenizer;
  /** The part that makes texts much longer. */
  longer?: string;
  /** Whether no text can take for ever. */
  isQuick: { encode: boolean; decode: boolean };
}

function open(json: object, source: string): Opened {
  try {
    const { normalizer, pre_tokenizer, decoder, model } = json as Partial<Record<string, Part | null>>;
    const longer = Object.entries({ normalizer, pre_tokenizer, decoder }).find(([, part]) => growth(part) > mostGrowth);
    const isQuick = [normalizer, pre_tokenizer].every(isKnown) && isQuickModel(model);
    return {
      inner: new Tokenizer({ ...json, pre_tokenizer: pre_tokenizer && withAllDigits(pre_tokenizer) }, {}),
      longer: longer?.[0],
      isQuick: { encode: isQuick, decode: isKnown(decoder) },
    };
  } catch (cause) {
    throw unusable(source, cause);
  }
}

/** The library finds out that a part of a file is no such part when it first uses it. */
function usable<T>(source: string, work: () => T): T {
  try {
    return work();
  } catch (cause) {
    throw unusable(source, cause);
  }
}

function unusable(source: string, cause: unknown): UserError {
  return new UserError(
    `${source} cannot be used: ${(cause as Error).message}. Copy it again from the model's source; a tokenizer of a kind that is ` +
      "not supported has to be converted there.",
    { cause },
  );
}

/** The library's `Digits` knows 0 to 9 only, but the models that use it were trained with a cut at every digit of Unicode, ² and ½ included. */
function withAllDigits(cutting: Part): object {
  const { type, individual_digits, pretokenizers } = cutting;
  if (type === "Sequence") return { ...cutting, pretokenizers: pretokenizers?.map(withAllDigits) };
  if (type !== "Digits") return cutting;
  const pattern = { Regex: individual_digits === true ? unicodeDigit : unicodeDigits };
  return { type: "Split", pattern, behavior: "Isolated", invert: false };
}

/** A normalizer, pre-tokenizer or decoder, alone or a sequence of them; or a model. */
interface Part {
  type?: string;
  pattern?: { Regex?: string; String?: string };
  content?: string;
  individual_digits?: boolean;
  max_input_chars_per_word?: number;
  normalizers?: Part[];
  pretokenizers?: Part[];
  decoders?: Part[];
}

/** Whether the time grows with the text, whatever is in the vocabulary. */
function isQuickModel(model: Part | null | undefined): boolean {
  const { type = "BPE", max_input_chars_per_word = 100 } = model ?? {};
  return type === "BPE" || type === "WordLevel" || (type === "WordPiece" && max_input_chars_per_word <= 200);
}

const knownPatterns = new Set([
  ...[unicodeDigit, unicodeDigits, gpt2Words],
  ...[unicodeDigit, "\\p{N}{1,3}"].flatMap((digits) => [
    wordsAndDigits(digits),
    wordsAndDigits(digits, "(?i:'s|'t|'re|'ve|'m|'ll|'d)"),
  ]),
]);

function partsOf(part: Part): Part[] {
  return [part.normalizers, part.pretokenizers, part.decoders].flatMap((parts) => parts ?? []);
}

/** Whether all its regular expressions are those of well-known models. */
function isKnown(part: Part | null | undefined): boolean {
  if (part === null || part === undefined) return true;
  const { pattern } = part;
  return (pattern?.Regex === undefined || knownPatterns.has(pattern.Regex)) && partsOf(part).every(isKnown);
}

/** The most times as long as before that a text can be after it. */
function growth(part: Part | null | undefined): number {
  if (part === null || part === undefined) return 1;
  const own = part.type === "Replace" ? growthOfReplacement(part) : 1;
  return partsOf(part).reduce((product, each) => product * growth(each), own);
}

function growthOfReplacement({ pattern, content = "" }: Part): number {
  const { String: text, Regex: expression = "" } = pattern ?? {};
  if (text !== undefined && text !== "") return Math.max(1, content.length / text.length);
  return matchesNothing(expression) ? 1 + content.length : Math.max(1, content.length);
}

/** Whether an expression may match between two characters: look-arounds, anchors, word boundaries, or nothing needed. */
function matchesNothing(expression: string): boolean {
  if (/\(\?|\\[bBAzZG]|[$^]/.test(expression)) return true;
  try {
    return new RegExp(expression, "u").test("");
  } catch {
    return true;
  }
}
