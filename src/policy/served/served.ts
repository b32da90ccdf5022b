/**
 * @file A policy behind a server with OpenAI's interface (vLLM, SGLang, llama.cpp, Ollama, hosted services). It samples and cannot train.
 *
 * 1. By `completions` the prompt is laid out here, as for a model of this machine, and goes as ids where the server takes them. Where the server tells the
 *    ids that it sampled and their log-probabilities, and its tokenizer is known, a sample is as exact as a local one.
 * 2. Else, and by `chat` always, a sample is its text (`Sample.text`). A chat's messages are the authors' texts: the prompt and what the environment says are the
 *    user's, turns the assistant's. The last one is never the assistant's: servers repeat that one, or continue it, or neither.
 * 3. One request is one sample, never a stream and never `n`: servers count the tokens of `n` differently, and streams lack tokens near stop strings.
 */
import type { Policy, PolicyStats, Sample, SampleOptions, ServerUsage } from "../../contracts/policy.js";
import { UserError } from "../../errors.js";
import { addressBelow, baseAddress, OpenAiServer, serverAddress, type OpenAiOwner } from "../../http/openai-server.js";
import { leanFetch } from "../../http/lean-fetch.js";
import type { HttpTools, ServiceFailure } from "../../http/request.js";
import type { ErrorDetails } from "../../http/service.js";
import type { ChatMessage, TemplateVariables, Tokenizer } from "../../types.js";
import { Dialect } from "./dialect.js";
import { readReply, type Reply } from "./reply.js";
import { serverDefaults, type ServerSettings } from "./settings.js";
import { areOf, endedIds, endedText, textSample, type TagPair } from "./turn.js";

/** The environment variable that a server's key is read from. */
export const serverKeyVariable = "SLEUTH_SERVER_API_KEY";

/** The key of this process's environment. */
export function serverKey(): string | undefined {
  return process.env[serverKeyVariable]?.trim();
}

export interface ServedOptions extends Partial<Omit<ServerSettings, "tokenizer" | "api" | "contextLength">> {
  url: string;
  api: "completions" | "chat";
  /** Sent as a bearer token and never shown. */
  key?: string;
  tokenizer: Tokenizer;
  /** Whether that is the served model's own; else it only counts. */
  ownsTokenizer: boolean;
  /** Most tokens of prefix and sample together, unless the server says fewer. */
  contextLength: number;
  /** What closes what, so that a stop string that a server leaves out is known where it does not name it; and how a thought is written. */
  tags: { think: TagPair; turns: readonly TagPair[] };
  /** What a chat's template is told, where the server has a way for it. */
  templateVariables?: TemplateVariables;
  http?: Partial<HttpTools>;
}

/** What a server did not do. */
export class ServerError extends UserError {
  readonly status?: number;
  readonly isRetryable: boolean;

  constructor(message: string, { cause, status, isRetryable }: ErrorDetails) {
    super(message, { cause });
    this.name = "ServerError";
    this.status = status;
    this.isRetryable = isRetryable;
  }
}

/**
 * Opens a policy behind a server: asks which models there are, and makes one small request to learn what the server understands.
 * @throws UserError for an address that cannot be used, a server that is not there or refuses the trial, and a model that has to be named
 */
export async function createServedPolicy(options: ServedOptions, signal?: AbortSignal): Promise<Policy> {
  const served = new ServedModel(options);
  try {
    await served.open(signal);
  } catch (error) {
    served.close();
    throw error;
  }
  const { tokenizer } = options;
  const { contextLength, notes } = served;
  return {
    ...{ tokenizer, contextLength, notes },
    capabilities: { engine: "served", training: false, reference: false, exactResume: false, entropy: false },
    sample: (prefix_T, sampling) => served.sample(prefix_T, sampling),
    logprobs: () => cannot("logprobs"),
    forwardBackward: () => cannot("forwardBackward"),
    optimStep: () => cannot("optimStep"),
    save: () => cannot("save"),
    load: () => cannot("load"),
    stats: () => Promise.resolve(served.stats()),
    usage: () => served.usage(),
    close: () => Promise.resolve(served.close()),
  };
}

