/** @file The tree of an HTML page as linkedom makes it, in linear time, and what is asked of it. */
import { parseHTML } from "linkedom";
import { skippedTags } from "./site-parts.js";

/** Longer pages of the web are cut there, before parsing; longer documents are refused. UTF-16 units. */
export const longestHtml = 4_000_000;

/** The part of the DOM that is used here: the types of a browser's are not loaded. */
export interface Node {
  readonly nodeType: number;
  readonly localName?: string;
  readonly textContent: string | null;
  readonly firstChild: Node | null;
  readonly nextSibling: Node | null;
  readonly parentNode: Node | null;
  getAttribute?(name: string): string | null;
}

type Titled = Node & { closest(tag: string): Node | null };

export interface Page {
  document: { body: Node; title: string };
  title: string;
}

/** linkedom wants one html, head and body, and pages have none, some or several: their tags are dropped and put around the whole. */
export function parsePage(html: string): Page {
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

/** Depth and number of nodes below one. Without recursion, as everything here: nesting is as deep as a page wants. */
export function sizeOf(root: Node): { depth: number; nodes: number } {
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
export function walk(
  root: Node,
  { enter, leave }: { enter: (node: Node) => boolean; leave: (node: Node) => void },
): void {
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

export const elementNode = 1;
export const textNode = 3;

export function hasChild(node: Node, name: string): boolean {
  for (let child = node.firstChild; child !== null; child = child.nextSibling)
    if (child.localName === name) return true;
  return false;
}

/** The first element among a node and what follows it. */
export function nextElement(node: Node | null): Node | null {
  let next = node;
  while (next !== null && next.nodeType !== elementNode) next = next.nextSibling;
  return next;
}

/** The text of an element that holds nothing else, or nothing. */
export function shortText(node: Node): string {
  const only = node.firstChild;
  return only?.nodeType === textNode && only.nextSibling === null ? (only.textContent ?? "") : "";
}

export function headingLevel(name: string): number {
  return /^h[1-6]$/.test(name) ? Number(name[1]) : 0;
}

export function oneLine(text: string): string {
  return text.replace(/\s+/g, " ").trim();
}
