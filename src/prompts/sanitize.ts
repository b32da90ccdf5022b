/**
 * @file Retrieved text is data. Here everything in it that the model or its tokenizer could take for structure is made
 * harmless: protocol tags, special tokens and the markers of its chat template in any disguise, control characters, direction marks, invisible
 * characters.
 *
 * 1. Tags are looked for in the text's skeleton (`skeleton.ts`). What is found has its brackets replaced by round ones: a person still reads what
 *    the document said, and the model reads no tag.
 * 2. Of invisible characters (`Default_Ignorable_Code_Point`) those stay that writing needs: joiners between letters of scripts that join (Persian,
 *    the scripts of India), and what makes one emoji of several.
 * 3. What the model's tokenizer makes of the text is the business of `rollout/observation.ts`, which looks at the tokens and at their text.
 */
import type { Tokenizer } from "../types.js";
import { chatMarkers } from "./chat.js";
import type { Protocol } from "./protocol.js";
import { protocolTags } from "./render.js";
import { fold, foldPiece, piecesOf, skeletonOf } from "./skeleton.js";

interface Sanitized {
  text: string;
  /** Places where something was replaced or removed. */
  count: number;
}

export interface Sanitizer {
  sanitize(text: string): Sanitized;
  /** How many protocol tags and special tokens (disguised ones included) the text holds. */
  countTags(text: string): number;
}

/** Controls (all but tab and newline), direction marks and everything else that is not seen. */
const unwanted =
  /(?:\r(?!\n)|[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u009f\u061c\u202a-\u202e\u2066-\u2069\ufff9-\ufffb\p{Default_Ignorable_Code_Point}])+/gu;
const joining = "Arab Syrc Mong Nkoo Deva Beng Guru Gujr Orya Taml Telu Knda Mlym Sinh Khmr Mymr Tibt"
  .split(" ")
  .map((name) => `\\p{scx=${name}}`);
