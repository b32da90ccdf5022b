/**
 * @file A language model as judge: whether an answer means the same as a right one. Any server with OpenAI's `/v1/chat/completions`.
 *
 * 1. No answer is 0 and an exact match is 1 without asking anybody.
 * 2. The same question with the same answer is asked once, whoever asks and however often: verdicts are kept on disk, and requests under way
 *    are shared.
 * 3. A judgement that fails for now (busy, down, no verdict in the reply) is tried again, then counted, and exact match stands in for it, or
 *    ends the run where `onFailure` says so. One that cannot succeed (wrong key, no such model) ends the run, and so does any failure before the
 *    first reply: a judge that is not there should be known at once.
 */
import { Gate, orAborted } from "../../async.js";
import { UserError } from "../../errors.js";
import { excerpt, postJson, realTools, type HttpTools, type PostSettings } from "../../http/post.js";
import { RateLimit } from "../../http/rate-limit.js";
import { defaultRetry, HttpError, parseRetryAfter } from "../../http/retry.js";
import type { Question, Trajectory } from "../../types.js";
import { exactMatch } from "../exact-match.js";
import type { RewardMoment } from "../reward.js";
import { cacheKey, noCache, type VerdictCache } from "./cache.js";
import { checkJudgePrompt, defaultJudgePrompt, judgeMessage, readVerdict, type JudgeScale } from "./prompt.js";

/** The environment variable that the key is read from. */
export const judgeKeyVariable = "SLEUTH_JUDGE_API_KEY";

/** A judgement that could not be had. */
export class JudgeError extends UserError {
  readonly url: string;
  readonly isRetryable: boolean;
  readonly status?: number;

  constructor(message: string, details: { url: string; isRetryable: boolean; status?: number; cause?: unknown }) {
    super(message, { cause: details.cause });
    this.name = "JudgeError";
    this.url = details.url;
    this.isRetryable = details.isRetryable;
    this.status = details.status;
  }
}

export interface JudgeSettings {
  /** The server: `http://127.0.0.1:11434/v1`, or the whole address of its chat completions. */
  url: string;
  model: string;
  /** With {question}, {answers}, {answer} and {verdict}. Default `defaultJudgePrompt`. */
  prompt?: string;
  /** Default yes-no. */
  scale?: JudgeScale;
  /** Sent as a bearer token and never shown. Default none. */
  key?: string;
  /** Further fields of each request. Default temperature 0 and 1,024 tokens. */
  body?: Readonly<Record<string, unknown>>;
  /** Judgements at once. Default 8. */
  concurrency?: number;
  /** Requests a minute, further tries included; 0, the default, is no limit. */
  perMinute?: number;
  /** Longest time for one request. Milliseconds; default 30,000. */
  timeoutMs?: number;
  /** Further tries of a judgement. Default 3. */
  retries?: number;
  /** Default: nothing is kept. */
  cache?: VerdictCache;
  /** What a judgement that failed for now becomes. Default exact-match. */
  onFailure?: "exact-match" | "stop";
}

/** What happened since the last report. */
export interface JudgeReport {
  /** Trajectories scored. */
  scored: number;
  /** Of these, judged anew by the server. */
  asked: number;
  /** Of these, scored by exact match since their judgement failed. */
  failed: number;
  /** Why the last one failed. */
  reason?: string;
}

const emptyReport: JudgeReport = { scored: 0, asked: 0, failed: 0 };
/** A reply is a word, with a thought before it at most. */
const maxAnswerBytes = 1024 * 1024;

export class Judge {
  readonly #url: string;
  /** The address without its query, for messages. */
  readonly url: string;
  readonly #settings: Required<Omit<JudgeSettings, "key" | "retries" | "timeoutMs">>;
  readonly #post: PostSettings;
  readonly #key: string;
  readonly #tools: HttpTools;
  readonly #gate: Gate;
  readonly #rate: RateLimit;
  readonly #underWay = new Map<string, Promise<number>>();
  readonly #closed = new AbortController();
  #hasSucceeded = false;
  #report = { ...emptyReport };

