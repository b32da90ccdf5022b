/** @file The documents in files and folders, in a fixed order, with the paths that become their ids. */
import type { Stats } from "node:fs";
import { readdir, realpath, stat } from "node:fs/promises";
import { basename, isAbsolute, join, normalize, resolve, sep } from "node:path";
import { Minimatch } from "minimatch";
import { UserError } from "../../errors.js";
import { requireRegularStats } from "../../files/regular.js";
import { documentEndings, documentKind, type DocumentKind } from "./read.js";

export interface FoundDocument {
  /** Where it lies. */
  file: string;
  /** Its folder's name and the path inside it, with "/": what its passages' ids begin with. Of a document that was named itself, that path. */
  path: string;
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
}

/**
 * Folders are searched to any depth, in the order of names. Hidden files and folders and node_modules are left out, and links are not
 * followed where they lead out of the folder or to another folder.
 * @throws UserError for what cannot be read, pipes and devices, a folder without documents, and two documents with one path
 */
export async function findSources(paths: readonly string[], options: FindOptions = {}): Promise<FoundSources> {
  const found: FoundSources = { corpora: [], documents: [] };
  const [include, exclude] = [options.include ?? [], options.exclude ?? []].map((list) =>
    list.map((pattern) => globMatcher(pattern)),
  );
  for (const path of paths) {
    const info = await statOf(path);
    if (info.isDirectory()) {
      const inside = await findInside(path, { include, exclude, signal: options.signal });
      if (inside.length === 0) throw nothingIn(path, options);
      found.documents.push(...inside);
    } else {
      const kind = documentKind(path);
      requireRegularStats(path, info);
      if (kind === undefined) found.corpora.push(path);
      else found.documents.push(described(path, nameOf(path), kind, info));
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

async function findInside(root: string, { include, exclude, signal }: Matchers): Promise<FoundDocument[]> {
  const found: FoundDocument[] = [];
  const home = await realpath(root);
  const prefix = basename(resolve(root));
  const excluded = (path: string): boolean => exclude.some((fits) => fits(path));
  const visit = async (folder: string, inside: string): Promise<void> => {
    signal?.throwIfAborted();
    const entries = await readdir(folder, { withFileTypes: true });
    entries.sort((a, b) => (a.name < b.name ? -1 : 1));
    for (const entry of entries) {
      if (entry.name.startsWith(".") || entry.name === "node_modules") continue;
      const relative = inside === "" ? entry.name : `${inside}/${entry.name}`;
      const file = join(folder, entry.name);
      if (excluded(relative)) continue;
      if (entry.isDirectory()) {
        await visit(file, relative);
        continue;
      }
      const isWanted =
        include.length === 0 ? documentKind(relative) !== undefined : include.some((fits) => fits(relative));
      if (!isWanted) continue;
      if (!entry.isFile() && !(entry.isSymbolicLink() && (await leadsInside(file, home)))) continue;
      const info = await statOf(file);
      const path = prefix === "" ? relative : `${prefix}/${relative}`;
      if (info.isFile()) found.push(described(file, path, documentKind(relative) ?? "text", info));
    }
  };
  await visit(root, "");
  return found;
}

/** Whether a link's end lies in the folder; a link to nothing leads nowhere. */
async function leadsInside(link: string, home: string): Promise<boolean> {
  return (await realpath(link).catch(() => "")).startsWith(home + sep);
}

function described(file: string, path: string, kind: DocumentKind, { size, mtimeMs }: Stats): FoundDocument {
  return { file, path, kind, bytes: size, modifiedMs: Math.round(mtimeMs) };
}

function nothingIn(folder: string, { include = [], exclude = [] }: FindOptions): UserError {
  const patterns = include.length + exclude.length > 0 ? " that the patterns let through" : "";
  return new UserError(
    `${folder} holds no document${patterns}. Documents end with ${documentEndings.join(", ")}; JSONL files are named one by one.`,
  );
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
    throw new UserError(`${path} cannot be read (${cause.message}). Check the path.`, { cause });
  });
}
