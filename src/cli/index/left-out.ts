/** @file What `sleuth index` left out, told with counts: many documents for one reason are one line. */
import { printable } from "../../printable.js";
import { endingCounts } from "../../search/documents/find.js";
import type { SkippedDocument } from "../../search/documents/find.js";
import type { Repeats } from "../../search/documents/repeats.js";
import { endingOf } from "../../search/documents/read.js";
import { count, plural } from "../terminal/format.js";
import type { Terminal } from "../terminal/terminal.js";

/** Lines that people see; --json names every document. */
const mostLines = 5;

/** "12 PDFs hold no text: …, for example scans/3.pdf", the most frequent reason first; a reason of one document names it. */
export function skippedLines(skipped: readonly SkippedDocument[]): string[] {
  const reasons = new Map<string, SkippedDocument[]>();
  for (const document of skipped) {
    const group = reasons.get(document.why);
    if (group === undefined) reasons.set(document.why, [document]);
    else group.push(document);
  }
  return [...reasons.values()]
    .sort((a, b) => b.length - a.length)
    .map((group) => {
      const [{ file, why }] = group;
      if (group.length === 1) return printable(`${file}: ${why}`);
      return printable(`${count(group.length)} ${nounOf(group)} ${ofMany(why)}, for example ${file}`);
    });
}

interface LeftOut {
  skipped: readonly SkippedDocument[];
  /** Of those that were read. */
  partial?: readonly SkippedDocument[];
  /** Files that no reader takes, by ending. */
  others: ReadonlyMap<string, number>;
  /** That were read. */
  documents: number;
}

/** Tells what was left out of documents, whole or in part, and of files that no reader takes. */
export function tellLeftOut(terminal: Terminal, { skipped, partial = [], others, documents }: LeftOut): void {
  const all = plural(skipped.length + documents, "document");
  tellReasons(terminal, `Left out ${count(skipped.length)} of ${all}:`, skipped);
  tellReasons(terminal, `Read in part: ${plural(partial.length, "document")}:`, partial);
  if (others.size > 0)
    terminal.note(`${endingCounts(others)} left out: no documents by their endings.${adviceOn(others)}`);
}

/** Tells what was left out because it stands in the corpus already. */
export function tellRepeats(terminal: Terminal, { twins, duplicates, lines }: Repeats): void {
  const told: string[] = [];
  if (twins.length > 0)
    told.push(
      `${plural(twins.length, "document")} whose text another format of the page holds, for example ${twins[0].file} (${twins[0].of})`,
    );
  const most = [...duplicates].sort((a, b) => b.passages - a.passages).at(0);
  if (most !== undefined)
    told.push(
      `${plural(sumOf(duplicates), "passage")} with the text of an earlier one, for example ${count(most.passages)} of ${most.file} (first in ${most.of})`,
    );
  if (lines.length > 0)
    told.push(
      `${plural(lines.length, "line")} that most documents of a folder begin or end with, for example "${lines[0].line}" (${plural(lines[0].documents, "document")})`,
    );
  if (told.length === 0) return;
  terminal.note("Left out because it repeats (--keep-repeats keeps it):");
  for (const line of told) terminal.note(`  ${printable(line)}`);
}

function sumOf(duplicates: Repeats["duplicates"]): number {
  return duplicates.reduce((sum, { passages }) => sum + passages, 0);
}

function tellReasons(terminal: Terminal, heading: string, documents: readonly SkippedDocument[]): void {
  if (documents.length === 0) return;
  terminal.note(heading);
  const lines = skippedLines(documents);
  for (const line of lines.slice(0, mostLines)) terminal.note(`  ${line}`);
  if (lines.length > mostLines)
    terminal.note(`  and more for ${plural(lines.length - mostLines, "other reason")} (--json names all).`);
}

/** For endings that hold documents in a form that is not looked into. */
function adviceOn(others: ReadonlyMap<string, number>): string {
  if (others.has(".jsonl")) return " JSONL files are named one by one.";
  const packed = [".gz", ".bz2", ".zst", ".xz", ".zip"].find((ending) => others.has(ending));
  return packed === undefined ? "" : " Unpack those that hold documents.";
}

/** "PDFs", ".md files", or "documents" of several kinds. */
function nounOf(group: readonly SkippedDocument[]): string {
  const endings = new Set(group.map(({ file }) => endingOf(file)));
  const [ending] = endings;
  if (endings.size > 1 || ending === "") return "documents";
  return ending === "pdf" ? "PDFs" : `.${ending} files`;
}

const plurals: Readonly<Record<string, string>> = {
  is: "are",
  holds: "hold",
  takes: "take",
  has: "have",
  needs: "need",
};

/** "it holds no text: its pages are pictures" → "hold no text: their pages are pictures". */
function ofMany(why: string): string {
  const [, verb, rest] = /^it (\S+) ?(.*)$/s.exec(why) ?? [];
  if (verb === undefined) return `(${why})`;
  return `${plurals[verb] ?? verb} ${rest}`.replace(/\bits\b/g, "their").replace(/\bit\b/g, "them");
}
