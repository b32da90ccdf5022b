/** @file Failures as OpenAI's interface tells them: a status and `{"error": {"message", "type", "param", "code"}}`. */
import { json, NotServed, type ServiceAnswer } from "../http/server/service.js";
import { UserError } from "../errors.js";

interface ApiErrorDetails {
  /** For programs: "model_not_found". */
  code?: string;
  /** The field of the request that is wrong: "messages[0].content". */
  param?: string;
  /** Sent as `retry-after`: the same request may be answered after so many seconds. */
  retryAfterSeconds?: number;
}

/** A request that is not answered, with its status. */
export class ApiError extends Error {
  readonly status: number;
  readonly details: ApiErrorDetails;

  constructor(status: number, message: string, details: ApiErrorDetails = {}) {
    super(message);
    this.name = "ApiError";
    this.status = status;
    this.details = details;
  }
}

/** Codes of statuses that say enough by themselves. */
const codes: Readonly<Record<number, string>> = {
  401: "invalid_api_key",
  403: "forbidden",
  404: "unknown_url",
  405: "method_not_allowed",
  413: "request_too_large",
  415: "unsupported_media_type",
};

/** What became of a request, whatever was thrown: what the user can mend is 400, what may pass 408, 429 and 503, anything else 500. */
export function apiErrorOf(error: unknown): ApiError {
  if (error instanceof ApiError) return error;
  if (error instanceof NotServed) {
    const { status, message } = error;
    return new ApiError(status, message, status === 503 ? { retryAfterSeconds: 1 } : {});
  }
  if (error instanceof UserError) return new ApiError(400, error.message);
  return new ApiError(500, error instanceof Error ? error.message : String(error));
}

/** The body of a failure, and an event of a stream that fails. */
export function errorBody({ status, message, details }: ApiError): object {
  const { code = codes[status] ?? null, param = null } = details;
  const type = status === 429 ? "rate_limit_error" : status >= 500 ? "server_error" : "invalid_request_error";
  return { error: { message, type, param, code } };
}

/** The answer to a request that fails before it has begun to be answered. */
export function errorAnswer(error: ApiError, id: string, headers: Record<string, string> = {}): ServiceAnswer {
  const { retryAfterSeconds } = error.details;
  return json(error.status, id, errorBody(error), {
    ...headers,
    ...(retryAfterSeconds !== undefined && { "retry-after": `${retryAfterSeconds}` }),
  });
}
