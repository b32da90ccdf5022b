/** @file Questions from entries: which term is described so, what its default is, since which version it is there. */
import { addedIn, defaultIs, kindsOfNames, optionNames } from "../../shapes.js";
import { looksLikeName } from "./answers.js";
import { sentencesOf, type Entry } from "./parts.js";

/** A question that a rule made of a passage. */
export interface Cloze {
  kind: string;
  question: string;
  answers: string[];
  /** The words of the passage that answer it. */
  quote: string;
}

/** Longest description in a question, in words. */
const mostWords = 26;

/** @param subject what the document is about, in a few words; empty where its title does not say */
export function* entryQuestions({ term, description }: Entry, subject: string): Generator<Cloze> {
  const named = namesIn(term);
  if (named === undefined) return;
  const { noun, names } = named;
  const place = subject === "" || names.some((name) => holds(subject, name)) ? "" : ` of ${subject}`;
  const [first] = sentencesOf(description);
  if (
    first !== undefined &&
    description.startsWith(first) &&
    !isEmptyDescription(first) &&
    !names.some((name) => holds(first, name))
  )
    yield {
      kind: "definition",
      question: `Which ${noun}${place} is described like this: "${shortened(first)}"?`,
      answers: names,
      quote: first,
    };
  const shown = names[0];
  const version = addedIn.exec(description);
  if (version !== null)
    yield {
      kind: "since",
      question: `In which version was the ${noun} ${shown}${place} added?`,
      answers: [version[1]],
      quote: version[0],
    };
  const found = defaultIn(description);
  if (found !== undefined)
    yield { kind: "default", question: `What is the default of the ${noun} ${shown}${place}?`, ...found };
}

/** A quoted value; a few words. */
const defaults = [
  String.raw`${defaultIs}[\`"“]([^\`"”\n]{1,40})[\`"”]`,
  String.raw`${defaultIs}((?:(?!\b(?:if|when|which|that|or|and|the|a|an|to|in|on|unless|for|but|so|with|as|since)\b)[\w+%/-]+(?:\.\w+)* ?){1,3})(?=[.,;(]|$| (?:if|when|which|or|and|unless)\b)`,
].map((source) => new RegExp(source));

function defaultIn(description: string): Pick<Cloze, "answers" | "quote"> | undefined {
  for (const pattern of defaults) {
    const match = pattern.exec(description);
    if (match === null) continue;
    // "eight megabytes (8MB)": an amount in words and in signs.
    const [, inSigns] =
      /^\s*\((\d[\d.,]*\s?[\p{L}%]{0,9})\)/u.exec(description.slice(match.index + match[0].length)) ?? [];
    const answers = [match[1].trim().replace(/\.$/, ""), ...(inSigns === undefined ? [] : [inSigns])];
    return { answers, quote: match[0] };
  }
  return undefined;
}

const kindOfName = new RegExp(String.raw`^(?:${kindsOfNames})\s+`, "i");

/** What a term is called in a question, and the forms in which its name is right; undefined where it is no name. */
function namesIn(term: string): { noun: string; names: string[] } | undefined {
  const bare = term.replace(kindOfName, "");
  if (/^-{1,2}[A-Za-z?]/.test(bare)) return { noun: "option", names: optionNames(bare) };
  const call = /^([A-Za-z_][\w.]*)\s?\(/.exec(bare);
  const typed = /^(\S+) \((?:string|integer|boolean|enum|floating point|real|number|array|object)\b.*\)$/.exec(bare);
  if (typed !== null) return { noun: "setting", names: [typed[1]] };
  if (call !== null) {
    const last = call[1].split(".").at(-1) as string;
    return { noun: /^class\b/i.test(term) ? "class" : "function", names: [...new Set([call[1], last])] };
  }
  const name = bare.replace(/\s*[([<{=].*$/, "").trim();
  const words = name.split(" ");
  if (name.length < 3 || words.length > 4 || /[,:;{}[\]→]|^\.\.|\.\.\./.test(name)) return undefined;
  // A type with its name, a command with its arguments: which of the words is the term?
  if (
    words.length > 1 &&
    /^(?:int|void|char|long|double|float|const|unsigned|bool|size_t|struct|optional)\b/i.test(name)
  )
    return undefined;
  if (words.length > 1 && words.some(looksLikeName) && /\p{Ll}/u.test(name)) return undefined;
  return { noun: "term", names: [name] };
}

/** Says nothing without the sentences around it. */
function isEmptyDescription(sentence: string): boolean {
  return (
    sentence.split(" ").length < 6 ||
    /^(?:See|As|Like|Same|This|These|It|They|Note|If|When|For|In|By|Here|Example|Deprecated|Defaults?|Type|You|We|Synonym|Alias|Equivalent|Similar|Identical|Another|Likewise)\b/.test(
      sentence,
    )
  );
}

/** Whether the words of a name stand in a text, in any case. */
function holds(text: string, name: string): boolean {
  const plain = (value: string): string =>
    ` ${value
      .toLowerCase()
      .replace(/[^\p{L}\p{N}]+/gu, " ")
      .trim()} `;
  return plain(text).includes(plain(name));
}

/** A sentence without its full stop, cut between words where it is long. */
export function shortened(sentence: string): string {
  const words = sentence
    .replace(/[.。]$/, "")
    .replaceAll('"', "'")
    .split(" ");
  return words.length <= mostWords ? words.join(" ") : `${words.slice(0, mostWords).join(" ")} …`;
}
