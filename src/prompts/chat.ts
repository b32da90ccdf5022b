/**
 * @file Base and instruct models: how the prompt of a question reaches each, and where an instruct model's turn ends.
 *
 * A base model reads the protocol's prompt as it is, after the token that begins its texts, if it has one. An instruct model reads it as
 * a user's message through its chat template; everything that follows, searches and passages included, stands in the one assistant's
 * turn that the template opens (as in the released code of Search-R1).
 */
import { UserError } from "../errors.js";
import type { ChatMessage, ChatTemplate, TemplateVariables, Tokenizer } from "../types.js";
import type { Protocol, TagPair } from "./protocol.js";

/** `auto`: where the model has a chat template and the protocol's prompt is an instruction. */
export type ChatMode = "auto" | "always" | "never";

/** What a row begins with. */
export interface Prompt {
  text: string;
  tokens_T: number[];
}

/**
 * Whether prompts go through the model's chat template.
 * @throws UserError for `always` when the model has none
 */
export function usesChat(mode: ChatMode, protocol: Protocol, tokenizer: Tokenizer): boolean {
  if (mode === "always" && tokenizer.chatTemplate === undefined) {
    throw new UserError(
      "rollout.chat is always, but the model has no chat template (neither chat_template.jinja nor chat_template in tokenizer_config.json): it is a base model, or the file was not copied. Set rollout.chat=auto, or put the template beside tokenizer.json.",
    );
  }
  return mode === "always" || (mode === "auto" && protocol.chat && tokenizer.chatTemplate !== undefined);
}

const told = new WeakMap<Tokenizer, Map<string, Tokenizer>>();

/** The tokenizer with a chat template that is always told `variables`; made once for each, since much is prepared per tokenizer. */
export function withTemplateVariables(tokenizer: Tokenizer, variables: TemplateVariables): Tokenizer {
  const { chatTemplate: template } = tokenizer;
  if (template === undefined || Object.keys(variables).length === 0) return tokenizer;
  const made = told.get(tokenizer) ?? new Map<string, Tokenizer>();
  told.set(tokenizer, made);
  const key = JSON.stringify(variables);
  const known = made.get(key);
  if (known !== undefined) return known;
  const { vocabSize, eosIds, padId, specialTokens, startIds } = tokenizer;
  const chatTemplate: ChatTemplate = {
    source: template.source,
    render: (messages, options) =>
      template.render(messages, { ...options, variables: { ...variables, ...options.variables } }),
  };
  const bound: Tokenizer = {
    ...{ vocabSize, eosIds, padId, specialTokens, startIds, chatTemplate },
    encode: (text) => tokenizer.encode(text),
    decode: (tokens) => tokenizer.decode(tokens),
  };
  made.set(key, bound);
  return bound;
}

/**
 * What a prompt ends with of a thought: its opening tag, or a thought without words; empty for most. Chat templates of reasoning models
 * write either where the assistant begins.
 */
export function begunThought(prompt: string, [open, close]: TagPair): string {
  const text = prompt.trimEnd();
  if (text.endsWith(open)) return open;
  if (!text.endsWith(close)) return "";
  const thought = text.slice(text.lastIndexOf(open));
  return thought.startsWith(open) && thought.slice(open.length, -close.length).trim() === "" ? thought : "";
}

/**
 * A prompt as the model reads it.
 * @param prompt what the protocol says, the question in it sanitized
 * @param options.noStartToken a base model's prompt does not get the token that begins its texts (faithful mode)
 * @throws UserError as `usesChat` does, and when the template refuses a conversation of one user's message or leaves the message out
 */
