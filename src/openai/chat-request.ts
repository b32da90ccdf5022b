/**
 * @file A request for a chat completion, read and checked. Fields that are not known are passed over, as servers do; what is known and cannot be done
 * is refused in words, since a client that asked for it would take the answer for what it asked.
 */
import { z } from "zod";
import type { ConversationMessage, ToolDefinition } from "../types.js";
import { ApiError } from "./api-error.js";

/** A checked request. What is left out is undefined: defaults are the model's. */
export interface ChatRequest {
  model: string;
  /** Each with its texts in one piece. */
  messages: ConversationMessage[];
  tools: ToolDefinition[];
  /** `{ name }` is the one tool to call. */
  toolChoice: "auto" | "none" | "required" | { name: string };
  stop: string[];
  /** Choices. */
  n: number;
  seed?: number;
  temperature?: number;
  topP?: number;
  /** Most tokens to write. */
  maxTokens?: number;
  /** Whether log-probabilities are wanted, and so many alternatives of each token. */
  logprobs: boolean;
  topLogprobs: number;
  stream: boolean;
  /** Whether the client asked for the usage as a chunk of its own. */
  includeUsage: boolean;
}

const partSchema = z.object({ type: z.string(), text: z.string().optional() });
const contentSchema = z.union([z.string(), z.array(partSchema)], { error: "must be text or a list of parts" });
const functionName = z
  .string()
  .regex(/^[\w.-]{1,128}$/, "must be 1 to 128 letters, digits, underscores, dots and hyphens");

const parametersSchema = z.record(z.string(), z.unknown()).superRefine((schema, context) => {
  const { type = "object", properties = {}, required = [] } = schema;
  const isObject = (value: unknown): boolean => typeof value === "object" && value !== null && !Array.isArray(value);
  if (type !== "object") context.addIssue('must be the JSON schema of an object ("type": "object")');
  if (!isObject(properties)) context.addIssue('"properties" must be an object with a schema per property');
  if (!Array.isArray(required) || required.some((name) => typeof name !== "string"))
    context.addIssue('"required" must be a list of names');
});

const toolSchema = z.object({
  type: z.literal("function"),
  function: z.object({
    name: functionName,
    description: z.string().nullish(),
    parameters: parametersSchema.nullish(),
  }),
});

const toolCallSchema = z.object({
  id: z.string(),
  type: z.literal("function").optional(),
  function: z.object({ name: z.string(), arguments: z.string("must be JSON text, not an object") }),
});

const messageSchema = z.discriminatedUnion("role", [
  z.object({ role: z.enum(["system", "developer", "user"]), content: contentSchema }),
  z.object({
    role: z.literal("assistant"),
    content: contentSchema.nullish(),
    reasoning_content: z.string().nullish(),
    reasoning: z.string().nullish(),
    tool_calls: z.array(toolCallSchema).nullish(),
  }),
  z.object({ role: z.literal("tool"), content: contentSchema, tool_call_id: z.string() }),
]);

const requestSchema = z.object({
  model: z.string("must name a model"),
  messages: z.array(messageSchema).min(1, "must hold at least one message"),
  tools: z.array(toolSchema).nullish(),
  tool_choice: z
    .union(
      [
        z.enum(["none", "auto", "required"]),
        z.object({ type: z.literal("function"), function: z.object({ name: z.string() }) }),
      ],
      { error: 'must be "none", "auto", "required" or {"type": "function", "function": {"name": …}}' },
    )
    .nullish(),
  stop: z
    .union([z.string(), z.array(z.string())], { error: "must be text or a list of texts" })
    .refine((stop) => [stop].flat().length <= 16 && ![stop].flat().includes(""), "must be up to 16 texts, none empty")
    .nullish(),
  n: z.int().min(1).max(128).nullish(),
  seed: z.int().nullish(),
  temperature: z.number().min(0).max(2).nullish(),
  top_p: z.number().gt(0).max(1).nullish(),
  max_tokens: z.int().min(1).nullish(),
  max_completion_tokens: z.int().min(1).nullish(),
  logprobs: z.boolean().nullish(),
  top_logprobs: z.int().min(0).max(20).nullish(),
  stream: z.boolean().nullish(),
  stream_options: z.object({ include_usage: z.boolean().nullish() }).nullish(),
  response_format: z.object({ type: z.string() }).nullish(),
});

