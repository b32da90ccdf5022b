/**
 * @file Which elements of a page belong to the site and not to the page: menus, footers, tables of contents, links to a heading itself. Told by tag, role, class and
 * id, as generators of documentation and weblogs write them (Sphinx, DocBook, AsciiDoc, Texinfo, Doxygen, Javadoc, MkDocs, Docusaurus, MediaWiki, WordPress, SQLite).
 */

/** What is asked of an element. */
export interface Named {
  readonly localName?: string;
  getAttribute?(name: string): string | null;
}

const wordSet = (words: string): ReadonlySet<string> => new Set(words.split(" "));

/** Elements without text of the page. */
export const skippedTags = wordSet(
  "script style noscript template svg canvas iframe object embed audio video select option input textarea head title meta link nav dialog",
);
const skippedRoles = wordSet("navigation banner contentinfo search menu menubar dialog tablist doc-toc doc-pagelist");

/** Names of what holds nothing of the page. The last words of a class or id count: `site-footer`, `VPDocFooter`. */
const skippedNames = wordSet(
  "footer navheader navfooter navbar breadcrumb breadcrumbs pagination sphinxsidebar navpath navpanel skiplink skipnav editsection portlet catlinks printfooter",
);
/** Names, and tags, of what holds nothing of the page where its text is mostly links: a restaurant's menu is no menu of a site. */
const linkListNames = wordSet(
  "contents menu mainmenu submenu nav navigation topnav bottomnav subnav toc localtoc sidebar related header banner topbar social share sharing",
);
const linkListTags = wordSet("header aside");
/** Two words of one name, as `skip-link` and `table-of-contents`. */
const skippedPairs = wordSet(
  "skip-link skip-nav skip-content nav-header nav-footer nav-path nav-panel rst-versions footer-text cookie-banner cookie-bar cookie-consent cookie-notice",
);
const linkListPairs = wordSet("of-contents tableof-contents page-nav nav-side side-nav nav-list nav-links nav-bar");
/** `page-with-sidebar` is a page. */
const qualifiers = wordSet("with has no without not hide show");
/** Elements that a site's part is made of. A heading, a term or a link with such a name is one about it. */
const containerTags = wordSet("div ul ol dl table section p form center td aside header main");

/** Whether an element is left out at sight. Text that readers of the page do not see is: it can hide words for search engines and models. */
export function isSkipped(node: Named, shown: ReadonlySet<string>): boolean {
  const tag = node.localName ?? "";
  return skippedTags.has(tag) || skippedRoles.has(attribute(node, "role")) || isHidden(node, shown);
}

/** @param shown ids of what a heading or a tab opens */
function isHidden(node: Named, shown: ReadonlySet<string>): boolean {
  const hidden = node.getAttribute?.("hidden") ?? null;
  const isClosed =
    (hidden !== null && hidden.toLowerCase() !== "until-found") ||
    attribute(node, "aria-hidden") === "true" ||
    /display\s*:\s*none|visibility\s*:\s*hidden/i.test(attribute(node, "style"));
  // What a reader opens with a click is text of the page.
  return isClosed && attribute(node, "role") !== "tabpanel" && !shown.has(attribute(node, "id"));
}

/** What an element may be: a part of the site, or one if its text is mostly links. */
type Part = "always" | "if-links" | undefined;

/** What the names of an element say of it. */
export function sitePart(node: Named): Part {
  const tag = node.localName ?? "";
  if (!containerTags.has(tag)) return undefined;
  const classes = attribute(node, "class");
  const id = attribute(node, "id");
  const byTag = linkListTags.has(tag) ? "if-links" : undefined;
  if (classes === "" && id === "") return byTag;
  // The id of a section comes from its heading, which may be "Footer".
  const isSection = tag === "section" || /\b(?:section|sect\d|level\d)\b/.test(classes);
  const byId = partNamed(id);
  return partOfClasses(classes) ?? (isSection && byId === "always" ? "if-links" : byId) ?? byTag;
}

/** Pages repeat few classes many times. */
const knownClasses = new Map<string, Part>();
const mostKnown = 10_000;

function partOfClasses(classes: string): Part {
  if (classes === "") return undefined;
  if (knownClasses.has(classes)) return knownClasses.get(classes);
  const parts = classes.split(/\s+/).map(partNamed);
  const part = parts.includes("always") ? "always" : parts.find((one) => one !== undefined);
  if (knownClasses.size >= mostKnown) knownClasses.clear();
  knownClasses.set(classes, part);
  return part;
}

/** What a class or an id says. */
function partNamed(name: string): Part {
  const words = wordsOf(name);
  const last = words.at(-1) ?? "";
  const before = words.at(-2) ?? "";
  if (qualifiers.has(before)) return undefined;
  if (skippedNames.has(last) || skippedPairs.has(`${before}-${last}`)) return "always";
  return linkListNames.has(last) || linkListPairs.has(`${before}-${last}`) ? "if-links" : undefined;
}

const headingExtras = wordSet(
  "badge badges pill chip lozenge headerlink permalink editsection hash-link header-anchor anchor-link copiable-anchor",
);

/** What stands in a heading beside its words: badges, versions, links to itself or to its source. */
export function isHeadingExtra(node: Named, text: string): boolean {
  if (isSelfLink(node, text)) return true;
  return attribute(node, "class")
    .split(/\s+/)
    .some((name) => {
      const words = wordsOf(name);
      if (headingExtras.has(words.at(-1) ?? "") || headingExtras.has(words.slice(-2).join("-"))) return true;
      return words.at(-1) === "version" ? /^\s*[@v]?\d/.test(text) : /^label-\w+$/.test(name);
    });
}

/** A link that leads to what it stands in: "¶". */
export function isSelfLink(node: Named, text: string): boolean {
  return node.localName === "a" && /^\s*(?:[¶#§∞⚓🔗]\ufe0f?|\[(?:source|edit)\])\s*$/u.test(text);
}

/** "VPDocFooter" → vp, doc, footer. */
function wordsOf(name: string): string[] {
  return name
    .replace(/([a-z\d])([A-Z])/g, "$1-$2")
    .replace(/([A-Z])([A-Z][a-z])/g, "$1-$2")
    .toLowerCase()
    .split(/[-_.]+/)
    .filter((word) => word !== "");
}

function attribute(node: Named, name: string): string {
  return node.getAttribute?.(name) ?? "";
}
