/** @file An encoder from what a run file or an index says about it. */
import type { HttpTools } from "../../http/request.js";
import { isAddress } from "../settings.js";
import type { Encoder, EncoderSource } from "./encoder.js";
import type { OnnxEncoderOptions } from "./onnx-encoder.js";

export interface OpenEncoderOptions extends OnnxEncoderOptions {
  /** Where an endpoint's key comes from: EMBEDDINGS_API_KEY, else OPENAI_API_KEY. Default: the environment of this process. */
  environment?: Readonly<Record<string, string | undefined>>;
  /**
   * Whether the address comes from an index and not from a person. A key is then sent to OpenAI itself and to no other server: the maker of
   * the index could have named a server of their own. Default false.
   */
  isFromIndex?: boolean;
  /** Longest time for a call to an endpoint, retries included. Milliseconds. */
  timeoutMs?: number;
  /** How an endpoint is asked. */
  http?: Partial<HttpTools>;
}

/**
 * Opens the encoder: an endpoint for http(s) addresses, else a model of the Hub or a folder.
 * @throws UserError when it cannot be had
 */
export async function openEncoder(source: EncoderSource, options: OpenEncoderOptions = {}): Promise<Encoder> {
  const { environment = process.env, isFromIndex = false, timeoutMs, http, ...onnx } = options;
  if (!isAddress(source.location)) return (await import("./onnx-encoder.js")).OnnxEncoder.open(source, onnx);
  const { EMBEDDINGS_API_KEY: own, OPENAI_API_KEY: openAi } = environment;
  const isOpenAi = /^https:\/\/api\.openai\.com\//i.test(source.location);
  const key = (isFromIndex ? (isOpenAi ? openAi : undefined) : (own ?? openAi)) ?? "";
  const { HttpEncoder } = await import("./http-encoder.js");
  return new HttpEncoder(
    source,
    { key, ...(timeoutMs === undefined ? {} : { timeoutMs, deadlineMs: timeoutMs }) },
    http,
  );
}
