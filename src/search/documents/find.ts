/** @file The documents in files and folders, in a fixed order, with the paths that become their ids. */
import { isUtf8 } from "node:buffer";
import type { Stats } from "node:fs";
import { readdir, realpath, stat } from "node:fs/promises";
import { basename, isAbsolute, join, normalize, resolve, sep } from "node:path";
import { Minimatch } from "minimatch";
import { UserError } from "../../errors.js";
import { requireRegularStats } from "../../files/regular.js";
import { documentEndings, documentKind, endingOf, type DocumentKind } from "./read.js";

export interface FoundDocument {
  /** Where it lies. */
  file: string;
  /** Its folder's name and the path inside it, with "/": what its passages' ids begin with. Of a document that was named itself, that path. */
  path: string;
  /** The same without the folder that was named. */
  inside: string;
  kind: DocumentKind;
  bytes: number;
  /** Milliseconds since 1970. */
  modifiedMs: number;
}

interface FindOptions {
  /** Patterns; with any, only files that fit one are read, whatever their ending (unknown endings as text). */
  include?: readonly string[];
  /** Patterns of files and folders that are left out. */
  exclude?: readonly string[];
  signal?: AbortSignal;
}

/** What was named on a command line, told apart. */
interface FoundSources {
  /** JSONL files: everything that is neither a folder nor a document. */
  corpora: string[];
  documents: FoundDocument[];
  /** Documents and folders that cannot even be looked at. */
  skipped: SkippedDocument[];
  /** Files in folders that no reader takes: how many of each ending (".gz"), with "" for files that have none. Empty with patterns. */
  others: Map<string, number>;
}

/** A document that is left out. */
export interface SkippedDocument {
  file: string;
  /** A sentence about it without its end: "it is empty". */
  why: string;
}

/**
 * Folders are searched to any depth, in the order of names. Hidden files and folders and node_modules are left out, and links are not
 * followed where they lead out of the folder or to another folder.
 * @throws UserError for named paths that cannot be read, pipes and devices, a folder without documents, and two documents with one path
 */
export async function findSources(paths: readonly string[], options: FindOptions = {}): Promise<FoundSources> {
  const found: FoundSources = { corpora: [], documents: [], skipped: [], others: new Map() };
  const [include, exclude] = [options.include ?? [], options.exclude ?? []].map((list) =>
    list.map((pattern) => globMatcher(pattern)),
  );
  for (const path of paths) {
    const info = await statOf(path);
    if (info.isDirectory()) {
      const inside = new FolderSearch(path, { include, exclude, signal: options.signal });
      await inside.run();
      if (inside.documents.length === 0) throw nothingIn(path, inside, options);
      found.documents.push(...inside.documents);
      found.skipped.push(...inside.skipped);
      for (const [ending, count] of inside.others) found.others.set(ending, (found.others.get(ending) ?? 0) + count);
    } else {
      const kind = documentKind(path);
      requireRegularStats(path, info);
      if (kind === undefined) refusePackedDocument(path);
      if (kind === undefined) found.corpora.push(path);
      else found.documents.push(described(path, { path: nameOf(path), inside: nameOf(path) }, kind, info));
    }
  }
  refuseTwins(found.documents);
  return found;
}

/** A document that was named itself: as it was named, when that is a path below the current folder. */
function nameOf(path: string): string {
  const plain = normalize(path).split(sep).join("/");
  return isAbsolute(path) || plain.startsWith("../") ? basename(resolve(path)) : plain;
}

interface Matchers {
  include: readonly ((path: string) => boolean)[];
  exclude: readonly ((path: string) => boolean)[];
  signal?: AbortSignal;
}

/** What a folder holds. */
class FolderSearch {
  readonly documents: FoundDocument[] = [];
  readonly skipped: SkippedDocument[] = [];
  readonly others = new Map<string, number>();
  readonly #root: string;
  readonly #matchers: Matchers;
  #home = "";

  constructor(root: string, matchers: Matchers) {
    this.#root = root;
    this.#matchers = matchers;
  }

