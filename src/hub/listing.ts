/** @file What a repository holds, asked through @huggingface/hub. */
import type { ListFileEntry } from "@huggingface/hub";
import { isSafePath } from "../files/safe-path.js";
import { isCommit, type HubName } from "./name.js";
import { HubError, pageOf, type HubTransport } from "./transport.js";

export interface ListedFile {
  path: string;
  /** Bytes. */
  size: number;
  /** Name of the blob in the cache: the SHA-256 of large files, Git's SHA-1 of small ones. */
  etag: string;
}

/** The commit that a revision means now. */
export async function commitOf(transport: HubTransport, { type, repository, revision }: HubName): Promise<string> {
  if (isCommit(revision)) return revision;
  const { datasetInfo, modelInfo } = await import("@huggingface/hub");
  const asked = { ...connection(transport), name: repository, revision, additionalFields: ["sha" as const] };
  const { sha } = await understood(transport, (): Promise<{ sha: unknown }> =>
    type === "dataset" ? datasetInfo(asked) : modelInfo(asked),
  );
  if (typeof sha !== "string" || !isCommit(sha)) throw strange(transport, `it named no commit for ${revision}`);
  return sha;
}

/** All files of a commit. Files whose names or checksums could not be used safely are left out. */
export async function listRepository(
  transport: HubTransport,
  { type = "model", repository }: HubName,
  commit: string,
): Promise<ListedFile[]> {
  const { listFiles } = await import("@huggingface/hub");
  return understood(transport, async () => {
    const files: ListedFile[] = [];
    const entries = listFiles({
      ...connection(transport),
      repo: { type, name: repository },
      revision: commit,
      recursive: true,
    });
    for await (const entry of entries) {
      const file = asListed(entry);
      if (file !== undefined) files.push(file);
    }
    return files;
  });
}

/** Where the bytes of a file are. Also files that the Hub keeps in Xet storage come from here, as plain HTTP. */
export function fileUrl(transport: HubTransport, name: HubName, commit: string, path: string): string {
  const encoded = path.split("/").map(encodeURIComponent).join("/");
  return `${pageOf(transport.settings, name)}/resolve/${commit}/${encoded}`;
}

/** The library gets no token: the transport adds it, for the Hub's own host alone. */
function connection(transport: HubTransport): { hubUrl: string; fetch: typeof fetch } {
  return { hubUrl: transport.settings.endpoint, fetch: transport.fetch };
}

function asListed({ type, path, size, oid, lfs }: ListFileEntry): ListedFile | undefined {
  const etag = lfs?.oid ?? oid ?? "";
  const isUsable = type === "file" && isSafePath(path) && /^([0-9a-f]{40}|[0-9a-f]{64})$/.test(etag);
  return isUsable ? { path, size: lfs?.size ?? size, etag } : undefined;
}

async function understood<T>(transport: HubTransport, ask: () => Promise<T>): Promise<T> {
  try {
    return await ask();
  } catch (error) {
    // JSON and shapes that the library could not read: a portal that asks for a login, or another server.
    if (error instanceof SyntaxError || error instanceof TypeError) throw strange(transport, error.message);
    throw error;
  }
}

function strange({ settings }: HubTransport, what: string): HubError {
  return new HubError(
    `${settings.endpoint} answers, but not as the Hub does (${what}). Check HF_ENDPOINT, and whether the network asks for a login first.`,
  );
}
