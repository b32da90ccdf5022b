/** @file The blocks of an HTML tree, read in one pass: headings, paragraphs, rows, code, terms; parts of the site left out. */
import type { Block } from "./block.js";
import {
  elementNode,
  hasChild,
  headingLevel,
  nextElement,
  oneLine,
  shortText,
  textNode,
  walk,
  type Node,
} from "./html-tree.js";
import { isHeadingExtra, isSelfLink, isSkipped, sitePart } from "./site-parts.js";

/** What stands on lines of its own; a blank line before and after. */
const blocks = new Set(
  "address article aside blockquote body center dd details div dl dt fieldset figcaption figure footer form header hr html legend li main ol p pre section summary table tbody tfoot thead tr ul caption".split(
    " ",
  ),
);

/** Reads a tree; its parts of the site only where it has nothing else. */
export function readBlocks(root: Node): BlockReader {
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
export class BlockReader {
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
