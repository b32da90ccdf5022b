/** @file llama.cpp's kinds of tokens, as `tokenizer.ggml.token_type` numbers them. */

export const tokenTypes = { normal: 1, unknown: 2, control: 3, userDefined: 4, unused: 5, byte: 6 } as const;
