/** @file A service without connections, for tests. */
import type { HttpService, ServiceAnswer } from "./service.js";

export interface InProcess {
  fetch: typeof fetch;
  /** Asks a path of it. */
  request: (path: string, init?: RequestInit) => Promise<Response>;
}

export function inProcessOf(service: HttpService, reserve: (bytes: number) => boolean = () => true): InProcess {
  const ask = async (input: string, init: RequestInit = {}): Promise<Response> => {
    const headers = new Headers({ "content-type": "application/json", ...(init.headers as Record<string, string>) });
    const { status, ...answer } = await service.handle({
      method: init.method ?? "GET",
      path: new URL(input).pathname,
      header: (name) => headers.get(name) ?? undefined,
      body: async () => init.body as string,
      reserve,
      isGone: () => init.signal?.aborted === true,
      onGone: (leave) => init.signal?.addEventListener("abort", () => leave(init.signal?.reason)),
    });
    return new Response(status === 204 ? null : bodyOf(answer.body), { status, headers: answer.headers });
  };
  return {
    fetch: (input, init) => ask(input as string, init),
    request: (path, init) => ask(`http://here.test${path}`, init),
  };
}

function bodyOf(body: ServiceAnswer["body"]): string | ReadableStream {
  if (typeof body === "string") return body;
  if (Symbol.asyncIterator in body) return ReadableStream.from(encoded(body));
  let text = "";
  for (let next = body.next(); ; next = body.next()) {
    text += next.value;
    if (next.done) return text;
  }
}

async function* encoded(pieces: AsyncIterable<string>): AsyncGenerator<Uint8Array, void> {
  for await (const piece of pieces) yield Buffer.from(piece);
}
