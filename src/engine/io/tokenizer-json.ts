/** @file Parts of a Hugging Face `tokenizer.json` with a BPE model, as the trainer and the reader of GGUF files write them. */

/** One token that is cut out of texts before anything else. */
export const addedToken = (id: number, content: string, special: boolean) => ({
  id,
  content,
  single_word: false,
  lstrip: false,
  rstrip: false,
  normalized: false,
  special,
});

/** Bytes written as GPT-2's characters; `useRegex` cuts text by GPT-2's pattern first. */
export const byteLevel = (useRegex: boolean) => ({
  type: "ByteLevel",
  add_prefix_space: false,
  trim_offsets: true,
  use_regex: useRegex,
});

export const byteLevelDecoder = { ...byteLevel(true), add_prefix_space: true };

interface BpeTraits {
  /** The token of characters that the vocabulary lacks; unknown ones next to each other become one. */
  unknown?: string;
  /** Unknown characters are spelled in bytes. */
  byteFallback?: boolean;
  /** A piece that is a token as a whole is not merged. */
  ignoreMerges?: boolean;
}

export function bpeModel(vocab: Record<string, number>, merges: [string, string][], traits: BpeTraits = {}) {
  return {
    type: "BPE",
    dropout: null,
    unk_token: traits.unknown ?? null,
    continuing_subword_prefix: null,
    end_of_word_suffix: null,
    fuse_unk: traits.unknown !== undefined,
    byte_fallback: traits.byteFallback ?? false,
    ignore_merges: traits.ignoreMerges ?? false,
    vocab,
    merges,
  };
}
