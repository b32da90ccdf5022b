/** @file A policy behind servers that answer as vLLM, SGLang, llama.cpp, llama-cpp-python, Ollama and hosted services do. */
import { afterAll, afterEach, describe, expect, it } from "vitest";
import type { Policy } from "../../contracts/policy.js";
import { searchR1 } from "../../prompts/protocol.js";
import { rollout } from "../../rollout/rollout.js";
import { engineOf, passage, question } from "../../rollout/fixtures.test-support.js";
import type { ChatMessage, Trajectory } from "../../types.js";
import { policyConformance } from "../conformance.js";
import { samplingCases } from "../conformance-sampling.js";
import { createLocalPolicy } from "../local/local.js";
import { makeTinyModel } from "../local/tiny-model.test-support.js";
import { byteTokenizer } from "../testing.js";
import { countingTokenizer } from "./counting-tokenizer.js";
import { createServedPolicy, type ServedOptions } from "./served.js";
import {
  chatReply,
  likeVllm,
  serving,
  textReply,
  type Answer,
  type Asked,
  type TestServer,
} from "./server.test-support.js";

const opened: { close(): unknown }[] = [];
afterEach(async () => {
  for (const one of opened.splice(0)) await one.close();
});

const tags = { think: searchR1.think, turns: [searchR1.search, searchR1.answer] };
const byChat = {
  model: "m",
  api: "chat",
  tokenizer: countingTokenizer(),
  ownsTokenizer: false,
  contextLength: Infinity,
} as const;
const byText = { ...byChat, api: "completions" } as const;
const byIds = { ...byText, tokenizer: byteTokenizer(), ownsTokenizer: true } as const;
const noWait = { sleep: () => Promise.resolve() };

/** A server, and a policy that asks it. */
async function opening(
  answer: Parameters<typeof serving>[0],
  settings: Partial<ServedOptions> & Pick<ServedOptions, "api" | "tokenizer" | "ownsTokenizer" | "contextLength">,
): Promise<{ policy: Policy; asked: Asked[]; server: TestServer }> {
  const server = await serving(answer);
  opened.push(server);
  const policy = await createServedPolicy({ tags, http: noWait, ...settings, url: settings.url ?? server.url });
  opened.push(policy);
  return { policy, asked: server.asked, server };
}

const attempt = (policy: Policy, more: Partial<Parameters<typeof rollout>[1]> = {}): Promise<Trajectory> =>
  rollout(question, {
    policy,
    search: engineOf(() => [passage("Paris is the capital of France.", "France")]),
    protocol: searchR1,
    ...{ maxSearches: 2, topK: 1, maxTokensPerTurn: 300, maxTokens: 5000, maxObservationTokens: 500 },
    ...more,
  });

/** Answers one after another to what is no list of models and no trial; the last one for ever. */
function inTurn(...replies: Answer[]): (asked: Asked) => Answer | undefined {
  let turn = 0;
  return ({ path, body }) => {
    if (path === "/v1/models") return undefined;
    if (body.max_tokens === 16) return body.messages === undefined ? textReply(" Paris") : chatReply("Paris");
    return replies[Math.min(turn++, replies.length - 1)];
  };
}

const isTurn = ({ path, body }: Asked): boolean => path !== "/v1/models" && body.max_tokens !== 16;
const turnsOf = (asked: readonly Asked[]): Record<string, unknown>[] => asked.filter(isTurn).map(({ body }) => body);

const model = await makeTinyModel(1, {}, { sharpness: 10 });
const local = await createLocalPolicy({ model: model.folder, threads: 1 });
const vllm = await serving(likeVllm(local));
afterAll(async () => {
  vllm.close();
  await local.close();
  await model.remove();
});
const servedTiny = (): Promise<Policy> =>
  createServedPolicy({ ...byIds, url: vllm.url, model: "", tokenizer: local.tokenizer, tags });

