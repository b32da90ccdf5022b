/**
 * @file Messages as chat templates expect them: OpenAI's fields, with what differs between templates found out by trying. Most want a call's arguments as
 * an object, and escape a text twice or raise; DeepSeek's want the text, and content that is none beside calls, or the call is lost.
 */
import type { ConversationMessage, ToolCall } from "../../types.js";

/** How a template wants calls. */
export interface CallForm {
  arguments: "object" | "text";
  /** Beside calls, where nothing is said. */
  noContent: "" | null;
}

/** What most templates want. */
export const plainForm: CallForm = { arguments: "object", noContent: "" };

const forms: readonly CallForm[] = [
  plainForm,
  { arguments: "object", noContent: null },
  { arguments: "text", noContent: "" },
  { arguments: "text", noContent: null },
];

/** How a template wants calls: the first form in which it writes one, and not as Python shows it. */
export function callFormOf(run: (messages: readonly object[]) => string): CallForm {
  const call: ToolCall = { id: "sleuth001", name: "sleuthtool", arguments: '{"sleuthkey": "sleuthvalue"}' };
  const messages: ConversationMessage[] = [
    { role: "user", content: "sleuthuser" },
    { role: "assistant", content: "", toolCalls: [call] },
  ];
  const writes = (form: CallForm): boolean => {
    try {
      const text = run(messages.map((message) => messageAsData(message, form)));
      return text.includes("sleuthvalue") && !text.includes("'sleuthkey'") && !text.includes('\\"sleuthkey');
    } catch {
      return false;
    }
  };
  return forms.find(writes) ?? plainForm;
}

export function messageAsData(message: ConversationMessage, form: CallForm): object {
  if (message.role === "tool") {
    const { role, content, toolCallId, name } = message;
    return { role, ...(name !== undefined && { name }), tool_call_id: toolCallId, content };
  }
  if (message.role !== "assistant") return { role: message.role, content: message.content };
  const { role, content, reasoning, toolCalls = [] } = message;
  const hasCalls = toolCalls.length > 0;
  return {
    role,
    content: content === null || content === "" ? (hasCalls ? form.noContent : "") : content,
    // transformers 5 gives the same under both names.
    ...(reasoning && { reasoning_content: reasoning, thinking: reasoning }),
    ...(hasCalls && { tool_calls: toolCalls.map((call) => callAsData(call, form)) }),
  };
}

function callAsData({ id, name, arguments: text }: ToolCall, form: CallForm): object {
  return { id, type: "function", function: { name, arguments: form.arguments === "text" ? text : objectIn(text) } };
}

/** The object that a JSON text holds; the text itself where there is none, as models may write it. */
function objectIn(text: string): unknown {
  try {
    const value = JSON.parse(text) as unknown;
    return typeof value === "object" && value !== null && !Array.isArray(value) ? value : text;
  } catch {
    return text;
  }
}
