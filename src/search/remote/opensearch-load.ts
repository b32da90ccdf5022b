/** @file Filling an index of OpenSearch or Elasticsearch with passages, so that it ranks as Search-R1's BM25 does. */
import { UserError } from "../../errors.js";
import { isolateRefused, Refused } from "../../http/chunks.js";
import { ServiceFailure, type HttpTools } from "../../http/request.js";
import { formatContents } from "../text/contents.js";
import { SearchError } from "../engine.js";
import { IdTable } from "../id-table.js";
import { openSearchServer } from "./opensearch.js";
import type { OpenSearchSettings } from "./opensearch.js";
import type { RemoteServer } from "./remote-server.js";
import type { StoredPassage } from "../../types.js";

export interface LoadSettings extends Partial<OpenSearchSettings> {
  url: string;
  /** Name of the index that is made. */
  collection: string;
  /** BM25; defaults as Anserini's. */
  k1?: number;
  b?: number;
  shards?: number;
  replicas?: number;
  /** Passages in one request. */
  batch?: number;
  signal?: AbortSignal;
}

/**
 * Makes an index with one text field, `contents` in Search-R1's form, analysed as English and ranked by BM25 with k1 = 0.9 and b = 0.4, and
 * writes the passages with their ids; halves of surrogate pairs become U+FFFD. OpenSearch's scores are then k1 + 1 times ours, in the same
 * order: it keeps a factor that Lucene has dropped. Passages that are there already under the same id are replaced, so a load that broke off can be
 * repeated; an index that is there keeps its settings.
 * @returns the number of passages written
 * @throws UserError where the server refuses the index or a passage, and for an id that occurs twice; SearchError where it cannot be asked
 */
export async function loadIntoOpenSearch(
  passages: Iterable<StoredPassage> | AsyncIterable<StoredPassage>,
  settings: LoadSettings,
  tools: Partial<HttpTools> = {},
): Promise<number> {
  const { batch = 1_000, collection, signal } = settings;
  // A load is as long as the corpus; each request has its own deadline.
  const server = openSearchServer({ ...settings, deadlineMs: Infinity }, tools);
  const index = `${server.url}/${encodeURIComponent(collection)}`;
  return server.call(signal, async (whole) => {
    await makeIndex(server, index, settings, whole);
    let written = 0;
    let lines: BulkLines[] = [];
    const flush = async (): Promise<void> => {
      await writeAll(server, `${index}/_bulk`, lines, whole);
      written += lines.length;
      lines = [];
    };
    const ids = new IdTable();
    for await (const passage of passages) {
      // The server would put it in the other's place. (Another id with the same hash: one chance in 10⁷ for a million.)
      if (ids.add(passage.id, 0) !== undefined)
        throw new UserError(
          `The id ${JSON.stringify(passage.id)} stands for two passages. OpenSearch keeps one document for an id: give each chunk its own.`,
        );
      // OpenSearch takes half a surrogate pair without a word and then does not find the document.
      const { url, section } = passage;
      const document = JSON.stringify({
        contents: formatContents(passage).toWellFormed(),
        url: url?.toWellFormed(),
        section: section?.toWellFormed(),
      });
      lines.push({
        id: passage.id,
        text: `${JSON.stringify({ index: { _id: passage.id } })}\n${document}\n`,
      });
      if (lines.length >= batch) await flush();
    }
    if (lines.length > 0) await flush();
    await server.json({ url: `${index}/_refresh`, body: "" }, whole, () => undefined);
    return written;
  });
}

async function makeIndex(
  server: RemoteServer,
  index: string,
  { k1 = 0.9, b = 0.4, shards = 1, replicas = 0, collection }: LoadSettings,
  signal: AbortSignal,
): Promise<void> {
  const body = {
    settings: {
      number_of_shards: shards,
      number_of_replicas: replicas,
      similarity: { default: { type: "BM25", k1, b } },
    },
    mappings: {
      properties: {
        contents: { type: "text", analyzer: "english" },
        // Shown, and not searched.
        url: { type: "keyword", index: false, doc_values: false },
        section: { type: "keyword", index: false, doc_values: false },
      },
    },
  };
  try {
    await server.json({ url: index, body: JSON.stringify(body), method: "PUT" }, signal, () => undefined);
  } catch (error) {
    if (!(error instanceof SearchError) || error.status !== 400) throw error;
    if (error.message.includes("resource_already_exists_exception")) return;
    throw new UserError(`The index "${collection}" cannot be made: ${error.message}`, { cause: error });
  }
}

/** A passage as `_bulk` takes it. */
interface BulkLines {
  id: string;
  text: string;
}

/** Requests that are too large for the server are halved. @throws UserError that names a passage which it does not take */
async function writeAll(
  server: RemoteServer,
  url: string,
  passages: readonly BulkLines[],
  signal: AbortSignal,
): Promise<void> {
  const write = async (some: readonly BulkLines[]): Promise<undefined[]> => {
    const body = some.map(({ text }) => text).join("");
    const failure = await server.json({ url, body }, signal, firstFailure);
    if (failure !== undefined) throw refusal(failure);
    return some.map(() => undefined);
  };
  const answers = await isolateRefused(passages, write, ({ text }) => text.length);
  for (const [place, answer] of answers.entries())
    if (answer instanceof Refused) throw refusal(`${JSON.stringify(passages[place].id)}: ${answer.error.message}`);
}

function refusal(what: string): UserError {
  return new UserError(
    `The server refused a passage: ${what}. Those before it are written; loading again replaces them.`,
  );
}

/** The first passage that an answer of `_bulk` refuses, and why. */
function firstFailure(answer: unknown): string | undefined {
  const { errors, items } = (answer ?? {}) as { errors?: unknown; items?: unknown };
  if (errors === false) return undefined;
  if (!Array.isArray(items)) throw new ServiceFailure('the answer is not what _bulk promises: no list "items"');
  for (const item of items as { index?: { _id?: unknown; error?: { reason?: unknown } } }[])
    if (item.index?.error !== undefined) return `${JSON.stringify(item.index._id)}: ${String(item.index.error.reason)}`;
  throw new ServiceFailure("the answer says that something failed, and not what");
}
