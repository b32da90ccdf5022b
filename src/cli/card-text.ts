/** @file Names of files, models and data sets as text of a model card: whatever they hold, they end no line, block or string and begin no markup. */
import { oneLine } from "../printable.js";

/** Words of Markdown that are no markup. */
export function plainText(text: string): string {
  return oneLine(text).replace(/[\\`*<>[\]]/g, "\\$&");
}

/** A span of code, whatever backticks are in it. */
export function inlineCode(text: string): string {
  const line = oneLine(text);
  const longest = Math.max(0, ...(line.match(/`+/g) ?? []).map((run) => run.length));
  const fence = "`".repeat(longest + 1);
  return longest === 0 ? `${fence}${line}${fence}` : `${fence} ${line} ${fence}`;
}

/** A cell of a table. */
export function tableCell(markdown: string): string {
  return oneLine(markdown).replaceAll("|", "\\|");
}

/** A text that YAML reads as this text. */
export function yamlText(text: string): string {
  const line = oneLine(text);
  const isPlain = /^[A-Za-z][\w./-]*$/.test(line) && !/^(?:true|false|yes|no|on|off|y|n|null)$/i.test(line);
  return isPlain ? line : JSON.stringify(line);
}

/** A string of Python. */
export function pythonText(text: string): string {
  return JSON.stringify(oneLine(text));
}
