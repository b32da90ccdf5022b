/** @file The lean fetch gives `send` what the runtime's own gives it. */
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, describe, expect, it } from "vitest";
import { leanFetch } from "./lean-fetch.js";
import { realTools, send } from "./request.js";

let server: Server | undefined;
afterEach(() => {
  server?.closeAllConnections();
  server?.close();
});

async function asking(
  answer: Parameters<typeof createServer>[1],
  fetch: typeof globalThis.fetch,
  signal?: AbortSignal,
) {
  server = createServer(answer);
  await new Promise<void>((resolve) => server?.listen(0, "127.0.0.1", resolve));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/a?b=c`;
  const settings = { timeoutMs: 2000, maxAnswerBytes: 1000, headers: { authorization: "Bearer k" } };
  const context: Parameters<typeof send>[1] = { settings, tools: { ...realTools, fetch }, secrets: [] };
  return send({ url, body: '{"ä":1}' }, context, signal ?? new AbortController().signal).then(
    (text) => text,
    (error: Error & { status?: number; retryAfterMs?: number }) => ({
      message: error.message.replace(/.*(other side closed|aborted|socket hang up|terminated).*/, "broke off"),
      ...{ status: error.status, retryAfterMs: error.retryAfterMs },
    }),
  );
}

describe.each([
  ["the lean fetch", leanFetch],
  ["the runtime's fetch", realTools.fetch],
])("%s", (_, fetch) => {
  it("sends method, headers and a text, and reads the answer", async () => {
    const answer = await asking((request, response) => {
      let text = "";
      request.on("data", (piece) => (text += String(piece)));
      request.on("end", () =>
        response.end(JSON.stringify([request.method, request.url, request.headers.authorization, text])),
      );
    }, fetch);
    expect(JSON.parse(answer as string)).toEqual(["POST", "/a?b=c", "Bearer k", '{"ä":1}']);
  });

  it.each<[string, Parameters<typeof createServer>[1], object]>([
    [
      "a busy server",
      (_request, response) => void response.writeHead(429, { "retry-after": "3" }).end("wait"),
      { message: 'the server answered 429: "wait"', status: 429, retryAfterMs: 3000 },
    ],
    [
      "a redirect to another server",
      (_request, response) => void response.writeHead(307, { location: "http://elsewhere.example/" }).end(),
      { status: 307 },
    ],
    [
      "a connection that breaks off",
      (request) => void request.socket.destroy(),
      { message: "broke off", retryAfterMs: 0 },
    ],
    [
      "an answer that breaks off",
      (_request, response) => {
        response.writeHead(200, { "content-length": "50" }).write("half", () => response.destroy());
      },
      { message: "broke off", retryAfterMs: 0 },
    ],
    [
      "an answer that is too large",
      (_request, response) => void response.end("x".repeat(5000)),
      { message: "the answer is larger than 1000 bytes" },
    ],
  ])("tells of %s", async (_name, answer, expected) => {
    expect(await asking(answer, fetch)).toMatchObject(expected);
  });

  it("ends with the signal's reason", async () => {
    const controller = new AbortController();
    const answer = asking(() => controller.abort(new Error("enough")), fetch, controller.signal);
    expect(await answer).toMatchObject({ message: "enough" });
  });
});