type Wire = z.output<typeof requestSchema>;
type WireMessage = Wire["messages"][number];

/**
 * Reads the body of `POST /v1/chat/completions`.
 * @throws ApiError 400, naming the field, for what is no such request, and for images, sounds, files and answers in a given form
 */
export function readChatRequest(body: string): ChatRequest {
  const parsed = requestSchema.safeParse(parse(body));
  if (!parsed.success) {
    const { path, message } = parsed.error.issues[0];
    throw refusal(nameOf(path), message);
  }
  const wire = parsed.data;
  const { type: format = "text" } = wire.response_format ?? {};
  if (format !== "text")
    throw refusal("response_format", `asks for ${format}, and only text is written here: ask for the form in words`);
  const tools = (wire.tools ?? []).map((tool): ToolDefinition => {
    const { name, description, parameters } = tool.function;
    return { name, ...(description && { description }), ...(parameters && { parameters }) };
  });
  return {
    model: wire.model,
    messages: wire.messages.map((message, place) => messageOf(message, `messages[${place}]`)),
    tools,
    toolChoice: choiceOf(wire.tool_choice, tools),
    stop: [wire.stop ?? []].flat(),
    n: wire.n ?? 1,
    seed: wire.seed ?? undefined,
    temperature: wire.temperature ?? undefined,
    topP: wire.top_p ?? undefined,
    maxTokens: wire.max_completion_tokens ?? wire.max_tokens ?? undefined,
    logprobs: wire.logprobs ?? false,
    topLogprobs: wire.top_logprobs ?? 0,
    stream: wire.stream ?? false,
    includeUsage: wire.stream_options?.include_usage ?? false,
  };
}

function messageOf(message: WireMessage, field: string): ConversationMessage {
  if (message.role === "tool")
    return { role: "tool", content: textOf(message.content, field), toolCallId: message.tool_call_id };
  if (message.role !== "assistant")
    return { role: message.role === "user" ? "user" : "system", content: textOf(message.content, field) };
  const { content, tool_calls } = message;
  const reasoning = message.reasoning_content ?? message.reasoning;
  const toolCalls = (tool_calls ?? []).map(({ id, function: { name, arguments: given } }) => ({
    ...{ id, name, arguments: given },
  }));
  return {
    role: "assistant",
    content: content == null ? null : textOf(content, field),
    ...(reasoning && { reasoning }),
    ...(toolCalls.length > 0 && { toolCalls }),
  };
}

function textOf(content: z.output<typeof contentSchema>, field: string): string {
  if (typeof content === "string") return content;
  return content
    .map(({ type, text }, part) => {
      const name = `${field}.content[${part}]`;
      if (type !== "text" && type !== "refusal") throw refusal(name, `is of type ${type}, and only text is read here`);
      if (text === undefined) throw refusal(name, "must have a text");
      return text;
    })
    .join("\n");
}

function choiceOf(given: Wire["tool_choice"], tools: readonly ToolDefinition[]): ChatRequest["toolChoice"] {
  if (given == null) return tools.length === 0 ? "none" : "auto";
  if (typeof given === "object") {
    const { name } = given.function;
    if (!tools.some((tool) => tool.name === name))
      throw refusal("tool_choice", `names ${name}, which no tool is called`);
    return { name };
  }
  if (given === "required" && tools.length === 0) throw refusal("tool_choice", 'is "required", and there are no tools');
  return given;
}

function parse(body: string): unknown {
  try {
    return JSON.parse(body);
  } catch (error) {
    throw refusal("body", `must be JSON (${(error as Error).message})`);
  }
}

/** A field that cannot be taken, and why. */
export function refusal(param: string, problem: string, code?: string): ApiError {
  const why = problem.replace(/\.$/, "");
  return new ApiError(400, `"${param}" ${/^[a-z]/.test(why) ? why : `is wrong: ${why}`}.`, { param, code });
}

/** `messages[0].content`. */
function nameOf(path: readonly PropertyKey[]): string {
  if (path.length === 0) return "body";
  return path
    .map((key, at) => (typeof key === "number" ? `[${key}]` : `${at === 0 ? "" : "."}${String(key)}`))
    .join("");
}
