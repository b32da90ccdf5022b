/**
 * @file From what a person names to the files of a question set: a set of the catalogue or any dataset of the Hub, which are downloaded; a folder with a
 * file a split; or one file.
 */
import { readdir, stat } from "node:fs/promises";
import path from "node:path";
import { UserError } from "../../errors.js";
import { pinRepository, type PullOptions, type Wanted } from "../../hub/fetch.js";
import type { ListedFile } from "../../hub/listing.js";
import { isHubName, parseDatasetName, type HubName } from "../../hub/name.js";
import type { QuestionPart } from "../questions.js";
import { findSet, questionSets, setsRepository, type QuestionSet } from "./catalogue.js";
import { partsOfSplits, splitOfFile, splitsAmong, type Split } from "./splits.js";

/** A set whose files are on this disk. */
export interface OpenSet {
  /** Of the set, as it stands in the identity of its questions. */
  dataset: string;
  /** Where it came from: `hf:ORG/NAME/FOLDER@COMMIT`, or a path. */
  from: string;
  splits: Split[];
  /** For what each split is used. */
  parts: Partial<Record<QuestionPart, string>>;
  /** Its row of the catalogue. */
  known?: QuestionSet;
  /** Not the user's own: too large to be mended by hand. */
  isOfHub: boolean;
}

export interface OpenOptions extends PullOptions {
  /** Names of splits that are wanted. Default: all. */
  only?: readonly string[];
  /** A folder with sets in FlashRAG's layout (`nq/test.jsonl`), in place of the Hub. */
  root?: string;
}

/**
 * @param given the name of a set of the catalogue, `hf:ORG/NAME[/FOLDER or FILE][@REVISION]`, or a path (`./nq` for a folder that is called like a set)
 * @throws UserError when there is no such set, it cannot be had, or it holds no split that is wanted
 */
export async function openSet(given: string, options: OpenOptions = {}): Promise<OpenSet> {
  if (isHubName(given)) return ofHub(parseDatasetName(given), options);
  const known = findSet(given);
  if (known !== undefined && options.root === undefined)
    return ofHub({ type: "dataset", repository: setsRepository, file: known.name, revision: "main" }, options, known);
  if (known !== undefined)
    return { ...(await ofFolder(path.join(options.root ?? "", known.name), options)), ...knownParts(known) };
  const found = await stat(given).catch(() => undefined);
  if (found === undefined) throw unknownSet(given);
  return found.isDirectory() ? ofFolder(given, options) : ofFile(given, options);
}

function unknownSet(given: string): UserError {
  return new UserError(
    `"${given}" is no question set, and there is no such file or folder. Name a set (${questionSets.map(({ name }) => name).join(", ")}), ` +
      "a dataset of the Hub as hf:ORG/NAME/FOLDER, a file (.jsonl, .jsonl.gz, .parquet) or a folder with train, dev or test in one of these formats.",
  );
}

/** Of a set of the catalogue it is known which splits there are, also where not all of them are wanted. */
function knownParts(known: QuestionSet): Pick<OpenSet, "parts" | "known"> {
  return { parts: partsOfSplits(Object.keys(known.splits)), known };
}

async function ofHub(name: HubName, options: OpenOptions, known?: QuestionSet): Promise<OpenSet> {
  const wanted = wantedOf(name, options.only, known);
  const { name: pinned, location } = await pinRepository(name, wanted, options);
  const dataset = known?.name ?? (isOneFile(name) ? datasetOfFile(name.file ?? "", name) : lastPart(name));
  const opened = isOneFile(name)
    ? await ofFile(location, options, dataset)
    : await ofFolder(location, options, dataset);
  return { ...opened, from: pinned, isOfHub: true, ...(known === undefined ? {} : knownParts(known)) };
}

/** Splits of a folder of the repository, or of all of it; or one file. */
function wantedOf(name: HubName, only: readonly string[] | undefined, known: QuestionSet | undefined): Wanted {
  const isMeant = (file: string): boolean => {
    if (isOneFile(name)) return file === name.file;
    const split = splitOfFile(file);
    return split !== undefined && isDirectlyIn(file, name.file ?? "") && (only?.includes(split) ?? true);
  };
  return {
    choose(listed) {
      const chosen = listed.filter(({ path: file }) => isMeant(file));
      if (chosen.length === 0) throw nothingThere(name, listed, only);
      return Promise.resolve(chosen);
    },
    optional: [],
    async lacking(cache, commit) {
      const there = (await readdir(cache.snapshot(commit), { recursive: true }).catch(() => [])).map(slashed);
      const expected =
        known === undefined
          ? there.some(isMeant)
            ? []
            : [`${name.file ?? name.repository}: its questions`]
          : Object.keys(known.splits)
              .filter((split) => only?.includes(split) ?? true)
              .map((split) => `${name.file}/${split}.jsonl`);
      const isWhole = known !== undefined || isOneFile(name);
      return {
        missing: expected.filter((file) => !there.includes(file)),
        // Without the list of the repository nobody knows what else it holds.
        unknown: isWhole ? [] : ["the list of its files"],
      };
    },
  };
}

