/** @file A search server without connections, for tests. */
import type { SearchEngine } from "../engine.js";
import { SearchService } from "./service.js";
import type { AnswerPieces, SearchServiceSettings } from "./service.js";

export interface InProcess {
  service: SearchService;
  fetch: typeof fetch;
  /** Asks a path of it. */
  request: (path: string, init?: RequestInit) => Promise<Response>;
}

export function inProcess(
  engine: SearchEngine | Promise<SearchEngine>,
  settings?: Partial<SearchServiceSettings>,
  reserve: (bytes: number) => boolean = () => true,
): InProcess {
  const service = new SearchService(engine, settings);
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
    const body = typeof answer.body === "string" ? answer.body : textOf(answer.body);
    return new Response(status === 204 ? null : body, { status, headers: answer.headers });
  };
  return {
    service,
    fetch: (input, init) => ask(input as string, init),
    request: (path, init) => ask(`http://search.test${path}`, init),
  };
}

function textOf(pieces: AnswerPieces): string {
  let text = "";
  for (let next = pieces.next(); ; next = pieces.next()) {
    text += next.value;
    if (next.done) return text;
  }
}