  /** @throws UserError for an address that is none, a prompt without its places, or no model */
  constructor(settings: JudgeSettings, tools: Partial<HttpTools> = {}) {
    const { key = "", retries = 3, timeoutMs = 30_000 } = settings;
    this.#settings = {
      url: settings.url,
      model: settings.model,
      prompt: settings.prompt ?? defaultJudgePrompt,
      scale: settings.scale ?? "yes-no",
      body: settings.body ?? { temperature: 0, max_tokens: 1024 },
      concurrency: settings.concurrency ?? 8,
      perMinute: settings.perMinute ?? 0,
      cache: settings.cache ?? noCache,
      onFailure: settings.onFailure ?? "exact-match",
    };
    checkJudgePrompt(this.#settings.prompt);
    if (settings.model === "")
      throw new UserError("reward.judgeModel is empty. Name the model that judges, as its server calls it.");
    const url = completionsUrl(settings.url);
    this.#url = url.href;
    this.url = url.origin + url.pathname;
    if (/[^\x21-\x7e]/.test(key))
      throw new UserError(
        `${judgeKeyVariable} holds white space or letters that no key has. Set it again, without quotes or line breaks.`,
      );
    this.#key = key;
    this.#post = {
      ...defaultRetry,
      retries,
      timeoutMs,
      maxAnswerBytes,
      headers: key === "" ? {} : { authorization: `Bearer ${key}` },
    };
    this.#tools = { ...realTools, ...tools };
    const { concurrency, perMinute } = this.#settings;
    this.#gate = new Gate(concurrency);
    this.#rate = new RateLimit(perMinute === 0 ? undefined : perMinute / 60, this.#tools);
  }

  /**
   * The reward.
   * @throws JudgeError when the judge cannot be had at all; the signal's reason when it aborts
   */
  readonly reward = async (question: Question, trajectory: Trajectory, moment: RewardMoment = {}): Promise<number> => {
    const { signal } = moment;
    signal?.throwIfAborted();
    this.#report.scored++;
    const match = exactMatch(question, trajectory);
    if (trajectory.answer === null || trajectory.answer.trim() === "" || match === 1) return match;
    try {
      return await orAborted(this.#judge(question, trajectory.answer), signal);
    } catch (error) {
      signal?.throwIfAborted();
      if (!(error instanceof JudgeError) || this.#endsRun(error)) throw error;
      this.#report.failed++;
      this.#report.reason = error.message;
      return match;
    }
  };

  /** What happened since the last call. */
  takeReport(): JudgeReport {
    const report = this.#report;
    this.#report = { ...emptyReport };
    return report;
  }

  /** Ends judgements under way. */
  close(): Promise<void> {
    this.#closed.abort(new JudgeError(`The judge ${this.url} is closed.`, { url: this.url, isRetryable: false }));
    return Promise.resolve();
  }

  #endsRun({ status }: JudgeError): boolean {
    if (this.#settings.onFailure === "stop" || this.#closed.signal.aborted) return true;
    const isMisconfigured = status === 401 || status === 403 || status === 404 || status === 405;
    return isMisconfigured || !this.#hasSucceeded;
  }

  /** One judgement; the same one that is under way is shared. It goes on when one who waits has given up: the next will ask for it. */
  #judge(question: Question, answer: string): Promise<number> {
    const { model, prompt, scale, body } = this.#settings;
    const { question: asked, answers } = question;
    const key = cacheKey({ version: 1, model, prompt, scale, body, question: asked, answers, answer });
    const shared = this.#underWay.get(key);
    if (shared !== undefined) return shared;
    const judgement = this.#lookUp(key, question, answer).finally(() => this.#underWay.delete(key));
    this.#underWay.set(key, judgement);
    return judgement;
  }

  async #lookUp(key: string, question: Question, answer: string): Promise<number> {
    const { cache } = this.#settings;
    const known = await cache.get(key);
    if (known !== undefined) return known;
    const verdict = await this.#gate.run(() => this.#ask(question, answer));
    // A disk that is full costs money later, and nothing now.
    await cache.set(key, verdict).catch(() => undefined);
    return verdict;
  }

  async #ask(question: Question, answer: string): Promise<number> {
    const { model, prompt, scale, body } = this.#settings;
    const messages = [{ role: "user", content: judgeMessage(prompt, scale, question, answer) }];
    const request = JSON.stringify({ ...body, model, messages, stream: false });
    let text: string;
    try {
      text = await postJson(this.#url, request, this.#post, this.#restingTools(), {
        signal: this.#closed.signal,
        beforeTry: (signal) => this.#rate.take(signal),
      });
    } catch (error) {
      if (error instanceof HttpError) throw this.#error(error);
      throw error;
    }
    this.#report.asked++;
    const reply = contentOf(text);
    if (reply === null) throw this.#badReply("not what a chat completion looks like", text);
    this.#hasSucceeded = true;
    const verdict = readVerdict(reply, scale);
    if (verdict === null)
      throw this.#badReply(
        `no verdict (${scale === "score" ? "a number from 0 to 1" : "yes or no"} alone)`,
        reply,
        true,
      );
    return verdict;
  }

  /** A server that wants a rest is left alone by all judgements, not only by the one that it told. */
  #restingTools(): HttpTools {
    const { fetch: ask, now } = this.#tools;
    const asking: typeof fetch = async (...request) => {
      const response = await ask(...request);
      const restMs = response.ok ? undefined : parseRetryAfter(response.headers.get("retry-after"), now());
      if (restMs !== undefined) this.#rate.rest(Math.min(restMs, this.#post.maxRetryAfterMs));
      return response;
    };
    return { ...this.#tools, fetch: asking };
  }

  #badReply(what: string, reply: string, isRetryable = false): JudgeError {
    const why = `the reply is ${what}: ${this.#hide(excerpt(reply))}`;
    const advice = "Judges that think need room for it: raise reward.judgeBody.max_tokens, or take another model.";
    return new JudgeError(`Judge ${this.url}: ${why}. ${advice}`, { url: this.url, isRetryable, status: 200 });
  }

  #error({ why, status, isRetryable, tries }: HttpError): JudgeError {
    const tried = tries === 1 ? "" : ` (tried ${tries} times)`;
    // Without the cause: it quotes what the server said, and servers quote keys.
    return new JudgeError(`Judge ${this.url}: ${this.#hide(why)}${tried}. ${adviceFor(status)}`, {
      url: this.url,
      isRetryable,
      status,
    });
  }

  #hide(text: string): string {
    return this.#key === "" ? text : text.replaceAll(this.#key, "[key]");
  }
}