  /** @throws UserError when the folder itself cannot be read */
  async run(): Promise<void> {
    this.#home = await realpath(this.#root);
    await this.#visit(this.#root, "");
    const [first] = this.skipped;
    if (first?.file === this.#root) throw new UserError(`${first.file}: ${first.why}. Change its permissions.`);
  }

  async #visit(folder: string, inside: string): Promise<void> {
    this.#matchers.signal?.throwIfAborted();
    const entries = await entriesOf(folder).catch((error: NodeJS.ErrnoException) => {
      this.skipped.push({ file: folder, why: `the folder cannot be read (${error.code ?? error.message})` });
      return [];
    });
    for (const entry of entries) {
      if (entry.name.startsWith(".") || entry.name === "node_modules") continue;
      const relative = inside === "" ? entry.name : `${inside}/${entry.name}`;
      if (this.#matchers.exclude.some((fits) => fits(relative))) continue;
      await this.#take(entry, join(folder, entry.name), relative);
    }
  }

  async #take(entry: Entry, file: string, relative: string): Promise<void> {
    const { include } = this.#matchers;
    const kind = documentKind(relative);
    const isWanted = include.length === 0 ? kind !== undefined : include.some((fits) => fits(relative));
    if (!entry.hasName && (isWanted || entry.isFolder)) {
      this.skipped.push({ file, why: "its name is not UTF-8: rename it, for example with `convmv`" });
    } else if (entry.isFolder) {
      await this.#visit(file, relative);
    } else if (entry.isFile || (entry.isLink && (await leadsInside(file, this.#home)))) {
      if (isWanted) await this.#add(file, relative, kind ?? "text");
      else if (include.length === 0) this.#count(relative);
    }
  }

  async #add(file: string, relative: string, kind: DocumentKind): Promise<void> {
    const prefix = basename(resolve(this.#root));
    const path = prefix === "" ? relative : `${prefix}/${relative}`;
    try {
      const info = await stat(file);
      if (info.isFile()) this.documents.push(described(file, { path, inside: relative }, kind, info));
    } catch (error) {
      this.skipped.push({ file, why: `it cannot be read (${(error as Error).message})` });
    }
  }

  #count(relative: string): void {
    const ending = endingOf(relative);
    // What stands behind a dot may be anything: "Mr. Smith's notes".
    const name = /^[a-z0-9_+-]{1,10}$/.test(ending) ? `.${ending}` : "";
    this.others.set(name, (this.others.get(name) ?? 0) + 1);
  }
}

interface Entry {
  /** Where it is not UTF-8, with U+FFFD. */
  name: string;
  /** False where the name is not UTF-8: Node opens no file by such a name. */
  hasName: boolean;
  isFolder: boolean;
  isFile: boolean;
  isLink: boolean;
}

/** Entries of a folder in the order of their names. */
async function entriesOf(folder: string): Promise<Entry[]> {
  const entries = await readdir(folder, { withFileTypes: true, encoding: "buffer" });
  return entries
    .map((entry) => ({
      name: entry.name.toString("utf8"),
      hasName: isUtf8(entry.name),
      isFolder: entry.isDirectory(),
      isFile: entry.isFile(),
      isLink: entry.isSymbolicLink(),
    }))
    .sort((a, b) => (a.name < b.name ? -1 : 1));
}

/** Whether a link's end lies in the folder; a link to nothing leads nowhere. */
async function leadsInside(link: string, home: string): Promise<boolean> {
  return (await realpath(link).catch(() => "")).startsWith(home + sep);
}

function described(
  file: string,
  names: Pick<FoundDocument, "path" | "inside">,
  kind: DocumentKind,
  { size, mtimeMs }: Stats,
): FoundDocument {
  return { file, ...names, kind, bytes: size, modifiedMs: Math.round(mtimeMs) };
}

function nothingIn(
  folder: string,
  { others, skipped }: FolderSearch,
  { include = [], exclude = [] }: FindOptions,
): UserError {
  const patterns = include.length + exclude.length > 0 ? " that the patterns let through" : "";
  const holds = others.size > 0 ? `, only ${endingCounts(others)}` : "";
  const first = skipped.length > 0 ? ` ${skipped.length} left out: ${skipped[0].file}: ${skipped[0].why}.` : "";
  return new UserError(
    `${folder} holds no document${patterns}${holds}.${first} Documents end with ${documentEndings.join(", ")}; JSONL files are named one by one.`,
  );
}

/** Endings that are named one by one. */
const mostEndings = 8;

/** "22 .gz, 3 .ipynb, 1 without an ending", the most frequent first. */
export function endingCounts(others: ReadonlyMap<string, number>): string {
  const sorted = [...others].sort(([a, many], [b, few]) => few - many || (a < b ? -1 : 1));
  const rest = sorted.slice(mostEndings).reduce((sum, [, count]) => sum + count, 0);
  const named = sorted.slice(0, mostEndings).map(([ending, count]) => `${count} ${ending || "without an ending"}`);
  return [...named, ...(rest === 0 ? [] : [`${rest} with other endings`])].join(", ");
}

/** @throws UserError for "notes.md.gz": only JSONL files are unpacked */
function refusePackedDocument(path: string): void {
  const inner = path.replace(/\.(?:gz|zst|bz2|xz|lz4)$/i, "");
  if (inner !== path && documentKind(inner) !== undefined)
    throw new UserError(
      `${path} is a packed document. Unpack it, and name ${basename(inner)}; of packed files, only JSONL with gzip is read.`,
    );
}

/**
 * The address of a document below that of its folder.
 * @param base for example "https://docs.example/guide/"
 */
export function urlOf({ inside }: Pick<FoundDocument, "inside">, base: string | undefined): string | undefined {
  if (base === undefined) return undefined;
  return `${base.replace(/\/*$/, "/")}${inside.split("/").map(encodeURIComponent).join("/")}`;
}

/** Ids begin with paths, so these must differ. */
function refuseTwins(documents: readonly FoundDocument[]): void {
  const seen = new Map<string, string>();
  for (const { file, path } of documents) {
    const other = seen.get(path);
    if (other !== undefined)
      throw new UserError(
        `${other} and ${file} would both be called ${path}. Name a folder above them instead, so that their ids differ.`,
      );
    seen.set(path, file);
  }
}

/**
 * Whether a path fits a pattern: bash's, with `*`, `?`, `**`, `[abc]`, `{a,b}`, `{1..12}`, `@(a|b)`, and `!` for what does not fit. A pattern
 * without "/" is compared with the file's name, one with "/" with the whole path. Case counts. `guides/**` fits `guides` too.
 * @param pattern for example "*.md", "guides/**", "draft-*.{md,txt}"; on Windows "\\" in it is "/"
 * @returns takes paths with "/"
 * @throws UserError for an invalid pattern
 */
export function globMatcher(pattern: string, separator: string = sep): (path: string) => boolean {
  const slashed = pattern.replaceAll(separator, "/");
  const matcher = compile(slashed);
  const isName = !slashed.includes("/");
  return (path) => {
    const compared = isName ? path.slice(path.lastIndexOf("/") + 1) : path;
    // A file that is called as the pattern reads is meant by it: "notes (1+(2)).md".
    return compared === slashed || matcher.match(compared);
  };
}

function compile(pattern: string): Minimatch {
  try {
    if (pattern === "" || hasBackwardRange(pattern)) throw new Error("it fits no name");
    // "!(a|b)" at the beginning is an alternative that is not wanted, no negated pattern.
    const nonegate = pattern.startsWith("!(");
    const options = { dot: true, nocomment: true, nonegate, platform: "linux" } as const;
    return new Minimatch(pattern.replace(/\/\*\*$/, "{,/**}"), options);
  } catch (cause) {
    throw new UserError(
      `"${pattern}" is no pattern of file names. Patterns look like *.md, guides/** or draft-?.txt.`,
      { cause },
    );
  }
}

/** Whether a set of characters holds a range as z-a, which minimatch takes for an empty one. */
function hasBackwardRange(pattern: string): boolean {
  const sets = pattern.match(/\[[^\]]+\]/g) ?? [];
  return sets.some((set) => [...set.slice(1, -1).matchAll(/(.)-(.)/gu)].some(([, from, to]) => from > to));
}

/** @throws UserError when there is nothing at the path, or it cannot be read */
export async function statOf(path: string): Promise<Stats> {
  return stat(path).catch((cause: Error) => {
    if (path.includes("\ufffd"))
      throw new UserError(`${path} cannot be read: its name is not UTF-8. Rename it, for example with \`convmv\`.`, {
        cause,
      });
    const remedy = /[*?]/.test(path)
      ? "The shell made no names of the pattern: name the folder, and give the pattern to --include."
      : "Check the path.";
    throw new UserError(`${path} cannot be read (${cause.message}). ${remedy}`, { cause });
  });
}
