/** @file Small PDFs written by hand, after ISO 32000-1: objects, a table of their offsets, a trailer. */

/** Lines of text on each page. ASCII without brackets. */
export function makePdf({
  title,
  pages,
}: {
  title?: string;
  pages: readonly (readonly string[])[];
}): Uint8Array<ArrayBuffer> {
  return drawPdf({
    pages: pages.map((lines) => ({ content: linesOfText(lines.map((line) => `(${line})`)) })),
    ...(title === undefined ? {} : { more: [`<< /Title (${title}) >>`], trailer: " /Info LAST 0 R" }),
  });
}

/** Operators that show strings, as PDF writes them, one below the other. */
export function linesOfText(strings: readonly string[]): string {
  return strings.map((string, row) => `BT /F1 12 Tf 72 ${720 - row * 14} Td ${string} Tj ET`).join("\n");
}

/** A font that is not in the file, whose codes mean characters by a CMap that the file only names. */
export function cjkFont(cmap: string, ordering: string): string {
  const descriptor =
    "<< /Type /FontDescriptor /FontName /Sans /Flags 4 /FontBBox [0 0 1000 1000] /ItalicAngle 0 /Ascent 800 /Descent -200 /CapHeight 700 /StemV 80 >>";
  const system = `<< /Registry (Adobe) /Ordering (${ordering}) /Supplement 2 >>`;
  const descendant = `<< /Type /Font /Subtype /CIDFontType0 /BaseFont /Sans /CIDSystemInfo ${system} /DW 1000 /FontDescriptor ${descriptor} >>`;
  return `<< /Type /Font /Subtype /Type0 /BaseFont /Sans /Encoding /${cmap} /DescendantFonts [${descendant}] >>`;
}

/** A PDF that wants a password: its keys are made up, so that the empty one cannot be right. */
export function encryptedPdf(): Uint8Array<ArrayBuffer> {
  const key = `<${"ab".repeat(32)}>`;
  const dictionary = `<< /Filter /Standard /V 1 /R 2 /O ${key} /U ${key} /P -4 >>`;
  return drawPdf({
    pages: [{ content: linesOfText(["(secret)"]) }],
    more: [dictionary],
    trailer: ` /Encrypt LAST 0 R /ID [<${"01".repeat(16)}> <${"01".repeat(16)}>]`,
  });
}

interface Page {
  /** Operators. */
  content: string;
  /** Objects that are annotations of it. */
  annotations?: readonly string[];
  /** Degrees by which it is turned. */
  rotate?: number;
}

/** @param trailer entries; LAST is the number of the last of the `more` objects */
export function drawPdf({
  pages,
  font = "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
  catalog = "",
  more = [],
  trailer = "",
}: {
  pages: readonly Page[];
  font?: string;
  catalog?: string;
  more?: readonly string[];
  trailer?: string;
}): Uint8Array<ArrayBuffer> {
  const kids = pages.map((_, index) => `${4 + index * 2} 0 R`).join(" ");
  const objects = [
    `<< /Type /Catalog /Pages 2 0 R ${catalog} >>`,
    `<< /Type /Pages /Kids [${kids}] /Count ${pages.length} >>`,
    font,
    ...pages.flatMap(({ content, annotations = [], rotate = 0 }, index) => [
      `<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Rotate ${rotate} /Resources << /Font << /F1 3 0 R >> >> /Contents ${5 + index * 2} 0 R /Annots [${annotations.join(" ")}] >>`,
      `<< /Length ${content.length} >>\nstream\n${content}\nendstream`,
    ]),
    ...more,
  ];
  let body = "%PDF-1.4\n";
  const offsets = objects.map((object, index) => {
    const offset = body.length;
    body += `${index + 1} 0 obj\n${object}\nendobj\n`;
    return offset;
  });
  const table = offsets.map((offset) => `${String(offset).padStart(10, "0")} 00000 n \n`).join("");
  const end = `xref\n0 ${objects.length + 1}\n0000000000 65535 f \n${table}trailer\n<< /Size ${objects.length + 1} /Root 1 0 R${trailer.replace("LAST", String(objects.length))} >>\nstartxref\n${body.length}\n%%EOF\n`;
  return Uint8Array.from(body + end, (character) => character.charCodeAt(0));
}
