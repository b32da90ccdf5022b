/** @file How a model of the Hub is named: `hf:ORG/NAME`, a file of it, a revision of it. */
import { isSafePath } from "../../../files/safe-path.js";
import { UserError } from "../../../errors.js";

const hubPrefix = "hf:";
const defaultRevision = "main";

export interface HubName {
  /** `ORG/NAME` */
  repository: string;
  /** The one GGUF file that is meant, as a path inside the repository; absent for a folder of safetensors. */
  file?: string;
  /** Set where an encoder or cross-encoder is meant and not a model that writes: which of its ONNX files, "" or a variant like "fp16". */
  onnx?: string;
  /** Branch, tag or commit. */
  revision: string;
}

/** Whether a model is named as one of the Hub's, rather than as a folder or file. */
export function isHubName(name: string): boolean {
  return name.startsWith(hubPrefix);
}

/**
 * Reads `[hf:]ORG/NAME[/FILE.gguf][@REVISION]`.
 * @throws UserError for everything else
 */
export function parseHubName(name: string): HubName {
  const text = isHubName(name) ? name.slice(hubPrefix.length) : name;
  const at = text.indexOf("@");
  const [organisation, repository, ...file] = (at < 0 ? text : text.slice(0, at)).split("/");
  const revision = at < 0 ? defaultRevision : text.slice(at + 1);
  if (!isPlainWord(organisation) || !isPlainWord(repository ?? "")) throw misnamed(name);
  if (/\.gguf$/i.test(revision))
    throw new UserError(
      `${name}: the revision belongs behind the file, as hf:${organisation}/${repository}/FILE.gguf@REVISION.`,
    );
  if (!isRevision(revision)) throw new UserError(`${name}: "${revision}" is not a branch, tag or commit.`);
  if (file.length === 0) return { repository: `${organisation}/${repository}`, revision };
  const path = file.join("/");
  if (!isSafePath(path) || !/\.gguf$/i.test(path)) throw misnamed(name);
  return { repository: `${organisation}/${repository}`, file: path, revision };
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

function misnamed(name: string): UserError {
  return new UserError(
    `"${name}" does not name a model of the Hub. Write hf:ORG/NAME, hf:ORG/NAME@REVISION or, for a GGUF file, hf:ORG/NAME/FILE.gguf, ` +
      "for example hf:HuggingFaceTB/SmolLM2-135M-Instruct.",
  );
}