policyConformance("a served policy whose server tells ids", servedTiny, {
  cases: samplingCases,
  lacks: [
    {
      reason: "servers tell log-probabilities of what they sample, and of nothing else",
      tests: [
        "logprobs has a value for every token and 0 at index 0",
        "masked logprobs are those without masks, behind a common prompt too",
        "logprobs are of a distribution",
        "greedy takes the likeliest token",
        "sampled log-probabilities equal logprobs within 1e-4",
        "sampled log-probabilities are those of the temperature and the nucleus",
      ],
    },
  ],
});

describe("a served policy whose server tells ids", () => {
  it("samples what the served model samples, ids and log-probabilities, and is not text-only", async () => {
    const policy = await servedTiny();
    opened.push(policy);
    expect(policy.notes).toEqual([]);
    expect(policy.contextLength).toBe(local.contextLength);
    const prefix_T = local.tokenizer.encode(" Question: the capital\n");
    const options = { maxTokens: 12, seed: 5, stop: { tokens: local.tokenizer.eosIds } };
    expect(await policy.sample(prefix_T, options)).toEqual(await local.sample(prefix_T, options));
    // Servers tell log-probabilities at temperature 1: of another distribution they are not the sampled ones.
    const other = await policy.sample(prefix_T, { ...options, temperature: 0.7 });
    const { tokens_T } = await local.sample(prefix_T, { ...options, temperature: 0.7 });
    expect(other).toMatchObject({
      tokens_T,
      text: local.tokenizer.decode(tokens_T),
      logprobs_T: tokens_T.map(() => 0),
    });
  });

  it("asks for the model's own distribution, and sends ids as they were sampled", async () => {
    const tokenizer = byIds.tokenizer;
    const ids = tokenizer.encode("<answer> Paris </answer>");
    const reply = textReply("<answer> Paris ", { token_ids: ids, logprobs: { token_logprobs: ids.map(() => -0.5) } });
    const { policy, asked } = await opening(({ path }) => (path === "/v1/models" ? undefined : reply), byIds);
    const { textOnly, segments, texts, answer } = await attempt(policy);
    expect({ textOnly, answer }).toEqual({ textOnly: undefined, answer: "Paris" });
    expect(texts[1]).toBe("<answer> Paris </answer>");
    expect(segments[1]).toEqual({ role: "policy", tokens_T: ids, logprobs_T: ids.map(() => -0.5) });
    const { body } = asked[asked.length - 1];
    expect(body.prompt).toEqual(segments[0].tokens_T);
    expect(body).toMatchObject({
      temperature: 1,
      top_p: 1,
      top_k: -1,
      min_p: 0,
      repetition_penalty: 1,
      repeat_penalty: 1,
    });
    expect(body).toMatchObject({ stream: false, max_tokens: 300, logprobs: 1, return_token_ids: true });
    expect(body.stop).toEqual(["</search>", "</answer>"]);
    expect(body).not.toHaveProperty("n");
    expect(body).not.toHaveProperty("echo");
  });

  it.each<[string, (ids: number[]) => object, RegExp]>([
    ["no log-probabilities", (ids) => ({ token_ids: ids }), /returns no log-probabilities, so attempts are text-only/],
    ["no ids", () => ({}), /tells no ids of the tokens that it samples, so attempts are text-only/],
    [
      "ids of another tokenizer",
      () => ({ token_ids: [70, 71, 72] }),
      /server\.tokenizer is not that of the served model/,
    ],
    [
      "fewer log-probabilities than ids",
      (ids) => ({ token_ids: ids, logprobs: { token_logprobs: [-1] } }),
      /returns no log-probabilities/,
    ],
  ])("where it tells %s, says so once and goes on with texts", async (_, more, note) => {
    const ids = byIds.tokenizer.encode("<answer> Paris </answer>");
    const { policy } = await opening(() => textReply("<answer> Paris ", more(ids)), byIds);
    expect(policy.notes).toEqual([expect.stringMatching(note)]);
    const { textOnly, segments, answer } = await attempt(policy);
    expect({ textOnly, answer }).toEqual({ textOnly: true, answer: "Paris" });
    expect(segments[1]).not.toHaveProperty("logprobs_T");
  });

  it("of llama.cpp, which leaves the ids of a stop string out, is text-only", async () => {
    const content = [...byIds.tokenizer.encode("<answer> Paris ")].map((id) => ({ id, logprob: -0.1 }));
    const { policy, asked } = await opening(() => textReply("<answer> Paris ", { logprobs: { content } }), byIds);
    expect(policy.notes).toEqual([]);
    const { textOnly, texts, answer } = await attempt(policy);
    expect({ textOnly, answer, text: texts[1] }).toEqual({
      textOnly: true,
      answer: "Paris",
      text: "<answer> Paris </answer>",
    });
    expect(Array.isArray(asked[asked.length - 1].body.prompt)).toBe(true);
  });
});

