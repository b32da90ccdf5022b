/** @file Servers for tests: one that answers as it is told, and one that serves a policy of this process in vLLM's way. */
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import type { Policy } from "../../contracts/policy.js";

export interface Asked {
  path: string;
  /** {} of a GET. */
  body: Record<string, unknown>;
}

/** Status and body of an answer; a text is sent as it is. */
export type Answer = object | string | { status: number; answer: object | string };

export interface TestServer {
  /** `http://127.0.0.1:PORT/v1` */
  url: string;
  /** Every request, those for lists of models included. */
  asked: Asked[];
  close(): void;
}

/** A server that answers with what `answer` makes of a request; without a list of models it has none. */
export async function serving(
  answer: (asked: Asked) => Answer | undefined | Promise<Answer | undefined>,
): Promise<TestServer> {
  const asked: Asked[] = [];
  const server: Server = createServer((request, response) => {
    let text = "";
    request.on("data", (piece) => (text += String(piece)));
    request.on("end", () => {
      const one = { path: request.url ?? "", body: (text === "" ? {} : JSON.parse(text)) as Record<string, unknown> };
      asked.push(one);
      void Promise.resolve(answer(one)).then((made) => {
        const { status, answer: body } = withStatus(made);
        response.statusCode = status;
        response.end(typeof body === "string" ? body : JSON.stringify(body));
      });
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1`;
  const close = (): void => {
    server.closeAllConnections();
    server.close();
  };
  return { url, asked, close };
}

function withStatus(made: Answer | undefined): { status: number; answer: object | string } {
  if (made === undefined) return { status: 404, answer: { detail: "Not Found" } };
  if (typeof made === "object" && "status" in made && "answer" in made) return made;
  return { status: 200, answer: made };
}

export const chatReply = (content: unknown, more: object = {}): object => ({
  choices: [{ index: 0, finish_reason: "stop", message: { role: "assistant", content }, ...more }],
});

export const textReply = (text: string, more: object = {}, usage?: object): object => ({
  choices: [{ index: 0, finish_reason: "stop", text, ...more }],
  ...(usage && { usage }),
});

/** Answers to `completions` as vLLM does for a policy of this process: prompts as ids, ids and log-probabilities of what was sampled. */
export function likeVllm(policy: Policy): (asked: Asked) => Promise<Answer | undefined> {
  const { tokenizer, contextLength } = policy;
  return async ({ path, body }) => {
    if (path === "/v1/models") return { data: [{ id: "tiny", max_model_len: contextLength }] };
    if (path !== "/v1/completions") return undefined;
    const { prompt, max_tokens, temperature, top_p, top_k, seed, stop, stop_token_ids } = body as {
      prompt: number[];
      max_tokens: number;
      temperature: number;
      top_p: number;
      top_k: number;
      seed: number;
      stop?: string[];
      stop_token_ids?: number[];
    };
    if (prompt.length + max_tokens > contextLength) {
      const message = `This model's maximum context length is ${contextLength} tokens.`;
      return { status: 400, answer: { error: { message } } };
    }
    const sample = await policy.sample(prompt, {
      ...{ maxTokens: max_tokens, temperature, topP: top_p, topK: Math.max(0, top_k), seed },
      stop: { strings: stop, tokens: stop_token_ids },
    });
    const { tokens_T: token_ids, logprobs_T: token_logprobs, stopReason } = sample;
    const choice = { token_ids, logprobs: { token_logprobs }, finish_reason: stopReason, stop_reason: null };
    const usage = { prompt_tokens: prompt.length, completion_tokens: token_ids.length };
    return textReply(tokenizer.decode(token_ids), choice, usage);
  };
}