export function makePrompt(
  prompt: string,
  tokenizer: Tokenizer,
  options: { mode: ChatMode; protocol: Protocol; noStartToken?: boolean },
): Prompt {
  if (usesChat(options.mode, options.protocol, tokenizer)) {
    const template = tokenizer.chatTemplate as ChatTemplate;
    // The template writes the token that begins a text, or the model wants none here: nothing is added.
    const text = template.render([{ role: "user", content: prompt }], { addGenerationPrompt: true });
    if (!text.includes(prompt.trim())) {
      throw new UserError(
        "The model's chat template does not write the user's message: the model would never read the question. Such templates expect " +
          "messages in parts, with images, or rewrite their text. Set rollout.chat=never to give the model the bare prompt, or mend the template.",
      );
    }
    return { text, tokens_T: tokenizer.encode(text) };
  }
  const tokens_T = tokenizer.encode(prompt);
  const startIds = options.noStartToken ? [] : (tokenizer.startIds ?? []);
  if (startIds.length === 0 || startIds.every((id, index) => tokens_T[index] === id)) return { text: prompt, tokens_T };
  return { text: tokenizer.decode(startIds) + prompt, tokens_T: [...startIds, ...tokens_T] };
}

/** Ids that end an assistant's turn by the model's chat template, such as that of `<|im_end|>`; none for a model without one. */
export function endOfTurnIds({ specialTokens, chatTemplate }: ChatFacts): readonly number[] {
  const ends = probe(chatTemplate).complete.map((text) => endOfTurn(text, specialTokens));
  return [...new Set(ends.filter((id) => id !== undefined))];
}

/** `<|im_start|>`, `[INST]`, `<<SYS>>` */
const marker = /<<\/?\w+>>|<\/?[|｜]?[\w▁:-]+[|｜]?>|\[\/?[\p{L}_]+\]/gu;

/** The bracketed words that the model's chat template writes around messages, special tokens or not: data must not hold them. */
export function chatMarkers({ chatTemplate }: Pick<ChatFacts, "chatTemplate">): readonly string[] {
  const { complete, open } = probe(chatTemplate);
  return [...new Set([...complete, ...open].flatMap((text) => text.match(marker) ?? []))];
}

type ChatFacts = Pick<Tokenizer, "specialTokens" | "chatTemplate">;

/** What a template makes of conversations whose words are known. */
interface Probe {
  /** Ends after the assistant's message. */
  complete: readonly string[];
  /** Ends where the assistant begins another. */
  open: readonly string[];
}

const probed = new WeakMap<ChatTemplate, Probe>();
const conversations: readonly (readonly ChatMessage[])[] = [
  [
    { role: "system", content: "sleuthsystem" },
    { role: "user", content: "sleuthuser" },
    { role: "assistant", content: "sleuthassistant" },
  ],
  [
    { role: "user", content: "sleuthuser" },
    { role: "assistant", content: "sleuthassistant" },
  ],
];

function probe(template: ChatTemplate | undefined): Probe {
  if (template === undefined) return { complete: [], open: [] };
  const known = probed.get(template);
  if (known !== undefined) return known;
  const render = (addGenerationPrompt: boolean): string[] =>
    conversations.map((conversation) => rendering(template, conversation, addGenerationPrompt));
  const result = { complete: render(false), open: render(true) };
  probed.set(template, result);
  return result;
}

/** Empty where the template refuses the conversation: many refuse a system's message. */
function rendering(template: ChatTemplate, messages: readonly ChatMessage[], addGenerationPrompt: boolean): string {
  try {
    return template.render(messages, { addGenerationPrompt });
  } catch (error) {
    if (error instanceof UserError) return "";
    throw error;
  }
}

/** The special token right after the assistant's words, white space aside. */
function endOfTurn(text: string, specialTokens: ReadonlyMap<string, number>): number | undefined {
  const words = "sleuthassistant";
  const start = text.lastIndexOf(words);
  if (start < 0) return undefined;
  const rest = text.slice(start + words.length).trimStart();
  const candidates = [...specialTokens.keys()].filter((token) => token !== "" && rest.startsWith(token));
  const longest = candidates.sort((a, b) => b.length - a.length)[0];
  return longest === undefined ? undefined : specialTokens.get(longest);
}
