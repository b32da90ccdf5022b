/**
 * @file HTML reduced to what a person would read: blocks of text with their headings. Nothing here runs scripts or loads anything.
 * linkedom parses in linear time; Readability, which finds the article of a web page, takes time cubic in the depth of nesting, so it is
 * asked only about trees that it can do quickly. Pages are hostile: call this in a worker (`DocumentParser`) unless they are your own.
 */
import { Readability } from "@mozilla/readability";
import { decodeHTML } from "entities";
import { UserError } from "../../errors.js";
import type { Block } from "./block.js";
import { readBlocks, type BlockReader } from "./html-blocks.js";
import { longestHtml, oneLine, parsePage, sizeOf, type Node, type Page } from "./html-tree.js";

/** Readability is not asked about trees deeper than this or with more nodes: it would take seconds. */
const deepestArticle = 100;
const mostArticleNodes = 30_000;

/**
 * A web page as its title and its text: the article that Readability finds and what else is prose (replies to it), else everything in the body but the parts of
 * the site. Paragraphs are separated by blank lines, cells of a table by " | ".
 * @param url of the page: stands in for a title that is missing
 */
export function htmlToText(html: string, url?: string): { title: string; text: string } {
  const { document, title } = parsePage(html);
  const whole = readBlocks(document.body);
  const article = articleOf(document, title, whole.blocks);
  const found = article === undefined ? whole.blocks : withProse(whole, article.blocks);
  const heading = found.find(({ level }) => level > 0)?.text;
  return {
    title: article?.title || title || heading || url || "",
    text: found.map(({ text }) => text).join("\n\n"),
  };
}

/** Shorter text outside of the article is a date, a name, a word on a button. UTF-16 units. */
const shortestProse = 20;

/** The blocks of an article in their order on the page, with sentences beside it and the headings of both. */
function withProse({ blocks, links }: BlockReader, article: readonly Block[]): Block[] {
  const ofArticle = new Set(article.flatMap(({ text }) => linesIn(text)));
  const kept: Block[] = [];
  let headings: Block[] = [];
  for (const block of blocks) {
    const lines = linesIn(block.text);
    const isProse = !links.has(block) && block.text.length >= shortestProse;
    if (block.level > 0) headings = [...headings.filter(({ level }) => level < block.level), block];
    else if (isProse || lines.some((line) => ofArticle.has(line))) {
      kept.push(...headings, block);
      headings = [];
    }
  }
  return kept.length > 0 ? kept : [...article];
}

function linesIn(text: string): string[] {
  return text.split("\n").map((line) => line.replace(/\s+/g, ""));
}

/**
 * A document as its title and blocks: everything in the body but scripts, forms and parts of the site.
 * @throws UserError for one that is too long
 */
export function htmlBlocks(html: string): { title: string; blocks: Block[]; url?: string } {
  if (html.length > longestHtml) throw new UserError(`its HTML is longer than ${longestHtml / 1e6} million characters`);
  const { document, title } = parsePage(html);
  const link = canonicalIn(html);
  const { blocks } = readBlocks(document.body);
  const heading = blocks.find(({ level }) => level > 0)?.text;
  const own = heading === undefined ? title : withoutSite(title, heading);
  return { title: own, blocks, ...(/^https?:\/\//i.test(link) && { url: link }) };
}

/** Where a page says that it lies, or nothing. Of its beginning: links stand in the head, and a selector would look at every element. */
function canonicalIn(html: string): string {
  const link = /<link\b[^<>]*\srel\s*=\s*["']?canonical\b[^<>]*>/i.exec(html.slice(0, 100_000))?.[0] ?? "";
  const href = /\shref\s*=\s*(?:"([^"]*)"|'([^']*)'|([^\s"'>]+))/i.exec(link);
  return decodeHTML(href?.slice(1).find((value) => value !== undefined) ?? "");
}

/** "Ferries — Port guide" on a page with the heading "Ferries" → "Ferries": what else its title has is on every page of the site. */
function withoutSite(title: string, heading: string): string {
  const [whole, own] = [title.toLowerCase(), heading.toLowerCase()];
  const isFirst = whole.startsWith(own) && /^\s*[-—–|·•»«:/]+\s/.test(title.slice(own.length));
  const isLast = whole.endsWith(own) && /[-—–|·•»«:/]\s+$/.test(title.slice(0, -own.length));
  // "git-gc(1)" on a page with the heading "git-gc(1) Manual Page".
  const isBeginning = whole !== "" && own.startsWith(`${whole} `);
  return isFirst || isLast || isBeginning ? heading : title;
}

/** The article of a page, or undefined where Readability finds none, or one that misses most of the page's text. */
function articleOf(
  document: Page["document"],
  title: string,
  whole: readonly Block[],
): { title: string; blocks: Block[] } | undefined {
  const { depth, nodes } = sizeOf(document.body);
  if (depth > deepestArticle || nodes > mostArticleNodes) return undefined;
  try {
    // Its argument is a browser's Document, of which linkedom has what it needs. It changes the tree, which is not read afterwards.
    const page = document as unknown as ConstructorParameters<typeof Readability>[0];
    const found = new Readability<Node>(page, { serializer: (node) => node as unknown as Node }).parse();
    if (!found?.content) return undefined;
    const { blocks } = readBlocks(found.content);
    return lengthOf(blocks) * 10 < lengthOf(whole) || blocks.length === 0
      ? undefined
      : { title: oneLine(found.title ?? "") || title, blocks };
  } catch {
    // It recurses and expects well-formed pages; the whole body is left.
    return undefined;
  }
}

function lengthOf(blocks: readonly Block[]): number {
  return blocks.reduce((sum, { text }) => sum + text.length, 0);
}
