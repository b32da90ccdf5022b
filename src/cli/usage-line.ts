/** @file What a server of chat completions, or a model that writes like one, says that it has used. */
import { costOf, type Price } from "../synthesis/questions/writer/plan.js";
import type { WriterUsage } from "../synthesis/questions/writer/writer.js";
import { count, plural } from "./terminal/format.js";

/** Replies, their tokens, and what they cost where they have a price. */
export function usageLine(usage: WriterUsage, price?: Price): string {
  const { replies, promptTokens, completionTokens, uncounted } = usage;
  const cost = price === undefined ? "" : `, ${dollars(costOf(usage, price))}`;
  const missing = uncounted === 0 ? "" : ` (${plural(uncounted, "reply", "replies")} did not say their tokens)`;
  return `Asked for ${plural(replies, "reply", "replies")}: ${count(promptTokens)} tokens in, ${count(completionTokens)} out${cost}${missing}`;
}

export function dollars(amount: number): string {
  return `$${amount >= 0.995 ? amount.toFixed(2) : amount.toFixed(4)}`;
}