/** Invisible characters with a purpose, each with what must stand around it: joiners, and what makes one emoji of several. */
const needed: readonly { run: RegExp; before: RegExp; after: RegExp }[] = [
  {
    run: /^[\u200c\u200d]$/,
    before: new RegExp(`[${joining.join("")}]$`, "u"),
    after: new RegExp(`^[${joining.join("")}]`, "u"),
  },
  {
    run: /^\ufe0f?\u200d$/,
    before: /[\p{Extended_Pictographic}\p{Emoji_Modifier}]$/u,
    after: /^\p{Extended_Pictographic}/u,
  },
  { run: /^[\ufe0e\ufe0f]$/, before: /\p{Extended_Pictographic}$/u, after: /^/ },
  { run: /^\ufe0f$/, before: /[0-9#*]$/, after: /^\u20e3/ },
];
const loneSurrogates = /[\ud800-\udfff]+/gu;
const roundBracketOf = new Map([
  ["<", "("],
  [">", ")"],
  ["[", "("],
  ["]", ")"],
  ["{", "("],
  ["}", ")"],
]);

/**
 * What begins and ends messages in the chat templates of the model families that Sleuth opens. They count as structure for every model, whether
 * or not its own files list them: base models have read them too, and a fine-tuned model may have lost its template.
 * `<s>` and `</s>` are left to the models that have them: elsewhere they are HTML.
 */
export const knownMarkers: readonly string[] = [
  // ChatML: Qwen, SmolLM and many more.
  ...["<|im_start|>", "<|im_end|>", "<|im_sep|>", "<|endoftext|>", "<tool_call>", "</tool_call>", "<tool_response>"],
  "</tool_response>",
  // Llama 3 and 4
  ...["<|begin_of_text|>", "<|end_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>", "<|eom_id|>"],
  ...["<|python_tag|>", "<|header_start|>", "<|header_end|>", "<|eot|>"],
  // Llama 2, Mistral
  ...["[INST]", "[/INST]", "<<SYS>>", "<</SYS>>", "[SYSTEM_PROMPT]", "[/SYSTEM_PROMPT]", "[AVAILABLE_TOOLS]"],
  ...["[/AVAILABLE_TOOLS]", "[TOOL_CALLS]", "[TOOL_RESULTS]", "[/TOOL_RESULTS]"],
  // Gemma
  ...["<start_of_turn>", "<end_of_turn>", "<bos>", "<eos>"],
  // Phi, Zephyr, DeepSeek and others
  ...["<|system|>", "<|user|>", "<|assistant|>", "<|end|>", "<|begin▁of▁sentence|>", "<|end▁of▁sentence|>", "<|User|>"],
  ...["<|Assistant|>", "<|start|>", "<|message|>", "<|channel|>", "<|return|>"],
];

/** A sanitizer of one protocol and tokenizer; make it once, it prepares its patterns. */
export function makeSanitizer(
  protocol: Protocol,
  tokenizer: Pick<Tokenizer, "specialTokens" | "chatTemplate">,
): Sanitizer {
  const ofModel = [...tokenizer.specialTokens.keys(), ...chatMarkers(tokenizer)];
  const markers = [...protocolTags(protocol), ...ofModel, ...knownMarkers];
  const forbidden = [...new Set(markers)].filter(Boolean);
  const bracketed = forbidden.filter((tag) => [...fold(tag)].some((character) => roundBracketOf.has(character)));
  // A special token without brackets may be an ordinary word: only its exact spelling is one.
  const exact = forbidden.filter((tag) => !bracketed.includes(tag));
  const skeletons = [...new Set(bracketed.map(fold))].sort((a, b) => b.length - a.length);
  const find = (text: string): Range[] => [...findDisguised(text, skeletons), ...findExact(text, exact)];

  return {
    countTags: (text) => matchesIn(fold(text), skeletons).length + findExact(text, exact).length,
    sanitize(text) {
      let count = 0;
      let clean = text
        .replace(loneSurrogates, () => (count++, "\ufffd"))
        .replace(unwanted, (run, place: number, whole: string) => (isNeeded(run, place, whole) ? run : (count++, "")))
        .replaceAll("\r\n", "\n");
      // Rounding brackets, and deleting tokens without any, can make another tag of what stood around. Putting a sign between ends that at once, and
      // deleting in the end, where a tag has that very sign.
      for (let round = 0; ; round++) {
        const ranges = find(clean);
        if (ranges.length === 0) return { text: clean, count };
        count += ranges.length;
        clean = replaceRanges(clean, ranges, round < 2 ? roundBrackets : () => (round < 4 ? "\ufffd" : ""));
      }
    },
  };
}

/** Half-open, in UTF-16 units of the text. */
interface Range {
  start: number;
  end: number;
}

/** Where skeletons stand in a folded text, leftmost first, longest first. */
function matchesIn(folded: string, skeletons: readonly string[]): { index: number; length: number }[] {
  const matches: { index: number; length: number }[] = [];
  // Most texts hold no tag at all: the built-in search says so much faster than a walk.
  const present = skeletons.filter((skeleton) => folded.includes(skeleton));
  if (present.length === 0) return matches;
  const firsts = new Set(present.map((skeleton) => skeleton[0]));
  for (let index = 0; index < folded.length; index++) {
    if (!firsts.has(folded[index])) continue;
    const length = present.find((skeleton) => folded.startsWith(skeleton, index))?.length;
    if (length === undefined) continue;
    matches.push({ index, length });
    index += length - 1;
  }
  return matches;
}

function findDisguised(text: string, skeletons: readonly string[]): Range[] {
  if (matchesIn(fold(text), skeletons).length === 0) return [];
  const { folded, starts, ends } = skeletonOf(text);
  return matchesIn(folded, skeletons).map(({ index, length }) => ({
    start: starts[index],
    end: ends[index + length - 1],
  }));
}

function findExact(text: string, tags: readonly string[]): Range[] {
  const ranges: Range[] = [];
  for (const tag of tags) {
    for (let start = text.indexOf(tag); start >= 0; start = text.indexOf(tag, start + tag.length)) {
      ranges.push({ start, end: start + tag.length });
    }
  }
  return ranges;
}

/** Replaces ranges from left to right; one that overlaps an earlier one waits for the next round. */
function replaceRanges(text: string, ranges: readonly Range[], replace: (match: string) => string): string {
  let result = "";
  let position = 0;
  for (const { start, end } of [...ranges].sort((a, b) => a.start - b.start)) {
    if (start < position) continue;
    result += text.slice(position, start) + replace(text.slice(start, end));
    position = end;
  }
  return result + text.slice(position);
}

/** Whether a run of invisible characters is one that writing needs where it stands. */
function isNeeded(run: string, place: number, text: string): boolean {
  if (run.length > 2) return false;
  // Two units: what stands around may be a surrogate pair.
  const before = text.slice(Math.max(0, place - 2), place);
  const after = text.slice(place + run.length, place + run.length + 2);
  return needed.some((one) => one.run.test(run) && one.before.test(before) && one.after.test(after));
}

/** `</search>` → `(/search)`; a token without brackets disappears. */
function roundBrackets(match: string): string {
  let changed = false;
  const result = piecesOf(match).map((piece) => {
    const round = roundBracketOf.get(foldPiece(piece));
    changed ||= round !== undefined;
    return round ?? piece;
  });
  return changed ? result.join("") : "";
}
