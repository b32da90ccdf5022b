/**
 * @file JSON as it stands in a text of a model: where a value ends, and what an object's members are, as they were written. `JSON.parse` makes 1.0 a
 * 1, rounds large integers and moves keys that look like integers; a call's arguments are handed on verbatim.
 */

const literal = /(?:true|false|null|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)/y;
const string = /"[^"\\\u0000-\u001f]*(?:\\.[^"\\\u0000-\u001f]*)*"/y;
const space = /[ \t\n\r]*/y;

function matchEnd(pattern: RegExp, text: string, at: number): number {
  pattern.lastIndex = at;
  return pattern.test(text) ? pattern.lastIndex : -1;
}

/** Where the JSON object or list ends that begins at `at`, brackets in strings aside; −1 where it does not end. What is inside is not checked. */
export function jsonEnd(text: string, at: number): number {
  let depth = 0;
  for (let index = at; index < text.length; index++) {
    const sign = text[index];
    if (sign === '"') {
      index = matchEnd(string, text, index) - 1;
      if (index < 0) return -1;
    } else if (sign === "{" || sign === "[") depth++;
    else if (sign === "}" || sign === "]") {
      depth--;
      if (depth === 0) return index + 1;
    }
  }
  return -1;
}

/** The members of a JSON object as they are written, by key; of a key that stands twice the last. Undefined for what is no JSON object. */
export function jsonMembers(text: string): Map<string, string> | undefined {
  try {
    const value = JSON.parse(text) as unknown;
    if (typeof value !== "object" || value === null || Array.isArray(value)) return undefined;
  } catch {
    return undefined;
  }
  const members = new Map<string, string>();
  let at = text.indexOf("{") + 1;
  for (;;) {
    at = matchEnd(space, text, at);
    if (text[at] === ",") at = matchEnd(space, text, at + 1);
    if (text[at] === "}") return members;
    const keyEnd = matchEnd(string, text, at);
    const start = matchEnd(space, text, matchEnd(space, text, keyEnd) + 1);
    const end = "{[".includes(text[start])
      ? jsonEnd(text, start)
      : matchEnd(text[start] === '"' ? string : literal, text, start);
    members.set(JSON.parse(text.slice(at, keyEnd)) as string, text.slice(start, end));
    at = end;
  }
}

/** JSON with Python's spaces, as templates write it: `{"a": [1, 2]}`. Strings and numbers stay as they are written. */
export function spacedJson(text: string): string {
  return text.replace(/"[^"\\]*(?:\\.[^"\\]*)*"|[ \t\n\r]+|[,:]/g, (part) =>
    part[0] === '"' ? part : part === "," ? ", " : part === ":" ? ": " : "",
  );
}

/** One text for JSON values that are equal, whatever the order of keys and the spaces; the text itself for what is no JSON. */
export function canonicalJson(text: string): string {
  try {
    return JSON.stringify(sorted(JSON.parse(text)));
  } catch {
    return text;
  }
}

function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (typeof value !== "object" || value === null) return value;
  const entries = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
  return Object.fromEntries(entries.map(([key, each]) => [key, sorted(each)]));
}