function adviceFor(status: number | undefined): string {
  if (status === 401 || status === 403) return `Put a key that may use the model into ${judgeKeyVariable}.`;
  if (status === 404 || status === 405)
    return "See to reward.judgeUrl and reward.judgeModel: the address or the model is not there.";
  if (status === 429) return "Set reward.judgePerMinute to what the server allows.";
  if (status !== undefined && status < 500)
    return "See to reward.judgeModel and reward.judgeBody: the server does not take the request.";
  return "See to the server, or lower reward.judgeConcurrency.";
}

/** The text of the first choice; null where there is none. */
function contentOf(text: string): string | null {
  try {
    const answer = JSON.parse(text) as { choices?: { message?: { content?: unknown } }[] } | null;
    const content = answer?.choices?.[0]?.message?.content;
    return typeof content === "string" ? content : null;
  } catch {
    return null;
  }
}

/** The address of chat completions; credentials in it are refused, since errors show the address. */
function completionsUrl(url: string): URL {
  const example = "Write it like http://127.0.0.1:11434/v1.";
  let parsed: URL;
  try {
    parsed = new URL(url);
  } catch (cause) {
    throw new UserError(`reward.judgeUrl "${url}" is not an address. ${example}`, { cause });
  }
  if (parsed.protocol !== "http:" && parsed.protocol !== "https:")
    throw new UserError(`reward.judgeUrl "${url}" must begin with http:// or https://. ${example}`);
  if (parsed.username !== "" || parsed.password !== "")
    throw new UserError(`reward.judgeUrl must not hold a password: put the key into ${judgeKeyVariable}.`);
  const secret = [...parsed.searchParams.keys()].find((name) => /key|token|secret|signature/i.test(name));
  if (secret !== undefined) {
    throw new UserError(
      `reward.judgeUrl must not hold a key ("${secret}"): it is written into the run folder. Put the key into ${judgeKeyVariable}.`,
    );
  }
  const path = parsed.pathname.replace(/\/+$/, "");
  if (path === "") parsed.pathname = "/v1/chat/completions";
  else if (!path.endsWith("/completions")) parsed.pathname = `${path}/chat/completions`;
  return parsed;
}
