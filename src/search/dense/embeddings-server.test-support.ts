/** @file A server that speaks `/v1/embeddings`, for tests: vectors by the words of a text, and every misbehaviour on demand. */
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

export interface EmbeddingsRequest {
  model: string;
  input: string[];
  authorization: string | undefined;
  path: string;
}

export interface EmbeddingsServer {
  url: string;
  requests: EmbeddingsRequest[];
  /** Answers the next requests instead of the server, one each; returns false to leave one to the server. */
  misbehave: ((request: EmbeddingsRequest, response: ServerResponse) => boolean | void)[];
  close(): Promise<void>;
}

export const serverDimensions = 16;

/** Not of unit length: what a client makes of it is its business. */
export function wordVector(text: string): number[] {
  const vector = new Array<number>(serverDimensions).fill(0.01);
  for (const word of text.toLowerCase().match(/[\p{L}\p{N}]+/gu) ?? []) {
    let hash = 7;
    for (const letter of word) hash = (Math.imul(hash, 31) + letter.codePointAt(0)!) >>> 0;
    vector[hash % serverDimensions] += 1;
    vector[(hash >>> 8) % serverDimensions] += 0.5;
  }
  return vector;
}

export async function startEmbeddingsServer(): Promise<EmbeddingsServer> {
  const requests: EmbeddingsRequest[] = [];
  const misbehave: EmbeddingsServer["misbehave"] = [];
  const answer = async (message: IncomingMessage, response: ServerResponse): Promise<void> => {
    let text = "";
    for await (const piece of message) text += String(piece);
    const { model, input } = JSON.parse(text) as { model: string; input: string[] };
    const request = { model, input, authorization: message.headers.authorization, path: message.url ?? "" };
    requests.push(request);
    const instead = misbehave.shift();
    if (instead !== undefined && instead(request, response) !== false) return;
    sendVectors(response, input.map(wordVector));
  };
  const server = createServer((message, response) => void answer(message, response));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    requests,
    misbehave,
    close: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

export function sendVectors(response: ServerResponse, vectors: readonly unknown[]): void {
  sendData(
    response,
    vectors.map((embedding, index) => ({ object: "embedding", index, embedding })),
  );
}

export function sendData(response: ServerResponse, data: unknown, status = 200): void {
  response.writeHead(status, { "content-type": "application/json" });
  response.end(JSON.stringify({ object: "list", data, model: "test" }));
}
