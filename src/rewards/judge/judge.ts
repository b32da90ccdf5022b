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
import { orAborted } from "../../async.js";
import { UserError } from "../../errors.js";
import { ChatCompletions, type ChatCompletionsSettings } from "../../http/chat-completions.js";
import { ServiceFailure, type HttpTools } from "../../http/request.js";
import type { ErrorDetails } from "../../http/service.js";
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
export interface JudgeSettings extends ChatCompletionsSettings {
  /** With {question}, {answers}, {answer} and {verdict}. Default `defaultJudgePrompt`. */
  prompt?: string;
  scale?: JudgeScale;
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

export class Judge {
  /** The address without its query, for messages. */
  readonly url: string;
  readonly #settings: Required<Pick<JudgeSettings, "model" | "prompt" | "scale" | "body" | "cache" | "onFailure">>;
  readonly #server: ChatCompletions;
  readonly #underWay = new Map<string, Promise<number>>();
  #isClosed = false;
  #report = { ...emptyReport };

  /** @throws UserError for an invalid address, a prompt without its places, or no model */
  constructor(settings: JudgeSettings, given: Partial<HttpTools> = {}) {
    const { prompt, scale, body, cache, onFailure, ...server } = settings;
    this.#settings = {
      model: settings.model,
      prompt: prompt ?? defaultJudgePrompt,
      scale: scale ?? rewardDefaults.judgeScale,
      body: body ?? rewardDefaults.judgeBody,
      cache: cache ?? noCache,
      onFailure: onFailure ?? rewardDefaults.judgeFailure,
    };
    checkJudgePrompt(this.#settings.prompt);
    if (settings.model === "")
      throw new UserError("reward.judgeModel is empty. Name the model that judges, as its server calls it.");
    const {
      concurrency = rewardDefaults.judgeConcurrency,
      perMinute = rewardDefaults.judgePerMinute,
      timeoutMs = rewardDefaults.judgeTimeoutMs,
    } = server;
    this.#server = new ChatCompletions(
      { ...server, body: this.#settings.body, concurrency, perMinute, timeoutMs },
      {
        title: "Judge",
        urlName: "reward.judgeUrl",
        keyVariable: judgeKeyVariable,
        advice: adviceFor,
        error: (message, details) => new JudgeError(message, details),
      },
      given,
    );
    this.url = this.#server.url;
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
    this.#server.close();
    return Promise.resolve();
  }

  #endsRun({ status }: JudgeError): boolean {
    if (this.#settings.onFailure === "stop" || this.#isClosed) return true;
    const isMisconfigured = status === 401 || status === 403 || status === 404 || status === 405;
    return isMisconfigured || this.#server.usage().replies === 0;
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
    const verdict = await this.#ask(question, answer);
    // A disk that is full costs money later, and nothing now.
    await cache.set(key, verdict).catch(() => undefined);
    return verdict;
  }

  #ask(question: Question, answer: string): Promise<number> {
    const { prompt, scale } = this.#settings;
    const content = judgeMessage(prompt, scale, question, answer);
    return this.#server.complete([{ role: "user", content }], (reply) => this.#verdictIn(reply));
  }

  #verdictIn(reply: string): number {
    const { scale } = this.#settings;
    this.#report.asked++;
    const verdict = readVerdict(reply, scale);
    if (verdict !== null) return verdict;
    const wanted = scale === "score" ? "a number from 0 to 1" : "yes or no";
    const why = `the reply is no verdict (${wanted} alone): ${this.#server.excerpt(reply)}`;
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