describe("a served policy by chat", () => {
  it("holds the conversation of a rollout: prompt, turn, what was found, turn; never an assistant's message last", async () => {
    const { policy, asked } = await opening(
      inTurn(
        chatReply("<think> I look it up. </think>\n<search> capital of France "),
        chatReply("<think> It is there. </think>\n<answer> Paris "),
      ),
      byChat,
    );
    const { finishReason, answer, searches, texts, textOnly } = await attempt(policy);
    expect({ finishReason, answer, textOnly }).toEqual({ finishReason: "answered", answer: "Paris", textOnly: true });
    expect(searches.map(({ query }) => query)).toEqual(["capital of France"]);
    expect(texts[1]).toBe("<think> I look it up. </think>\n<search> capital of France </search>");
    const [first, second] = turnsOf(asked).map(({ messages }) => messages as ChatMessage[]);
    expect(first.map(({ role }) => role)).toEqual(["user"]);
    expect(second.map(({ role }) => role)).toEqual(["user", "assistant", "user"]);
    expect(second[0].content).toMatch(/Question: Capital of France\?$/);
    expect(second[1].content).toBe(texts[1]);
    expect(second[2].content).toMatch(/^<information>Doc 1\(Title: France\) Paris is .*<\/information>$/s);
    // Nothing about ids is asked of a chat: which prompt the model has read is not known here.
    for (const field of ["logprobs", "return_token_ids", "prompt"]) expect(turnsOf(asked)[0]).not.toHaveProperty(field);
  });

  it("serves many attempts at once, each with its own conversation", async () => {
    const { policy } = await opening(({ path, body }) => {
      if (path === "/v1/models") return undefined;
      const messages = body.messages as ChatMessage[] | undefined;
      return chatReply(messages?.length === 3 ? `<answer> ${/\d+/.exec(messages[0].content)?.[0]}` : "<search> it ");
    }, byChat);
    const numbers = [1, 2, 3, 4, 5, 6];
    const attempts = await Promise.all(
      numbers.map((number) =>
        rollout(
          { ...question, question: `Which is ${number}?` },
          {
            policy,
            search: engineOf(() => [passage("Nothing.")]),
            protocol: searchR1,
            ...{ maxSearches: 2, topK: 1, maxTokensPerTurn: 300, maxTokens: 5000, maxObservationTokens: 500 },
          },
        ),
      ),
    );
    expect(attempts.map(({ answer }) => answer)).toEqual(numbers.map(String));
  });

  it("one that says neither is told so, and one that says nothing, or too much, ends like any other", async () => {
    const { policy, asked } = await opening(
      inTurn(chatReply("Paris, of course."), chatReply("<answer> Paris")),
      byChat,
    );
    expect(await attempt(policy)).toMatchObject({ finishReason: "answered", answer: "Paris" });
    const messages = turnsOf(asked)[1].messages as ChatMessage[];
    expect(messages[messages.length - 1].content).toMatch(/^My previous action is invalid/);
    const silent = await opening(inTurn(chatReply("")), byChat);
    expect(await attempt(silent.policy)).toMatchObject({ finishReason: "out-of-turns", answer: null });
    const cut = await opening(inTurn(chatReply("x".repeat(5000), { finish_reason: "length" })), byChat);
    expect(await attempt(cut.policy)).toMatchObject({ finishReason: "out-of-turns", answer: null, cutTurns: 3 });
  });

  it("a thought that the server tells apart is a thought of the turn, also where nothing follows it", async () => {
    const message = { role: "assistant", content: null, reasoning_content: "It is Paris." };
    const choice = { choices: [{ finish_reason: "length", message }] };
    const said = { choices: [{ finish_reason: "stop", message: { content: "<answer> Paris", reasoning: "Surely." } }] };
    const { policy } = await opening(inTurn(choice, said), byChat);
    const { texts, answer } = await attempt(policy);
    expect(texts[1]).toBe("<think>It is Paris.");
    expect(texts[3]).toBe("<think>Surely.</think>\n<answer> Paris</answer>");
    expect(answer).toBe("Paris");
  });

  it("tells the server's template its variables", async () => {
    const { policy, asked } = await opening(inTurn(chatReply("<answer> Paris")), {
      ...byChat,
      templateVariables: { enable_thinking: false },
    });
    await attempt(policy);
    expect(turnsOf(asked)[0].chat_template_kwargs).toEqual({ enable_thinking: false });
  });
});

