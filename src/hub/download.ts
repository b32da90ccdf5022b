/** @file One file's bytes: from where an earlier try stopped, checked against its checksum, in place only when whole and right. */
import { createHash, type Hash } from "node:crypto";
import { createReadStream } from "node:fs";
import { open, rename, rm, truncate } from "node:fs/promises";
import { fileSize } from "./cache.js";
import type { ListedFile } from "./listing.js";
import { HubError, type HubTransport } from "./transport.js";

/** Python's huggingface_hub calls unfinished blobs so, too. */
const unfinished = ".incomplete";

/** Bytes of a blob that an earlier try left. */
export async function unfinishedBytes(blob: string): Promise<number> {
  return Math.max(0, await fileSize(blob + unfinished));
}

/** Whether a file has the content that its listing promises. */
export async function isIntact(file: string, listed: ListedFile): Promise<boolean> {
  return (await fileSize(file)) === listed.size && (await hashFile(file, listed)).digest("hex") === listed.etag;
}

/**
 * Downloads a file to `blob`. Whatever stops it, the bytes so far stay in `blob.incomplete`, and the next call goes on there.
 * @param onBytes told of each piece that arrived
 * @throws HubError when it cannot be had or is not what was promised; file system errors; the signal's reason when it aborts
 */
export async function downloadBlob(
  transport: HubTransport,
  url: string,
  listed: ListedFile,
  blob: string,
  onBytes: (count: number) => void,
): Promise<void> {
  const partial = blob + unfinished;
  const before = await unfinishedBytes(blob);
  if (before > listed.size) await truncate(partial, 0);
  for (let isResumed = before > 0 && before <= listed.size; ; isResumed = false) {
    if ((await receive(transport, url, listed, partial, onBytes)) === listed.etag) break;
    await rm(partial, { force: true });
    // What an earlier try left may have been damaged: once more from the beginning.
    if (!isResumed) throw wrongChecksum(transport, listed);
  }
  await rename(partial, blob);
}

/** Fills the partial file up. @returns its checksum */
async function receive(
  transport: HubTransport,
  url: string,
  listed: ListedFile,
  partial: string,
  onBytes: (count: number) => void,
): Promise<string> {
  let hash = await hashFile(partial, listed);
  const file = await open(partial, "a");
  try {
    let length = (await file.stat()).size;
    let received = 0;
    const append = async (chunk: Uint8Array): Promise<void> => {
      await file.appendFile(chunk);
      hash.update(chunk);
      length += chunk.length;
      received += chunk.length;
      onBytes(chunk.length);
    };
    const startAnew = async (): Promise<void> => {
      await file.truncate(0);
      hash = hasher(listed);
      length = 0;
    };
    const attempt = async (): Promise<void> => {
      const answer = await transport.open(url, {
        "accept-encoding": "identity",
        ...(length > 0 ? { range: `bytes=${length}-` } : {}),
      });
      try {
        if (length > 0 && !continuesAt(answer.response, length)) await startAnew();
        if (answer.response.status === 416) throw cutOff(transport, listed);
        const reader = (answer.response.body as ReadableStream<Uint8Array> | null)?.getReader();
        try {
          while (reader !== undefined && length <= listed.size) {
            const { done, value } = await transport.reading(reader.read(), answer.response.url || url);
            if (done) break;
            answer.alive();
            await append(value);
          }
        } finally {
          await reader?.cancel().catch(() => undefined);
        }
      } finally {
        answer.close();
      }
      if (length < listed.size) throw cutOff(transport, listed);
    };
    if (length < listed.size || listed.size === 0) await transport.withRetries(attempt, () => received);
    await file.sync();
  } finally {
    await file.close();
  }
  return hash.digest("hex");
}

/** Whether an answer to a range begins where it was asked to. A server that knows no ranges sends all with status 200. */
function continuesAt({ status, headers }: Response, offset: number): boolean {
  return status === 206 && Number(/^bytes (\d+)-/.exec(headers.get("content-range") ?? "")?.[1]) === offset;
}

/** The hash of a file so far; of nothing where there is no file. */
async function hashFile(file: string, listed: ListedFile): Promise<Hash> {
  const hash = hasher(listed);
  const size = await fileSize(file);
  if (size <= 0) return hash;
  for await (const chunk of createReadStream(file, { end: size - 1, highWaterMark: 2 ** 20 }))
    hash.update(chunk as Buffer);
  return hash;
}

/** Large files have their SHA-256; small ones Git's: the SHA-1 of a header and the content. */
function hasher({ etag, size }: ListedFile): Hash {
  return etag.length === 64 ? createHash("sha256") : createHash("sha1").update(`blob ${size}\0`);
}

function cutOff({ settings }: HubTransport, { path }: ListedFile): HubError {
  return new HubError(
    `The connection to ${settings.endpoint} ended again and again before the end of ${path}. Run the same command again: it goes on where it stopped.`,
    { isRetryable: true, isUnavailable: true },
  );
}

function wrongChecksum({ settings }: HubTransport, { path, etag, size }: ListedFile): HubError {
  return new HubError(
    `What arrived as ${path} is not what ${settings.endpoint} lists (checksum ${etag}, ${size} bytes), and was deleted. ` +
      "Run the same command again; if it happens again, something between here and the Hub changes files.",
  );
}
