/** @file A look at what an engine has answered: engines are foreign code, often behind a network. */
import type { Passage } from "../types.js";
import { SearchError } from "./engine.js";

/**
 * The answer, when it is one list of passages for each of `count` queries.
 * @throws SearchError for an engine that breaks its promise: it has failed like one that throws
 */
export function checkLists(lists: unknown, count: number, name: string): Passage[][] {
  if (Array.isArray(lists) && lists.length === count && lists.every(isPassageList)) return lists;
  const got = Array.isArray(lists) ? `${lists.length} results` : typeof lists;
  const why = `${name} answered ${count} queries with ${got} instead of one list of passages each.`;
  throw new SearchError(why, { engine: name, isRetryable: false });
}

function isPassageList(list: unknown): list is Passage[] {
  return Array.isArray(list) && list.every(isPassage);
}

function isPassage(value: unknown): boolean {
  if (typeof value !== "object" || value === null) return false;
  const { id, title, text } = value as Partial<Record<keyof Passage, unknown>>;
  return typeof id === "string" && typeof title === "string" && typeof text === "string";
}
