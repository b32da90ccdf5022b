/** @file Models behind OpenAI's interface: what real clients need of answers and streams, and what becomes of bad requests and bad clients. */
import { afterEach, describe, expect, it, vi } from "vitest";
import { UserError } from "../errors.js";
import { inProcessOf } from "../http/server/in-process.test-support.js";
import type { RunningServer } from "../http/server/listen.js";
import { RawClient, headOf } from "../http/server/raw-client.test-support.js";
import type { ChoiceDelta, ChoiceDeltas, Usage } from "./chat-reply.js";
import { ChatService, type ChatModel, type ChatServiceSettings } from "./chat-service.js";
import { serveModels, type ServeModelsOptions } from "./serve.js";

const usage: Usage = { prompt_tokens: 3, completion_tokens: 4, total_tokens: 7 };
const messages = [{ role: "user", content: "Who wrote Kim?" }];

/** Answers with what it is told. */
function modelOf(pieces: readonly ChoiceDelta[], failure?: Error): ChatModel {
  return {
    async *chat(): ChoiceDeltas {
      await Promise.resolve();
      yield* pieces;
      if (failure !== undefined) throw failure;
      return usage;
    },
  };
}

/** Writes until its client goes; tells that, and how many pieces it was asked for. */
function endless(text = "word "): ChatModel & { gone: Promise<unknown>; pieces: () => number } {
  let pieces = 0;
  let leave: (reason: unknown) => void = () => undefined;
  return {
    gone: new Promise((resolve) => (leave = resolve)),
    pieces: () => pieces,
    async *chat({ stream }, signal): ChoiceDeltas {
      signal.addEventListener("abort", () => leave(signal.reason), { once: true });
      for (;;) {
        await new Promise((resolve) => setTimeout(resolve, 2));
        signal.throwIfAborted();
        if (stream) yield { index: 0, delta: { content: text } };
        pieces++;
      }
    },
  };
}

const spoken: ChoiceDelta[] = [
  { index: 0, delta: { reasoning_content: "Kim is " } },
  { index: 0, delta: { reasoning_content: "a novel." } },
  { index: 0, delta: { content: "Rudyard " } },
  {
    ...{
      index: 0,
      delta: { content: "Kipling", annotations: [citation("https://kim.example")], sleuth: { searches: [] } },
    },
    finish_reason: "stop",
  },
];
const called: ChoiceDelta[] = [
  {
    index: 0,
    delta: { tool_calls: [{ index: 0, id: "c1", type: "function", function: { name: "search", arguments: "{}" } }] },
    finish_reason: "tool_calls",
  },
];

function citation(url: string) {
  return { type: "url_citation" as const, url_citation: { start_index: 0, end_index: 15, url, title: "Kim" } };
}

function appOf(models: Record<string, ChatModel | Promise<ChatModel>>, settings?: Partial<ChatServiceSettings>) {
  const service = new ChatService(new Map(Object.entries(models)), settings);
  const { request } = inProcessOf(service);
  const complete = (fields: object = {}, init: RequestInit = {}) =>
    request("/v1/chat/completions", {
      method: "POST",
      body: JSON.stringify({ model: "m", messages, ...fields }),
      ...init,
    });
  return { service, request, complete };
}

interface Chunk {
  choices: { index: number; delta: Record<string, unknown>; finish_reason: string | null }[];
  usage?: Usage;
  error?: { message: string };
}

async function chunksOf(response: Response): Promise<{ chunks: Chunk[]; isDone: boolean }> {
  const events = (await response.text()).split("\n\n").filter((event) => event !== "");
  const data = events.map((event) => event.replace(/^data: /, ""));
  const isDone = data.at(-1) === "[DONE]";
  return { chunks: (isDone ? data.slice(0, -1) : data).map((text) => JSON.parse(text) as Chunk), isDone };
}

describe("a completion", () => {
  it("has its texts in one piece, thoughts apart, sources, own fields and usage", async () => {
    const response = await appOf({ m: modelOf(spoken) }).complete();
    expect(response.status).toBe(200);
    expect(await response.json()).toEqual({
      id: expect.stringMatching(/^chatcmpl-/) as string,
      object: "chat.completion",
      created: expect.any(Number) as number,
      model: "m",
      choices: [
        {
          index: 0,
          message: {
            ...{ role: "assistant", content: "Rudyard Kipling", reasoning_content: "Kim is a novel." },
            ...{ annotations: [citation("https://kim.example")], sleuth: { searches: [] } },
          },
          logprobs: null,
          finish_reason: "stop",
        },
      ],
      usage,
    });
  });

  it("that only calls has null for content, and calls without places", async () => {
    const { choices } = (await (await appOf({ m: modelOf(called) }).complete()).json()) as { choices: object[] };
    expect(choices[0]).toMatchObject({
      message: {
        content: null,
        tool_calls: [{ id: "c1", type: "function", function: { name: "search", arguments: "{}" } }],
      },
      finish_reason: "tool_calls",
    });
    expect(JSON.stringify(choices)).not.toContain('"index":0,"id"');
  });
});

