/** @file OpenSearch and Elasticsearch: an index of passages, searched with `_msearch`. */
import { UserError } from "../../errors.js";
import { isRefusal, Refused } from "../../http/chunks.js";
import { serviceUrl } from "../../http/credentials.js";
import { ServiceFailure, type HttpTools } from "../../http/request.js";
import type { Passage } from "../../types.js";
import { originFields, parseFields, readFields, recogniseFields, type PassageFields } from "./fields.js";
import { RemoteEngine, RemoteServer, defaultRemote, type RemoteSettings } from "./remote-server.js";

export interface OpenSearchSettings extends RemoteSettings {
  /** The server, like http://127.0.0.1:9200. */
  url: string;
  /** Index or alias; `INDEX/TITLE,TEXT` or `INDEX/TEXT` names the fields, else they are recognised. A field may have a boost: `title^2`. */
  collection: string;
  /** User and password, or an API key. Shown nowhere. */
  username: string;
  password: string;
  apiKey: string;
}

const defaults: Omit<OpenSearchSettings, "url" | "collection"> = {
  ...defaultRemote,
  chunkSize: 128,
  username: "",
  password: "",
  apiKey: "",
};

const permission = "wants another user. Set OPENSEARCH_USERNAME and OPENSEARCH_PASSWORD, or OPENSEARCH_API_KEY.";

/** A server refuses a query with more than 1,024 words over all fields; a word and the space behind it have two characters, one in Chinese. */
const maxQueryCharacters = 1_000;

/**
 * Ranks by whatever similarity the index has; `loadIntoOpenSearch` makes one that ranks as our own BM25 does. Several fields are searched
 * by the sum of their scores (`most_fields`). The ids are the documents' `_id`. Queries are cut to 1,000 characters over all fields.
 */
export class OpenSearchEngine extends RemoteEngine {
  readonly name = "opensearch";
  readonly #address: string;
  readonly #fields: PassageFields;

  private constructor(server: RemoteServer, address: string, fields: PassageFields) {
    super(server);
    this.#address = address;
    this.#fields = fields;
  }

  /**
   * Looks at the index.
   * @throws UserError where there is no such index, field or permission; SearchError where the server cannot be asked
   */
  static async open(
    given: Partial<OpenSearchSettings> & { url: string; collection: string },
    tools: Partial<HttpTools> = {},
  ): Promise<OpenSearchEngine> {
    const server = openSearchServer(given, tools);
    const [index, named] = splitCollection(given.collection);
    const fields = await server.call(undefined, (signal) => findFields(server, index, named, signal));
    return new OpenSearchEngine(server, `${server.url}/${encodeURIComponent(index)}/_msearch`, fields);
  }

  /** A busy server answers 200 and refuses some of the queries in it: those alone are asked again. A query that it does not take takes no other along. */
  protected async ask(queries: readonly string[], k: number, signal: AbortSignal): Promise<(Passage[] | Refused)[]> {
    const lists = new Map<string, Passage[] | Refused>();
    const missing = (): string[] => queries.filter((query) => !lists.has(query));
    return this.server.json({ url: this.#address, body: () => this.#body(missing(), k) }, signal, (answer) => {
      const asked = missing();
      const failures: ServiceFailure[] = [];
      for (const [index, item] of itemsOf(answer, asked.length).entries()) {
        const failure = failureOf(item);
        if (failure === undefined) lists.set(asked[index], this.#hitsOf(item, index));
        else if (isRefusal(failure)) lists.set(asked[index], new Refused(this.server.error(failure.message, failure)));
        else failures.push(failure);
      }
      const worst = failures.find(({ isRetryable }) => !isRetryable) ?? failures.at(0);
      if (worst !== undefined) throw worst;
      return queries.map((query) => lists.get(query) as Passage[] | Refused);
    });
  }

  #body(queries: readonly string[], k: number): string {
    const { title, text } = this.#fields;
    const names = title === undefined ? [text] : [title, text];
    const longest = Math.floor(maxQueryCharacters / names.length);
    const lines = queries.map((query) => {
      const search = {
        size: k,
        query: { multi_match: { query: query.slice(0, longest), fields: names, type: "most_fields" } },
        _source: [...names.map(withoutBoost), ...originFields],
        track_total_hits: false,
      };
      return `{}\n${JSON.stringify(search)}\n`;
    });
    return lines.join("");
  }

  #hitsOf(item: unknown, query: number): Passage[] {
    const hits = (item as { hits?: { hits?: unknown } } | null)?.hits?.hits;
    if (!Array.isArray(hits)) throw new ServiceFailure(`responses[${query}] has no list of hits`);
    const fields = withoutBoosts(this.#fields);
    return hits.map((hit: unknown, rank) => {
      const { _id: id, _score: score, _source: source } = (hit ?? {}) as Record<string, unknown>;
      const field = `responses[${query}].hits[${rank}]`;
      if (typeof id !== "string") throw new ServiceFailure(`${field}._id must be text`);
      if (typeof score !== "number" || !Number.isFinite(score))
        throw new ServiceFailure(`${field}._score must be a finite number, got ${JSON.stringify(score)}`);
      const passage = readFields(source, fields);
      if (passage === undefined)
        throw new ServiceFailure(`document ${JSON.stringify(id)} has no text in its field "${fields.text}"`);
      return { id, ...passage, score };
    });
  }
}

