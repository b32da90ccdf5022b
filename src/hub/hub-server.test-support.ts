/**
 * @file A server that speaks the Hub's protocol: revisions, paged listings, small files behind a redirect of its own, large files
 * behind a redirect to another host, ranges; and that can be told to fail. It also announces Xet storage, as the Hub does.
 */
import { createHash } from "node:crypto";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { toConfigJson } from "../engine/io/config-json.js";
import { tinyConfig } from "../engine/model/tiny-config.test-support.js";

export interface ServedRepository {
  /** Branches and tags. */
  revisions: Record<string, string>;
  files: Record<string, Buffer>;
  /** Whoever asks without this token is refused as the Hub refuses. */
  token?: string;
  gated?: boolean;
}

export interface Asked {
  host: "hub" | "cdn";
  method: string;
  url: string;
  range?: string;
  authorization?: string;
}

/** What to do with a request instead of answering it; undefined answers it. */
export type Fault = (asked: Asked) => Trouble | undefined;

export interface Trouble {
  status?: number;
  headers?: Record<string, string>;
  /** Breaks the connection off after so many bytes of the body, when `received` says that the client has them. */
  cutAfter?: number;
  /** Sends so many bytes and then nothing more. */
  silentAfter?: number;
  /** Sends these bytes instead of the file's. */
  body?: Buffer;
  /** Answers a range with the whole file. */
  ignoreRange?: boolean;
}

/** Files from this size on are kept by the CDN, under their SHA-256. */
const large = 1000;
const page = 4;

export const sha256 = (content: Buffer): string => createHash("sha256").update(content).digest("hex");
export const gitSha1 = (content: Buffer): string =>
  createHash("sha1").update(`blob ${content.length}\0`).update(content).digest("hex");
export const etagOf = (content: Buffer): string => (content.length >= large ? sha256(content) : gitSha1(content));

export class HubServer {
  /** Models as `ORG/NAME`, datasets as `datasets/ORG/NAME`. */
  readonly repositories: Record<string, ServedRepository> = {};
  readonly asked: Asked[] = [];
  fault: Fault = () => undefined;
  /** Bytes of the file under way that the client has. What it has not yet read when a connection breaks is lost to it. */
  received: () => number = () => Infinity;
  readonly #hub: Server;
  readonly #cdn: Server;

  private constructor() {
    this.#hub = createServer((request, response) => this.#take("hub", request, response));
    this.#cdn = createServer((request, response) => this.#take("cdn", request, response));
  }

  static async start(): Promise<HubServer> {
    const server = new HubServer();
    for (const part of [server.#hub, server.#cdn])
      await new Promise<void>((resolve) => part.listen(0, "127.0.0.1", resolve));
    return server;
  }

  async close(): Promise<void> {
    for (const part of [this.#hub, this.#cdn]) {
      part.closeAllConnections();
      await new Promise((resolve) => part.close(resolve));
    }
  }

  get endpoint(): string {
    return addressOf(this.#hub);
  }

  /** Requests since the last call. */
  takeAsked(): Asked[] {
    return this.asked.splice(0);
  }

  #take(host: Asked["host"], request: IncomingMessage, response: ServerResponse): void {
    const asked: Asked = {
      host,
      method: request.method ?? "",
      url: decodeURIComponent(request.url ?? ""),
      range: request.headers.range,
      authorization: request.headers.authorization,
    };
    this.asked.push(asked);
    const trouble = this.fault(asked);
    if (trouble?.status !== undefined) {
      response.writeHead(trouble.status, trouble.headers).end("trouble");
    } else if (host === "cdn") this.#cdnAnswer(asked, response, trouble);
    else this.#hubAnswer(asked, request, response, trouble);
  }

  #hubAnswer(asked: Asked, request: IncomingMessage, response: ServerResponse, trouble: Trouble | undefined): void {
    const { pathname, searchParams } = new URL(asked.url, this.endpoint);
    const match =
      /^\/api\/(?:models\/|(?=datasets\/))((?:datasets\/)?[^/]+\/[^/]+)\/(revision|tree)\/(.+)$/.exec(pathname) ??
      /^\/(?:api\/resolve-cache\/models\/)?((?:datasets\/)?[^/]+\/[^/]+)\/(resolve|cached)\/([^/]+)\/(.+)$/.exec(
        pathname,
      );
    const [, name, verb, revision, file] = match ?? [];
    const repository = this.repositories[name];
    if (repository === undefined || (repository.token !== undefined && !asked.authorization))
      return refuse(response, 401, "RepoNotFound");
    if (repository.token !== undefined && asked.authorization !== `Bearer ${repository.token}`)
      return refuse(response, 401);
    const commits = Object.values(repository.revisions);
    const commit = repository.revisions[revision] ?? commits.find((known) => known === revision);
    if (commit === undefined) return refuse(response, 404, "RevisionNotFound");
    if (verb === "revision")
      return json(response, { _id: "1", id: name, sha: commit, lastModified: "2026-01-01T00:00:00.000Z" });
    if (verb === "tree") return this.#tree(response, repository, asked, Number(searchParams.get("cursor") ?? 0));
    if (repository.gated) return refuse(response, 403, "GatedRepo");
    const content = repository.files[file];
    if (content === undefined) return refuse(response, 404, "EntryNotFound");
    response.setHeader("x-repo-commit", commit);
    if (content.length >= large) {
      const etag = sha256(content);
      const links = ["xet-auth", "xet-reconstruction-info"].map((rel) => `<${this.endpoint}/xet>; rel="${rel}"`);
      response.setHeader("x-linked-etag", `"${etag}"`);
      response.setHeader("x-linked-size", content.length);
      response.setHeader("x-xet-hash", etag);
      response.setHeader("link", links.join(", "));
      if (request.headers.accept?.includes("vnd.xet-fileinfo"))
        return void response.writeHead(200, { "content-type": "application/vnd.xet-fileinfo+json" }).end("{}");
      response.writeHead(302, { location: `${addressOf(this.#cdn)}/${etag}?Signature=secret` }).end();
    } else if (verb === "resolve") {
      response.setHeader("etag", `"${gitSha1(content)}"`);
      response.setHeader("content-length", 0);
      response.writeHead(307, { location: `/api/resolve-cache/models/${name}/cached/${commit}/${file}` }).end();
    } else this.#send(response, asked, content, gitSha1(content), trouble);
  }

  #tree(response: ServerResponse, { files }: ServedRepository, { url }: Asked, cursor: number): void {
    const entries = Object.entries(files).map(([path, content]) => ({
      type: "file",
      path,
      size: content.length,
      oid: gitSha1(content),
      ...(content.length >= large
        ? { lfs: { oid: sha256(content), size: content.length, pointerSize: 134 }, xetHash: sha256(content) }
        : {}),
    }));
    const folders = [{ type: "directory", path: "onnx", size: 0, oid: "0".repeat(40) }];
    const all = [...folders, ...entries];
    const next = new URL(url, this.endpoint);
    next.searchParams.set("cursor", String(cursor + page));
    if (cursor + page < all.length) response.setHeader("link", `<${next.href}>; rel="next"`);
    json(response, all.slice(cursor, cursor + page));
  }

  #cdnAnswer(asked: Asked, response: ServerResponse, trouble: Trouble | undefined): void {
    const etag = /^\/([0-9a-f]{64})\?Signature=secret$/.exec(asked.url)?.[1];
    const contents = Object.values(this.repositories).flatMap(({ files }) => Object.values(files));
    const content = contents.find((candidate) => sha256(candidate) === etag);
    if (content === undefined) return void response.writeHead(403).end();
    this.#send(response, asked, content, etag ?? "", trouble);
  }

