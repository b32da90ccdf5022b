#!/usr/bin/env bash
# Exit 0: unpdf 1.4.0 still behaves as described here. Exit 1: it behaves otherwise now. Exit 2: the packages could not be installed or run.
#
# Version: unpdf 1.4.0 (with pdf.js 5.4.296 inside), beside the CMaps of pdfjs-dist 5.4.296 (Node 20).
#
# Behaviour: a PDF whose Chinese, Japanese or Korean font names one of Adobe's predefined CMaps, as ISO 32000 allows, loses that text: the page has no
# text items, and neither an error nor a rejected promise says so. Text in other fonts of the page comes out, so the loss is easily overlooked. pdf.js
# reads such fonts with tables that unpdf does not ship. With a `CMapReaderFactory` over the `cmaps` folder of pdfjs-dist the text is there.
#
# Output seen: {"alone":["Ferry"],"withCMaps":["Ferry","渡轮"]}
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
{ npm init -y && npm install --silent --no-audit --no-fund --ignore-scripts --omit=optional unpdf@1.4.0 pdfjs-dist@5.4.296; } > /dev/null || exit 2
cat > try.mjs <<'JS'
import { readFile } from "node:fs/promises";
import { getDocumentProxy } from "unpdf";
const descriptor =
  "<< /Type /FontDescriptor /FontName /Sans /Flags 4 /FontBBox [0 0 1000 1000] /ItalicAngle 0 /Ascent 800 /Descent -200 /CapHeight 700 /StemV 80 >>";
const system = "<< /Registry (Adobe) /Ordering (GB1) /Supplement 2 >>";
const descendant = `<< /Type /Font /Subtype /CIDFontType0 /BaseFont /Sans /CIDSystemInfo ${system} /DW 1000 /FontDescriptor ${descriptor} >>`;
const shown = "BT /F1 12 Tf 72 700 Td (Ferry) Tj ET BT /F2 12 Tf 72 680 Td <6e218f6e> Tj ET";
const objects = [
  "<< /Type /Catalog /Pages 2 0 R >>",
  "<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
  "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Resources << /Font << /F1 4 0 R /F2 5 0 R >> >> /Contents 6 0 R >>",
  "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
  `<< /Type /Font /Subtype /Type0 /BaseFont /Sans /Encoding /UniGB-UCS2-H /DescendantFonts [${descendant}] >>`,
  `<< /Length ${shown.length} >>\nstream\n${shown}\nendstream`,
];
let body = "%PDF-1.4\n";
const offsets = objects.map((object, index) => {
  const offset = body.length;
  body += `${index + 1} 0 obj\n${object}\nendobj\n`;
  return offset;
});
const table = offsets.map((offset) => `${String(offset).padStart(10, "0")} 00000 n \n`).join("");
const file = `${body}xref\n0 7\n0000000000 65535 f \n${table}trailer\n<< /Size 7 /Root 1 0 R >>\nstartxref\n${body.length}\n%%EOF\n`;
class CMaps {
  async fetch({ name }) {
    return { cMapData: new Uint8Array(await readFile(`node_modules/pdfjs-dist/cmaps/${name}.bcmap`)), isCompressed: true };
  }
}
async function texts(options) {
  const pdf = await getDocumentProxy(new TextEncoder().encode(file), { verbosity: 0, ...options });
  const { items } = await (await pdf.getPage(1)).getTextContent();
  return items.map(({ str }) => str).filter((str) => str !== "");
}
console.log(JSON.stringify({ alone: await texts({}), withCMaps: await texts({ CMapReaderFactory: CMaps }) }));
JS
seen=$(node try.mjs) || exit 2
echo "$seen"
[ "$seen" = '{"alone":["Ferry"],"withCMaps":["Ferry","渡轮"]}' ] || { echo "It has changed."; exit 1; }
