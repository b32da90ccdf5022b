/**
 * @file A language model as judge: whether an answer means the same as a right one. Any server with OpenAI's `/v1/chat/completions`.
 *
 * 1. No answer is 0 and an exact match is 1 without asking anybody.
 * 2. The same question with the same answer is asked once, however often it comes: verdicts are kept on disk, and requests under way
 *    are shared.
 * 3. A judgement that fails for now (busy, down, no verdict in the reply) is tried again, then counted, and exact match stands in for it, or
 *    ends the run where `onFailure` says so. One that cannot succeed (wrong key, no such model) ends the run, and so does any failure before the
 *    first reply: a judge that is not there should be known at once.
 */
import { Gate, orAborted } from "../../async.js";
import { UserError } from "../../errors.js";
import { defaultBreaker, type BreakerSettings } from "../../http/breaker.js";
import { checkKey, serviceUrl } from "../../http/credentials.js";
import { RateLimit } from "../../http/rate-limit.js";
import { realTools, ServiceFailure, type HttpTools } from "../../http/request.js";
import { defaultService, Service, type ErrorDetails } from "../../http/service.js";
import type { Question, Trajectory } from "../../types.js";
import { exactMatch } from "../answers.js";
import type { RewardMoment } from "../reward.js";
import { rewardDefaults } from "../settings.js";
import { cacheKey, noCache, type VerdictCache } from "./cache.js";
import { checkJudgePrompt, defaultJudgePrompt, judgeMessage, readVerdict, type JudgeScale } from "./prompt.js";

/** The environment variable that the key is read from. */
export const judgeKeyVariable = "SLEUTH_JUDGE_API_KEY";

/** A judgement that could not be had. */
export class JudgeError extends UserError {
  readonly url: string;
  readonly isRetryable: boolean;
  readonly status?: number;

  constructor(message: string, details: ErrorDetails) {
    super(message, { cause: details.cause });
    this.name = "JudgeError";
    this.url = details.url;
    this.isRetryable = details.isRetryable;
    this.status = details.status;
  }
}

/** What is left out is as in the group `reward` of a configuration. */
export interface JudgeSettings {
  /** The server: `http://127.0.0.1:11434/v1`, or the whole address of its chat completions. */
  url: string;
  model: string;
  /** With {question}, {answers}, {answer} and {verdict}. Default `defaultJudgePrompt`. */
  prompt?: string;
  scale?: JudgeScale;
  /** Sent as a bearer token and never shown. Default none. */
  key?: string;
  /** Further fields of each request. */
  body?: Readonly<Record<string, unknown>>;
  /** Judgements at once. */
  concurrency?: number;
  /** Requests a minute, retries included; 0: no limit. */
  perMinute?: number;
  /** Longest time for one request, in milliseconds. */
  timeoutMs?: number;
  /** Retries of a judgement. Default 3. */
  retries?: number;
  /** Longest time for one judgement, retries and waiting for its turn included. Milliseconds; default: what its retries may take at most. */
  deadlineMs?: number;
  /**
   * When the server is left alone, and for how long; meanwhile judgements fail at once. Default: after as many failures in a
   * row as all judgements at once have tries.
   */
  breaker?: BreakerSettings;
  /** Default: nothing is kept. */
  cache?: VerdictCache;
  /** What a judgement that failed for now becomes. */
  onFailure?: "exact-match" | "stop";
}

/** What happened since the last report. */
export interface JudgeReport {
  /** Trajectories scored. */
  scored: number;
  /** Of these, judged by the server and not by the cache. */
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
  /** The address without its query, for messages. */
  readonly url: string;
  readonly #address: string;
  readonly #settings: Required<Omit<JudgeSettings, "url" | "key" | "retries" | "timeoutMs" | "deadlineMs" | "breaker">>;
  readonly #service: Service;
  readonly #gate: Gate;
  readonly #rate: RateLimit;
  readonly #underWay = new Map<string, Promise<number>>();
  #isClosed = false;
  #hasSucceeded = false;
  #report = { ...emptyReport };

  /** @throws UserError for an invalid address, a prompt without its places, or no model */
  constructor(settings: JudgeSettings, given: Partial<HttpTools> = {}) {
    const { key = "" } = settings;
    this.#settings = {
      model: settings.model,
      prompt: settings.prompt ?? defaultJudgePrompt,
      scale: settings.scale ?? rewardDefaults.judgeScale,
      body: settings.body ?? rewardDefaults.judgeBody,
      concurrency: settings.concurrency ?? rewardDefaults.judgeConcurrency,
      perMinute: settings.perMinute ?? rewardDefaults.judgePerMinute,
      cache: settings.cache ?? noCache,
      onFailure: settings.onFailure ?? rewardDefaults.judgeFailure,
    };
    checkJudgePrompt(this.#settings.prompt);
    if (settings.model === "")
      throw new UserError("reward.judgeModel is empty. Name the model that judges, as its server calls it.");
    const url = completionsUrl(settings.url);
    this.#address = url.href;
    this.url = url.origin + url.pathname;
    checkKey(key, judgeKeyVariable);
    const tools = { ...realTools, ...given };
    const { concurrency, perMinute } = this.#settings;
    this.#gate = new Gate(concurrency);
    this.#rate = new RateLimit(perMinute === 0 ? undefined : perMinute / 60, tools);
    this.#service = this.#open(settings, tools);
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
    this.#isClosed = true;
    this.#service.close();
    return Promise.resolve();
  }

