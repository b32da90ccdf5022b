/** @file What the documents name: every path of the repository exists, and every link leads to a file and a heading. */
import { readFileSync, readdirSync } from "node:fs";
import { dirname, join, posix } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";

const root = join(dirname(fileURLToPath(import.meta.url)), "..");
const folders = ["bench", "docs", "scripts", "src", "test"];
/** Names that look like files of ours and are files of a user. */
const ofUsers = ["sleuth.config.ts"];
/** Documents that speak of the past: they may name files as they were called then. */
const historical = ["CHANGELOG.md", "docs/log.md"];

/** Every file and folder, from the root of the repository, with `/` between folders. */
const entries: readonly string[] = [
  ...readdirSync(root),
  ...folders.flatMap((folder) =>
    readdirSync(join(root, folder), { recursive: true, encoding: "utf8" }).map(
      (path) => `${folder}/${path.replaceAll("\\", "/")}`,
    ),
  ),
];
const fences = /^ *```[^]*?^ *```/gm;
const documents = entries.filter((path) => path.endsWith(".md"));
const textOf = (path: string): string => readFileSync(join(root, path), "utf8");

/** The text without what stands in fences and between backticks. */
function prose(text: string): string {
  return text.replace(fences, "").replace(/`[^`\n]*`/g, "");
}

/**
 * The paths that code in a text names, in fences and between backticks: those that begin with one of `folders`, and whatever ends in `.ts` or
 * `.mjs`.
 */
function pathsIn(text: string): string[] {
  const code = [...(text.match(fences) ?? []), ...(text.replace(fences, "").match(/`[^`\n]+`/g) ?? [])];
  const words = code.flatMap((part) => part.split(/[\s`'"()[\]{},;:=|]+/));
  const inFolder = new RegExp(`^(${folders.join("|")})/`);
  return words.filter((word) => (inFolder.test(word) || /[\w*]\.(ts|mjs)$/.test(word)) && !ofUsers.includes(word));
}

/** Whether a path, or the end of one (`web/engine.test.ts`), or a pattern with `*` is that of a file or folder. */
function exists(path: string): boolean {
  const escaped = path.replace(/\/$/, "").replace(/[.+?^${}()|[\]\\]/g, "\\$&");
  const pattern = escaped.replace(/\*\*\/|\*/g, (stars) => (stars === "*" ? "[^/]*" : "(.*/)?"));
  const found = new RegExp(`(^|/)${pattern}$`);
  return entries.some((entry) => found.test(entry));
}

/** The targets of a text's links and pictures, but for those of the web. */
function linksIn(text: string): string[] {
  const targets = Array.from(prose(text).matchAll(/\]\(([^)\s]+)\)/g), ([, target]) => target);
  return targets.filter((target) => !/^[a-z]+:/.test(target));
}

/** The names by which links reach the headings of a text, as GitHub makes them. */
function anchorsIn(text: string): Set<string> {
  const anchors = new Set<string>();
  for (const [, heading] of text.replace(fences, "").matchAll(/^#+ +(.*)$/gm)) {
    const words = heading.replace(/\[([^\]]*)\]\([^)]*\)/g, "$1").toLowerCase();
    const anchor = words.replace(/[^\p{L}\p{N}\s_-]/gu, "").replaceAll(" ", "-");
    let name = anchor;
    for (let number = 1; anchors.has(name); number++) name = `${anchor}-${number}`;
    anchors.add(name);
  }
  return anchors;
}

/** Why a link of a document leads nowhere, or undefined when it leads somewhere. */
function objection(document: string, link: string): string | undefined {
  const [path, anchor] = link.split("#");
  const target = path === "" ? document : posix.join(posix.dirname(document), path);
  if (!entries.includes(target)) return `there is no ${target}`;
  if (anchor === undefined || !target.endsWith(".md")) return undefined;
  return anchorsIn(textOf(target)).has(anchor) ? undefined : `${target} has no heading #${anchor}`;
}

describe("documents", () => {
  it("are found", () => {
    expect(documents).toEqual(
      expect.arrayContaining(["README.md", "AGENTS.md", "src/README.md", "docs/log.md", "docs/search/bm25.md"]),
    );
  });

  it.each(documents.filter((document) => !historical.includes(document)))("name only files that exist: %s", (name) => {
    expect(pathsIn(textOf(name)).filter((path) => !exists(path))).toEqual([]);
  });

  it.each(documents)("link to files and headings that exist: %s", (name) => {
    const broken = linksIn(textOf(name)).flatMap((link) => objection(name, link) ?? []);
    expect(broken).toEqual([]);
  });

  it("list every entry of the log in its index", () => {
    const log = textOf("docs/log.md");
    const entriesOfLog = [...anchorsIn(log)].filter((anchor) => /^\d{4}-/.test(anchor));
    const listed = linksIn(log.slice(0, log.search(/^## \d{4}-/m)));
    expect(entriesOfLog.length).toBeGreaterThan(20);
    expect(entriesOfLog.filter((anchor) => !listed.includes(`#${anchor}`))).toEqual([]);
  });

  it("would object to paths that do not exist", () => {
    const text = [
      "`src/types.ts` `src/typos.ts` `web/engine.test.ts` `web/engine.tset.ts` `src/train/` `src/trian/` `sleuth.config.ts`",
      "`dense/**/*.test.ts` `dense/**/*.tset.ts` `npx vitest run src/search` src/in-prose.ts `other.py` `ops.ts` `oops.ts`",
      "```\nnode scripts/servers/s3.mjs scripts/servers/s4.mjs\n```",
    ].join("\n");
    expect(pathsIn(text).filter((path) => !exists(path))).toEqual([
      "scripts/servers/s4.mjs",
      "src/typos.ts",
      "web/engine.tset.ts",
      "src/trian/",
      "dense/**/*.tset.ts",
      "oops.ts",
    ]);
  });

  it("would object to links that lead nowhere", () => {
    const text =
      "[a](log.md) [b](lag.md) [c](log.md#by-topic) [d](log.md#by-tropic) [e](https://x.y/z) `[f](g.md)` [h](#i)";
    expect(linksIn(text).map((link) => objection("docs/search.md", link))).toEqual([
      undefined,
      "there is no docs/lag.md",
      undefined,
      "docs/log.md has no heading #by-tropic",
      "docs/search.md has no heading #i",
    ]);
  });

  it("makes anchors as GitHub does", () => {
    const text =
      "# `npm start`: the builder's, 2 ways\n\n```\n# no heading\n```\n\n## Same\n\n## Same\n\n## [Linked](x.md) text";
    expect([...anchorsIn(text)]).toEqual(["npm-start-the-builders-2-ways", "same", "same-1", "linked-text"]);
  });
});
