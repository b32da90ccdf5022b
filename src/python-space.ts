/**
 * @file What Python's `str.isspace`, `str.split` and `str.strip` take for white space, as a class of a regular expression. JavaScript's `\s` and
 * `trim` know U+FEFF in place of U+001C to U+001F and U+0085.
 */
export const pythonSpace = "[\\t-\\r\\x1c-\\x20\\x85\\xa0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000]";
