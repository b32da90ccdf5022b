/**
 * @file How a conversation reaches the policy as tokens: through its chat template, or in the tags of a protocol, where everything after the prompt
 * stands in one turn. And what may stand between two turns (`bridge.ts`).
 */
import { UserError } from "../errors.js";
import { makePrompt, withTemplateVariables, type ChatMode, type Prompt } from "../prompts/chat.js";
import { endIds, turnStops } from "../prompts/parse.js";
import { searchR1, type Protocol } from "../prompts/protocol.js";
import { makeSanitizer, type Sanitizer } from "../prompts/sanitize.js";
import { toolAsData, type ToolCallFormat } from "../prompts/tool-calls/format.js";
import { detectToolCallFormat, toolCallFormats, type ToolCallFormatName } from "../prompts/tool-calls/named.js";
import { protocolTagsFormat } from "../prompts/tool-calls/tags.js";
import { turnEndsOf } from "../prompts/turn-ends.js";
import type { StopConditions } from "../contracts/policy.js";
import type { ChatTemplate, ConversationMessage, TemplateVariables, Tokenizer, ToolDefinition } from "../types.js";
import { bridgeTokens, findBridge, type NoBridge } from "./bridge.js";

export interface ConversationOptions {
  /** How the policy writes calls. Default auto: as its chat template teaches; `tags` without a template, `hermes` with one that teaches none. */
  toolCalls?: ToolCallFormatName | "auto";
  /** Of `tags`. Default: Search-R1's. */
  protocol?: Protocol;
  /** Of `tags`: whether the prompt goes through the chat template. Default: auto. */
  chat?: ChatMode;
  /** What the chat template is told, such as `{ enable_thinking: false }`. */
  templateVariables?: TemplateVariables;
  /**
   * Thoughts of earlier turns: `keep`, the row goes on over them as they were sampled; `cut`, where the chat template would show one no more, as a
   * deployed model sees it, a new branch begins. Default keep.
   */
  oldThoughts?: "keep" | "cut";
}

/** How conversations become tokens, for one policy. Results of tools are sanitized: they are data, and cannot end a turn. */
export interface Conversation {
  readonly format: ToolCallFormat;
  readonly stop: Required<StopConditions>;
  /** Ids that end a turn and are no part of what it says. */
  readonly endIds: ReadonlySet<number>;
  /**
   * The whole conversation, ending where the assistant begins to write.
   * @throws UserError where the chat template refuses it
   */
  whole(messages: readonly ConversationMessage[], tools: readonly ToolDefinition[]): Prompt;
  /** What stands between the policy's last turn and its next. */
  bridge(between: Between, tools: readonly ToolDefinition[]): Prompt | NoBridge;
}

export interface Between {
  /** Everything up to the policy's last turn and with it. */
  history: readonly ConversationMessage[];
  /** What came after it. */
  added: readonly ConversationMessage[];
  /** The last turn as it was sampled. */
  sampled_T: readonly number[];
  /** Places in `history` of the policy's turns with thoughts in the row. */
  thoughtful: readonly number[];
}

/** @throws UserError for tags with a template that is not there (`chat: "always"`), for another format without a template */
export function makeConversation(tokenizer: Tokenizer, options: ConversationOptions = {}): Conversation {
  const told = withTemplateVariables(tokenizer, options.templateVariables ?? {});
  const { chatTemplate: template } = told;
  const { toolCalls = "auto", protocol = searchR1 } = options;
  const taught = template === undefined ? undefined : detectToolCallFormat(template.source);
  const name = toolCalls === "auto" ? (template === undefined ? "tags" : (taught ?? "hermes")) : toolCalls;
  const sanitizer = makeSanitizer(protocol, told);
  if (name === "tags") return tagConversation(told, protocol, options.chat ?? "auto", sanitizer);
  if (template === undefined) {
    throw new UserError(
      `Calls of tools in the format ${name} need a model with a chat template, and this one has none: it is a base model, or the file was not copied. ` +
        "Use the format tags, or put the template beside tokenizer.json.",
    );
  }
  const format = toolCallFormats[name];
  return templateConversation({ tokenizer: told, template, format, isTaught: taught === name, sanitizer }, options);
}

interface TemplateParts {
  tokenizer: Tokenizer;
  template: ChatTemplate;
  format: ToolCallFormat;
  /** Whether the template itself writes calls in this format. */
  isTaught: boolean;
  sanitizer: Sanitizer;
}

