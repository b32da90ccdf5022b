/** @file Documents of Word (.docx), by mammoth: headings, lists, tables and notes. Pictures, formulas, headers and footers are left out. */
import mammoth from "mammoth";
import { UserError } from "../../errors.js";
import { htmlBlocks } from "./html.js";
import type { ReadDocument } from "./read.js";

/** The title of a document that has one in its own style. */
const styleMap = ["p[style-name='Title'] => title:fresh"];

/** @throws UserError for a file that is broken, encrypted or no such document */
export async function readDocx(bytes: Uint8Array): Promise<ReadDocument> {
  const noPicture = mammoth.images.imgElement(() => Promise.resolve({ src: "" }));
  try {
    const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    const { value } = await mammoth.convertToHtml({ buffer }, { convertImage: noPicture, styleMap });
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
