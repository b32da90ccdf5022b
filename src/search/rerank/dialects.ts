/** @file The three ways in which `/rerank` services are spoken to: what is sent, and how the answer gives every passage its score. */
import { ServiceFailure } from "../../http/request.js";

interface Dialect {
  /** The body that asks for the scores of these passages. */
  request(query: string, passages: readonly string[], model: string): unknown;
  /**
   * The scores in the passages' order.
   * @throws ServiceFailure for an answer without one finite score for each passage
   */
  scores(answer: unknown, passages: readonly string[]): number[];
}

export const dialectNames = ["cohere", "tei", "search-r1"] as const;
export type DialectName = (typeof dialectNames)[number];

export const dialects: { readonly [Name in DialectName]: Dialect } = {
  /** Cohere's, spoken by Jina, Voyage (with `data` for `results`), vLLM, llama.cpp, Infinity and LiteLLM too. */
  cohere: {
    request: (query, documents, model) => ({ ...(model === "" ? {} : { model }), query, documents }),
    scores: (answer, passages) => indexedScores(fieldOf(answer, "results") ?? fieldOf(answer, "data"), passages.length),
  },
  /** Hugging Face's text-embeddings-inference: a bare list. Passages that are too long are cut instead of refused. */
  tei: {
    request: (query, texts) => ({ query, texts, truncate: true }),
    scores: (answer, passages) => indexedScores(answer, passages.length),
  },
  /**
   * Search-R1's rerank_server.py (commit a14dc3a). It answers with texts in the order of their scores, so passages are recognised by their
   * text; equal texts have equal scores. A batch of queries would mix their passages there: it is asked for one query at a time.
   */
  "search-r1": {
    request: (query, passages) => ({
      queries: [query],
      documents: [passages.map((passage) => ({ contents: contentsOf(passage) }))],
      rerank_topk: passages.length,
      return_scores: true,
    }),
    scores: (answer, passages) => {
      const lists = fieldOf(answer, "result");
      if (!Array.isArray(lists) || lists.length !== 1 || !Array.isArray(lists[0]))
        throw unusable("there is no list of results for the one query");
      const known = new Map<unknown, unknown>();
      for (const item of lists[0] as unknown[]) known.set(fieldOf(item, "document"), fieldOf(item, "score"));
      return passages.map((passage, index) => finite(known.get(shownAs(contentsOf(passage))), index));
    },
  },
};

/** From `[{ index, relevance_score | score }]`, every index once. */
function indexedScores(items: unknown, count: number): number[] {
  if (!Array.isArray(items)) throw unusable("there is no list of results");
  if (items.length !== count) throw unusable(`there are ${items.length} results for ${count} passages`);
  const scores = new Array<number | undefined>(count).fill(undefined);
  for (const item of items as unknown[]) {
    const index = fieldOf(item, "index");
    if (typeof index !== "number" || !Number.isInteger(index) || index < 0 || index >= count)
      throw unusable(`a result has the index ${JSON.stringify(index)}, with ${count} passages`);
    if (scores[index] !== undefined) throw unusable(`passage ${index} has two results`);
    scores[index] = finite(fieldOf(item, "relevance_score") ?? fieldOf(item, "score"), index);
  }
  return scores as number[];
}

function finite(score: unknown, index: number): number {
  if (typeof score === "number" && Number.isFinite(score)) return score;
  throw unusable(`the score of passage ${index} is ${JSON.stringify(score) ?? "missing"}, no finite number`);
}

function unusable(why: string): ServiceFailure {
  return new ServiceFailure(`the answer cannot be used: ${why}`);
}

function fieldOf(value: unknown, name: string): unknown {
  return typeof value === "object" && value !== null ? (value as Record<string, unknown>)[name] : undefined;
}

/** The `contents` which that server shows its model as this passage, wherever there are any: `(Title: a) b` is sent as a, line break, b. */
function contentsOf(passage: string): string {
  const [, title, text] = /^\(Title: ([^\n]*?)\) ([^]*)$/.exec(passage) ?? [undefined, "", passage];
  return `${title}\n${text}`;
}

/** What that server makes of `contents`. */
function shownAs(contents: string): string {
  const [title, ...lines] = contents.split("\n");
  return `(Title: ${title}) ${lines.join("\n")}`;
}
