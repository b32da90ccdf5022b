/**
 * @file HTML reduced to what a person would read: blocks of text with their headings. Nothing here runs scripts or loads anything.
 * linkedom parses in linear time; Readability, which finds the article of a web page, takes time cubic in the depth of nesting, so it is
 * asked only about trees that it can do quickly. Pages are hostile: call this in a worker (`DocumentParser`) unless they are your own.
 */
import { Readability } from "@mozilla/readability";
import { decodeHTML } from "entities";
import { parseHTML } from "linkedom";
import { UserError } from "../../errors.js";
import { isHeadingExtra, isSelfLink, isSkipped, sitePart, skippedTags } from "./site-parts.js";

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

/** What stands on lines of its own; a blank line before and after. */
const blocks = new Set(
  "address article aside blockquote body center dd details div dl dt fieldset figcaption figure footer form header hr html legend li main ol p pre section summary table tbody tfoot thead tr ul caption".split(
    " ",
  ),
);

/**
 * A web page as its title and its text: the article that Readability finds and what else is prose (replies to it), else everything in the body but the parts of
 * the site. Paragraphs are separated by blank lines, cells of a table by " | ".
 * @param url of the page: stands in for a title that is missing
 */
export function htmlToText(html: string, url?: string): { title: string; text: string } {
  const { document, title } = parse(html);
  const whole = read(document.body);
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

/** A document as its title and blocks: everything in the body but scripts, forms and navigation. */
export function htmlBlocks(html: string): { title: string; blocks: Block[]; url?: string } {
  const { document, title } = parse(html);
  const link = canonicalIn(html);
  const { blocks } = read(document.body);
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

/**
 * The same of a page that is not cut.
 * @throws UserError for one that is too long
 */
export function wholeHtmlBlocks(html: string): { title: string; blocks: Block[]; url?: string } {
  if (html.length > longestHtml) throw new UserError(`its HTML is longer than ${longestHtml / 1e6} million characters`);
  return htmlBlocks(html);
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

type Titled = Node & { closest(tag: string): Node | null };

interface Page {
  document: { body: Node; title: string };
  title: string;
}

/** linkedom wants one html, head and body, and pages have none, some or several: their tags are dropped and put around the whole. */
function parse(html: string): Page {
  const whole = html.slice(0, longestHtml);
  const inside = closed(whole).replace(/<(?:!doctype|\/?(?:html|head|body))(?=[\s/>])[^<>]*>/gi, " ");
  const { document } = parseHTML(`<!doctype html><html><head></head><body>${inside}</body></html>`);
  // A drawing may have a title of its own.
  const first = document.querySelector("title") as Titled | null;
  const own = first?.closest("svg")
    ? [...(document.querySelectorAll("title") as Iterable<Titled>)].find((node) => node.closest("svg") === null)
    : first;
  const title = oneLine(own?.textContent ?? "");
  document.title = title;
  return { document: document as unknown as Page["document"], title };
}

/**
 * A page whose elements are closed as XHTML closes them: HTML reads `<title/>` as a beginning, and what follows as the title. In other pages, elements that are
 * left out count as closed where nothing else closes them.
 */
function closed(html: string): string {
  const isXhtml = /<html\b[^<>]*\sxmlns|<!doctype[^<>]*xhtml|^\ufeff?\s*<\?xml\b/i.test(html.slice(0, 4_000));
  let lowerCase: string | undefined;
  return html.replace(/<([a-z][\w:-]*)(\s[^<>]*)?\/>/gi, (tag: string, name: string, attributes = "") => {
    const element = name.toLowerCase();
    if (voidElements.has(element)) return tag;
    const isClosed =
      isXhtml || (skippedTags.has(element) && !(lowerCase ??= html.toLowerCase()).includes(`</${element}`));
    return isClosed ? `<${name}${attributes}></${name}>` : tag;
  });
}

const voidElements = new Set("area base br col embed hr img input link meta param source track wbr".split(" "));

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
    const { blocks } = read(found.content);
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

/** Reads a tree; its parts of the site only where it has nothing else. */
function read(root: Node): BlockReader {
  const reader = new BlockReader(root, true);
  return reader.blocks.length > 0 ? reader : new BlockReader(root, false);
}

/** An element that is left out if its text is mostly links. */
interface Suspect {
  node: Node;
  /** Blocks, characters and characters of links before it, headings aside. */
  blocks: number;
  characters: number;
  linkCharacters: number;
  isContent: boolean;
}

/** Reads the blocks of a tree. */
class BlockReader {
  readonly blocks: Block[] = [];
  /** Those whose text is mostly links. */
  readonly links = new Set<Block>();
  readonly #root: Node;
  readonly #leavesSiteOut: boolean;
  #pieces: string[] = [];
  /** What stands beside the words of a heading or a term: counts only where it has no other words. */
  #spare: string[] = [];
  #level = 0;
  #preformatted = 0;
  #kind: Block["kind"];
  /** The row of a table whose cells are text: it becomes one line. */
  #row: Node | undefined;
  /** The nearest id since the last block: of the element under way, or of one around it. */
  #anchor: string | undefined;
  /** The heading or term under way. */
  #label: Node | undefined;
  /** What under way goes to the spare pieces. */
  #beside: Node | undefined;
  #links = 0;
  #characters = 0;
  #linkCharacters = 0;
  /** Those before the block under way. */
  #before = { characters: 0, linkCharacters: 0 };
  readonly #suspects: Suspect[] = [];
  /** Ids of what headings open. */
  readonly #shown = new Set<string>();

  constructor(root: Node, leavesSiteOut: boolean) {
    this.#root = root;
    this.#leavesSiteOut = leavesSiteOut;
    walk(root, { enter: (node) => this.#enter(node), leave: (node) => this.#leave(node) });
    this.#flush();
  }

  #enter(node: Node): boolean {
    if (node.nodeType === textNode) {
      this.#addText(node.textContent ?? "");
      return false;
    }
    if (node.nodeType !== elementNode) return false;
    const name = node.localName ?? "";
    if (node !== this.#root && this.#isLeftOut(node, name)) return false;
    this.#startBlock(name);
    this.#level = headingLevel(name) || this.#level;
    this.#anchor = anchorOf(node, name) ?? this.#anchor;
    this.#kind = kindOf(node, name) ?? this.#kind;
    if (name === "tr" && this.#row === undefined && isLineOfText(node)) this.#row = node;
    if (labels.test(name)) this.#label ??= node;
    const opens = this.#label === undefined ? undefined : node.getAttribute?.("aria-controls");
    if (opens) this.#shown.add(opens);
    if (name === "br") this.#push(kept);
    if (name === "pre") this.#preformatted++;
    if (name === "a") this.#links++;
    if ((name === "td" || name === "th") && this.#pieces.some((piece) => piece.trim() !== "")) this.#pieces.push(" | ");
    return true;
  }

  #leave(node: Node): void {
    const name = node.localName ?? "";
    if (node === this.#row) this.#row = undefined;
    this.#startBlock(name);
    if (kindOf(node, name) !== undefined) this.#kind = undefined;
    if (name === "pre") this.#preformatted--;
    if (name === "a") this.#links--;
    if (node === this.#label) this.#label = undefined;
    if (node === this.#beside) this.#beside = undefined;
    if (node === this.#suspects.at(-1)?.node) this.#judge(this.#suspects.pop() as Suspect);
  }

  /** Where an element begins or ends that stands on lines of its own; within a row it is a word apart. */
  #startBlock(name: string): void {
    if (headingLevel(name) === 0 && !blocks.has(name)) return;
    if (this.#row === undefined) this.#flush();
    else this.#push(" ");
  }

  #isLeftOut(node: Node, name: string): boolean {
    if (isSkipped(node, this.#shown)) return true;
    if (this.#label === undefined) {
      if (name === "button") return !isLabel(node);
      if (name === "a" && isSelfLink(node, shortText(node))) return true;
      // Of a quotation, it names the author.
      if (name === "footer") return this.#leavesSiteOut && node.parentNode?.localName !== "blockquote";
    } else if (name === "button" || isHeadingExtra(node, shortText(node))) {
      this.#beside ??= node;
    }
    for (const suspect of this.#suspects) suspect.isContent ||= isOfContent(name, suspect.node);
    const part = this.#leavesSiteOut ? sitePart(node) : undefined;
    if (part === "if-links") this.#suspect(node);
    return part === "always";
  }

  #suspect(node: Node): void {
    this.#flush();
    this.#suspects.push({ node, blocks: this.blocks.length, ...this.#before, isContent: false });
  }

  #judge({ blocks, isContent, ...before }: Suspect): void {
    this.#flush();
    if (!isContent && this.#isMostlyLinks(before)) this.blocks.length = blocks;
  }

  /** Whether half of the text since a place is in links, headings aside. */
  #isMostlyLinks({ characters, linkCharacters }: Pick<Suspect, "characters" | "linkCharacters">): boolean {
    const ofLinks = this.#linkCharacters - linkCharacters;
    return ofLinks > 0 && ofLinks * 2 >= this.#characters - characters;
  }

  #addText(text: string): void {
    if (this.#level === 0) {
      const { length } = text.trim();
      this.#characters += length;
      if (this.#links > 0) this.#linkCharacters += length;
    }
    // Marks keep the line breaks of code from being joined with the rest.
    this.#push(this.#preformatted > 0 ? text.replaceAll("\n", kept).replaceAll(" ", keptSpace) : text);
  }

  #push(piece: string): void {
    (this.#beside === undefined ? this.#pieces : this.#spare).push(piece);
  }

  /** Ends the block under way. */
  #flush(): void {
    const text = tidy(this.#pieces.join("")) || tidy(this.#spare.join(""));
    if (text !== "") {
      const block: Block = { level: this.#level, text: this.#level > 0 ? oneLine(text) : text };
      if (this.#kind !== undefined && this.#level === 0) block.kind = this.#kind;
      if (this.#anchor !== undefined && (this.#level > 0 || this.#kind === "term")) block.anchor = this.#anchor;
      this.#anchor = undefined;
      this.blocks.push(block);
      if (this.#isMostlyLinks(this.#before)) this.links.add(block);
    }
    this.#before = { characters: this.#characters, linkCharacters: this.#linkCharacters };
    this.#pieces = [];
    this.#spare = [];
    this.#level = 0;
  }
}

/** What an address may lead to. */
function anchorOf(node: Node, name: string): string | undefined {
  return node.getAttribute?.("id") || (name === "a" && node.getAttribute?.("name")) || undefined;
}

function kindOf(node: Node, name: string): Block["kind"] {
  if (name === "dt") return "term";
  if (name === "pre") return "code";
  if (name !== "tr") return undefined;
  const isHeader = node.parentNode?.localName === "thead" || (hasChild(node, "th") && !hasChild(node, "td"));
  return isHeader ? "header" : "row";
}

function hasChild(node: Node, name: string): boolean {
  for (let child = node.firstChild; child !== null; child = child.nextSibling)
    if (child.localName === name) return true;
  return false;
}

/** More is no line, and pages are laid out with tables: what is in their cells keeps its blocks. */
const longestRow = 1_000;
const mostRowNodes = 200;
/** A row in a row: the parser leaves a paragraph open that has no end tag, and with it the row. */
const notInLine = /^(?:pre|ul|ol|dl|table|tr|blockquote|h[1-6])$/;

function isLineOfText(row: Node): boolean {
  const open: Node[] = [row];
  let characters = 0;
  for (let seen = 0; open.length > 0; seen++) {
    const node = open.pop() as Node;
    if (node.nodeType === textNode) characters += node.textContent?.length ?? 0;
    const isInLine = node === row || !notInLine.test(node.localName ?? "");
    if (characters > longestRow || seen > mostRowNodes || !isInLine) return false;
    for (let child = node.firstChild; child !== null && open.length <= mostRowNodes; child = child.nextSibling)
      open.push(child);
  }
  return true;
}

/** Whether an element shows that what holds it is no list of links. */
function isOfContent(name: string, holder: Node): boolean {
  return name === "main" || name === "article" || name === "h1" || (holder.localName === "header" && labels.test(name));
}

/** What names the text that follows; a button in one opens it. */
const labels = /^(?:h[1-6]|dt|summary)$/;

/** Whether the words of a button are those of a heading: it holds one, or opens the element behind it. */
function isLabel(button: Node): boolean {
  if (headingLevel(nextElement(button.firstChild)?.localName ?? "") > 0) return true;
  const id = nextElement(button.nextSibling)?.getAttribute?.("id");
  return Boolean(id) && button.getAttribute?.("aria-controls") === id;
}

/** The first element among a node and what follows it. */
function nextElement(node: Node | null): Node | null {
  let next = node;
  while (next !== null && next.nodeType !== elementNode) next = next.nextSibling;
  return next;
}

/** The text of an element that holds nothing else, or nothing. */
function shortText(node: Node): string {
  const only = node.firstChild;
  return only?.nodeType === textNode && only.nextSibling === null ? (only.textContent ?? "") : "";
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