describe("a stream", () => {
  it("begins with the role, and ends with a reason, the usage and [DONE]", async () => {
    const response = await appOf({ m: modelOf(spoken) }).complete({ stream: true });
    expect(response.headers.get("content-type")).toContain("text/event-stream");
    const { chunks, isDone } = await chunksOf(response);
    expect(isDone).toBe(true);
    expect(chunks[0].choices[0].delta).toEqual({ role: "assistant", content: "", reasoning_content: "Kim is " });
    const texts = chunks.map(({ choices }) => choices[0].delta.content ?? "");
    expect(texts.join("")).toBe("Rudyard Kipling");
    expect(chunks.map(({ choices }) => choices[0].finish_reason)).toEqual([null, null, null, "stop"]);
    expect(chunks.map((chunk) => chunk.usage)).toEqual([undefined, undefined, undefined, usage]);
    expect(chunks.at(-1)?.choices[0].delta).toMatchObject({ annotations: [citation("https://kim.example")] });
  });

  it("has the usage in a chunk without choices where that was asked for, and calls with their places", async () => {
    const { complete } = appOf({ m: modelOf(called) });
    const { chunks } = await chunksOf(await complete({ stream: true, stream_options: { include_usage: true } }));
    expect(chunks.map((chunk) => [chunk.choices.length, chunk.usage])).toEqual([
      [1, undefined],
      [0, usage],
    ]);
    expect(chunks[0].choices[0].delta.tool_calls).toEqual(called[0].delta.tool_calls);
  });

  it("that fails in the middle ends with the error, and is counted", async () => {
    const { complete, request } = appOf({ m: modelOf(spoken.slice(0, 1), new Error("the weights are gone")) });
    const { chunks, isDone } = await chunksOf(await complete({ stream: true }));
    expect(isDone).toBe(false);
    expect(chunks.at(-1)?.error).toMatchObject({ message: "the weights are gone", type: "server_error" });
    const metrics = await (await request("/metrics")).text();
    for (const line of ["failures_total 1", "in_flight 0", "request_seconds_count 1"])
      expect(metrics).toContain(`sleuth_model_${line}\n`);
  });
});

describe("failures", () => {
  const errorOf = async (response: Response) => {
    const { error } = (await response.json()) as { error: Record<string, unknown> };
    expect(typeof error.message).toBe("string");
    return { status: response.status, ...error };
  };

  it("say which model there is, and which key is needed; health needs none", async () => {
    const app = appOf({ m: modelOf(spoken), other: modelOf(spoken) }, { token: ["one", "two"] });
    const ask = (key: string, fields = {}) => app.complete(fields, { headers: { authorization: `Bearer ${key}` } });
    expect(await errorOf(await ask("one", { model: "gpt" }))).toMatchObject({
      ...{ status: 404, code: "model_not_found", type: "invalid_request_error" },
      message: expect.stringContaining("only m, other") as string,
    });
    for (const key of ["", "three", "one two"])
      expect(await errorOf(await ask(key))).toMatchObject({ status: 401, code: "invalid_api_key" });
    for (const key of ["one", "two"]) expect((await ask(key)).status).toBe(200);
    expect((await app.request("/v1/models")).status).toBe(401);
    expect((await app.request("/health")).status).toBe(200);
  });

  it("of the user are 400, of the model 500, and a stream that cannot begin has a status, too", async () => {
    for (const stream of [false, true]) {
      for (const [failure, status] of [
        [new UserError("The question is too long. Ask a shorter one."), 400],
        [new Error("internal: no slot"), 500],
      ] as const) {
        const { complete } = appOf({ m: modelOf([], failure) });
        expect(await errorOf(await complete({ stream }))).toMatchObject({ status, message: failure.message });
      }
      const { complete } = appOf({ m: modelOf(spoken) });
      expect((await complete({ stream, messages: [] })).status).toBe(400);
    }
  });

  it("for now are 429 and 503, with when to ask again", async () => {
    const [busy, opening] = [
      appOf({ m: modelOf(spoken) }, { maxInFlight: 0 }),
      appOf({ m: new Promise<ChatModel>(() => undefined) }),
    ];
    const answers = [await busy.complete(), await opening.complete()];
    expect(answers.map(({ status, headers }) => [status, headers.get("retry-after")])).toEqual([
      [429, "1"],
      [503, "1"],
    ]);
    expect(await (await opening.request("/health")).json()).toMatchObject({ status: "opening" });
    const failed = appOf({ m: Promise.reject<ChatModel>(new Error("no such run")) });
    await Promise.resolve();
    expect(await (await failed.request("/health")).json()).toMatchObject({ status: "failed" });
  });

  it("are told for other paths and methods", async () => {
    const app = appOf({ m: modelOf(spoken) });
    expect(await errorOf(await app.request("/v1/embeddings", { method: "POST", body: "{}" }))).toMatchObject({
      ...{ status: 404, code: "unknown_url" },
      message: expect.stringContaining("POST /v1/chat/completions") as string,
    });
    expect((await app.request("/v1/chat/completions")).status).toBe(405);
    const page = { headers: { origin: "http://page.example" } };
    expect((await app.complete({}, page)).status).toBe(403);
    const text = { headers: { "content-type": "text/plain" } };
    expect((await app.complete({}, text)).status).toBe(415);
  });
});