function templateConversation(
  { tokenizer, template, format, isTaught, sanitizer }: TemplateParts,
  { oldThoughts = "keep" }: ConversationOptions,
): Conversation {
  const ends = turnEndsOf(tokenizer);
  const render = (messages: readonly ConversationMessage[], tools: readonly ToolDefinition[]): string => {
    const clean = messages.map((message) => sanitized(message, sanitizer));
    const options = { addGenerationPrompt: true };
    if (isTaught) return template.render(clean, { ...options, tools: tools.map(toolAsData) });
    return template.render(spelledOut(clean, tools, format), options);
  };
  const tokens = ends.texts.map((text) => tokenizer.specialTokens.get(text)).filter((id) => id !== undefined);
  const ids = [...new Set([...tokens, ...endIds(tokenizer)])];
  return {
    format,
    stop: { tokens: ids, strings: format.stops },
    endIds: new Set(ids),
    whole(messages, tools) {
      const text = render(messages, tools);
      return { text, tokens_T: tokenizer.encode(text) };
    },
    bridge({ history, added, sampled_T, thoughtful }, tools) {
      const found = findBridge({
        render: (messages) => render(messages, tools),
        ends,
        history,
        added,
        ...(oldThoughts === "cut" && { thoughtful }),
      });
      return "reason" in found ? found : bridgeTokens(found, sampled_T, { ends, tokenizer });
    },
  };
}

function sanitized(message: ConversationMessage, sanitizer: Sanitizer): ConversationMessage {
  return message.role === "tool" ? { ...message, content: sanitizer.sanitize(message.content).text } : message;
}

/** A conversation for a template that knows nothing of tools: told of in the system's message, called in the assistant's, answered in the user's. */
function spelledOut(
  messages: readonly ConversationMessage[],
  tools: readonly ToolDefinition[],
  format: ToolCallFormat,
): ConversationMessage[] {
  const spelled: ConversationMessage[] = [];
  const about = tools.length === 0 ? "" : format.describe(tools);
  const first = messages.at(0);
  if (about !== "" && first?.role !== "system") spelled.push({ role: "system", content: about });
  messages.forEach((message, index) => {
    if (message.role === "system" && index === 0 && about !== "") {
      spelled.push({ role: "system", content: `${message.content}\n\n${about}` });
    } else if (message.role === "assistant") {
      const { role, content, reasoning, toolCalls = [] } = message;
      const words = [content ?? "", toolCalls.length > 0 ? format.write(toolCalls) : ""].filter(Boolean).join("\n");
      spelled.push({ role, content: words, ...(reasoning !== undefined && { reasoning }) });
    } else if (message.role === "tool") {
      const content = format.result(message.content);
      const before = spelled.at(-1);
      // Results of one turn stand together, as templates with tools have them.
      if (messages[index - 1]?.role === "tool" && before?.role === "user") {
        spelled[spelled.length - 1] = { role: "user", content: `${before.content}\n${content}` };
      } else spelled.push({ role: "user", content });
    } else spelled.push(message);
  });
  return spelled;
}

/** Search-R1's way: a prompt, and behind it everything that the policy and its environment write, in one turn. */
function tagConversation(tokenizer: Tokenizer, protocol: Protocol, mode: ChatMode, sanitizer: Sanitizer): Conversation {
  const format = protocolTagsFormat(protocol);
  const { tokens = [], strings = [] } = turnStops(tokenizer, protocol);
  const said = (message: ConversationMessage): string => {
    if (message.role === "tool") return format.result(sanitizer.sanitize(message.content).text);
    if (message.role !== "assistant") return message.content;
    return (message.content ?? "") + (message.toolCalls?.length ? format.write(message.toolCalls) : "");
  };
  return {
    format,
    stop: { tokens, strings },
    endIds: new Set(endIds(tokenizer)),
    whole(messages) {
      const split = messages.findIndex(({ role }) => role !== "system" && role !== "user");
      const [asked, rest] = split < 0 ? [messages, []] : [messages.slice(0, split), messages.slice(split)];
      const prompt = makePrompt(asked.map(said).join("\n"), tokenizer, { mode, protocol });
      const text = rest.map(said).join("");
      return { text: prompt.text + text, tokens_T: [...prompt.tokens_T, ...tokenizer.encode(text)] };
    },
    bridge({ added }) {
      const text = added.map(said).join("");
      return { text, tokens_T: tokenizer.encode(text) };
    },
  };
}
