/** @file Documents of Word (.docx), by mammoth: headings, lists, tables and notes. Pictures, formulas, headers and footers are left out. */
import mammoth from "mammoth";
import { UserError } from "../../errors.js";
import { htmlBlocks } from "./html.js";
import type { ReadDocument } from "./read.js";

/** The title of a document that has one in its own style. */
const styleMap = ["p[style-name='Title'] => title:fresh"];

/** All files of the zip together, pictures included: mammoth takes many times as much memory as the XML among them is long. Bytes. */
const largestUnzipped = 256 * 1024 * 1024;

/**
 * @param largest bytes that its files may have unzipped, by what the zip says of them
 * @throws UserError for a file that is broken, encrypted, too large or no such document
 */
export async function readDocx(bytes: Uint8Array, largest = largestUnzipped): Promise<ReadDocument> {
  const noPicture = mammoth.images.imgElement(() => Promise.resolve({ src: "" }));
  try {
    const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    if (unzippedBytes(buffer) > largest)
      throw new UserError(`it is larger than ${largest / 1024 / 1024} MB unzipped: split it`);
    const options = { convertImage: noPicture, styleMap, externalFileAccess: false };
    const { value } = await mammoth.convertToHtml({ buffer }, options);
    return htmlBlocks(value);
  } catch (cause) {
    if (cause instanceof UserError) throw cause;
    const isOld = bytes[0] === 0xd0 && bytes[1] === 0xcf && bytes[2] === 0x11 && bytes[3] === 0xe0;
    throw new UserError(
      isOld
        ? "it is encrypted, or a .doc of Word before 2007: save it as .docx without a password"
        : `it cannot be read as a .docx (${(cause as Error).message})`,
      { cause },
    );
  }
}

/** What a zip says of its files' sizes, in its central directory (APPNOTE.TXT, 4.3.12 and 4.3.16); 0 where that is not found. */
function unzippedBytes(zip: Buffer): number {
  const end = zip.lastIndexOf("PK\x05\x06", undefined, "latin1");
  if (end < 0 || end + 22 > zip.length) return 0;
  let bytes = 0;
  let at = end - zip.readUInt32LE(end + 12);
  while (at >= 0 && at + 46 <= end && zip.readUInt32LE(at) === 0x02014b50) {
    bytes += zip.readUInt32LE(at + 24);
    at += 46 + zip.readUInt16LE(at + 28) + zip.readUInt16LE(at + 30) + zip.readUInt16LE(at + 32);
  }
  return bytes;
}
