/** @file Markdown as headings and what stands between them. The text stays Markdown: models read its code, lists and tables. */
import { decodeHTMLStrict } from "entities";
import { Lexer } from "marked";
import type { Token, Tokens } from "marked";
import { frontMatter } from "./front-matter.js";
import type { Block } from "./block.js";
import type { ReadDocument } from "./read.js";

/** Blocks of a Markdown text; of its front matter the title and the description are kept, comments are left out. */
export function readMarkdown(source: string): ReadDocument {
  const { title, description, body, url } = frontMatter(source.replace(/\r\n?/g, "\n"));
  const blocks: Block[] = description === "" ? [] : [{ level: 0, text: description }];
  const lexer = new Lexer();
  for (const token of lexer.blockTokens(body, lexer.tokens)) blocks.push(...blocksOf(token, lexer));
  return { title, blocks, url };
}

/** @param lexer has the blocks alone: what stands inside of them is needed of headings, and takes half of the time */
function blocksOf(token: Token, lexer: Lexer): Block[] {
  const { raw } = token;
  if (token.type === "heading") {
    const { depth, text: written } = token as Tokens.Heading;
    const tokens = lexer.inlineTokens(written);
    const { text, id } = withoutId(oneLine(plainText(tokens, true)) || oneLine(plainText(tokens)));
    const anchor = id ?? /<a\s[^<>]*?\b(?:id|name)="([^"<>]+)"/i.exec(raw)?.[1];
    return text === "" ? [] : [{ level: depth, text, ...(anchor && { anchor }) }];
  }
  if (token.type === "space") return [];
  if (token.type === "code") return [{ level: 0, text: raw.trimEnd(), kind: "code" }];
  if (token.type === "table") return tableOf(raw);
  const text = withoutComments(raw).trimEnd();
  return text.trim() === "" ? [] : [{ level: 0, text }];
}

/** The head of a table with the line below it, and its rows. */
function tableOf(raw: string): Block[] {
  const [head, rule, ...rows] = raw.trimEnd().split("\n");
  const header: Block = { level: 0, text: `${head}\n${rule}`, kind: "header" };
  return rows.length === 0 ? [header] : [header, { level: 0, text: rows.join("\n"), kind: "row" }];
}

function oneLine(text: string): string {
  return text.replace(/\s+/g, " ").trim();
}

/** A heading's `{#id}`, as Pandoc, kramdown and Docusaurus write it. */
function withoutId(heading: string): { text: string; id?: string } {
  const found = /\s*\{:?\s*#([\w.:-]+)[^{}]*\}\s*#*$/.exec(heading);
  return found === null ? { text: heading } : { text: heading.slice(0, found.index), id: found[1] };
}

/** Comments of HTML that do not stand in code. */
function withoutComments(text: string): string {
  if (!text.includes("<!--")) return text;
  return text.replace(/^([ \t]*)(`{3,}|~{3,})[\s\S]*?^[ \t]*\2|(`+)[^`][\s\S]*?\3|<!--[\s\S]*?-->/gm, (found) =>
    found.startsWith("<!--") ? "" : found,
  );
}

/** The words of inline Markdown without its marks; those of images only where they are wanted: most images in headings are badges. */
function plainText(tokens: readonly Token[], withoutImages = false): string {
  return tokens
    .map((token) => {
      const { tokens: inside, text, raw } = token as { tokens?: Token[]; text?: string; raw: string };
      if (token.type === "html" || (withoutImages && token.type === "image")) return "";
      if (inside !== undefined && inside.length > 0) return plainText(inside, withoutImages);
      // Code shows entities as they are written.
      return token.type === "codespan" ? (text ?? raw) : decodeHTMLStrict(text ?? raw);
    })
    .join("");
}
