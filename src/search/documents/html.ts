/**
 * @file HTML reduced to what a person would read: blocks of text with their headings. Nothing here runs scripts or loads anything.
 * linkedom parses in linear time; Readability, which finds the article of a web page, takes time cubic in the depth of nesting, so it is
 * asked only about trees that it can do quickly. Pages are hostile: call this in a worker (`DocumentParser`) unless they are your own.
 */
import { Readability } from "@mozilla/readability";
import { parseHTML } from "linkedom";

/** A stretch of a document: a heading of a level from 1 to 6, or, with level 0, what stands below one. */
export interface Block {
  level: number;
  text: string;
  /** What an address ends with behind "#" to lead here: the id of a heading, of a term or of a piece of text. */
  anchor?: string;
  /**
   * What is not running text. Rows stand one after another, those of a header first ("header"), and are cut between lines, the header repeated;
   * so is code. A term stays with the block that explains it. Absent: running text.
   */
  kind?: "header" | "row" | "code" | "term";
}

/** Longer pages are cut there, before parsing. UTF-16 units. */
export const longestHtml = 4_000_000;

/** Readability is not asked about trees deeper than this or with more nodes: it would take seconds. */
const deepestArticle = 100;
const mostArticleNodes = 30_000;

/** What is no text, and what is on every page of a site. */
const skipped = new Set(
  "script style noscript template svg canvas iframe object embed audio video select option button input textarea head title meta link nav footer dialog".split(
    " ",
  ),
);
const skippedRoles = new Set(["navigation", "banner", "contentinfo", "search", "menu", "dialog"]);
/** What stands on lines of its own; a blank line before and after. */
const blocks = new Set(
  "address article aside blockquote body center dd details div dl dt fieldset figcaption figure form header hr html legend li main ol p pre section summary table tbody tfoot thead tr ul caption".split(
    " ",
  ),
);

/**
 * A web page as its title and its text: the article that Readability finds, else everything in the body but navigation. Paragraphs are
 * separated by blank lines, cells of a table by " | ".
 * @param url of the page: stands in for a title that is missing
 */
export function htmlToText(html: string, url?: string): { title: string; text: string } {
  const { document, title } = parse(html);
  const whole = blocksOf(document.body);
  const article = articleOf(document, title, whole);
  const found = article ?? { title, blocks: whole };
  const heading = found.blocks.find(({ level }) => level > 0)?.text;
  return {
    title: found.title || title || heading || url || "",
    text: found.blocks.map(({ text }) => text).join("\n\n"),
  };
}

/** A document as its title and blocks: everything in the body but scripts, forms and navigation. */
export function htmlBlocks(html: string): { title: string; blocks: Block[] } {
  const { document, title } = parse(html);
  return { title, blocks: blocksOf(document.body) };
}

/** The part of the DOM that is used here: the types of a browser's are not loaded. */
interface Node {
  readonly nodeType: number;
  readonly localName?: string;
  readonly textContent: string | null;
  readonly firstChild: Node | null;
  readonly nextSibling: Node | null;
  readonly parentNode: Node | null;
  getAttribute?(name: string): string | null;
}

interface Page {
  document: { body: Node; title: string };
  title: string;
}

/** linkedom wants one html, head and body, and pages have none, some or several: their tags are dropped and put around the whole. */
function parse(html: string): Page {
  const inside = html.slice(0, longestHtml).replace(/<(?:!doctype|\/?(?:html|head|body))(?=[\s/>])[^<>]*>/gi, " ");
  const { document } = parseHTML(`<!doctype html><html><head></head><body>${inside}</body></html>`);
  const title = oneLine((document.querySelector("title") as Node | null)?.textContent ?? "");
  document.title = title;
  return { document: document as unknown as Page["document"], title };
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
    const blocks = blocksOf(found.content);
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

/** Depth and number of nodes below one. Without recursion, as everything here: nesting is as deep as a page wants. */
function sizeOf(root: Node): { depth: number; nodes: number } {
  let nodes = 0;
  let depth = 0;
  let deepest = 0;
  walk(root, {
    enter: () => {
      nodes++;
      deepest = Math.max(deepest, ++depth);
      return true;
    },
    leave: () => void depth--,
  });
  return { depth: deepest, nodes };
}

/** Visits a tree in the order of its text; `enter` says whether to go inside. `leave` is called for each entered node. */
function walk(root: Node, { enter, leave }: { enter: (node: Node) => boolean; leave: (node: Node) => void }): void {
  let node = root;
  for (;;) {
    const isEntered = enter(node);
    if (isEntered && node.firstChild !== null) {
      node = node.firstChild;
      continue;
    }
    if (isEntered) leave(node);
    while (node !== root && node.nextSibling === null) {
      node = node.parentNode as Node;
      leave(node);
    }
    if (node === root) return;
    node = node.nextSibling as Node;
  }
}

const elementNode = 1;
const textNode = 3;

/** The blocks of a tree. */
function blocksOf(root: Node): Block[] {
  const found: Block[] = [];
  let pieces: string[] = [];
  let level = 0;
  let preformatted = 0;
  /** Ends the block under way. */
  const flush = (): void => {
    const text = tidy(pieces.join(""));
    if (text !== "") found.push({ level, text: level > 0 ? oneLine(text) : text });
    pieces = [];
    level = 0;
  };
  walk(root, {
    enter: (node) => {
      if (node.nodeType === textNode) {
        const text = node.textContent ?? "";
        // Marks keep the line breaks of code from being joined with the rest.
        pieces.push(preformatted > 0 ? text.replaceAll("\n", kept).replaceAll(" ", keptSpace) : text);
        return false;
      }
      if (node.nodeType !== elementNode) return false;
      const name = node.localName ?? "";
      if (node !== root && (skipped.has(name) || isHidden(node))) return false;
      const heading = headingLevel(name);
      if (heading > 0 || blocks.has(name)) flush();
      if (heading > 0) level = heading;
      if (name === "br") pieces.push(kept);
      if (name === "pre") preformatted++;
      if ((name === "td" || name === "th") && pieces.some((piece) => piece.trim() !== "")) pieces.push(" | ");
      return true;
    },
    leave: (node) => {
      const name = node.localName ?? "";
      if (headingLevel(name) > 0 || blocks.has(name)) flush();
      if (name === "pre") preformatted--;
    },
  });
  flush();
  return found;
}

/** Line breaks and spaces that count, among those that HTML means as one space. Of a private use area: pages do not hold them. */
const kept = "\ue000";
const keptSpace = "\ue001";

function tidy(text: string): string {
  return text
    .replace(/[\s\u00a0]+/g, " ")
    .replace(/ ?\ue000 ?/g, "\n")
    .replaceAll(keptSpace, " ")
    .trim();
}

function oneLine(text: string): string {
  return text.replace(/\s+/g, " ").trim();
}

function headingLevel(name: string): number {
  return /^h[1-6]$/.test(name) ? Number(name[1]) : 0;
}

/** Text that readers of the page do not see is left out: it can hide words for search engines and models. */
function isHidden(node: Node): boolean {
  const attribute = (name: string): string | null => node.getAttribute?.(name) ?? null;
  if (attribute("hidden") !== null || attribute("aria-hidden") === "true") return true;
  if (skippedRoles.has(attribute("role") ?? "")) return true;
  return /display\s*:\s*none|visibility\s*:\s*hidden/i.test(attribute("style") ?? "");
}
