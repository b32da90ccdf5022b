/** @file What a server of chat completions, or a model that writes like one, says that it has used. */
import type { ServerUsage } from "../contracts/policy.js";
import { costOf, type Price } from "../synthesis/questions/writer/plan.js";
import type { WriterUsage } from "../synthesis/questions/writer/writer.js";
import { count, plural } from "./terminal/format.js";

/** Replies, their tokens, and what they cost where they have a price. */
export function usageLine(usage: WriterUsage, price?: Price): string {
  const { replies, promptTokens, completionTokens, uncounted } = usage;
  const dear = price === undefined ? (usage as Partial<ServerUsage>).spentUsd : costOf(usage, price);
  const cost = dear === undefined ? "" : `, ${dollars(dear)}`;
  const missing = uncounted === 0 ? "" : ` (${plural(uncounted, "reply", "replies")} did not say their tokens)`;
  return `Asked for ${plural(replies, "reply", "replies")}: ${count(promptTokens)} tokens in, ${count(completionTokens)} out${cost}${missing}`;
}

/** The same of a served policy, and a line for what its server did not do as it was asked. */
export function serverLines(usage: ServerUsage): string[] {
  const { ranOn, echoed, noRoom } = usage;
  const unusual = [
    ...(ranOn > 0
      ? [`${plural(ranOn, "turn")} went on past a stop string and ${ranOn === 1 ? "was" : "were"} cut there`]
      : []),
    ...(echoed > 0 ? [`${plural(echoed, "reply", "replies")} began with the prompt, which was taken off`] : []),
    ...(noRoom > 0 ? [`for ${plural(noRoom, "turn")} the server had no room: the attempts ran out of tokens`] : []),
  ];
  return [usageLine(usage), ...(unusual.length === 0 ? [] : [`The server: ${unusual.join("; ")}.`])];
}

export function dollars(amount: number): string {
  return `$${amount >= 0.995 ? amount.toFixed(2) : amount.toFixed(4)}`;
}