/**
 * The model to ask, where the server has only one.
 * @throws UserError for an address that cannot be used, a server that is not there, and one that has several models or does not say
 */
export async function onlyModel(
  { url, key, http }: Pick<ServedOptions, "url" | "key" | "http">,
  signal?: AbortSignal,
): Promise<string> {
  const base = baseAddress(serverAddress(url, words));
  const server = new OpenAiServer(base, { key }, ownerOf(), http);
  try {
    const names = (await listed(server, base, signal)).map(({ id }) => id);
    if (names.length !== 1) throw mustName(names);
    return names[0];
  } finally {
    server.close();
  }
}

const words = { urlName: "server.url", keyVariable: serverKeyVariable };

function ownerOf(isFinal?: (status: number) => boolean): OpenAiOwner {
  const error = (message: string, details: ErrorDetails): Error => new ServerError(message, details);
  return { ...words, title: "Server", advice: adviceFor, error, isFinal };
}

/** What a server says that it has; nothing where it has no list. */
async function listed(server: OpenAiServer, base: URL, signal?: AbortSignal): Promise<ReturnType<typeof readModels>> {
  try {
    return await server.ask(addressBelow(base, "models"), undefined, readModels, signal);
  } catch (error) {
    const hasNone = error instanceof ServerError && error.status !== undefined && ![401, 403].includes(error.status);
    if (hasNone) return [];
    throw error;
  }
}

/** Most refusals of the trial that are learned from: there are no more fields. */
const mostTrials = 20;
/** Some hosted models think before they write, and refuse requests without room for it. */
const trialTokens = 16;
const trialPrompt = "The capital of France is";

type Fields = Record<string, unknown>;

class ServedModel {
  readonly notes: string[] = [];
  contextLength: number;
  readonly #tokenizer: Tokenizer;
  readonly #options: ServedOptions;
  readonly #server: OpenAiServer;
  readonly #base: URL;
  readonly #address: URL;
  readonly #dialect = new Dialect();
  #model: string;
  #isTrying = true;
  /** Whether replies tell the ids that were sampled, of the tokenizer that is known. */
  #tellsIds: boolean;
  readonly #counts = { sampledTokens: 0, cachedTokens: 0, ranOn: 0, echoed: 0, noRoom: 0 };

