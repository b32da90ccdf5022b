/** @file Qdrant: a collection of passages with vectors, searched by the vectors of the queries. */
import { UserError } from "../../errors.js";
import { isAnswer, Refused } from "../../http/chunks.js";
import { serviceUrl } from "../../http/credentials.js";
import { ServiceFailure, type HttpTools } from "../../http/request.js";
import type { Passage } from "../../types.js";
import { vectorsOf, type Encoder } from "../dense/encoder.js";
import type { Counts } from "../engine.js";
import { originFields, parseFields, readFields, recogniseFields, type PassageFields } from "./fields.js";
import { RemoteEngine, RemoteServer, defaultRemote, type RemoteSettings } from "./remote-server.js";

interface QdrantSettings extends RemoteSettings {
  /** The server, like http://127.0.0.1:6333. */
  url: string;
  /**
   * `COLLECTION`, with `@VECTOR` where points have several vectors, and `/TITLE,TEXT` or `/TEXT` where the payload's fields are not recognised:
   * `wiki@e5/name,body`.
   */
  collection: string;
  /** Sent as `api-key`, shown nowhere; empty: none. */
  apiKey: string;
}

const defaults: Omit<QdrantSettings, "url" | "collection"> = { ...defaultRemote, chunkSize: 64, apiKey: "" };

/** What was found out when the collection was opened. */
interface Collection {
  /** Address of the collection. */
  address: string;
  /** Name of the vector; undefined where points have one without a name. */
  vector?: string;
  dimensions: number;
  /** Smaller is nearer: Euclid and Manhattan. */
  isDistance: boolean;
  fields: PassageFields;
  /** Of the payload; undefined: the point's own id. */
  idField?: string;
  /** Servers before 1.10 know `search/batch` only. */
  hasQuery: boolean;
}

const permission = "wants a key that may read the collection. Set QDRANT_API_KEY.";

/** Payload fields that hold a passage's id in a corpus: points themselves have numbers or UUIDs only. */
const idNames = ["id", "_id", "doc_id", "passage_id"];

/**
 * Scores are the server's: cosines or inner products; distances (Euclid, Manhattan) are negated, so that more is better. The engine closes the
 * encoder.
 */
export class QdrantEngine extends RemoteEngine {
  readonly name = "qdrant";
  readonly #collection: Collection;
  readonly #encoder: Encoder;

  private constructor(server: RemoteServer, collection: Collection, encoder: Encoder) {
    super(server);
    this.#collection = collection;
    this.#encoder = encoder;
  }

  /**
   * Looks at the collection.
   * @throws UserError where there is no such collection, vector, field or permission, or the encoder's vectors have another length;
   * SearchError where the server cannot be asked
   */
  static async open(
    given: Partial<QdrantSettings> & { url: string; collection: string },
    encoder: Encoder,
    tools: Partial<HttpTools> = {},
  ): Promise<QdrantEngine> {
    const settings = { ...defaults, ...given };
    const url = serviceUrl(settings.url, {
      name: "The search server's address",
      example: "http://127.0.0.1:6333",
      keyAdvice: "Put it into QDRANT_API_KEY.",
    });
    const { apiKey, headers } = settings;
    const server = new RemoteServer(
      { name: "qdrant", title: "Qdrant server", url: url.toString().replace(/\/+$/, "") },
      { ...settings, headers: { ...(apiKey === "" ? {} : { "api-key": apiKey }), ...headers } },
      tools,
    );
    const collection = await server.call(undefined, (signal) => lookAt(server, settings.collection, signal));
    const { dimensions, address } = collection;
    if (encoder.dimensions !== 0 && encoder.dimensions !== dimensions)
      throw new UserError(
        `The vectors at ${address} have ${dimensions} numbers, those of ${encoder.name} ${encoder.dimensions}. Name the encoder that made the collection with --encoder.`,
      );
    return new QdrantEngine(server, collection, encoder);
  }

