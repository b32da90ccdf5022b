/** @file What a pretrained model is before any of it is in memory: a description, tensors to read one by one, a tokenizer. */
import type { ModelConfig } from "../model/config.js";

/** The tokenizer's files as parsed JSON, whatever the model's own format keeps them in. */
export interface TokenizerFiles {
  /** `tokenizer.json` */
  tokenizer: Record<string, unknown>;
  /** `tokenizer_config.json`; `{}` where there is none. */
  settings: Record<string, unknown>;
  /** `generation_config.json`; `{}` where there is none. */
  generation: Record<string, unknown>;
  /** `special_tokens_map.json`; absent where there is none. */
  specialTokens?: Record<string, unknown>;
  /** The chat template (Jinja): from `chat_template.jinja`, else from `tokenizer_config.json`; absent for base models without one. */
  chatTemplate?: string;
}

/**
 * A model that was opened and checked: every parameter that `config` calls for is there, in its shape, and nothing else that would
 * change the model. Close it.
 */
export interface ModelSource {
  /** The folder or file, for messages and for the records of a run. */
  readonly location: string;
  readonly config: ModelConfig;
  readonly tokenizer: TokenizerFiles;
  /**
   * Reads one parameter (a name of `parameterShapes(config)`) as float32, row-major `[out, in]`, into `target` where it is given.
   * No more than this tensor is held in memory.
   * @throws UserError naming file and tensor when it is cut off, of a type that cannot be read, or not finite
   */
  read(name: string, target?: Float32Array): Promise<Float32Array>;
  close(): Promise<void>;
}
