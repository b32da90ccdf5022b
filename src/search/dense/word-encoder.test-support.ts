/** @file An encoder for tests: texts that share words are near, at once and always the same. */
import { SearchError, type SearchOptions } from "../engine.js";
import { serverDimensions, wordVector } from "./embeddings-server.test-support.js";
import type { Encoder, EncoderSource } from "./encoder.js";

export interface WordEncoderOptions {
  name?: string;
  source?: EncoderSource;
  /** Of each call. Milliseconds. */
  waitMs?: number;
  /** Called before each call with its texts; what it throws fails the call. */
  before?: (texts: readonly string[]) => void;
}

export class WordEncoder implements Encoder {
  readonly name: string;
  readonly source?: EncoderSource;
  readonly dimensions = serverDimensions;
  /** Texts of each call. */
  readonly calls: string[][] = [];
  readonly #options: WordEncoderOptions;

  constructor(options: WordEncoderOptions = {}) {
    this.#options = options;
    this.name = options.name ?? "words";
    this.source = options.source;
  }

  async encode(texts: readonly string[], _kind: string, { signal }: SearchOptions = {}): Promise<Float32Array> {
    signal?.throwIfAborted();
    this.calls.push([...texts]);
    this.#options.before?.(texts);
    if (this.#options.waitMs !== undefined) await new Promise((resolve) => setTimeout(resolve, this.#options.waitMs));
    signal?.throwIfAborted();
    return unitWordVectors(texts);
  }

  async close(): Promise<void> {}
}

export function unitWordVectors(texts: readonly string[]): Float32Array {
  const vectors = new Float32Array(texts.length * serverDimensions);
  for (const [row, text] of texts.entries()) {
    const vector = wordVector(text);
    const length = Math.hypot(...vector);
    vectors.set(
      vector.map((value) => value / length),
      row * serverDimensions,
    );
  }
  return vectors;
}

/** The encoder, behind an endpoint that refuses some texts. */
export function refusing(encoder: Encoder, isRefused: (text: string) => boolean): Encoder {
  return {
    name: encoder.name,
    dimensions: encoder.dimensions,
    encode: (texts, kind, { onRefused, ...options } = {}) => {
      const taken = texts.filter((text, place) => {
        if (!isRefused(text)) return true;
        onRefused?.(place, new SearchError("too long.", { engine: "dense", isRetryable: false, status: 413 }));
        return false;
      });
      return encoder.encode(taken, kind, options);
    },
    close: () => encoder.close(),
  };
}
