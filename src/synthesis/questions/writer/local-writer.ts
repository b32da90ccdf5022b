/** @file A language model of this machine as a writer, through the sampler of policies. */
import type { Policy } from "../../../contracts/policy.js";
import { searchR1 } from "../../../prompts/protocol.js";
import { makeSanitizer } from "../../../prompts/sanitize.js";
import { deriveSeed } from "../../../random.js";
import type { Writer, WriterUsage } from "./writer.js";

/**
 * A model without a chat template reads the messages as plain text. What does not fit into its context has the reply "".
 * @param policy is closed with the writer
 */
export function localWriter(
  policy: Pick<Policy, "tokenizer" | "sample" | "contextLength">,
  { name, concurrency, seed, close }: { name: string; concurrency: number; seed: number; close: () => Promise<void> },
): Writer {
  const { tokenizer, contextLength } = policy;
  const sanitizer = makeSanitizer(searchR1, tokenizer);
  const used: WriterUsage = { replies: 0, promptTokens: 0, completionTokens: 0, uncounted: 0 };
  return {
    name,
    concurrency,
    async reply(messages, { maxTokens, temperature, signal }) {
      const harmless = messages.map(({ role, content }) => ({ role, content: sanitizer.sanitize(content).text }));
      const prompt =
        tokenizer.chatTemplate?.render(harmless, { addGenerationPrompt: true }) ??
        `${harmless.map(({ content }) => content).join("\n\n")}\n`;
      const prefix_T = [
        ...(tokenizer.chatTemplate === undefined ? (tokenizer.startIds ?? []) : []),
        ...tokenizer.encode(prompt),
      ];
      if (prefix_T.length + maxTokens > contextLength) return "";
      const stop = { tokens: tokenizer.eosIds };
      const own = deriveSeed(seed, prompt);
      const { tokens_T } = await policy.sample(prefix_T, { maxTokens, temperature, stop, seed: own, signal });
      used.replies++;
      used.promptTokens += prefix_T.length;
      used.completionTokens += tokens_T.length;
      return tokenizer.decode(tokens_T.filter((token) => !tokenizer.eosIds.includes(token)));
    },
    usage: () => ({ ...used }),
    close,
  };
}
