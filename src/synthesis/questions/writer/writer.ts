/** @file What writes questions: a language model behind a server or of this machine. */
import type { ChatUsage } from "../../../http/chat-completions.js";
import type { ChatMessage } from "../../../types.js";

/** How one reply is to be made. */
export interface ReplySettings {
  /** Most tokens of the reply. */
  maxTokens: number;
  /** 0 is greedy. */
  temperature: number;
  signal?: AbortSignal;
}

/** What a writer has used. */
export type WriterUsage = ChatUsage;

export interface Writer {
  /** Of the model, for people and as a part of what makes a reply. */
  readonly name: string;
  /** Requests that it can work on at once. */
  readonly concurrency: number;
  /** @throws UserError when it cannot answer; the signal's reason */
  reply(messages: readonly ChatMessage[], settings: ReplySettings): Promise<string>;
  /** Models of this machine count themselves. */
  usage(): WriterUsage;
  close(): Promise<void>;
}
