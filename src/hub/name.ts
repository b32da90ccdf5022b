/** @file How a model or a dataset of the Hub is named: `hf:ORG/NAME`, a file of it, a revision of it. */
import { isSafePath } from "../files/safe-path.js";
import { UserError } from "../errors.js";

const hubPrefix = "hf:";
const defaultRevision = "main";

export interface HubName {
  /** The Hub keeps datasets apart from models. Default: a model. */
  type?: "model" | "dataset";
  /** `ORG/NAME` */
  repository: string;
  /** The one file that is meant, as a path inside the repository: of a model a GGUF file, of a dataset a file or a folder; absent for all of it. */
  file?: string;
  /** Branch, tag or commit. */
  revision: string;
}

/** Whether something is named as one of the Hub's, rather than as a folder or file. */
export function isHubName(name: string): boolean {
  return name.startsWith(hubPrefix);
}

/**
 * Reads the name of a model, `[hf:]ORG/NAME[/FILE.gguf][@REVISION]`.
 * @throws UserError for everything else
 */
export function parseHubName(name: string): HubName {
  const parsed = parse(name, misnamedModel);
  if (/\.gguf$/i.test(parsed.revision))
    throw new UserError(
      `${name}: the revision belongs behind the file, as hf:${parsed.repository}/FILE.gguf@REVISION.`,
    );
  requireRevision(name, parsed);
  if (parsed.file !== undefined && !/\.gguf$/i.test(parsed.file)) throw misnamedModel(name);
  return parsed;
}

/**
 * Reads the name of a dataset, `[hf:]ORG/NAME[/FILE or FOLDER][@REVISION]`.
 * @throws UserError for everything else
 */
export function parseDatasetName(name: string): HubName {
  const parsed = parse(name, misnamedDataset);
  requireRevision(name, parsed);
  return { type: "dataset", ...parsed };
}

function parse(name: string, misnamed: (name: string) => UserError): Omit<HubName, "type"> {
  const text = isHubName(name) ? name.slice(hubPrefix.length) : name;
  const at = text.indexOf("@");
  const [organisation, repository, ...file] = (at < 0 ? text : text.slice(0, at)).split("/");
  const revision = at < 0 ? defaultRevision : text.slice(at + 1);
  if (!isPlainWord(organisation) || !isPlainWord(repository ?? "")) throw misnamed(name);
  if (file.length === 0) return { repository: `${organisation}/${repository}`, revision };
  const path = file.join("/");
  if (!isSafePath(path)) throw misnamed(name);
  return { repository: `${organisation}/${repository}`, file: path, revision };
}

function requireRevision(name: string, { revision }: Pick<HubName, "revision">): void {
  if (!isRevision(revision)) throw new UserError(`${name}: "${revision}" is not a branch, tag or commit.`);
}

/** The name that means these very bytes for ever, whatever happens to the branch. */
export function pinnedName({ repository, file }: HubName, commit: string): string {
  return `${hubPrefix}${repository}${file === undefined ? "" : `/${file}`}@${commit}`;
}

/** A whole commit id, which never means other bytes. */
export function isCommit(revision: string): boolean {
  return /^[0-9a-f]{40}$/.test(revision);
}

/** What the Hub allows in names. Two hyphens separate the parts of a name in the cache. */
function isPlainWord(word: string): boolean {
  return /^[A-Za-z0-9_][\w.-]*$/.test(word) && !word.includes("--") && !word.includes("..");
}

/** Git's rules for references, as far as a path can be spoiled. */
function isRevision(revision: string): boolean {
  return /^[A-Za-z0-9_][\w.+/-]*$/.test(revision) && !/\.\.|\/\/|\/\.|\/$/.test(revision);
}

function misnamedModel(name: string): UserError {
  return new UserError(
    `"${name}" does not name a model of the Hub. Write hf:ORG/NAME, hf:ORG/NAME@REVISION or, for a GGUF file, hf:ORG/NAME/FILE.gguf, ` +
      "for example hf:HuggingFaceTB/SmolLM2-135M-Instruct.",
  );
}

function misnamedDataset(name: string): UserError {
  return new UserError(
    `"${name}" does not name a dataset of the Hub. Write hf:ORG/NAME, hf:ORG/NAME/FOLDER or hf:ORG/NAME/FILE, each with @REVISION behind it where one is meant, ` +
      "for example hf:RUC-NLPIR/FlashRAG_datasets/nq.",
  );
}
