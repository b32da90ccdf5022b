/** @file What the policy gets to read after a search: whole passages, neutralised, within a budget of tokens. */
import type { Neutraliser } from "../prompts/neutralise.js";
import type { Protocol } from "../prompts/protocol.js";
import { renderObservation } from "../prompts/render.js";
import type { Passage, Tokenizer } from "../types.js";

export interface Observation {
  text: string;
  tokens_T: number[];
  /** The passages shown, as the engine gave them. */
  passages: Passage[];
  /** Passages left out whole: too long, or impossible to make harmless. */
  omittedPassages: number;
  /** Places neutralised in the passages found, shown or not. */
  neutralised: number;
}

export interface ObservationOptions {
  protocol: Protocol;
  tokenizer: Tokenizer;
  neutraliser: Neutraliser;
  /** Most tokens of the observation. */
  maxTokens: number;
}

/**
 * The observation of the passages found, best first. A passage that does not fit is left out whole and the next one is
 * tried, so the information block is always closed. Null when not even the empty block fits.
 */
export function makeObservation(found: readonly Passage[], options: ObservationOptions): Observation | null {
  let neutralised = 0;
  const clean = found.map((passage) => {
    const title = options.neutraliser.neutralise(passage.title);
    const text = options.neutraliser.neutralise(passage.text);
    neutralised += title.count + text.count;
    return { passage, title: title.text, text: text.text };
  });
  const finish = (shown: readonly CleanPassage[], block: Block): Observation => ({
    ...block,
    passages: shown.map(({ passage }) => passage),
    omittedPassages: found.length - shown.length,
    neutralised,
  });

  const whole = fit(clean, options);
  if (whole !== null) return finish(clean, whole);
  let shown: CleanPassage[] = [];
  let block = fit(shown, options);
  if (block === null) return null;
  for (const candidate of clean) {
    const larger = fit([...shown, candidate], options);
    if (larger === null) continue;
    shown = [...shown, candidate];
    block = larger;
  }
  return finish(shown, block);
}

interface CleanPassage {
  passage: Passage;
  title: string;
  text: string;
}

interface Block {
  text: string;
  tokens_T: number[];
}

/** The block with these passages, or null when it is too long or holds structure that the templates did not put there. */
function fit(shown: readonly CleanPassage[], options: ObservationOptions): Block | null {
  const { protocol, tokenizer, neutraliser, maxTokens } = options;
  const text = renderObservation(protocol, shown);
  const tokens_T = tokenizer.encode(text);
  if (tokens_T.length > maxTokens) return null;
  // Each passage is clean by itself; this catches a tag that forms where two of them, or passage and template, meet.
  const bare = renderObservation(
    protocol,
    shown.map(() => ({ title: "", text: "" })),
  );
  const sameTags = neutraliser.countTags(text) === neutraliser.countTags(bare);
  const specials = new Set(tokenizer.specialTokens.values());
  const count = (tokens: readonly number[]): number => tokens.filter((token) => specials.has(token)).length;
  return sameTags && count(tokens_T) === count(tokenizer.encode(bare)) ? { text, tokens_T } : null;
}
