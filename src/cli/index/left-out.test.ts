import { expect, it } from "vitest";
import type { Terminal } from "../terminal/terminal.js";
import { skippedLines, tellRepeats } from "./left-out.js";

it("tells many documents that were left out for one reason in one line, the most frequent reason first", () => {
  const scans = Array.from({ length: 12 }, (_, at) => ({
    file: `scans/${at}.pdf`,
    why: "it holds no text: its pages are pictures",
  }));
  const pages = ["a.md", "b.html"].map((file) => ({ file, why: "it is empty" }));
  const large = ["a.csv", "b.csv"].map((file) => ({ file, why: "it is larger than 64 MB: split it" }));
  const others = ["a.md", "b.md"].map((file) => ({ file, why: "taking it apart failed (no)" }));
  const one = { file: "one\u001b[2J.pdf", why: "it is encrypted" };
  expect(skippedLines([one, ...pages, ...large, ...others, ...scans])).toEqual([
    "12 PDFs hold no text: their pages are pictures, for example scans/0.pdf",
    "2 documents are empty, for example a.md",
    "2 .csv files are larger than 64 MB: split them, for example a.csv",
    "2 .md files (taking it apart failed (no)), for example a.md",
    "one\ufffd[2J.pdf: it is encrypted",
  ]);
});

it("tells what was left out because it repeats, with an example of each kind", () => {
  const lines: string[] = [];
  const terminal = { note: (line: string) => void lines.push(line) } as unknown as Terminal;
  tellRepeats(terminal, { twins: [], duplicates: [], lines: [] });
  expect(lines).toEqual([]);
  tellRepeats(terminal, {
    twins: [{ file: "a.rst.txt", of: "a.html" }],
    duplicates: [
      { file: "b.md", of: "a.html", passages: 1 },
      { file: "c.md", of: "a.html", passages: 1200 },
    ],
    lines: [{ line: "All rights\u001b[2J reserved.", documents: 7 }],
  });
  expect(lines).toEqual([
    "Left out because it repeats (--keep-repeats keeps it):",
    "  1 document whose text another format of the page holds, for example a.rst.txt (a.html)",
    "  1,201 passages with the text of an earlier one, for example 1,200 of c.md (first in a.html)",
    '  1 line that most documents of a folder begin or end with, for example "All rights\ufffd[2J reserved." (7 documents)',
  ]);
});