/** @throws UserError for an address that does not do */
export function openSearchServer(
  given: Partial<OpenSearchSettings> & { url: string },
  tools: Partial<HttpTools>,
): RemoteServer {
  const settings = { ...defaults, ...given };
  const { username, password, apiKey, headers } = settings;
  const url = serviceUrl(settings.url, {
    name: "The search server's address",
    example: "http://127.0.0.1:9200",
    keyAdvice: "Put it into OPENSEARCH_USERNAME and OPENSEARCH_PASSWORD.",
  });
  const basic = Buffer.from(`${username}:${password}`).toString("base64");
  const authorization: Record<string, string> =
    apiKey !== "" ? { authorization: `ApiKey ${apiKey}` } : username !== "" ? { authorization: `Basic ${basic}` } : {};
  return new RemoteServer(
    { name: "opensearch", title: "OpenSearch server", url: url.toString().replace(/\/+$/, "") },
    { ...settings, headers: { ...authorization, ...headers } },
    tools,
    [password],
  );
}

function itemsOf(answer: unknown, count: number): unknown[] {
  const items = (answer as { responses?: unknown } | null)?.responses;
  if (!Array.isArray(items)) throw new ServiceFailure('the answer is not what _msearch promises: no list "responses"');
  if (items.length !== count)
    throw new ServiceFailure(`the answer is not what _msearch promises: ${count} queries, ${items.length} responses`);
  return items;
}

/** What is wrong with one answer inside of a 200. Results of some shards only are no results. */
function failureOf(item: unknown): ServiceFailure | undefined {
  const { error, status, timed_out: isLate, _shards: shards } = (item ?? {}) as Record<string, unknown>;
  if (error !== undefined) return refusal(reasonOf(error), typeof status === "number" ? status : undefined);
  const { failed, total, failures } = (shards ?? {}) as { failed?: number; total?: number; failures?: unknown[] };
  if (failed !== undefined && failed > 0)
    return refusal(`${failed} of ${total} shards failed: ${reasonOf(failures?.[0])}`);
  return isLate === true ? refusal("the server ran out of time") : undefined;
}

function refusal(why: string, status?: number): ServiceFailure {
  const isRetryable = status === undefined || status === 429 || status >= 500;
  const retryAfterMs = isRetryable ? 0 : undefined;
  return new ServiceFailure(`a query was refused: ${why}`, { isRetryable, status, retryAfterMs });
}

/** The innermost reason: the outer ones say "all shards failed". */
function reasonOf(error: unknown): string {
  if (typeof error !== "object" || error === null) return String(error);
  const { root_cause: causes, reason, type } = error as { root_cause?: unknown[]; reason?: unknown; type?: unknown };
  if (Array.isArray(causes) && causes.length > 0) return reasonOf(causes[0]);
  if (typeof reason === "object") return reasonOf(reason);
  return typeof reason === "string" ? reason : String(type);
}

function splitCollection(collection: string): [index: string, fields: PassageFields | undefined] {
  const slash = collection.indexOf("/");
  if (slash < 0) return [collection, undefined];
  return [collection.slice(0, slash), parseFields(collection.slice(slash + 1))];
}

async function findFields(
  server: RemoteServer,
  index: string,
  named: PassageFields | undefined,
  signal: AbortSignal,
): Promise<PassageFields> {
  if (index === "")
    throw await noIndex(server, "The search needs an index (--collection, search.collection).", index, signal);
  const url = `${server.url}/${encodeURIComponent(index)}/_mapping`;
  const mapping = await server.lookUp({ url }, signal, permission);
  if (mapping === undefined) throw await noIndex(server, `The server has no index "${index}".`, index, signal);
  const names = textFieldsOf(mapping);
  const fields = named ?? recogniseFields(names);
  const wanted = fields === undefined ? [] : [fields.text, ...(fields.title === undefined ? [] : [fields.title])];
  const missing = wanted.map(withoutBoost).find((name) => !names.includes(name));
  if (fields !== undefined && missing === undefined) return fields;
  throw new UserError(
    `The index "${index}" at ${server.url} has no ${missing === undefined ? "field that is known as a text's" : `text field "${missing}"`}. ` +
      `Its text fields: ${names.join(", ") || "none"}. Name them with --collection ${index}/TITLE,TEXT or ${index}/TEXT.`,
  );
}

async function noIndex(server: RemoteServer, what: string, index: string, signal: AbortSignal): Promise<UserError> {
  const url = `${server.url}/_cat/indices?format=json&h=index`;
  const rows = await server.lookUp({ url }, signal, permission).catch(() => []);
  const names = (Array.isArray(rows) ? rows : [])
    .map((row: unknown) => String((row as { index?: unknown } | null)?.index))
    .filter((name) => !name.startsWith("."))
    .sort();
  return server.unknownName(what, index, names);
}

/** Text fields at the top of the documents of all indexes that the name stands for. */
function textFieldsOf(mapping: unknown): string[] {
  const indexes = Object.values((mapping ?? {}) as Record<string, { mappings?: { properties?: object } }>);
  const fields = indexes.flatMap((index) => Object.entries(index.mappings?.properties ?? {}));
  const names = fields.filter(([, field]) => (field as { type?: unknown }).type === "text").map(([name]) => name);
  return [...new Set(names)];
}

function withoutBoost(field: string): string {
  return field.replace(/\^.*$/, "");
}

function withoutBoosts({ title, text, isContents }: PassageFields): PassageFields {
  return { text: withoutBoost(text), isContents, ...(title === undefined ? {} : { title: withoutBoost(title) }) };
}
