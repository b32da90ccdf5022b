/** @file JSON that carries the checksum of its own content. */
import { createHash } from "node:crypto";

/** An object as JSON with the checksum of its own content, which stands in the field `seal`. */
export function withChecksum(content: object): string {
  return JSON.stringify({ ...content, seal: checksumOf(content) }, null, 2) + "\n";
}

/**
 * What {@link withChecksum} wrote, and whether the checksum fits the content: undefined where there is none, as older versions wrote some files.
 * @throws SyntaxError when it is not JSON; RangeError when it is nested too deep to be written again
 */
export function parseChecksummed(text: string): { content: Record<string, unknown>; isWhole: boolean | undefined } {
  const parsed = JSON.parse(text) as Record<string, unknown> | null;
  if (typeof parsed !== "object" || parsed === null) return { content: {}, isWhole: undefined };
  const { seal, ...content } = parsed;
  return { content, isWhole: seal === undefined ? undefined : seal === checksumOf(content) };
}

function checksumOf(content: object): string {
  return createHash("sha256").update(JSON.stringify(content)).digest("hex");
}