  #send(response: ServerResponse, asked: Asked, file: Buffer, etag: string, trouble: Trouble = {}): void {
    const content = trouble.body ?? file;
    const [, first, last] = (!trouble.ignoreRange && /^bytes=(\d+)-(\d*)$/.exec(asked.range ?? "")) || [];
    const start = Number(first ?? 0);
    const rest = content.subarray(start, last ? Number(last) + 1 : content.length);
    const headers: Record<string, string | number> = { etag: `"${etag}"`, "content-length": rest.length };
    if (first) headers["content-range"] = `bytes ${start}-${start + rest.length - 1}/${content.length}`;
    response.writeHead(first ? 206 : 200, headers);
    const { cutAfter, silentAfter } = trouble;
    if (asked.method === "HEAD") response.end();
    else if (cutAfter !== undefined) {
      response.write(rest.subarray(0, cutAfter));
      void this.#destroy(response, start + cutAfter);
    } else if (silentAfter !== undefined) response.write(rest.subarray(0, silentAfter));
    else response.end(rest);
  }

  async #destroy(response: ServerResponse, received: number): Promise<void> {
    for (let waits = 0; this.received() < received && waits < 400; waits++)
      await new Promise((resolve) => setTimeout(resolve, 5));
    response.destroy();
  }
}

function refuse(response: ServerResponse, status: number, code?: string): void {
  response.writeHead(status, code === undefined ? {} : { "x-error-code": code }).end('{"error":"refused"}');
}

function json(response: ServerResponse, value: unknown): void {
  response.setHeader("content-type", "application/json");
  response.end(JSON.stringify(value));
}

function addressOf(server: Server): string {
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

/** Bytes that look like nothing, the same for the same seed. */
export function noise(length: number, seed = 1): Buffer {
  let state = seed;
  return Buffer.from(Uint8Array.from({ length }, () => (state = (state * 1103515245 + 12345) % 2 ** 31) >> 16));
}

/** The `config.json` of a model that Sleuth opens, as `change` has it. */
export function modelConfig(change: Record<string, unknown> = {}): Buffer {
  return Buffer.from(JSON.stringify({ ...toConfigJson(tinyConfig()), ...change }));
}

/** The `adapter_config.json` of an adapter that Sleuth opens, as `change` has it. */
export function adapterConfig(change: Record<string, unknown> = {}): Buffer {
  const usual = {
    peft_type: "LORA",
    r: 4,
    lora_alpha: 8,
    target_modules: ["q_proj"],
    base_model_name_or_path: "org/tiny",
  };
  return Buffer.from(JSON.stringify({ ...usual, ...change }));
}

/** The files of a small model as the Hub would list them, with others that nobody wants. */
export function modelFiles(): Record<string, Buffer> {
  return {
    ".gitattributes": Buffer.from("*.safetensors filter=lfs"),
    "README.md": Buffer.from("# A model"),
    "config.json": modelConfig(),
    "generation_config.json": Buffer.from('{"eos_token_id":2}'),
    "model.safetensors": noise(300_000),
    "onnx/model.onnx": noise(5_000, 2),
    "pytorch_model.bin": noise(5_000, 3),
    "special_tokens_map.json": Buffer.from("{}"),
    "tokenizer.json": noise(20_000, 4),
    "tokenizer_config.json": Buffer.from('{"chat_template":"x"}'),
    "vocab.txt": Buffer.from("a"),
  };
}

export const commit = "c0ffee".padEnd(40, "0");
export const laterCommit = "decade".padEnd(40, "1");
