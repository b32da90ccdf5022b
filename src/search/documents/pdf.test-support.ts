/** @file Small PDFs written by hand, after ISO 32000-1: objects, a table of their offsets, a trailer. */

/** Lines of text on each page. ASCII without brackets. */
export function makePdf({
  title,
  pages,
}: {
  title?: string;
  pages: readonly (readonly string[])[];
}): Uint8Array<ArrayBuffer> {
  return write(
    pages,
    title === undefined ? [] : [`<< /Title (${title}) >>`],
    title === undefined ? "" : " /Info LAST 0 R",
  );
}

/** A PDF that wants a password: its keys are made up, so that the empty one cannot be right. */
export function encryptedPdf(): Uint8Array<ArrayBuffer> {
  const key = `<${"ab".repeat(32)}>`;
  const dictionary = `<< /Filter /Standard /V 1 /R 2 /O ${key} /U ${key} /P -4 >>`;
  return write([["secret"]], [dictionary], ` /Encrypt LAST 0 R /ID [<${"01".repeat(16)}> <${"01".repeat(16)}>]`);
}

function write(
  pages: readonly (readonly string[])[],
  more: readonly string[],
  trailer: string,
): Uint8Array<ArrayBuffer> {
  const kids = pages.map((_, index) => `${4 + index * 2} 0 R`).join(" ");
  const objects = [
    "<< /Type /Catalog /Pages 2 0 R >>",
    `<< /Type /Pages /Kids [${kids}] /Count ${pages.length} >>`,
    "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
    ...pages.flatMap((lines, index) => {
      const shown = lines.map((line, row) => `BT /F1 12 Tf 72 ${720 - row * 14} Td (${line}) Tj ET`).join("\n");
      return [
        `<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Resources << /Font << /F1 3 0 R >> >> /Contents ${5 + index * 2} 0 R >>`,
        `<< /Length ${shown.length} >>\nstream\n${shown}\nendstream`,
      ];
    }),
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
  return new TextEncoder().encode(body + end);
}
