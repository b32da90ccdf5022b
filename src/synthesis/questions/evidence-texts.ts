/** @file The passages that the questions of a folder were made from, for people to compare. */
import { partsOf, readPart } from "../../data/questions.js";
import { forEachPassage, type Passages } from "./corpus.js";

/** By the passages' ids, with their titles. */
export async function evidenceTexts(folder: string, passages: Passages): Promise<Map<string, string>> {
  const wanted = new Set<string>();
  for (const part of await partsOf(folder))
    for (const { evidence = [] } of await readPart(folder, part)) for (const { id } of evidence) wanted.add(id);
  const texts = new Map<string, string>();
  await forEachPassage({ passages }, "reading", ({ id, title, text }) => {
    if (wanted.has(id)) texts.set(id, `${title}\n\n${text}`);
  });
  return texts;
}
