/**
 * @file Texts and pairs as an encoder reads them: token ids with what the model's tokenizer puts around them, cut to a length. The ids
 * are those of Hugging Face's tokenizers with `truncation=True` (golden numbers in `testdata/`). And which texts go through a model together.
 */
import { limitedTokenizer, type LimitedTokenizer } from "../../engine/io/limited-tokenizer.js";
import { UserError } from "../../errors.js";

/** One text, ready for a model. */
export interface TokenizedText {
  ids: number[];
  /** 0, or 1 for the second text of a pair where the model tells them apart. */
  types: number[];
}

/** Characters of a text that are looked at first, for each token that is wanted; few texts have longer tokens. */
const charactersPerToken = 12;

export class TextTokenizer {
  readonly #inner: LimitedTokenizer;
  readonly #template: Template;

  /**
   * @param json the parsed `tokenizer.json`
   * @throws UserError naming `source` when it cannot be used
   */
  constructor(json: object, source = "tokenizer.json") {
    this.#template = readTemplate((json as { post_processor?: unknown }).post_processor, source);
    this.#inner = open(json, source);
  }

  /** A text of at most `maxTokens` tokens, those around it included; the end is cut off. */
  text(text: string, maxTokens: number): TokenizedText {
    const room = Math.max(0, maxTokens - addedBy(this.#template.single));
    return fill(this.#template.single, [this.#firstTokens(text, room).slice(0, room)]);
  }

  /** How many of a text's tokens are those of its beginning `prefix` and what stands before it: the prefix alone, without what the tokenizer puts at the end. */
  prefixLength(prefix: string, maxTokens: number): number {
    const { single } = this.#template;
    const { ids } = this.text(prefix, maxTokens);
    return ids.length - (single.length - 1 - single.findIndex((item) => "text" in item));
  }

  /** A pair of at most `maxTokens` tokens; the longer of the two is cut first ("longest_first"). */
  pair(first: string, second: string, maxTokens: number): TokenizedText {
    const room = Math.max(0, maxTokens - addedBy(this.#template.pair));
    const [a, b] = [this.#firstTokens(first, room), this.#firstTokens(second, room)];
    const [keepA, keepB] = shares(a.length, b.length, room);
    return fill(this.#template.pair, [a.slice(0, keepA), b.slice(0, keepB)]);
  }

  /**
   * At least the first `count` tokens. Looks at a beginning of the text that grows until it holds more than enough of them, so that a text of
   * megabytes costs as much as its first page. Beginnings end at spaces, where tokens end too.
   */
  #firstTokens(text: string, count: number): number[] {
    for (let length = Math.max(1024, count * charactersPerToken); ; length *= 4) {
      const isWhole = length >= text.length;
      const beginning = isWhole ? text : text.slice(0, endAtSpace(text, length));
      const ids = this.#inner.encode(beginning, { add_special_tokens: false });
      // What is cut in the middle of a word may be tokenized otherwise: the last tokens do not count.
      if (isWhole || ids.length >= count + 16) return ids;
    }
  }
}

/** A `tokenizer.json` that makes texts lower case before whatever else it does to them, where it does not already. */
export function lowerCased(json: Record<string, unknown>): object {
  const { normalizer } = json as { normalizer?: Normalizer | null };
  if (isLowering(normalizer)) return json;
  const others = normalizer?.normalizers ?? (normalizer ? [normalizer] : []);
  return { ...json, normalizer: { type: "Sequence", normalizers: [{ type: "Lowercase" }, ...others] } };
}

interface Normalizer {
  type: string;
  lowercase?: boolean;
  normalizers?: Normalizer[];
}

function isLowering(normalizer: Normalizer | null | undefined): boolean {
  if (normalizer === null || normalizer === undefined) return false;
  const { type, lowercase, normalizers = [] } = normalizer;
  return type === "Lowercase" || (type === "BertNormalizer" && lowercase === true) || normalizers.some(isLowering);
}

/** The nearest white space from `length` on, unless that is far away. */
function endAtSpace(text: string, length: number): number {
  for (let end = length; end < Math.min(text.length, length + 200); end++) if (/\s/u.test(text[end])) return end;
  // Not between the halves of a surrogate pair.
  const code = text.charCodeAt(length);
  return code >= 0xdc00 && code <= 0xdfff ? length + 1 : length;
}

function addedBy(template: readonly TemplateItem[]): number {
  return template.filter((item) => "id" in item).length;
}

function fill(template: readonly TemplateItem[], texts: readonly number[][]): TokenizedText {
  const ids: number[] = [];
  const types: number[] = [];
  for (const item of template) {
    for (const id of "id" in item ? [item.id] : (texts[item.text] ?? [])) {
      ids.push(id);
      types.push(item.type);
    }
  }
  return { ids, types };
}

/** How many tokens of each are kept: the strategy "longest_first" of Hugging Face's tokenizers, to the token. */
function shares(a: number, b: number, room: number): [number, number] {
  if (a + b <= room) return [a, b];
  const [short, long] = [Math.min(a, b), Math.max(Math.min(a, b), room - Math.min(a, b))];
  const half = Math.floor(room / 2);
  const [keepShort, keepLong] = short + long > room ? [half, half + (room % 2)] : [short, long];
  return a > b ? [keepLong, keepShort] : [keepShort, keepLong];
}

function open(json: object, source: string): LimitedTokenizer {
  const { model } = json as { model?: { type?: string; vocab?: unknown } };
  if (model?.vocab === undefined)
    throw new UserError(`${source} has no model vocabulary. Is it a Hugging Face tokenizer.json?`);
  // Unigram models (SentencePiece) take a run of unknown characters for one token.
  const isUnigram = model.type === "Unigram" || Array.isArray(model.vocab);
  return limitedTokenizer(isUnigram ? { ...json, model: { ...model, fuse_unk: true } } : json, source);
}

/** A special token, or the place of the first (0) or second (1) text; with the token type of what stands there. */
type TemplateItem = { id: number; type: number } | { text: 0 | 1; type: number };

/** What a tokenizer puts around a text or a pair: the post-processor of `tokenizer.json`, as lists of ids. */
interface Template {
  single: TemplateItem[];
  pair: TemplateItem[];
}

interface PostProcessor {
  type: string;
  processors?: PostProcessor[];
  single?: TemplatePiece[];
  pair?: TemplatePiece[];
  special_tokens?: Record<string, { ids: number[] }>;
  cls?: [string, number];
  sep?: [string, number];
}

type TemplatePiece =
  { SpecialToken: { id: string; type_id: number } } | { Sequence: { id: "A" | "B"; type_id: number } };

/**
 * Reads the post-processor; without one nothing is put around texts.
 * @throws UserError for a kind that is not known
 */
function readTemplate(processor: unknown, source: string): Template {
  if (processor === null || processor === undefined) return bare;
  const { type, ...fields } = processor as PostProcessor;
  const [cls, sep] = [fields.cls?.[1], fields.sep?.[1]];
  switch (type) {
    case "TemplateProcessing":
      return { single: pieces(fields, fields.single), pair: pieces(fields, fields.pair) };
    case "BertProcessing":
      return around(cls!, sep!, [{ id: sep!, type: 0 }], 1);
    case "RobertaProcessing":
      return around(
        cls!,
        sep!,
        [0, 1].map(() => ({ id: sep!, type: 0 })),
        0,
      );
    case "ByteLevel":
      return bare;
    case "Sequence":
      // At most one of them adds tokens.
      return (
        fields.processors?.map((inner) => readTemplate(inner, source)).find((template) => template !== bare) ?? bare
      );
    default:
      throw new UserError(
        `${source}: the post-processor "${type}" is not supported. Use a tokenizer.json with TemplateProcessing, BertProcessing or RobertaProcessing.`,
      );
  }
}

const bare: Template = {
  single: [{ text: 0, type: 0 }],
  pair: [
    { text: 0, type: 0 },
    { text: 1, type: 0 },
  ],
};

function around(cls: number, sep: number, between: TemplateItem[], secondType: number): Template {
  const single: TemplateItem[] = [
    { id: cls, type: 0 },
    { text: 0, type: 0 },
    { id: sep, type: 0 },
  ];
  const pair = [
    ...single.slice(0, 2),
    ...between,
    { text: 1 as const, type: secondType },
    { id: sep, type: secondType },
  ];
  return { single, pair };
}

function pieces({ special_tokens = {} }: Partial<PostProcessor>, list: TemplatePiece[] = []): TemplateItem[] {
  return list.flatMap((piece): TemplateItem[] => {
    if ("Sequence" in piece) return [{ text: piece.Sequence.id === "A" ? 0 : 1, type: piece.Sequence.type_id }];
    const { id, type_id } = piece.SpecialToken;
    return (special_tokens[id]?.ids ?? []).map((token) => ({ id: token, type: type_id }));
  });
}

/**
 * Puts rows of like length together: padding costs as much as text.
 * @param lengths tokens of each row
 * @param maxTokens most tokens of a batch, padding included; a longer row is a batch of its own
 * @returns for each batch the places of its rows among all
 */
export function batchesOf(lengths: readonly number[], maxTokens: number): number[][] {
  const order = lengths.map((_, row) => row).sort((a, b) => lengths[b] - lengths[a] || a - b);
  const batches: number[][] = [];
  let batch: number[] = [];
  for (const row of order) {
    // The first row is the longest, and all are padded to it.
    if (batch.length > 0 && (batch.length + 1) * lengths[batch[0]] > maxTokens) {
      batches.push(batch);
      batch = [];
    }
    batch.push(row);
  }
  if (batch.length > 0) batches.push(batch);
  return batches;
}