  constructor(options: ServedOptions) {
    this.#options = options;
    this.#tokenizer = options.tokenizer;
    this.contextLength = options.contextLength;
    this.#model = options.model ?? "";
    this.#tellsIds = options.api === "completions" && options.ownsTokenizer;
    const { key, http, concurrency, perMinute, timeoutMs, retries } = { ...serverDefaults, ...options };
    const base = baseAddress(serverAddress(options.url, words));
    this.#base = base;
    this.#address = addressBelow(base, options.api === "chat" ? "chat/completions" : "completions");
    // llama-cpp-python answers 500 to a field that it does not take.
    const owner = ownerOf((status) => this.#isTrying && status === 500);
    this.#server = new OpenAiServer(base, { key, concurrency, perMinute, timeoutMs, retries }, owner, {
      fetch: leanFetch,
      ...http,
    });
  }

  async open(signal?: AbortSignal): Promise<void> {
    await this.#findModel(signal);
    const reply = await this.#tryOut(signal);
    this.#isTrying = false;
    this.#learnFrom(reply);
    const losses = this.#dialect.losses();
    if (losses.length > 0)
      this.notes.push(`The server does not take everything that was asked for (${losses.join("; ")}).`);
  }

  async sample(prefix_T: readonly number[], options: SampleOptions): Promise<Sample> {
    const { signal, stop = {} } = options;
    signal?.throwIfAborted();
    const room = this.contextLength - prefix_T.length;
    if (room < 1) {
      throw new UserError(
        `The prefix has ${prefix_T.length} tokens and the served model reads ${this.contextLength}: there is no room to write. Shorten the prompt, or raise server.contextLength where the server reads more.`,
      );
    }
    const fields = this.#fieldsFor(prefix_T, { ...options, maxTokens: Math.min(options.maxTokens, room) });
    let reply: Reply;
    try {
      reply = await this.#ask(fields, signal);
    } catch (error) {
      if (!saysNoRoom(error)) throw error;
      this.#counts.noRoom++;
      return { tokens_T: [], logprobs_T: [], stopReason: "length", text: "" };
    }
    const isScored = reply.logprobs !== undefined && areOfDistribution(options);
    const sample =
      this.#tellsIds && reply.ids !== undefined && areOf(reply.ids, reply.text, this.#tokenizer)
        ? this.#sampleOfIds(reply as Reply & { ids: number[] }, stop, isScored)
        : this.#sampleOfText(reply, stop.strings ?? [], fields);
    const { completion_tokens: told } = reply.usage ?? {};
    this.#counts.sampledTokens += typeof told === "number" ? told : sample.tokens_T.length;
    this.#counts.cachedTokens += reply.cachedTokens;
    return sample;
  }

  usage(): ServerUsage {
    const { inputPrice = 0, outputPrice = 0 } = this.#options;
    const usage = this.#server.usage();
    const { ranOn, echoed, noRoom } = this.#counts;
    const spentUsd = (usage.promptTokens * inputPrice + usage.completionTokens * outputPrice) / 1e6;
    return { ...usage, ...(inputPrice + outputPrice > 0 && { spentUsd }), ranOn, echoed, noRoom };
  }

  stats(): PolicyStats {
    const { sampledTokens, cachedTokens } = this.#counts;
    const { promptTokens, spentUsd } = this.usage();
    return {
      prefillTokens: Math.max(0, promptTokens - cachedTokens),
      ...(spentUsd !== undefined && { spentUsd }),
      reusedTokens: cachedTokens,
      sampledTokens,
      ...{ trainedTokens: 0, computedTokens: 0, sharedTokens: 0, sampleRuntimeMs: 0, trainRuntimeMs: 0 },
    };
  }

  close(): void {
    this.#server.close();
  }

  /** llama.cpp answers to every name, so whether the server has the model is not known from its replies. */
  async #findModel(signal?: AbortSignal): Promise<void> {
    const models = await listed(this.#server, this.#base, signal);
    const names = models.map(({ id }) => id);
    if (this.#model === "") {
      if (names.length !== 1) throw mustName(names);
      this.#model = names[0];
    }
    const own = models.find(({ id }) => id === this.#model || id === `${this.#model}:latest`);
    if (own?.max_model_len !== undefined) this.contextLength = Math.min(this.contextLength, own.max_model_len);
    if (own === undefined && names.length > 0)
      this.notes.push(
        `The server lists ${some(names)}, and not ${this.#model}: some servers answer with another model then.`,
      );
  }

  /** A small request, again with fewer fields as long as the server refuses some. */
  async #tryOut(signal?: AbortSignal): Promise<Reply> {
    const prefix_T = [...(this.#tokenizer.startIds ?? []), ...this.#tokenizer.encode(trialPrompt)];
    const prefixTexts = [{ role: "prompt" as const, text: trialPrompt }];
    for (let trial = 0; ; trial++) {
      const fields = this.#fieldsFor(prefix_T, {
        ...{ maxTokens: trialTokens, temperature: 0, topP: 1, seed: 0, prefixTexts },
        stop: { strings: ["</answer>"], tokens: this.#tokenizer.eosIds },
      });
      try {
        return await this.#ask(fields, signal);
      } catch (error) {
        const isRefusal = error instanceof ServerError && [400, 413, 422, 500].includes(error.status ?? 0);
        if (!isRefusal || isAboutModel(error) || trial >= mostTrials || !this.#dialect.learn(error.message, fields))
          throw error;
      }
    }
  }

  /** Whether samples will be exact, or texts. */
  #learnFrom({ ids, logprobs, text }: Reply): void {
    if (!this.#tellsIds) return;
    const textOnly = "attempts are text-only: they can be scored, and learned from as transcripts";
    if (ids === undefined || !this.#dialect.takesIds) {
      this.#tellsIds = false;
      this.notes.push(
        `The server ${ids === undefined ? "tells no ids of the tokens that it samples" : "takes no prompts as ids"}, so ${textOnly}.`,
      );
    } else if (!areOf(ids, text, this.#tokenizer)) {
      this.#tellsIds = false;
      this.notes.push(
        `server.tokenizer is not that of the served model (its tokens do not make the text), so ${textOnly}. Prompts go as text.`,
      );
      this.#dialect.takesIds = false;
    } else if (logprobs === undefined) this.notes.push(`The server returns no log-probabilities, so ${textOnly}.`);
  }

  #ask(fields: Fields, signal?: AbortSignal): Promise<Reply> {
    const body = { ...this.#dialect.fieldsOf(fields), model: this.#model, stream: false };
    const read = (answer: string): Reply => {
      const reply = readReply(answer, (text) => this.#server.excerpt(text));
      // The trial is no turn.
      if (!this.#isTrying) this.#server.count(reply.usage);
      return reply;
    };
    return this.#server.ask(this.#address, body, read, signal);
  }

  /** What is asked for; the dialect leaves out what the server refuses. */
  #fieldsFor(prefix_T: readonly number[], options: SampleOptions): Fields {
    const { maxTokens, stop = {}, temperature = 1, topP = 1, topK = 0, seed = 0, prefixTexts } = options;
    const { templateVariables = {} } = this.#options;
    const sampling: Fields = {
      max_tokens: maxTokens,
      temperature,
      top_p: topP,
      // Servers keep seeds in 31 bits at least.
      seed: seed & 0x7fffffff,
      stop: stop.strings === undefined || stop.strings.length === 0 ? undefined : stop.strings,
      top_k: topK === 0 ? -1 : topK,
      ...{ min_p: 0, repetition_penalty: 1, repeat_penalty: 1 },
      include_stop_str_in_output: true,
    };
    if (this.#options.api === "chat") {
      const hasVariables = Object.keys(templateVariables).length > 0;
      const chat_template_kwargs = hasVariables ? templateVariables : undefined;
      const texts = prefixTexts ?? [{ role: "prompt" as const, text: this.#tokenizer.decode(prefix_T) }];
      const messages = messagesOf(
        texts.map((one, place) => (place === 0 ? { ...one, text: this.#withoutStart(one.text) } : one)),
      );
      return { messages, ...sampling, chat_template_kwargs };
    }
    const takesIds = this.#tellsIds && this.#dialect.takesIds;
    const text = (): string => prefixTexts?.map((one) => one.text).join("") ?? this.#tokenizer.decode(prefix_T);
    return {
      prompt: takesIds ? [...prefix_T] : this.#withoutStart(text()),
      ...sampling,
      skip_special_tokens: false,
      ...(this.#tellsIds && {
        ...{ logprobs: 1, return_token_ids: true, return_tokens_as_token_ids: true },
        stop_token_ids: stop.tokens === undefined || stop.tokens.length === 0 ? undefined : stop.tokens,
      }),
    };
  }

  /** The token that begins a text is the server's to add. */
  #withoutStart(prompt: string): string {
    const start = this.#tokenizer.decode(this.#tokenizer.startIds ?? []);
    return start !== "" && prompt.startsWith(start) ? prompt.slice(start.length) : prompt;
  }

  #sampleOfIds(
    { ids: all, logprobs, stopReason, stoppedAt }: Reply & { ids: number[] },
    stop: Required<SampleOptions>["stop"],
    isScored: boolean,
  ): Sample {
    const { ids, stopReason: reason, ranOn } = endedIds(all, stopReason, stop, this.#tokenizer);
    if (ranOn) this.#counts.ranOn++;
    const text = this.#tokenizer.decode(ids);
    // A stop string without its tokens: which ones were sampled is not known.
    const { text: ended } = endedText(
      { text, stopReason: reason, stoppedAt },
      stop.strings ?? [],
      this.#options.tags.turns,
    );
    const endsAtToken = stop.tokens?.includes(ids[ids.length - 1]) ?? false;
    const isWhole = ended.length <= text.length || endsAtToken;
    const tokens_T = isWhole ? [...ids] : [...ids, ...this.#tokenizer.encode(ended.slice(text.length))];
    const isExact = isWhole && isScored;
    const logprobs_T = isExact ? (logprobs as number[]).slice(0, ids.length) : tokens_T.map(() => 0);
    return { tokens_T, logprobs_T, stopReason: reason, ...(!isExact && { text: isWhole ? text : ended }) };
  }

  #sampleOfText(reply: Reply, stops: readonly string[], { prompt }: Fields): Sample {
    const { think, turns } = this.#options.tags;
    const isEchoed = typeof prompt === "string" && prompt !== "" && reply.text.startsWith(prompt);
    if (isEchoed) this.#counts.echoed++;
    const said = isEchoed ? reply.text.slice((prompt as string).length) : reply.text;
    const ended = endedText({ ...reply, text: said }, stops, turns);
    if (ended.ranOn) this.#counts.ranOn++;
    const isThinking = said === "" && ended.stopReason === "length";
    const thought = reply.thought === "" ? "" : `${think[0]}${reply.thought}${isThinking ? "" : `${think[1]}\n`}`;
    return textSample({ ...ended, text: thought + ended.text }, this.#tokenizer);
  }
}

/** Messages by their authors; two of one author become one, since many templates want turns to alternate. */
function messagesOf(texts: Required<SampleOptions>["prefixTexts"]): ChatMessage[] {
  const messages: ChatMessage[] = [];
  for (const { role: author, text } of texts) {
    const role = author === "policy" ? "assistant" : "user";
    const content = role === "user" ? text.trim() : text;
    const last = messages.at(-1);
    if (last?.role === role) last.content += `\n${content}`;
    else messages.push({ role, content });
  }
  return messages;
}

/** Servers tell log-probabilities at temperature 1 and of all tokens: of another distribution they are not the sampled ones. */
function areOfDistribution({ temperature = 1, topP = 1, topK = 0 }: SampleOptions): boolean {
  return temperature === 0 || (temperature === 1 && topP === 1 && topK === 0);
}

/** Whether a server refuses a request since prompt and reply do not fit into what its model reads. */
function saysNoRoom(error: unknown): boolean {
  return (
    error instanceof ServerError &&
    [400, 413, 422].includes(error.status ?? 0) &&
    /context|max_model_len|maximum.{0,20}length|too long|too many tokens/i.test(error.message)
  );
}

function isAboutModel({ message }: ServerError): boolean {
  return /model.{0,80}(?:not found|does not exist|not exist)|unknown model|invalid model/i.test(message);
}

function readModels(answer: string): { id: string; max_model_len?: number }[] {
  try {
    const { data } = JSON.parse(answer) as { data?: unknown };
    const list = Array.isArray(data) ? (data as ({ id?: unknown; max_model_len?: unknown } | null)[]) : [];
    return list.flatMap((one) => {
      const length = one?.max_model_len;
      const told = typeof length === "number" && length >= 1 ? { max_model_len: length } : {};
      return typeof one?.id === "string" ? [{ id: one.id, ...told }] : [];
    });
  } catch {
    return [];
  }
}

function mustName(names: readonly string[]): UserError {
  const list = names.length === 0 ? "The server does not say which models it has." : `The server has ${some(names)}.`;
  return new UserError(`${list} Name the one to ask with --server-model (server.model).`);
}

function some(names: readonly string[]): string {
  const more = names.length - 8;
  return `${names.slice(0, 8).join(", ")}${more > 0 ? ` and ${more} more` : ""}`;
}

function adviceFor({ status, isRetryable }: ServiceFailure): string {
  if (status === 401 || status === 403) return `Put a key that may use the model into ${serverKeyVariable}.`;
  if (status === 404 || status === 405)
    return "See to server.url and server.model: the address or the model is not there. Servers without /v1/completions take --set server.api=chat.";
  if (status === 429) return "Set server.perMinute to what the server allows, or lower server.concurrency.";
  return isRetryable
    ? "See to the server, then start the same command again. Lower server.concurrency if it is too busy."
    : "";
}

function cannot(verb: string): Promise<never> {
  return Promise.reject(
    new UserError(
      `A model behind a server is only asked to write, so ${verb} is impossible. Train a model of this machine: leave server.url out.`,
    ),
  );
}
