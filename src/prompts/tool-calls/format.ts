/**
 * @file How models write calls of tools, as data: what a call looks like in a turn, how a turn is read, and how tools and results are told to a model
 * whose chat template knows nothing of them. One file per family; `named.ts` has the table.
 */
import type { ToolDefinition } from "../../types.js";
import type { TagPair } from "../protocol.js";

/** A call as a turn holds it. */
export interface WrittenCall {
  name: string;
  /** JSON text of an object, as the model wrote it where it wrote JSON. */
  arguments: string;
}

/** A turn of the policy, read. */
export interface ReadTurn {
  /** What is said to the user, without thoughts and calls; white space around it left out. */
  content: string;
  /** Of all thoughts, without their tags; empty where there is none. */
  thought: string;
  calls: WrittenCall[];
  /** What looks like a call and is none, a sentence each. Its text is part of `content`. */
  problems: string[];
}

export interface ToolCallFormat {
  readonly name: string;
  /** Whether one turn may hold several calls. */
  readonly parallel: boolean;
  /** Strings that end a turn, beside the tokens that end an assistant's message. */
  readonly stops: readonly string[];
  /** Calls as the model writes them, without what stands around them in its turn. */
  write(calls: readonly WrittenCall[]): string;
  /**
   * Reads a turn without the token that ended it, and without its thought, unless it tells the thought itself (`readsThoughts`). Never throws.
   */
  read(text: string, tools: readonly ToolDefinition[], isThoughtBegun: boolean): Omit<ReadTurn, "thought">;
  /** The turn is read with its thought: calls count in there, too. */
  readonly readsThoughts?: true;
  /** What a system message says of the tools, where the chat template cannot. */
  describe(tools: readonly ToolDefinition[]): string;
  /** The result of a call inside a user's message, where the chat template cannot write it. */
  result(content: string): string;
}

/** The tags of thoughts in the families that have any. */
export const thinkTags: TagPair = ["<think>", "</think>"];

/**
 * Reads a turn: its thought, what it says, its calls. Never throws.
 * @param text what the policy wrote, without the token that ended it
 * @param options.begunThought what the prompt ended with of a thought (`begunThought` of ../chat.ts)
 */
export function readTurn(
  format: ToolCallFormat,
  text: string,
  { tools = [], begunThought = "" }: { tools?: readonly ToolDefinition[]; begunThought?: string } = {},
): ReadTurn {
  const isBegun = begunThought === thinkTags[0];
  if (format.readsThoughts) return { thought: "", ...format.read(text, tools, isBegun) };
  const { thought, rest } = splitThought(text, isBegun);
  return { thought, ...format.read(rest, tools, isBegun) };
}

/** The thought that a turn begins with, and what follows it. A thought that does not end takes all of the text. */
export function splitThought(text: string, isBegun = false): { thought: string; rest: string } {
  const [open, close] = thinkTags;
  const start = text.trimStart().startsWith(open) ? text.indexOf(open) + open.length : isBegun ? 0 : -1;
  if (start < 0) return { thought: "", rest: text };
  const end = text.indexOf(close, start);
  if (end < 0) return { thought: text.slice(start).trim(), rest: "" };
  return { thought: text.slice(start, end).trim(), rest: text.slice(end + close.length) };
}

/** A tool as OpenAI's interface and chat templates have it. */
export function toolAsData({ name, description, parameters }: ToolDefinition): Record<string, unknown> {
  const about = description === undefined ? {} : { description };
  return {
    type: "function",
    function: { name, ...about, parameters: parameters ?? { type: "object", properties: {} } },
  };
}

/** The JSON schema of each of a tool's parameters, by name; empty for an unknown tool. */
export function parameterSchemas(tools: readonly ToolDefinition[], name: string): Readonly<Record<string, unknown>> {
  const properties = tools.find((tool) => tool.name === name)?.parameters?.properties;
  return typeof properties === "object" && properties !== null ? (properties as Record<string, unknown>) : {};
}

/** A call and where it ends in the text. */
export interface FoundCall {
  call: WrittenCall;
  end: number;
}

/**
 * Reads a text whose calls begin with a tag.
 * @param callAt the call of which the tag ends at a place, or why there is none
 */
export function readBehind(
  tag: string,
  text: string,
  callAt: (text: string, start: number) => FoundCall | string,
): Omit<ReadTurn, "thought"> {
  const calls: WrittenCall[] = [];
  const problems: string[] = [];
  const said: string[] = [];
  let from = 0;
  for (let at = text.indexOf(tag); at >= 0; at = text.indexOf(tag, from)) {
    const start = at + tag.length;
    const found = callAt(text, start);
    if (typeof found === "string") problems.push(found);
    else calls.push(found.call);
    said.push(text.slice(from, typeof found === "string" ? start : at));
    from = typeof found === "string" ? start : found.end;
  }
  said.push(text.slice(from));
  return { content: said.join("").trim(), calls, problems };
}
