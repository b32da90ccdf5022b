/**
 * @file One attempt of somebody else's agent, as the policy saw it: successive requests of a chat become a forest of turns. A request whose messages
 * extend a turn goes on behind it, over the sampled tokens themselves; any other begins a new branch. Only what the policy sampled here is ever marked
 * as sampled: what a client says that the assistant said is context.
 */
import type { Policy, Sample, SampleOptions } from "../contracts/policy.js";
import { UserError } from "../errors.js";
import { begunThought } from "../prompts/chat.js";
import { readTurn, splitThought, thinkTags, type ReadTurn } from "../prompts/tool-calls/format.js";
import { deriveSeed } from "../random.js";
import type { ConversationMessage, ToolCall, ToolDefinition } from "../types.js";
import { makeConversation, type Conversation, type ConversationOptions } from "./conversation.js";
import type { AssistantMessage } from "./bridge.js";
import { inCallOrder, lastShared, type Turn } from "./forest.js";

export interface SessionOptions extends ConversationOptions {
  policy: Pick<Policy, "sample" | "tokenizer" | "contextLength">;
  /** Of every request that says nothing else. Default 0; each request has its own stream derived from it. */
  seed?: number;
  /** Of every request that says nothing else. Default 1: training samples the policy's own distribution. */
  temperature?: number;
  /** Most tokens of a turn. A request may ask for fewer. Default: what the row has room for. */
  maxTokensPerTurn?: number;
  /** Most tokens of a row. The policy's context limits it too. */
  maxTokens?: number;
}

/** What an agent asks for. */
export interface ChatRequest {
  /** The whole conversation, as every client of OpenAI's interface sends it. */
  messages: readonly ConversationMessage[];
  tools?: readonly ToolDefinition[];
  /** `none`: what looks like a call is text. Nothing can force a call. Default auto. */
  toolChoice?: "auto" | "none";
  /** Strings that end the reply and are no part of its content. */
  stop?: readonly string[];
  maxTokens?: number;
  temperature?: number;
  topP?: number;
  /** With the row's tokens it determines the reply. Default: derived from the session's seed and the number of the request. */
  seed?: number;
  /** Replies, each a branch of its own. Default 1. */
  n?: number;
  /** Cancels this request only: nothing of it is kept, and `respond` rejects with the signal's reason. */
  signal?: AbortSignal;
}

/** One reply of the policy. */
export interface Choice {
  /** What it says, without thought and calls; null where it calls and says nothing. */
  content: string | null;
  /** Its thought; empty where there is none. */
  reasoning: string;
  toolCalls: ToolCall[];
  /** `length`: it was cut. */
  finishReason: "stop" | "length" | "tool_calls";
  /** What looks like a call and is none, a sentence each. */
  problems: readonly string[];
  /** Everything that was sampled, with the end of the turn, and the log-probability of each token (nats). */
  tokens_T: readonly number[];
  logprobs_T: readonly number[];
  /** The sampled tokens as text. */
  text: string;
}

export interface ChatReply {
  choices: Choice[];
  usage: { promptTokens: number; completionTokens: number };
  /** How the reply's row began: `extended`, an earlier turn goes on; otherwise why a new branch was begun. */
  row: { began: "extended" | "new"; reason?: string };
}

/** How requests met the forest. */
export interface SessionCounts {
  requests: number;
  /** Requests that went on behind an earlier turn, retries of one included. */
  extended: number;
  /** New branches by their reason; the first of a session has the reason "first". */
  newBranches: Readonly<Record<string, number>>;
  sampledTokens: number;
}

/** A conversation that leaves no room to write. */
export class NoRoom extends UserError {}

/**
 * A session. Requests may overlap (sub-agents); each sees the turns that were complete when it came.
 * @throws UserError from the constructor as `makeConversation` does
 */
export class Session {
  readonly #policy: SessionOptions["policy"];
  readonly #options: SessionOptions;
  readonly #conversation: Conversation;
  readonly #turns: Turn[] = [];
  readonly #newBranches: Record<string, number> = {};
  #requests = 0;
  #extended = 0;
  #calls = 0;
  #sampledTokens = 0;

