import { expect, it } from "vitest";
import { skippedLines } from "./left-out.js";

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
