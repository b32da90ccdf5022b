/** @file The protocol's templates as pretraining writes them: the same text a rollout writes, one passage per search. */
import { fill, type Page } from "../data/atlas/pages.js";
import { atlas as protocol } from "../prompts/protocol.js";

/** `Question: …` */
export function renderPrompt(question: string): string {
  return fill(protocol.prompt, { question });
}

/** What the environment writes after a search that found `page`. */
export function renderInformation(page: Page): string {
  const passages = fill(protocol.passage, { index: "1", title: page.title, text: page.text });
  return fill(protocol.observation, { passages });
}

/** `<tag>text</tag>` */
export function wrap(tags: readonly [string, string], text: string): string {
  return `${tags[0]}${text}${tags[1]}`;
}
