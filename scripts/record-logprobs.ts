/**
 * @file Records what Sleuth computes from a model, for `test/golden/check_export.py` to compare with transformers and PEFT:
 *
 *     node --import tsx scripts/record-logprobs.ts MODEL FILE.json
 *
 * MODEL is whatever Sleuth opens, FILE.json receives token ids, log-probabilities and a greedy continuation of a few texts.
 */
import { writeFileSync } from "node:fs";
import { createLocalPolicy } from "../src/policy/local/local.js";
import { searchR1 } from "../src/prompts/protocol.js";
import { renderObservation, renderPrompt } from "../src/prompts/render.js";
import { locateModel } from "../src/train/model-folder.js";

const [model, file] = process.argv.slice(2);
if (!file) throw new Error("Give a model and a file: node --import tsx scripts/record-logprobs.ts MODEL FILE.json");
const policy = await createLocalPolicy({ ...(await locateModel(model)), precision: "float32", threads: 1 });
const { tokenizer } = policy;
const { chatTemplate } = tokenizer;

const question = { question: "When does the ferry to Hven leave Landskrona on a Sunday in November?" };
const user = { role: "user", content: renderPrompt(searchR1, question) } as const;
const passage = {
  title: "Ferry times",
  text: "The ferry to Hven leaves Landskrona at 9:05 – und täglich außer 日曜日.",
};
const texts = [
  user.content,
  `<think> I look it up. </think>\n<search> ferry </search>${renderObservation(searchR1, [passage])}`,
  "Question: What is the capital of Peru?\n",
  ...(chatTemplate ? [chatTemplate.render([user], { addGenerationPrompt: true })] : []),
];
const records = [];
for (const text of texts) {
  const tokens_T = tokenizer.encode(text);
  const [logprobs_T] = await policy.logprobs([tokens_T]);
  const { tokens_T: greedy_T } = await policy.sample(tokens_T, { maxTokens: 24, temperature: 0 });
  records.push({ text, tokens: tokens_T, logprobs: Array.from(logprobs_T), greedy: greedy_T });
}
await policy.close();
const messages = chatTemplate ? [user] : null;
writeFileSync(file, `${JSON.stringify({ model, eosIds: tokenizer.eosIds, messages, records })}\n`);