describe("a served policy by completions in text", () => {
  it("continues the whole row, and takes off a prompt that is repeated", async () => {
    const { policy, asked } = await opening(({ path, body }) => {
      if (path === "/v1/models") return undefined;
      const prompt = body.prompt as string;
      return textReply(`${prompt}${prompt.includes("Doc 1") ? "<answer> Paris " : "<search> France "}`);
    }, byText);
    const { texts, answer } = await attempt(policy);
    expect(answer).toBe("Paris");
    expect(turnsOf(asked)[1].prompt).toBe(texts.slice(0, 3).join(""));
    expect(policy.usage?.()).toMatchObject({ replies: 2, echoed: 2, ranOn: 0, noRoom: 0 });
  });

  it("cuts a turn of a server that knows no stop strings, and counts it", async () => {
    const { policy } = await opening(
      inTurn(textReply("<answer> Paris </answer>\nQuestion: another one\n<answer> Rome </answer>")),
      byText,
    );
    const { texts, answer } = await attempt(policy);
    expect({ answer, turn: texts[1] }).toEqual({ answer: "Paris", turn: "<answer> Paris </answer>" });
    expect(policy.usage?.()).toMatchObject({ ranOn: 1 });
  });

  it("counts tokens and their price, and replies that do not tell", async () => {
    const usage = { prompt_tokens: 100, completion_tokens: 10, prompt_tokens_details: { cached_tokens: 60 } };
    const { policy } = await opening(inTurn(textReply("<search> a ", {}, usage), textReply("<answer> b ")), {
      ...byText,
      ...{ inputPrice: 2, outputPrice: 10 },
    });
    await attempt(policy);
    expect(policy.usage?.()).toMatchObject({ replies: 2, promptTokens: 100, completionTokens: 10, uncounted: 1 });
    expect(policy.usage?.().spentUsd).toBeCloseTo(0.0003, 10);
    expect(await policy.stats()).toMatchObject({
      prefillTokens: 40,
      reusedTokens: 60,
      spentUsd: policy.usage?.().spentUsd,
    });
  });

  it.each([
    { error: { message: "This model's maximum context length is 2048 tokens, however you requested 2100 tokens" } },
    { error: { code: 400, message: "the request exceeds the available context size, try increasing it" } },
  ])("an attempt for which the server has no room runs out of tokens, and no other does: %j", async (answer) => {
    const { policy } = await opening(inTurn({ status: 400, answer }, textReply("<answer> Paris ")), byText);
    expect(await attempt(policy)).toMatchObject({ finishReason: "out-of-tokens", answer: null });
    expect(await attempt(policy)).toMatchObject({ finishReason: "answered" });
    expect(policy.usage?.()).toMatchObject({ noRoom: 1, replies: 1 });
  });

  it("asks again after what passes, and asks for at most so many at once", async () => {
    let [underWay, most, failures] = [0, 0, 0];
    const { policy } = await opening(
      async ({ path, body }) => {
        if (path === "/v1/models") return undefined;
        if (body.max_tokens !== 16 && failures++ < 3) return { status: [429, 503, 500][failures - 1], answer: "busy" };
        most = Math.max(most, ++underWay);
        await new Promise((resolve) => setTimeout(resolve, 10));
        underWay--;
        return textReply("<answer> Paris ");
      },
      { ...byText, concurrency: 4 },
    );
    const all = await Promise.all(Array.from({ length: 12 }, () => attempt(policy)));
    expect(all.every(({ answer }) => answer === "Paris")).toBe(true);
    expect(most).toBe(4);
  });

  it("a failure that does not pass names server, reason and what to do", async () => {
    const { policy } = await opening(inTurn({ status: 403, answer: { error: { message: "no credit" } } }), byText);
    await expect(attempt(policy)).rejects.toThrow(
      /Server http:.*\/v1: the server answered 403.*no credit.*SLEUTH_SERVER_API_KEY/s,
    );
    const errors = await opening(inTurn({ error: { message: "upstream is down" } }), { ...byText, retries: 1 });
    await expect(attempt(errors.policy)).rejects.toThrow(
      /not what a completion looks like.*upstream is down.*tried 2 times/s,
    );
  });
});

