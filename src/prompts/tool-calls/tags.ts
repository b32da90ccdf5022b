/**
 * @file The tags of a protocol (Search-R1's and the built-in world's) as calls of one tool: `<search> query </search>` calls it with the query, and
 * what stands in `<answer>` is the answer.
 */
import type { ToolDefinition } from "../../types.js";
import { parseAction } from "../parse.js";
import { searchR1, type Protocol } from "../protocol.js";
import { protocolTags, renderObservation } from "../render.js";
import { parameterSchemas, splitThought, type ReadTurn, type ToolCallFormat } from "./format.js";
import { jsonMembers } from "./json-text.js";

/** @param protocol whose tags are written and read. Default: Search-R1's */
export function protocolTagsFormat(protocol: Protocol = searchR1): ToolCallFormat {
  const [open, close] = protocol.search;
  return {
    name: "tags",
    parallel: false,
    readsThoughts: true,
    stops: [...(protocol.searches ? [close] : []), protocol.answer[1]],
    write: (calls) => calls.map((call) => `${open} ${queryOf(call.arguments)} ${close}`).join(""),
    read: (text, tools, isThoughtBegun) => read(text, tools, protocol, isThoughtBegun),
    describe: () => "",
    result: (content) => observed(protocol, content),
  };
}

/** An observation with this text for its passages. */
function observed(protocol: Protocol, content: string): string {
  const bare = { ...protocol, noPassages: content };
  return renderObservation(bare, []);
}

function read(text: string, tools: readonly ToolDefinition[], protocol: Protocol, isThoughtBegun: boolean): ReadTurn {
  const action = parseAction(text, protocol);
  const before = (tag: string): { thought: string; rest: string } =>
    splitThought(text.slice(0, text.indexOf(tag)), isThoughtBegun);
  if (action.kind === "answer") {
    return { thought: before(protocol.answer[0]).thought, content: action.answer, calls: [], problems: [] };
  }
  if (action.kind === "search") {
    const { thought, rest } = before(protocol.search[0]);
    const [name, parameter] = searchTool(tools);
    return {
      thought,
      content: rest.trim(),
      calls: [{ name, arguments: JSON.stringify({ [parameter]: action.query }) }],
      problems: [],
    };
  }
  const [search, answer] = [protocol.search, protocol.answer].map((pair) => pair.join("…"));
  const problem = `The turn holds neither ${protocol.searches ? `${search} nor ` : ""}${answer}.`;
  // A turn without any tag is a plain reply to a plain question.
  const isPlain = !protocolTags(protocol).some((tag) => text.includes(tag));
  return { thought: "", content: text.trim(), calls: [], problems: isPlain ? [] : [problem] };
}

/** The tool that a search calls and the parameter that takes its query: the one with "search" in its name, or the first; "search" and "query" without any. */
function searchTool(tools: readonly ToolDefinition[]): [name: string, parameter: string] {
  const tool = tools.find(({ name }) => /search/i.test(name)) ?? tools.at(0);
  const schemas = Object.entries(parameterSchemas(tools, tool?.name ?? ""));
  const isText = ([, schema]: [string, unknown]): boolean => (schema as { type?: unknown } | null)?.type === "string";
  const named = schemas.find((entry) => entry[0] === "query" && isText(entry)) ?? schemas.find(isText);
  return [tool?.name ?? "search", named?.[0] ?? "query"];
}

/** The first text among a call's arguments. */
function queryOf(json: string): string {
  const text = [...(jsonMembers(json)?.values() ?? [])].find((value) => value[0] === '"');
  return text === undefined ? "" : (JSON.parse(text) as string);
}
