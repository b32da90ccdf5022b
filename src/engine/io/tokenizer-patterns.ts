/** @file The regular expressions by which well-known tokenizers cut text before merging, as their `tokenizer.json` spells them. */

/** GPT-2's contractions, in any case, as llama.cpp spells them. */
const contractions = "(?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])";

/** Qwen2 (`\p{N}`) and Llama 3 (`\p{N}{1,3}`): words with the one character before them, digits, punctuation, line ends, spaces. */
export const wordsAndDigits = (digits: string, endings = contractions): string =>
  `${endings}|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|${digits}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+`;

/** GPT-2's own. */
export const gpt2Words = "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+";

/** A digit of any script, and runs of them. */
export const unicodeDigit = "\\p{N}";
export const unicodeDigits = "\\p{N}+";