it("two models answer side by side, and are listed", async () => {
  const app = appOf({ m: modelOf(spoken), before: { ...modelOf(called), details: { run: "runs/before" } } });
  const reasons = await Promise.all(
    ["m", "before"].map(async (model) => {
      const body = (await (await app.complete({ model })).json()) as {
        model: string;
        choices: { finish_reason: string }[];
      };
      return [body.model, body.choices[0].finish_reason];
    }),
  );
  expect(reasons).toEqual([
    ["m", "stop"],
    ["before", "tool_calls"],
  ]);
  expect(await (await app.request("/v1/models")).json()).toMatchObject({
    object: "list",
    data: [
      { id: "m", object: "model" },
      { id: "before", object: "model", run: "runs/before" },
    ],
  });
  expect(await (await app.request("/v1/models/before")).json()).toMatchObject({ id: "before" });
  expect((await app.request("/v1/models/after")).status).toBe(404);
  expect(await (await app.request("/metrics")).text()).toContain("sleuth_model_completion_tokens_total 8\n");
});

describe("on a port", () => {
  let server: RunningServer;
  afterEach(() => server.close(0));
  const start = async (model: ChatModel, options: Partial<ServeModelsOptions> = {}): Promise<void> => {
    server = await serveModels({ models: new Map([["m", model]]), port: 0, ...options });
  };
  const ask = (fields: object = {}, signal?: AbortSignal) =>
    fetch(`${server.url}/chat/completions`, {
      ...{ method: "POST", headers: { "content-type": "application/json" }, signal },
      body: JSON.stringify({ model: "m", messages, ...fields }),
    });
  const metrics = async () => (await fetch(new URL("/metrics", server.url))).text();

  it.each([true, false])("a client that leaves ends the work for it (streaming: %s)", async (stream) => {
    const model = endless();
    await start(model);
    const leaving = new AbortController();
    const status = ask({ stream }, leaving.signal).then(
      (answer) => answer.status,
      () => "left",
    );
    if (stream) expect(await status).toBe(200);
    else await vi.waitFor(() => expect(model.pieces()).toBeGreaterThan(0));
    leaving.abort();
    expect(await model.gone).toMatchObject({ message: "the client went away" });
    if (!stream) expect(await status).toBe("left");
    await vi.waitFor(async () => {
      const page = await metrics();
      expect(page).toContain("in_flight 0\n");
      expect(page).toContain("cancelled_total 1\n");
    });
  });

  it("a client that does not read stops the writing, and is cut in the end", async () => {
    const model = endless("x".repeat(500_000));
    await start(model, { stallTimeoutMs: 200 });
    const client = new RawClient(server.port, { reads: false });
    const body = JSON.stringify({ model: "m", messages, stream: true });
    client.send(headOf({ "content-length": `${body.length}` }, "POST /v1/chat/completions") + body);
    await model.gone;
    // What fits into the buffers of the system, and not what could have been written meanwhile.
    expect(model.pieces()).toBeLessThan(40);
    expect(await metrics()).toMatch(/cuts_total 1\n/);
    client.end();
  });

  it("a prompt of 10 MB is refused with 413", async () => {
    await start(modelOf(spoken));
    const response = await ask({ messages: [{ role: "user", content: "x".repeat(10_000_000) }] });
    expect(response.status).toBe(413);
    expect(await response.json()).toMatchObject({ error: { code: "request_too_large" } });
  });

  it("a server that ends finishes the stream under way, and turns new requests away", async () => {
    let finish: () => void = () => undefined;
    const isTold = new Promise<void>((resolve) => (finish = resolve));
    await start({
      async *chat(): ChoiceDeltas {
        yield { index: 0, delta: { content: "Rudyard " } };
        await isTold;
        yield { index: 0, delta: { content: "Kipling" }, finish_reason: "stop" };
        return usage;
      },
    });
    const streaming = await ask({ stream: true });
    const closing = server.close();
    expect((await ask()).status).toBe(503);
    finish();
    const { chunks, isDone } = await chunksOf(streaming);
    expect([isDone, chunks.at(-1)?.choices[0].finish_reason]).toEqual([true, "stop"]);
    await closing;
  });
});
