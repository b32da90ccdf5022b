/** @file What the policy gets to read of a search: whole passages, sanitized, within a budget of tokens. */
import type { Sanitizer } from "../prompts/sanitize.js";
import type { Protocol } from "../prompts/protocol.js";
import { renderObservation } from "../prompts/render.js";
import type { Passage, Tokenizer } from "../types.js";

/**
 * No tokenizer's tokens are this long on average, whatever the text (English has 4). What is longer in proportion cannot fit, and is left out
 * before anything is done with it: documents of many megabytes come from the open web. UTF-16 units.
 */
const charactersPerToken = 32;

/** Passages as they are shown, in a block of text. */
interface Shown {
  text: string;
  tokens_T: number[];
  /** The passages shown, as the engine gave them. */
  passages: Passage[];
  /** Of the first `most` passages, those left out whole: too long, or impossible to make harmless. */
  omittedPassages: number;
  /** Places sanitized in the passages found, shown or not; those far too long to be shown are not looked through. */
  sanitized: number;
}

interface ShowOptions {
  tokenizer: Tokenizer;
  sanitizer: Sanitizer;
  /** Most tokens of the block. */
  maxTokens: number;
  /** Most passages to show; those behind them stand in for what does not fit. Default: all that were found. */
  most?: number;
  /** The block with these passages in it, possibly none. */
  render: (shown: readonly ShownPassage[]) => Block;
  /** Faithful mode: a block that is too long is cut, instead of leaving passages out. */
  cut?: boolean;
}

type ShownPassage = Pick<Passage, "title" | "text">;

interface Block {
  text: string;
  tokens_T: number[];
}

/** The observation of the passages found. Null when not even the empty block fits. */
export function makeObservation(
  found: readonly Passage[],
  options: Omit<ShowOptions, "render"> & { protocol: Protocol },
): Shown | null {
  const { protocol, tokenizer } = options;
  return showPassages(found, {
    ...options,
    render: (shown) => {
      const text = renderObservation(protocol, shown);
      return { text, tokens_T: tokenizer.encode(text) };
    },
  });
}

/**
 * The passages found, best first. One that does not fit is left out whole and the next one that fits is taken, so the block is always
 * closed. Null when not even the block without passages fits.
 */
export function showPassages(found: readonly Passage[], options: ShowOptions): Shown | null {
  const { most = found.length, sanitizer } = options;
  const longest = options.maxTokens * charactersPerToken;
  let sanitized = 0;
  const cleaned = ({ passage, ...given }: CleanPassage): CleanPassage => {
    const title = sanitizer.sanitize(given.title);
    const text = sanitizer.sanitize(given.text);
    sanitized += title.count + text.count;
    return { passage, title: title.text, text: text.text };
  };
  const first = found.slice(0, most);
  const finish = (shown: readonly CleanPassage[], block: Block, spares = 0): Shown => ({
    ...block,
    passages: shown.map(({ passage }) => passage),
    omittedPassages: first.length - (shown.length - spares),
    sanitized,
  });

  const clean = ofLength(first, longest, options.cut).map(cleaned);
  const mayStandIn = clean.length < first.length && found.length > most;
  const whole = mayStandIn ? null : fit(clean, options, options.cut ? Infinity : options.maxTokens);
  if (whole !== null) {
    if (whole.tokens_T.length <= options.maxTokens) return finish(clean, whole);
    const block = cutBlock(whole, options);
    return finish(begunIn(block.text.length, clean, options), block);
  }
  let shown: CleanPassage[] = [];
  let block = fit(shown, options);
  if (block === null) return null;
  let spares = 0;
  for (const [index, candidate] of [...clean, ...ofLength(found.slice(most), longest)].entries()) {
    if (shown.length === most) break;
    const isSpare = index >= clean.length;
    const passage = isSpare ? cleaned(candidate) : candidate;
    const larger = fit([...shown, passage], options);
    if (larger === null) continue;
    shown = [...shown, passage];
    block = larger;
    if (isSpare) spares++;
  }
  return finish(shown, block, spares);
}

/** The passages that could fit; with `cut`, their beginnings that could. */
function ofLength(found: readonly Passage[], longest: number, cut = false): CleanPassage[] {
  return found
    .filter(({ title, text }) => cut || title.length + text.length <= longest)
    .map((passage) => ({ passage, title: passage.title.slice(0, longest), text: passage.text.slice(0, longest) }));
}

interface CleanPassage extends ShownPassage {
  passage: Passage;
}

/** The block with these passages, or null when it is too long or holds structure that the templates did not put there. */
function fit(
  shown: readonly CleanPassage[],
  { render, sanitizer, tokenizer, ...options }: ShowOptions,
  maxTokens = options.maxTokens,
): Block | null {
  const block = render(shown);
  if (block.tokens_T.length > maxTokens) return null;
  const bare = render(shown.map(() => ({ title: "", text: "" })));
  // Each passage is clean by itself; this catches a tag that forms where two of them, or passage and template, meet.
  if (sanitizer.countTags(block.text) !== sanitizer.countTags(bare.text)) return null;
  const specials = new Set(tokenizer.specialTokens.values());
  const count = ({ tokens_T }: Block): number => tokens_T.filter((token) => specials.has(token)).length;
  if (count(block) !== count(bare)) return null;
  // What the tokenizer makes of it is what the model reads: bytes spelled out, or word pieces, may come together to a tag.
  const read = tokenizer.decode(block.tokens_T);
  if (read === block.text) return block;
  return sanitizer.countTags(read) === sanitizer.countTags(tokenizer.decode(bare.tokens_T)) ? block : null;
}

/** The first tokens of a block; its closing tag is lost, as in Search-R1's code (generation.py:77-91). */
function cutBlock({ tokens_T }: Block, { tokenizer, maxTokens }: ShowOptions): Block {
  const kept_T = tokens_T.slice(0, maxTokens);
  return { text: tokenizer.decode(kept_T), tokens_T: kept_T };
}

/** The passages that begin within the first `length` characters of the block. */
function begunIn(length: number, clean: readonly CleanPassage[], { render }: ShowOptions): CleanPassage[] {
  const whole = render(clean).text;
  return clean.filter((_, index) => {
    // The passage begins where the block first differs from the block with another passage in its place.
    const other = render(clean.map((passage, place) => (place === index ? { title: "\0", text: "\0" } : passage))).text;
    let start = 0;
    while (start < other.length && whole[start] === other[start]) start++;
    return start < length;
  });
}