function nothingThere(
  { repository, file }: HubName,
  listed: readonly ListedFile[],
  only?: readonly string[],
): UserError {
  const files = listed.map(({ path: name }) => name).filter((name) => splitOfFile(name) !== undefined);
  const has =
    files.length === 0 ? "no file of questions" : `${files.slice(0, 12).join(", ")}${files.length > 12 ? ", …" : ""}`;
  return new UserError(
    `${repository} has no questions at ${file ?? "its top"}${only === undefined ? "" : ` for ${only.join(", ")}`}; it has ${has}. The set has changed, or the name is wrong: name what is there, as hf:${repository}/FOLDER.`,
  );
}

function isOneFile({ file }: HubName): boolean {
  return file !== undefined && /\.(jsonl|gz|parquet)$/i.test(file);
}

function lastPart({ repository, file }: HubName): string {
  return path.posix.basename(file ?? repository);
}

async function ofFolder(folder: string, { only }: OpenOptions, dataset?: string): Promise<OpenSet> {
  const all = splitsAmong(await filesOf(folder));
  const splits = all.filter(({ name }) => only?.includes(name) ?? true);
  if (splits.length === 0)
    throw new UserError(
      all.length > 0
        ? `${folder} has no split ${only?.join(" and no split ")}; it has ${all.map(({ name }) => name).join(", ")}.`
        : `${folder} has no questions: no train, validation, dev or test as .jsonl, .jsonl.gz or .parquet. Name one of its files, or another folder.`,
    );
  return {
    dataset: dataset ?? path.basename(path.resolve(folder)),
    from: folder,
    splits: splits.map(({ name, files: own }) => ({ name, files: own.map((file) => path.join(folder, file)) })),
    parts: partsOfSplits(all.map(({ name }) => name)),
    isOfHub: false,
  };
}

async function ofFile(file: string, { only }: OpenOptions, dataset?: string): Promise<OpenSet> {
  if (!/\.(jsonl|jsonl\.gz|parquet)$/i.test(file))
    throw new UserError(`${file} is no file of questions: they are read as .jsonl, .jsonl.gz or .parquet.`);
  const name = splitOfFile(file);
  const split = name ?? "";
  if (only !== undefined && !only.includes(split))
    throw new UserError(`${file} is one file${name === undefined ? "" : `, the split ${name}`}: leave --splits out.`);
  const parts = name === undefined ? { train: "" } : partsOfSplits([name]);
  return {
    dataset: dataset ?? datasetOfFile(file),
    from: file,
    splits: [{ name: split, files: [file] }],
    parts,
    isOfHub: false,
  };
}

/** `nq` for `nq/test.jsonl`, `mine` for `mine.jsonl`. */
function datasetOfFile(file: string, of?: HubName): string {
  const stem = path.basename(file).replace(/\.(jsonl|jsonl\.gz|parquet)$/i, "");
  if (splitOfFile(file) === undefined) return stem;
  const folder = of === undefined ? path.dirname(path.resolve(file)) : path.posix.dirname(file);
  return folder === "." ? path.posix.basename(of?.repository ?? stem) : path.basename(folder);
}

/** Where the Hub's own tools put the files of a dataset. */
const dataFolder = "data";

/** Whether a path is one of a folder's files, or of those in its folder `data`. */
function isDirectlyIn(file: string, folder: string): boolean {
  const below = folder === "" ? file : file.startsWith(`${folder}/`) ? file.slice(folder.length + 1) : "/";
  return !below.replace(new RegExp(`^${dataFolder}/`), "").includes("/");
}

/** As paths with forward slashes, relative to the folder. */
async function filesOf(folder: string): Promise<string[]> {
  const names = await readdir(folder).catch((error: Error) => {
    throw new UserError(`${folder} cannot be read: ${error.message}. Check its path.`, { cause: error });
  });
  const inner = await readdir(path.join(folder, dataFolder)).catch(() => []);
  return [...names, ...inner.map((name) => `${dataFolder}/${name}`)].map(slashed);
}

function slashed(file: string): string {
  return file.replaceAll("\\", "/");
}
