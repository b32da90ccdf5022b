/** @file Texts that bring about what a model's layers usually read, for a model whose own use is not known. */
import { UserError } from "../../errors.js";
import type { ChatTemplate, Tokenizer } from "../../types.js";

const questions = [
  "Which river flows through the capital of the country whose currency is the forint?",
  "What is the difference between a list and a tuple in Python, and when would you use each of them?",
  "Question: Who wrote the novel that the film is based on?\nThink step by step. To look something up, write <search> query </search>.",
  "Write a short letter to a neighbour, in which you thank her for watering the plants.",
];

const passages = [
  "Lake Constance (German: Bodensee) refers to three bodies of water on the Rhine at the northern foot of the Alps: Upper Lake Constance (536 km²), Lower Lake Constance (63 km²), and a stretch of the Rhine that joins them.",
  "<information>Doc 1 (Title: Photosynthesis) Plants, algae and some bacteria turn light into chemical energy. The energy is stored in sugars, which are made of carbon dioxide and water.</information>",
  "## Installation\n\n1. Download the archive.\n2. Run `make install PREFIX=/usr/local`.\n3. Set `MAX_THREADS=8` in `config.toml`, then restart the service.",
  'In 1912 the committee met 14 times; 3.7 % of the 2,640 applications were accepted, against 5.1 % the year before. "We could not do more," its chairman said.',
];

/** Most tokens of a text. */
const longest = 192;

/** A template may ask for more than a message of a user. */
function asConversation(content: string, template: ChatTemplate | undefined): string {
  try {
    if (template) return template.render([{ role: "user", content }], { addGenerationPrompt: true });
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
  }
  return `${content}\n`;
}

/** In tokens, as a conversation where the model has a template. */
export function usualTexts(tokenizer: Tokenizer): number[][] {
  const { chatTemplate, startIds = [] } = tokenizer;
  const conversations = questions.map((content, index) => {
    return `${asConversation(content, chatTemplate)}${passages[index]}`;
  });
  const started = passages.map((text) => [...startIds, ...tokenizer.encode(text)]);
  return [...conversations.map((text) => tokenizer.encode(text)), ...started].map((tokens) => tokens.slice(0, longest));
}