  constructor(options: SessionOptions) {
    this.#policy = options.policy;
    this.#options = options;
    this.#conversation = makeConversation(options.policy.tokenizer, options);
  }

  /** Every turn of the policy, in the order in which they were complete. */
  get turns(): readonly Turn[] {
    return this.#turns;
  }

  get counts(): SessionCounts {
    const [requests, extended, sampledTokens] = [this.#requests, this.#extended, this.#sampledTokens];
    return { requests, extended, newBranches: { ...this.#newBranches }, sampledTokens };
  }

  /**
   * The policy's next turn.
   * @throws UserError for messages that are no conversation, that the chat template refuses, or that leave no room to write (NoRoom); the
   *   signal's reason; whatever the policy rejects with
   */
  async respond(request: ChatRequest): Promise<ChatReply> {
    const { tools = [], n = 1, signal } = request;
    signal?.throwIfAborted();
    const messages = inCallOrder(request.messages);
    if (!Number.isSafeInteger(n) || n < 1) throw new UserError(`n is ${n}; ask for one reply or more.`);
    const number = this.#requests++;
    const start = this.#begin(messages, tools);
    const limit = Math.min(this.#policy.contextLength, this.#options.maxTokens ?? Infinity);
    const room = limit - start.prefix_T.length;
    if (room < 1) {
      throw new NoRoom(
        `The conversation has ${start.prefix_T.length} tokens and a row may have ${limit}: there is no room to write. Send fewer or shorter messages.`,
      );
    }
    const began = performance.now();
    const samples = await Promise.all(
      Array.from({ length: n }, (_, choice) =>
        this.#policy.sample(start.prefix_T, this.#sampling(request, start, number, choice, room)),
      ),
    );
    signal?.throwIfAborted();
    if (samples.some(({ tokens_T }) => tokens_T.length === 0)) {
      throw new NoRoom("The policy's server has no room for the conversation. Send fewer or shorter messages.");
    }
    const choices = samples.map((sample) => this.#add(sample, request, start, (performance.now() - began) / n));
    if (start.reason === undefined) this.#extended++;
    else this.#newBranches[start.reason] = (this.#newBranches[start.reason] ?? 0) + 1;
    const completionTokens = samples.reduce((sum, { tokens_T }) => sum + tokens_T.length, 0);
    this.#sampledTokens += completionTokens;
    return {
      choices,
      usage: { promptTokens: start.prefix_T.length, completionTokens },
      row: start.reason === undefined ? { began: "extended" } : { began: "new", reason: start.reason },
    };
  }

  /** Where a request's row begins: behind the turn that its messages extend, or with all of them rendered. */
  #begin(messages: readonly ConversationMessage[], tools: readonly ToolDefinition[]): RowStart {
    const toolsKey = JSON.stringify(tools);
    const shared = lastShared(this.#turns, messages, toolsKey);
    let reason = this.#turns.length === 0 ? "first" : "the messages do not extend an earlier turn";
    if (shared !== undefined) {
      const added = messages.slice(shared.historyLength);
      const path = pathOf(shared);
      // The policy's own message, not what the client made of it.
      const history = path.flatMap((turn) => [...turn.added, turn.message]);
      let place = -1;
      const thoughtful = path.flatMap((turn) => {
        place += turn.added.length + 1;
        return turn.read.thought === "" ? [] : [place];
      });
      const bridge = this.#conversation.bridge(
        { history, added, sampled_T: shared.sample.tokens_T, thoughtful },
        tools,
      );
      if (!("reason" in bridge)) {
        const prefix_T = [...shared.row_T, ...bridge.tokens_T];
        return { parent: shared, added, toolsKey, context: bridge, prefix_T, historyLength: messages.length };
      }
      reason = bridge.reason;
    }
    const context = this.#conversation.whole(messages, tools);
    const prefix_T = [...context.tokens_T];
    return { parent: null, added: messages, toolsKey, context, prefix_T, historyLength: messages.length, reason };
  }

  #sampling(request: ChatRequest, start: RowStart, number: number, choice: number, room: number): SampleOptions {
    const { seed, temperature = this.#options.temperature ?? 1, topP = 1, stop = [], signal } = request;
    const most = Math.min(request.maxTokens ?? Infinity, this.#options.maxTokensPerTurn ?? Infinity, room);
    const base = seed ?? deriveSeed(this.#options.seed ?? 0, number);
    const { tokens, strings } = this.#conversation.stop;
    return {
      maxTokens: most,
      stop: { tokens, strings: [...strings, ...stop] },
      temperature,
      topP,
      seed: choice === 0 ? base : deriveSeed(base, choice),
      signal,
      prefixTexts: [
        ...(start.parent === null ? [] : pathOf(start.parent)).flatMap((turn) => [
          { role: turn.parent === null ? ("prompt" as const) : ("environment" as const), text: turn.context.text },
          { role: "policy" as const, text: turn.text },
        ]),
        { role: start.parent === null ? "prompt" : "environment", text: start.context.text },
      ],
    };
  }

  /** Keeps a turn, and tells the client of it. */
  #add(sample: Sample, request: ChatRequest, start: RowStart, policyMs: number): Choice {
    const { tools = [], toolChoice = "auto", stop = [] } = request;
    const text = sample.text ?? this.#policy.tokenizer.decode(sample.tokens_T);
    const said = beforeStop(this.#withoutEnd(sample, text), stop);
    const begun = begunThought(start.context.text, thinkTags);
    const read = withoutCalls(
      readTurn(this.#conversation.format, said, { tools, begunThought: begun }),
      toolChoice,
      said,
    );
    const toolCalls = read.calls.map((call) => ({ id: this.#nextId(), ...call }));
    const content = toolCalls.length > 0 && read.content === "" ? null : read.content;
    const message: AssistantMessage = {
      role: "assistant",
      content,
      ...(read.thought !== "" && { reasoning: read.thought }),
      ...(toolCalls.length > 0 && { toolCalls }),
    };
    const { parent, added, toolsKey, context, historyLength } = start;
    const row_T = [...start.prefix_T, ...sample.tokens_T];
    this.#turns.push({
      ...{ parent, added, toolsKey, context, sample, text, read, message, row_T, policyMs },
      historyLength: historyLength + 1,
      reason: start.reason,
    });
    const isCut = sample.stopReason === "length";
    return {
      content,
      reasoning: read.thought,
      toolCalls,
      finishReason: toolCalls.length > 0 ? "tool_calls" : isCut ? "length" : "stop",
      problems: read.problems,
      tokens_T: sample.tokens_T,
      logprobs_T: sample.logprobs_T,
      text,
    };
  }

  /** What was written, without the tokens that end a turn. */
  #withoutEnd({ tokens_T, text: told }: Sample, text: string): string {
    if (told !== undefined) return told;
    let length = tokens_T.length;
    while (length > 0 && this.#conversation.endIds.has(tokens_T[length - 1])) length--;
    return length === tokens_T.length ? text : this.#policy.tokenizer.decode(tokens_T.slice(0, length));
  }

  /** Nine letters and digits: Mistral's templates take no others. */
  #nextId(): string {
    return `call${(this.#calls++).toString(36).padStart(5, "0")}`;
  }
}

interface RowStart {
  parent: Turn | null;
  added: readonly ConversationMessage[];
  toolsKey: string;
  context: { text: string; tokens_T: number[] };
  prefix_T: number[];
  /** Messages up to here. */
  historyLength: number;
  /** Of a new branch. */
  reason?: string;
}

/** A turn with all before it, first to last. */
function pathOf(turn: Turn): Turn[] {
  const path: Turn[] = [];
  for (let at: Turn | null = turn; at !== null; at = at.parent) path.unshift(at);
  return path;
}

/** A client's stop strings are no part of what it gets. */
function beforeStop(text: string, stop: readonly string[]): string {
  const places = stop.map((one) => (one === "" ? -1 : text.indexOf(one))).filter((at) => at >= 0);
  return places.length === 0 ? text : text.slice(0, Math.min(...places));
}

/** A turn whose calls the client has ruled out: they are text. */
function withoutCalls(read: ReadTurn, toolChoice: "auto" | "none", said: string): ReadTurn {
  if (toolChoice === "auto" || read.calls.length === 0) return read;
  return { ...read, content: splitThought(said).rest.trim(), calls: [] };
}
