/**
 * @file A search engine for one question that finds what holds its answer, whatever is asked: bounds what reading alone can reach. It looks where the engine
 * itself looks, so an answer that stands in no passage stays unfound, and that an answer's words stand in a passage does not make it evidence.
 */
import { ours } from "../rewards/answers.js";
import { checkLists, type PassageList, type SearchEngine } from "../search/engine.js";
import type { Passage, Question } from "../types.js";

/** How deep the engine is asked. */
const deep = 100;

/**
 * The passages that the question was made from, where it names them, those with an answer first; then others in which an answer stands. They are looked for
 * among the first hundred that the engine finds with the question, with question and answers, and with an answer.
 */
export function oracleEngine(engine: SearchEngine, { question, answers, evidence = [] }: Question): SearchEngine {
  const holds = ours.holdsAnswer(answers);
  const find = async (signal?: AbortSignal): Promise<Passage[]> => {
    const queries = [question, [question, ...answers].join(" "), ...answers];
    const lists = checkLists(await engine.searchBatch(queries, deep, { signal }), queries.length, engine.name);
    const found = [
      ...new Map(lists.flat().map((passage) => [JSON.stringify([passage.id, passage.text]), passage])),
    ].map(([, passage]) => passage);
    const named = evidence.flatMap(({ id }) => found.filter((passage) => passage.id === id));
    return [...new Set([...named.filter(holds), ...named, ...found.filter(holds)])];
  };
  let known: Promise<Passage[]> | undefined;
  return {
    name: `oracle over ${engine.name}`,
    async searchBatch(queries, k, { signal } = {}): Promise<PassageList[]> {
      known ??= find(signal);
      try {
        const passages = await known;
        return queries.map(() => passages.slice(0, k).map((passage) => ({ ...passage })));
      } catch (error) {
        // The next search may succeed.
        known = undefined;
        throw error;
      }
    },
    close: () => Promise.resolve(),
  };
}