  override counts(): Counts {
    return { ...this.#encoder.counts?.(), ...super.counts() };
  }

  override async close(): Promise<void> {
    await super.close();
    await this.#encoder.close();
  }

  protected async ask(queries: readonly string[], k: number, signal: AbortSignal): Promise<(Passage[] | Refused)[]> {
    const { address, dimensions, hasQuery } = this.#collection;
    const answers = await vectorsOf(this.#encoder, queries, "query", { signal });
    const vectors = answers.filter(isAnswer);
    if (vectors.length === 0) return answers.filter((answer) => answer instanceof Refused);
    if (vectors[0].length !== dimensions)
      throw this.server.error(
        `its vectors have ${dimensions} numbers, those of ${this.#encoder.name} ${vectors[0].length}`,
        { isRetryable: false },
      );
    const searches = vectors.map((vector) => this.#search(Array.from(vector), k));
    const route = hasQuery ? "query" : "search";
    const request = { url: `${address}/points/${route}/batch`, body: JSON.stringify({ searches }) };
    const lists = await this.server.json(request, signal, (answer) => this.#listsOf(answer, vectors.length));
    let next = 0;
    return answers.map((answer) => (isAnswer(answer) ? lists[next++] : answer));
  }

  #search(vector: readonly number[], limit: number): object {
    const { vector: name, fields, idField, hasQuery } = this.#collection;
    const names = [fields.title, fields.text, idField, ...originFields].filter((field) => field !== undefined);
    const common = { limit, with_payload: names };
    if (!hasQuery) return { ...common, vector: name === undefined ? vector : { name, vector } };
    return { ...common, query: vector, ...(name === undefined ? {} : { using: name }) };
  }

  #listsOf(answer: unknown, count: number): Passage[][] {
    const promised = "the answer is not what Qdrant promises";
    const result = (answer as { result?: unknown } | null)?.result;
    if (!Array.isArray(result)) throw new ServiceFailure(`${promised}: no list "result"`);
    if (result.length !== count) throw new ServiceFailure(`${promised}: ${count} queries, ${result.length} results`);
    return result.map((item: unknown, query) => {
      const points = this.#collection.hasQuery ? (item as { points?: unknown } | null)?.points : item;
      if (!Array.isArray(points)) throw new ServiceFailure(`${promised}: result[${query}] has no list of points`);
      return points.map((point: unknown, rank) => this.#passageOf(point, `result[${query}][${rank}]`));
    });
  }

  #passageOf(point: unknown, place: string): Passage {
    const { id: pointId, score, payload } = (point ?? {}) as Record<string, unknown>;
    const { fields, idField, isDistance } = this.#collection;
    const own = idField === undefined ? undefined : (payload as Record<string, unknown> | null | undefined)?.[idField];
    const id = typeof own === "string" || typeof own === "number" ? own : pointId;
    if (typeof id !== "string" && typeof id !== "number")
      throw new ServiceFailure(`${place}.id must be text or a number`);
    if (typeof score !== "number" || !Number.isFinite(score))
      throw new ServiceFailure(`${place}.score must be a finite number, got ${JSON.stringify(score)}`);
    const passage = readFields(payload, fields);
    if (passage === undefined)
      throw new ServiceFailure(`point ${JSON.stringify(pointId)} has no text in its payload's field "${fields.text}"`);
    return { id: String(id), ...passage, score: isDistance ? -score : score };
  }
}

/** Name of the collection, of the vector, and of the fields in `COLLECTION@VECTOR/TITLE,TEXT`. */
function splitCollection(text: string): { name: string; vector?: string; fields?: PassageFields } {
  const slash = text.indexOf("/");
  const [head, fields] = slash < 0 ? [text] : [text.slice(0, slash), parseFields(text.slice(slash + 1))];
  const at = head.lastIndexOf("@");
  return at < 0 ? { name: head, fields } : { name: head.slice(0, at), vector: head.slice(at + 1), fields };
}

async function lookAt(server: RemoteServer, text: string, signal: AbortSignal): Promise<Collection> {
  const { url } = server;
  const { name, vector, fields: named } = splitCollection(text);
  if (name === "")
    throw await noCollection(server, "The search needs a collection (--collection, search.collection).", name, signal);
  const address = `${url}/collections/${encodeURIComponent(name)}`;
  const answer = await server.lookUp({ url: address }, signal, permission);
  if (answer === undefined) throw await noCollection(server, `The server has no collection "${name}".`, name, signal);
  const { result } = answer as { result?: { config?: { params?: { vectors?: unknown } } } };
  const chosen = chooseVector(result?.config?.params?.vectors, vector, name);
  const names = await payloadFields(server, address, signal);
  const fields = named ?? recogniseFields(names);
  if (fields === undefined || (names.length > 0 && !names.includes(fields.text)))
    throw new UserError(
      `The payload of "${name}" at ${url} has no ${fields === undefined ? "field that is known as a text's" : `field "${fields.text}"`}. ` +
        `Its fields: ${names.join(", ") || "none"}. Name them with --collection ${name}/TITLE,TEXT or ${name}/TEXT.`,
    );
  const idField = idNames.find((field) => names.includes(field));
  return { address, ...chosen, fields, idField, hasQuery: await knowsQuery(server, signal) };
}

/** Vectors are described by `{size, distance}`, or by one such object for each name. */
function chooseVector(
  vectors: unknown,
  wanted: string | undefined,
  collection: string,
): Pick<Collection, "vector" | "dimensions" | "isDistance"> {
  const all = (vectors ?? {}) as Record<string, unknown>;
  if (typeof all.size === "number" && wanted === undefined) return describeVector(all);
  const names = typeof all.size === "number" ? [] : Object.keys(all);
  const name = wanted ?? (names.length === 1 ? names[0] : undefined);
  const chosen = name === undefined ? undefined : all[name];
  if (typeof chosen === "object" && chosen !== null) return { vector: name, ...describeVector(chosen) };
  const why =
    wanted !== undefined
      ? `has no vector "${wanted}"`
      : names.length === 0
        ? "has no dense vectors"
        : "has several vectors";
  throw new UserError(
    `The collection "${collection}" ${why}. Its vectors: ${names.join(", ") || "one without a name"}. Choose with --collection ${collection}@NAME.`,
  );
}

function describeVector(vector: object): Pick<Collection, "dimensions" | "isDistance"> {
  const { size, distance } = vector as { size?: unknown; distance?: unknown };
  return { dimensions: Number(size), isDistance: distance === "Euclid" || distance === "Manhattan" };
}

/** Qdrant keeps no schema: the fields of the first few points. */
async function payloadFields(server: RemoteServer, address: string, signal: AbortSignal): Promise<string[]> {
  const body = JSON.stringify({ limit: 10, with_payload: true, with_vector: false });
  const answer = await server.lookUp({ url: `${address}/points/scroll`, body }, signal, permission);
  const points = (answer as { result?: { points?: unknown } } | undefined)?.result?.points;
  const payloads = Array.isArray(points) ? points.map((point: { payload?: object | null }) => point.payload ?? {}) : [];
  return [...new Set(payloads.flatMap(Object.keys))];
}

async function knowsQuery(server: RemoteServer, signal: AbortSignal): Promise<boolean> {
  const answer = await server.lookUp({ url: `${server.url}/` }, signal, permission);
  const { version } = (answer ?? {}) as { version?: unknown };
  const [major, minor] = (typeof version === "string" ? version : "").split(".").map(Number);
  // A server that does not say is taken for a new one.
  return !(major < 1 || (major === 1 && minor < 10));
}

async function noCollection(server: RemoteServer, what: string, name: string, signal: AbortSignal): Promise<UserError> {
  const answer = await server.lookUp({ url: `${server.url}/collections` }, signal, permission).catch(() => undefined);
  const rows = (answer as { result?: { collections?: unknown } } | undefined)?.result?.collections;
  const names = Array.isArray(rows) ? rows.map((row: { name?: unknown }) => String(row.name)).sort() : [];
  return server.unknownName(what, name, names);
}
