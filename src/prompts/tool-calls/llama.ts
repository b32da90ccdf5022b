/** @file A bare JSON object as the whole turn: Llama 3.1 to 3.3. One call a turn. An answer in JSON is no call, unless it has the name of a tool. */
import type { ToolDefinition } from "../../types.js";
import { toolAsData, type ReadTurn, type ToolCallFormat } from "./format.js";
import { namedCall } from "./hermes.js";
import { jsonEnd, jsonMembers, spacedJson } from "./json-text.js";

const pythonTag = "<|python_tag|>";

export const llama: ToolCallFormat = {
  name: "llama",
  parallel: false,
  stops: [],
  write: (calls) =>
    calls
      .map((call) => `{"name": ${JSON.stringify(call.name)}, "parameters": ${spacedJson(call.arguments)}}`)
      .join("; "),
  read,
  describe: (tools) =>
    "Given the following functions, please respond with a JSON for a function call with its proper arguments that best answers the given prompt.\n\n" +
    'Respond in the format {"name": function name, "parameters": dictionary of argument name and its value}. Do not use variables.\n\n' +
    tools.map((tool) => JSON.stringify(toolAsData(tool), null, 4)).join("\n\n"),
  result: (content) => content,
};

function read(text: string, tools: readonly ToolDefinition[]): Omit<ReadTurn, "thought"> {
  const content = text.trim();
  const json = (content.startsWith(pythonTag) ? content.slice(pythonTag.length) : content).trim();
  const none = (problem?: string): Omit<ReadTurn, "thought"> => ({
    content,
    calls: [],
    problems: problem === undefined ? [] : [problem],
  });
  if (json[0] !== "{") return none();
  const end = jsonEnd(json, 0);
  const members = end < 0 ? undefined : jsonMembers(json.slice(0, end));
  // Only what begins as a call does is a broken one.
  if (members === undefined) return none(/^\{\s*"name"/.test(json) ? "A call is not valid JSON." : undefined);
  if (!members.has("name") || !(members.has("parameters") || members.has("arguments"))) return none();
  const call = namedCall(json.slice(0, end), members.has("parameters") ? "parameters" : "arguments");
  if (typeof call === "string") return none(call);
  if (tools.length > 0 && !tools.some(({ name }) => name === call.name))
    return none(`No tool is called ${JSON.stringify(call.name)}: the JSON is taken for an answer.`);
  if (json.slice(end).trim() !== "")
    return none("More text follows the JSON of a call; a turn is one call or an answer.");
  return { content: "", calls: [call], problems: [] };
}
