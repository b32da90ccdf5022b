#!/usr/bin/env bash
# Exit 0: Node 20's TextDecoder still decodes as described here. Exit 1: it decodes otherwise now. Exit 2: not tried (no Node 20, or no package).
# Version: Node 20.20.2, beside iconv-lite 0.7.3, which decodes these as the WHATWG Encoding Standard says.
# Behaviour, though `decoder.encoding` says the standard's name and nothing fails:
# 1. windows-1252 (and iso-8859-1, us-ascii, which mean it): 0x80 to 0x9f become control characters; quotation marks, dashes and euros vanish.
# 2. euc-kr and big5 lack what windows-949 and HKSCS add: syllables and characters become controls, U+FFFD, private characters and stray letters.
# 3. gbk: characters of four bytes become U+FFFD and digits; the standard decodes gbk as gb18030. 4. iso-8859-16, a label of the standard: RangeError.
# Output seen, under JSON.stringify ("standard" is iconv-lite's):
#   windows-1252 Node "\x80 5" standard "€ 5"; euc-kr Node "\x8cc\ufffdR" standard "똠힣"; big5 Node "\uf266" (private) standard "䏰"
#   gbk Node "\ufffd4\ufffd5" standard "𠮷"; iso-8859-16 Node "RangeError" standard "Ș"
set -u
[ "$(node -p 'process.versions.node.split(".")[0]' 2>/dev/null)" = 20 ] || { echo "This is about Node 20."; exit 2; }
folder=$(mktemp -d) && trap 'rm -rf "$folder"' EXIT && cd "$folder" || exit 2
npm init -y >/dev/null && npm install --ignore-scripts --no-audit --no-fund iconv-lite@0.7.3 >/dev/null 2>&1 || exit 2
cat >show.cjs <<'JS'
const iconv = require("iconv-lite");
const cases = [
  ["windows-1252", "windows-1252", [0x80, 0x20, 0x35]],
  ["euc-kr", "cp949", [0x8c, 0x63, 0xc6, 0x52]],
  ["big5", "big5hkscs", [0x87, 0x40]],
  ["gbk", "gb18030", [0x95, 0x34, 0xb2, 0x35]],
  ["iso-8859-16", "iso-8859-16", [0xaa]],
];
const decoded = (label, bytes) => {
  try {
    return new TextDecoder(label).decode(Uint8Array.from(bytes));
  } catch (error) {
    return error.name;
  }
};
const right = cases.filter(([label, name, bytes]) => {
  const [node, standard] = [decoded(label, bytes), iconv.decode(Buffer.from(bytes), name)];
  console.log(`${label}: Node ${JSON.stringify(node)}, the standard ${JSON.stringify(standard)}`);
  return node === standard;
});
process.exit(right.length === 0 ? 0 : 1);
JS
node show.cjs