/** Refuses requests with these fields, one after another, in the given words; else answers. */
function refusing(refused: Readonly<Record<string, (value: unknown) => Answer | null>>) {
  return ({ path, body }: Asked): Answer | undefined => {
    if (path === "/v1/models") return undefined;
    for (const [field, refuse] of Object.entries(refused)) {
      const answer = field in body ? refuse(body[field]) : null;
      if (answer !== null) return answer;
    }
    return body.messages === undefined ? textReply("<answer> Paris ") : chatReply("<answer> Paris ");
  };
}
const error = (status: number, message: string) => (): Answer => ({ status, answer: { error: { message } } });

describe("what a server does not take", () => {
  it("llama-cpp-python: no ids, no -1, no log-probabilities, each a 500 that is not tried again", async () => {
    const { policy, asked } = await opening(
      refusing({
        prompt: (prompt) =>
          typeof prompt === "string"
            ? null
            : error(
                500,
                "[{'type': 'string_type', 'loc': ('body', 'prompt', 'str'), 'msg': 'Input should be a valid string'}]",
              )(),
        top_k: (top_k) =>
          Number(top_k) >= 0 ? null : error(500, "[{'loc': ('body', 'top_k'), 'msg': 'greater than or equal to 0'}]")(),
        logprobs: error(500, "logprobs is not supported for models created with logits_all=False"),
      }),
      byIds,
    );
    expect(asked.length).toBe(5);
    expect(policy.notes).toEqual([expect.stringMatching(/tells no ids .* text-only/)]);
    expect(await attempt(policy)).toMatchObject({ answer: "Paris", textOnly: true });
    const { body } = asked[asked.length - 1];
    expect(body).toMatchObject({ top_k: 0, min_p: 0 });
    expect(typeof body.prompt).toBe("string");
    expect(body).not.toHaveProperty("logprobs");
  });

  it("a hosted service: fields that it does not know, another name for the length, no temperature and no stop strings", async () => {
    const { policy, asked } = await opening(
      refusing({
        top_k: error(400, "Unrecognized request argument supplied: top_k"),
        min_p: error(400, "Unrecognized request arguments supplied: min_p, repeat_penalty"),
        repeat_penalty: error(400, "Extra inputs are not permitted"),
        max_tokens: error(400, "Unsupported parameter: 'max_tokens'. Use 'max_completion_tokens' instead."),
        temperature: error(400, "Unsupported value: 'temperature' does not support 0 with this model."),
        stop: error(400, "Unsupported parameter: 'stop' is not supported with this model."),
      }),
      byChat,
    );
    expect(policy.notes?.join()).toMatch(
      /temperature: the server samples at its own temperature.*stop: turns are cut here/,
    );
    expect(await attempt(policy)).toMatchObject({ answer: "Paris" });
    const { body } = asked[asked.length - 1];
    expect(Object.keys(body).sort()).toEqual(["max_completion_tokens", "messages", "model", "seed", "stream", "top_p"]);
  });

  it("anything: it is said in the server's words, and nothing is asked for ever", async () => {
    const server = await serving(({ path }) => (path === "/v1/models" ? undefined : { status: 400, answer: "no" }));
    opened.push(server);
    const opens = createServedPolicy({ ...byIds, url: server.url, tags, http: noWait });
    await expect(opens).rejects.toThrow(/the server answered 400: "no"/);
    expect(server.asked.length).toBeLessThan(8);
  });
});

