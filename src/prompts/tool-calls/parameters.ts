/**
 * @file A tag per parameter: Qwen3-Coder, Qwen3.5 and later, Nemotron 3. Values have no type and no escapes: strings stand as they are, others as JSON,
 * in some templates as Python writes them (True, None). The tool's schema says which is meant; without one a value is a string.
 */
import type { ToolDefinition } from "../../types.js";
import { parameterSchemas, readBehind, type FoundCall, type ToolCallFormat, type WrittenCall } from "./format.js";
import { toolLines } from "./hermes.js";
import { jsonMembers, spacedJson } from "./json-text.js";

const [open, close] = ["<tool_call>", "</tool_call>"];

export const parameterTags: ToolCallFormat = {
  name: "parameters",
  parallel: true,
  stops: [],
  write: (calls) => calls.map(write).join("\n"),
  read: (text, tools) => readBehind(open, text, (whole, start) => callAt(whole, start, tools)),
  describe: (tools) =>
    `# Tools\n\nYou have access to the following functions:\n\n<tools>\n${toolLines(tools)}\n</tools>\n\nIf you choose to call a function ONLY reply in the ` +
    `following format with NO suffix:\n\n${open}\n<function=example_function_name>\n<parameter=example_parameter_1>\nvalue_1\n</parameter>\n` +
    `<parameter=example_parameter_2>\nThis is the value for the second parameter\nthat can span\nmultiple lines\n</parameter>\n</function>\n${close}`,
  result: (content) => `<tool_response>\n${content}\n</tool_response>`,
};

function write({ name, arguments: json }: WrittenCall): string {
  const parameters = [...(jsonMembers(json) ?? [])].map(
    ([key, value]) =>
      `<parameter=${key}>\n${value[0] === '"' ? (JSON.parse(value) as string) : spacedJson(value)}\n</parameter>\n`,
  );
  return `${open}\n<function=${name}>\n${parameters.join("")}</function>\n${close}`;
}

/** What follows a value: a value may hold a closing tag, but not one that is followed by what follows a parameter. */
const valueEnd = /\n?<\/parameter>\s*(?=<parameter=|<\/function>)/g;
const functionStart = /\s*<function=([^>\n]+)>\s*/y;
const parameterStart = /<parameter=([^>\n]+)>\n?/y;
const callEnd = /<\/function>\s*<\/tool_call>/y;

function callAt(text: string, start: number, tools: readonly ToolDefinition[]): FoundCall | string {
  let at = start;
  const take = (pattern: RegExp): RegExpExecArray | null => {
    pattern.lastIndex = at;
    const match = pattern.exec(text);
    if (match !== null) at = pattern.lastIndex;
    return match;
  };
  const name = take(functionStart)?.[1].trim();
  if (name === undefined || name === "") return `After ${open} there is no <function=…>.`;
  const schemas = parameterSchemas(tools, name);
  const members: string[] = [];
  for (let key = take(parameterStart)?.[1].trim(); key !== undefined; key = take(parameterStart)?.[1].trim()) {
    const valueStart = at;
    const end = take(valueEnd);
    if (end === null) return `Parameter ${key} of ${name} is not closed.`;
    members.push(`${JSON.stringify(key)}: ${valueJson(text.slice(valueStart, end.index), schemas[key])}`);
  }
  if (take(callEnd) === null) return `The call of ${name} does not end with </function> and ${close}.`;
  return { call: { name, arguments: `{${members.join(", ")}}` }, end: at };
}

const pythonWords: Readonly<Record<string, string>> = { True: "true", False: "false", None: "null" };

/** The JSON of a value: what its schema asks for, where the text is of that kind; else a string. */
function valueJson(text: string, schema: unknown): string {
  const types = typesOf(schema);
  const json = pythonWords[text.trim()] ?? text.trim();
  const isNull = json === "null" && types.includes("null");
  if (!isNull && (types.length === 0 || types.includes("string"))) return JSON.stringify(text);
  try {
    JSON.parse(json);
    return json;
  } catch {
    return JSON.stringify(text);
  }
}

/** The types that a schema allows, as far as it says so plainly. */
function typesOf(schema: unknown): string[] {
  if (typeof schema !== "object" || schema === null) return [];
  const { type, anyOf, oneOf } = schema as { type?: unknown; anyOf?: unknown; oneOf?: unknown };
  const choices = [anyOf, oneOf].flatMap((list) => (Array.isArray(list) ? list.flatMap(typesOf) : []));
  return [...[type].flat().filter((one): one is string => typeof one === "string"), ...choices];
}
