/** @file The formats of tool calls by name, and which one a chat template teaches. */
import type { ToolCallFormat } from "./format.js";
import { hermes } from "./hermes.js";
import { llama } from "./llama.js";
import { parameterTags } from "./parameters.js";
import { protocolTagsFormat } from "./tags.js";

export const toolCallFormats = {
  hermes,
  parameters: parameterTags,
  llama,
  tags: protocolTagsFormat(),
} as const satisfies Readonly<Record<string, ToolCallFormat>>;
export type ToolCallFormatName = keyof typeof toolCallFormats;

/**
 * The format that a chat template writes calls in, by its text; undefined for a template that writes none, or in a way that is not in the table
 * (DeepSeek, GLM, gpt-oss, Gemma 4, Kimi, LFM, Mistral).
 */
export function detectToolCallFormat(template: string): ToolCallFormatName | undefined {
  if (template.includes("<tool_call>")) {
    if (template.includes("<function=") && template.includes("<parameter=")) return "parameters";
    // GLM's tag is the same, and pairs of keys and values stand in it.
    return template.includes("<arg_key>") ? undefined : "hermes";
  }
  const isLlama = template.includes("<|start_header_id|>") && /["']parameters\\?["']: /.test(template);
  return isLlama ? "llama" : undefined;
}