describe("the model of a server", () => {
  const models = (...ids: string[]) => ({ data: ids.map((id) => ({ id })) });
  const withModels =
    (list: object) =>
    ({ path }: Asked): Answer =>
      path === "/v1/models" ? list : textReply("<answer> Paris ");

  it("is the only one where none is named, and has to be named where there are more", async () => {
    const { asked } = await opening(withModels(models("only")), { ...byText, model: "" });
    expect(asked[asked.length - 1].body.model).toBe("only");
    const two = opening(withModels(models("a", "b")), { ...byText, model: "" });
    await expect(two).rejects.toThrow(/The server has a, b\. Name the one to ask with --server-model/);
    const none = opening(inTurn(textReply("")), { ...byText, model: "" });
    await expect(none).rejects.toThrow(/does not say which models it has\. Name/);
  });

  it("that the server does not list is told of, since llama.cpp answers to every name", async () => {
    const { policy } = await opening(withModels(models("smollm2.gguf")), byText);
    expect(policy.notes).toEqual([
      expect.stringMatching(/lists smollm2\.gguf, and not m: some servers answer with another model/),
    ]);
    const ollama = await opening(withModels(models("m:latest", "other")), byText);
    expect(ollama.policy.notes).toEqual([]);
  });

  it("that the server does not have ends the opening with its words", async () => {
    const refuses = error(404, "The model `m` does not exist.");
    const opens = opening(({ path }) => (path === "/v1/models" ? models("x") : refuses()), byText);
    await expect(opens).rejects.toThrow(/answered 404.*does not exist.*server\.model/s);
  });

  it("needs a server that is there, and a key where it wants one", async () => {
    const { server } = await opening(inTurn(textReply("")), byText);
    server.close();
    await expect(createServedPolicy({ ...byText, url: server.url, tags, http: noWait })).rejects.toThrow(
      /ECONNREFUSED|refused/,
    );
    const closed = opening(() => ({ status: 401, answer: { error: "no key" } }), byText);
    await expect(closed).rejects.toThrow(/answered 401.*Put a key that may use the model into SLEUTH_SERVER_API_KEY/s);
    await expect(opening(() => undefined, { ...byText, url: "https://user:secret-word@host/v1" })).rejects.toThrow(
      /must not hold a password/,
    );
  });

  it.each([
    ["", "/v1/completions"],
    ["/v1", "/v1/completions"],
    ["/v1/", "/v1/completions"],
    ["/v1/completions", "/v1/completions"],
    ["/v1/chat/completions", "/v1/completions"],
    ["/api/openai", "/api/openai/completions"],
  ])("is asked at the right address: %j", async (path, expected) => {
    const server = await serving(() => textReply("x"));
    opened.push(server);
    opened.push(await createServedPolicy({ ...byText, url: server.url.replace("/v1", path), tags }));
    expect(server.asked.map((one) => one.path)).toEqual([expected.replace("/completions", "/models"), expected]);
  });

  it("cannot be trained, and closing ends what is under way", async () => {
    const { policy } = await opening(inTurn(textReply("x")), byText);
    await expect(policy.logprobs([[1, 2]])).rejects.toThrow(/only asked to write, so logprobs is impossible/);
    await expect(policy.optimStep({} as never)).rejects.toThrow(/optimStep is impossible/);
    await policy.close();
    await expect(policy.sample([1], { maxTokens: 2 })).rejects.toThrow(/closed/);
  });
});

describe("the tokenizer that only counts", () => {
  it("gives texts back, and takes a token for four bytes", () => {
    const tokenizer = countingTokenizer();
    for (const text of ["", "a", "ab", "abc", "abcd", "abcde", "äöü €", "\0\0", "\ufeffx", "日本語です", "a\0"])
      expect(tokenizer.decode(tokenizer.encode(text)), JSON.stringify(text)).toBe(text);
    expect(tokenizer.encode("x".repeat(41))).toHaveLength(11);
    expect(tokenizer.encode("\0")).not.toEqual(tokenizer.encode("\0\0"));
  });
});
