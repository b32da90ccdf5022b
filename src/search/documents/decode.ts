/** @file Bytes of a text file as text: UTF-8, UTF-16 by its mark, else Windows-1252 (which Latin-1 is a part of). */
import { isUtf8 } from "node:buffer";
import { UserError } from "../../errors.js";

/** @throws UserError for what is no text. Line breaks become "\n". */
export function decodeText(bytes: Uint8Array): string {
  const text = decode(bytes).replace(/\r\n?/g, "\n");
  // Characters that no text holds: the file is something else, whatever its ending.
  if (text.includes("\0")) throw new UserError("it is not a text file (it holds zero bytes)");
  return text;
}

function decode(bytes: Uint8Array): string {
  if (bytes[0] === 0xff && bytes[1] === 0xfe) return new TextDecoder("utf-16le").decode(bytes);
  if (bytes[0] === 0xfe && bytes[1] === 0xff) return new TextDecoder("utf-16be").decode(bytes);
  if (isUtf8(bytes)) return new TextDecoder("utf-8").decode(bytes);
  return new TextDecoder("windows-1252").decode(bytes);
}
