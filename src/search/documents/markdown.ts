/** @file Markdown as headings and what stands between them. The text stays Markdown: models read its code, lists and tables. */
import { decodeHTMLStrict } from "entities";
import { lexer } from "marked";
import type { Token } from "marked";
import type { Block } from "./html.js";
import type { ReadDocument } from "./read.js";

/** Blocks of a Markdown text; its front matter is left out but for a title. */
export function readMarkdown(source: string): ReadDocument {
  const { title, body } = frontMatter(source.replaceAll("\r\n", "\n"));
  const blocks: Block[] = [];
  for (const token of lexer(body)) {
    if (token.type === "space") continue;
    if (token.type === "heading") {
      const { depth, tokens = [] } = token as { depth: number; tokens?: Token[] };
      const text = plainText(tokens).replace(/\s+/g, " ").trim();
      if (text !== "") blocks.push({ level: depth, text });
    } else {
      blocks.push({ level: 0, text: token.raw.trimEnd() });
    }
  }
  return { title, blocks };
}

/** The block between two lines of dashes at the very beginning. */
function frontMatter(source: string): { title: string; body: string } {
  const found = /^---[ \t]*\n([\s\S]*?)\n(?:---|\.\.\.)[ \t]*(?:\n|$)/.exec(source);
  // A rule between two paragraphs is no front matter: that has only lines of keys, lists and continuations.
  if (found === null || !found[1].split("\n").every((line) => /^(\s|#|-|[\w.-]+\s*:|$)/.test(line)))
    return { title: "", body: source };
  const title = /^title\s*:\s*(.*)$/im.exec(found[1])?.[1].trim() ?? "";
  return { title: title.replace(/^(["'])(.*)\1$/, "$2"), body: source.slice(found[0].length) };
}

/** The words of inline Markdown without its marks. */
function plainText(tokens: readonly Token[]): string {
  return tokens
    .map((token) => {
      const { tokens: inside, text, raw } = token as { tokens?: Token[]; text?: string; raw: string };
      if (token.type === "html") return "";
      if (inside !== undefined && inside.length > 0) return plainText(inside);
      // Code shows entities as they are written.
      return token.type === "codespan" ? (text ?? raw) : decodeHTMLStrict(text ?? raw);
    })
    .join("");
}