  #open(
    { key = "", retries = 3, timeoutMs = rewardDefaults.judgeTimeoutMs, deadlineMs, breaker }: JudgeSettings,
    tools: HttpTools,
  ): Service {
    const { maxRetryAfterMs } = defaultService;
    const { concurrency, perMinute } = this.#settings;
    const longestTurnMs = perMinute === 0 ? 0 : (concurrency * 60_000) / perMinute;
    return new Service(
      {
        title: "Judge",
        url: this.url,
        settings: {
          ...defaultService,
          retries,
          timeoutMs,
          deadlineMs: deadlineMs ?? (retries + 1) * (timeoutMs + maxRetryAfterMs + longestTurnMs),
          maxAnswerBytes,
          headers: key === "" ? {} : { authorization: `Bearer ${key}` },
          // A short outage meets all judgements at once: the breaker opens when as many tries have failed as theirs together.
          breaker: breaker ?? {
            ...defaultBreaker,
            failuresInRow: Math.max(defaultBreaker.failuresInRow, concurrency * (retries + 1)),
          },
        },
        advice: adviceFor,
        error: (message, details) => new JudgeError(message, details),
        // A server that wants a rest is left alone by all judgements, not only by the one that it told.
        onRetryAfter: (ms) => this.#rate.rest(Math.min(ms, maxRetryAfterMs)),
      },
      {
        ...tools,
        beforeRequest: async (signal) => {
          await this.#rate.take(signal);
          await tools.beforeRequest?.(signal);
        },
      },
    );
  }

  #endsRun({ status }: JudgeError): boolean {
    if (this.#settings.onFailure === "stop" || this.#isClosed) return true;
    const isMisconfigured = status === 401 || status === 403 || status === 404 || status === 405;
    return isMisconfigured || !this.#hasSucceeded;
  }

  /** One judgement; the same one that is under way is shared. It goes on when a caller has given up: the next caller will want it. */
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

  #ask(question: Question, answer: string): Promise<number> {
    const { model, prompt, scale, body } = this.#settings;
    const messages = [{ role: "user", content: judgeMessage(prompt, scale, question, answer) }];
    const request = { url: this.#address, body: JSON.stringify({ ...body, model, messages, stream: false }) };
    return this.#service.call(undefined, (signal) =>
      this.#service.text(request, signal, (text) => this.#verdictIn(text)),
    );
  }

  #verdictIn(text: string): number {
    const { scale } = this.#settings;
    this.#report.asked++;
    const reply = contentOf(text);
    if (reply === null)
      throw new ServiceFailure(`the reply is not what a chat completion looks like: ${this.#service.excerpt(text)}`);
    this.#hasSucceeded = true;
    const verdict = readVerdict(reply, scale);
    if (verdict !== null) return verdict;
    const wanted = scale === "score" ? "a number from 0 to 1" : "yes or no";
    const why = `the reply is no verdict (${wanted} alone): ${this.#service.excerpt(reply)}`;
    throw new ServiceFailure(why, { isRetryable: true, status: 200 });
  }
}

function adviceFor({ status, isRetryable }: ServiceFailure): string {
  if (status === 200)
    return "Judges that think need room for it: raise reward.judgeBody.max_tokens, or take another model.";
  if (status === 401 || status === 403) return `Put a key that may use the model into ${judgeKeyVariable}.`;
  if (status === 404 || status === 405)
    return "See to reward.judgeUrl and reward.judgeModel: the address or the model is not there.";
  if (status === 429) return "Set reward.judgePerMinute to what the server allows.";
  if (status !== undefined && status < 500)
    return "See to reward.judgeModel and reward.judgeBody: the server does not take the request.";
  return isRetryable ? "See to the server, or lower reward.judgeConcurrency." : "";
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

/** The address of chat completions; credentials in it are refused, since errors and the run folder show the address. */
function completionsUrl(text: string): URL {
  const url = serviceUrl(text, {
    name: "reward.judgeUrl",
    example: "http://127.0.0.1:11434/v1",
    keyAdvice: `Put the key into ${judgeKeyVariable}.`,
  });
  const path = url.pathname.replace(/\/+$/, "");
  if (path === "") url.pathname = "/v1/chat/completions";
  else if (!path.endsWith("/completions")) url.pathname = `${path}/chat/completions`;
  return url;
}
