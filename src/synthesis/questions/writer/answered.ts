/** @file Replies on file, as they came: what was paid for once is not asked for again, also after a kill. */
import { createHash } from "node:crypto";
import { openJournal, type Journal } from "../../../files/journal.js";
import type { ChatMessage } from "../../../types.js";
import type { ReplySettings, Writer } from "./writer.js";

/** Asks a writer, and remembers. */
export class AnsweredRequests {
  readonly #writer: Writer;
  readonly #journal: Journal;
  readonly #replies: Map<string, string>;
  /** Requests that had their reply on file. */
  onFile = 0;

  private constructor(writer: Writer, journal: Journal, replies: Map<string, string>) {
    this.#writer = writer;
    this.#journal = journal;
    this.#replies = replies;
  }

  get concurrency(): number {
    return this.#writer.concurrency;
  }

  /**
   * Opens the file, or begins it with the first reply. A line that a kill tore is passed over.
   * @throws UserError where it cannot be read or written
   */
  static async open(file: string, writer: Writer): Promise<AnsweredRequests> {
    const journal = await openJournal(file, "Make room, then start the same command again: it goes on.");
    const known = journal.earlier.filter(isReply).map(({ key, reply }) => [key, reply] as const);
    return new AnsweredRequests(writer, journal, new Map(known));
  }

  /** @throws UserError when the writer cannot answer or the disk is full; the signal's reason */
  async reply(messages: readonly ChatMessage[], settings: ReplySettings): Promise<string> {
    const { maxTokens, temperature } = settings;
    const parts = [this.#writer.name, messages, maxTokens, temperature];
    const key = createHash("sha256").update(JSON.stringify(parts)).digest("hex").slice(0, 32);
    const known = this.#replies.get(key);
    if (known !== undefined) {
      this.onFile++;
      return known;
    }
    const reply = await this.#writer.reply(messages, settings);
    this.#replies.set(key, reply);
    await this.#journal.append([{ key, reply }]);
    return reply;
  }
}

function isReply(line: unknown): line is { key: string; reply: string } {
  return (
    typeof line === "object" &&
    line !== null &&
    "key" in line &&
    typeof line.key === "string" &&
    "reply" in line &&
    typeof line.reply === "string"
  );
}
