/** @file What a tokenizer puts around a text or a pair: the post-processor of `tokenizer.json`, as lists of ids. */
import { UserError } from "../../../errors.js";

/** A special token, or the place of the first (0) or second (1) text; with the token type of what stands there. */
export type TemplateItem = { id: number; type: number } | { text: 0 | 1; type: number };

export interface Template {
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
export function readTemplate(processor: unknown, source: string): Template {
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
