/** @file Questions for a fact about a name: since which version it is there, what its default is, what stands in its row of a table, what it is short for. */
import { addedIn, defaultIs, plainLine } from "../shapes.js";
import { trimmed, type Reading, type ReadPassage } from "./reading.js";

/** How a fact is asked for, with what finds it in a passage by the words that were asked for. */
const facts: readonly (readonly [RegExp, (text: string, asked: readonly string[]) => Found | null])[] = [
  [/in which version was (?:the \w+ )?(.+?)(?: of .+)? added/i, (text, [name]) => after(text, name, versions)],
  [/what is the default (?:value )?of (?:the \w+ )?(.+?)(?: of .+)?\?/i, (text, [name]) => after(text, name, defaults)],
  [/what is the (.+?) of (.+?)(?: in .+)?\?/i, cell],
  [
    /what does (\S+) (?:stand for|mean)|what is (\S+) short for/i,
    (text, asked) => spelledOut(text, asked.find(Boolean) as string),
  ],
];

interface Found {
  answer: string;
  sentence: string;
}

/** The fact that a question asks for; null for other questions, and where no passage says it. */
export function readFact(question: string, passages: readonly ReadPassage[]): Reading | null {
  for (const [pattern, find] of facts) {
    const asked = pattern.exec(question)?.slice(1);
    if (asked === undefined) continue;
    for (const [at, { title, text }] of passages.entries()) {
      const found = find(`${title}\n${text}`, asked);
      if (found !== null && found.answer !== "") return { ...found, document: at + 1, fit: 1 };
    }
  }
  return null;
}

const versions = [addedIn];
const says = String.raw`${defaultIs}(?:(?:currently|typically|usually)\s+)?`;
const amount =
  "(?:\\d[\\d.,]*\\d|\\d|one|two|three|four|five|six|seven|eight|nine|ten)(?:\\s+(?:hundred|thousand|million|billion))?";
const noUnit = "(?:if|when|which|that|or|and|the|an?|to|in|on|as|unless|for|but|with|since)\\b";
/** A quoted value, an amount with its unit, one word. */
const defaults = [
  `${says}[\`"“']([^\`"”'\\n]{1,40})[\`"”']`,
  `${says}(${amount}(?:\\s+(?!${noUnit})\\p{L}+)?)(?![\\w-])`,
  `${says}(?!${noUnit})([\\w.+%/-]+)`,
].map((source) => new RegExp(source, "u"));

/** What a pattern finds behind a name, or in the passage where the name stands at its end. Its sentence is quoted as it stands, so that it can be copied. */
function after(text: string, name: string, patterns: readonly RegExp[]): Found | null {
  const at = text.indexOf(name);
  if (at < 0) return null;
  for (const pattern of patterns) {
    const found = pattern.exec(text.slice(at));
    if (found !== null) return { answer: trimmed(found[1]), sentence: plainLine(found[0]) };
  }
  return null;
}

/** The cell of a column and a row. */
function cell(text: string, [column, row]: readonly string[]): Found | null {
  const rows = text.split("\n").map((line) =>
    line
      .replace(/^\s*\||\|\s*$/g, "")
      .split("|")
      .map((one) => one.replace(/[`*]/g, "").trim()),
  );
  const same = (a: string, b: string): boolean => a.toLowerCase() === b.replace(/[`*]/g, "").toLowerCase();
  const place = rows.map((cells) => cells.findIndex((one) => same(one, column))).find((found) => found > 0);
  const found = rows.find((cells) => same(cells[0], row));
  const answer = place === undefined ? undefined : found?.[place];
  return answer === undefined || answer === "" ? null : { answer, sentence: `${row} | ${answer}` };
}

/** The words whose first letters a name consists of, nearest before it in brackets, else anywhere. */
function spelledOut(text: string, name: string): Found | null {
  const short = name.replace(/\W/g, "");
  if (!/^[A-Z][A-Za-z]*[A-Z]$/.test(short)) return null;
  const words = [...short].map((letter) => `${letter}[\\p{L}]*`).join("[\\s-]+(?:(?:and|of|the|for)\\s+)?");
  const line = plainLine(text);
  const found =
    new RegExp(`(?<![\\p{L}])(${words})\\s*\\(${short}s?\\)`, "iu").exec(line) ??
    new RegExp(`(?<![\\p{L}])(${words})(?![\\p{L}])`, "iu").exec(line);
  return found === null ? null : { answer: trimmed(found[1]), sentence: `${found[1]} (${short})` };
}
