/** @file Bytes as text: by their byte order mark, by what a page and its server say, or by what the bytes look like, in this order (WHATWG HTML). */
import { isUtf8 } from "node:buffer";
import { TextDecoder } from "node:util";

/** How much of a page is searched for its own word. Bytes. */
const metaBytes = 1_024;

/**
 * A page of the web, which may name its charset itself.
 * @param charset what the server says; empty where it says nothing
 */
export function decodePage(bytes: Uint8Array, charset: string): string {
  return decodeText(bytes, [charset, charsetOfMeta(bytes)]);
}

/** @param charsets what is said about the bytes, the most reliable first; unknown names are skipped */
export function decodeText(bytes: Uint8Array, charsets: readonly string[] = []): string {
  const said = charsets.map(decoderOf).find((decoder) => decoder !== undefined);
  const decoder = bomOf(bytes) ?? said ?? new TextDecoder(isUtf8(bytes) ? "utf-8" : "windows-1252");
  const text = decoder.decode(bytes);
  return decoder.encoding === "windows-1252" ? text.replace(/[\x80-\x9f]/g, windows1252) : text;
}

/** What Node before 23.7 takes for control characters: it decodes windows-1252, which is also what iso-8859-1 means on the web, as Latin-1. */
function windows1252(control: string): string {
  return upper1252[control.charCodeAt(0) - 0x80];
}

const upper1252 = "€\x81‚ƒ„…†‡ˆ‰Š‹Œ\x8dŽ\x8f\x90‘’“”•–—˜™š›œ\x9džŸ";

function bomOf(bytes: Uint8Array): TextDecoder | undefined {
  if (bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf) return new TextDecoder("utf-8");
  if (bytes[0] === 0xfe && bytes[1] === 0xff) return new TextDecoder("utf-16be");
  if (bytes[0] === 0xff && bytes[1] === 0xfe) return new TextDecoder("utf-16le");
  return undefined;
}

/** Undefined for unknown labels. */
function decoderOf(label: string): TextDecoder | undefined {
  if (label === "") return undefined;
  try {
    return new TextDecoder(label);
  } catch {
    return undefined;
  }
}

/** A page that says of itself in single bytes that it is UTF-16 is not. */
function charsetOfMeta(bytes: Uint8Array): string {
  const start = Buffer.from(bytes.subarray(0, metaBytes)).toString("latin1");
  const label = /<(?:meta|\?xml)[^>]*?(?:charset|encoding)\s*=\s*["']?\s*([^\s"'/>;]+)/i.exec(start)?.[1] ?? "";
  return /^utf-?16/i.test(label) ? "utf-8" : label;
}
