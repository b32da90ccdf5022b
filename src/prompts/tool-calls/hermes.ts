/** @file `<tool_call>` around JSON: Hermes, Qwen2.5, Qwen3. */
import type { ToolDefinition } from "../../types.js";
import { readBehind, toolAsData, type FoundCall, type ToolCallFormat, type WrittenCall } from "./format.js";
import { jsonEnd, jsonMembers, spacedJson } from "./json-text.js";

const [open, close] = ["<tool_call>", "</tool_call>"];

export const hermes: ToolCallFormat = {
  name: "hermes",
  parallel: true,
  stops: [],
  write: (calls) =>
    calls
      .map(
        (call) =>
          `${open}\n{"name": ${JSON.stringify(call.name)}, "arguments": ${spacedJson(call.arguments)}}\n${close}`,
      )
      .join("\n"),
  read: (text) => readBehind(open, text, callAt),
  describe: (tools) =>
    "# Tools\n\nYou may call one or more functions to assist with the user query.\n\nYou are provided with function signatures within " +
    `<tools></tools> XML tags:\n<tools>\n${toolLines(tools)}\n</tools>\n\nFor each function call, return a json object with function name and ` +
    `arguments within ${open}${close} XML tags:\n${open}\n{"name": <function-name>, "arguments": <args-json-object>}\n${close}`,
  result: (content) => `<tool_response>\n${content}\n</tool_response>`,
};

/** A tool a line, as chat templates write them. */
export function toolLines(tools: readonly ToolDefinition[]): string {
  return tools.map((tool) => spacedJson(JSON.stringify(toolAsData(tool)))).join("\n");
}

/** The call whose JSON begins behind `start`, or why there is none. The JSON's own end counts: a closing tag may stand in a string. */
function callAt(text: string, start: number): FoundCall | string {
  const at = start + (text.slice(start).length - text.slice(start).trimStart().length);
  if (text[at] !== "{") return `After ${open} there is no JSON object.`;
  const jsonStop = jsonEnd(text, at);
  if (jsonStop < 0) return `The JSON after ${open} does not end.`;
  const behind = text.slice(jsonStop);
  if (!behind.trimStart().startsWith(close)) return `The JSON after ${open} is not followed by ${close}.`;
  const call = namedCall(text.slice(at, jsonStop), "arguments");
  return typeof call === "string" ? call : { call, end: text.indexOf(close, jsonStop) + close.length };
}

/** A call from a JSON object with its name and, under `key`, its arguments; or why it is none. */
export function namedCall(json: string, key: "arguments" | "parameters"): WrittenCall | string {
  const members = jsonMembers(json);
  if (members === undefined) return "What should be a call is not valid JSON.";
  const name = members.get("name");
  if (name === undefined || name[0] !== '"' || name === '""') return 'A call has no "name".';
  const given = members.get(key) ?? "{}";
  // Some models write the arguments as a text that holds JSON.
  const text = given[0] === '"' ? (JSON.parse(given) as string) : given;
  if (jsonMembers(text) === undefined) return `The "${key}" of a call are no JSON object.`;
  return { name: JSON.parse(name) as string, arguments: text };
}
