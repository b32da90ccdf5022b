/**
 * @file Where an assistant's message ends, by the text of a chat template: the stops of a turn. Some templates write nothing there but the token with
 * which the next message begins: a policy that samples it has ended its turn and begun the next one.
 */
import type { Tokenizer } from "../types.js";
import { endOfTurnIds } from "./chat.js";

/** Tokens with which models of the known families end their turns; a template that does not hold one never writes it. */
const closing = [
  // ChatML (Qwen, SmolLM, LFM, Nemotron, Kimi), Llama, DeepSeek, Mistral, Gemma, Phi, Cohere, Idefics, MiniMax
  ...["<|im_end|>", "<|endoftext|>", "<|eot_id|>", "<|eom_id|>", "<|end_of_text|>", "<｜end▁of▁sentence｜>", "</s>"],
  ...["<end_of_turn>", "<turn|>", "<|end|>", "<|END_OF_TURN_TOKEN|>", "<end_of_utterance>", "[e~[", "<|eot|>"],
  // gpt-oss: after a call, after an answer
  ...["<|call|>", "<|return|>"],
];
/** Tokens that end a turn and begin what follows it: GLM's roles, Gemma 4's results. */
const opening = ["<|observation|>", "<|user|>", "<|tool_response>"];

export interface TurnEnds {
  /** Every text that may end an assistant's message. */
  texts: readonly string[];
  /** Those of them that are the first token of what follows. */
  opening: ReadonlySet<string>;
}

/**
 * The ends of turns in a template.
 * @param source the template's text
 * @param more texts that end one besides, such as the end of text that the template writes by a variable
 */
export function turnEnds(source: string, more: readonly string[] = []): TurnEnds {
  const texts = [...closing, ...opening].filter((text) => source.includes(text));
  return { texts: [...new Set([...texts, ...more])].filter(Boolean), opening: new Set(opening) };
}

/** The ends of an assistant's turns for a model: by its template, and by its files. */
export function turnEndsOf(tokenizer: Tokenizer): TurnEnds {
  const ids = [...tokenizer.eosIds, ...endOfTurnIds(tokenizer)];
  const ends = turnEnds(
    tokenizer.chatTemplate?.source ?? "",
    ids.map((id) => tokenizer.decode([id])),
  );
  return {
    ...ends,
    texts: ends.texts.filter((text) => tokenizer.specialTokens.has(text) || ids.includes(tokenizer.encode(text)[0])),
  };
}
