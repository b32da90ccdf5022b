/** @file Text of strangers (models, documents, files, servers) on a terminal: it may say anything, and do nothing. */

/** Control characters but tab and line feed, and marks that turn the order of a line around. */
const control = "[\\u0000-\\u0008\\u000b-\\u001f\\u007f-\\u009f\\u061c\\u200e\\u200f\\u2028-\\u202e\\u2066-\\u2069]";
const everyControl = new RegExp(control, "g");
/** Colours, as picocolors writes them, stay. */
const colourOrControl = new RegExp(`\\u001b\\[[0-9;]*m|${control}`, "g");

/** Every control character as U+FFFD; line ends of Windows become plain ones. */
export function printable(text: string): string {
  return text.replaceAll("\r\n", "\n").replace(everyControl, "\ufffd");
}

/** The same of a text that may hold colours. */
export function printableInColour(text: string): string {
  return text.replaceAll("\r\n", "\n").replace(colourOrControl, (found) => (found.length > 1 ? found : "\ufffd"));
}

/** Longer messages are cut: the end of one says more than its middle. */
const mostCharacters = 4000;

/** A message for a terminal: printable, of bounded length. */
export function printableMessage(text: string): string {
  if (text.length <= mostCharacters) return printable(text);
  const [head, tail] = [text.slice(0, mostCharacters * 0.75), text.slice(-mostCharacters * 0.25)];
  return printable(`${head} … (${text.length - mostCharacters} characters left out) … ${tail}`);
}

/** A value as one line of JSON in which no character is a control character, for programs and terminals alike. */
export function jsonLine(value: unknown): string {
  const escaped = (character: string): string => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`;
  return `${JSON.stringify(value).replace(everyControl, escaped)}\n`;
}

/** On one line, without controls and direction marks. */
export function oneLine(text: string): string {
  return text.replace(/[\p{Cc}\p{Zl}\p{Zp}\p{Bidi_Control}]+/gu, " ");
}

/** One word of a command line. */
export function shellWord(text: string): string {
  const line = oneLine(text);
  return /^[\w@%+=:,./-]+$/.test(line) ? line : `'${line.replaceAll("'", "'\\''")}'`;
}
