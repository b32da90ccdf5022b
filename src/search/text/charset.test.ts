import { describe, expect, it } from "vitest";
import { decodePage, decodeText } from "./charset.js";

const bytes = (...parts: (string | number[])[]): Uint8Array =>
  Buffer.concat(parts.map((part) => (typeof part === "string" ? Buffer.from(part, "latin1") : Buffer.from(part))));

describe("charset of a page", () => {
  it.each<[string, Uint8Array, string, string]>([
    ["the server's word", bytes("caf\xe9"), "iso-8859-1", "café"],
    [
      "a byte order mark before the server's word",
      bytes([0xef, 0xbb, 0xbf], Buffer.from("é").toString("latin1")),
      "iso-8859-1",
      "é",
    ],
    ["UTF-16 by its mark", bytes([0xff, 0xfe, 0x41, 0, 0x42, 0]), "", "AB"],
    ["the page's meta", bytes('<meta charset="windows-1251">', [0xcf, 0xf0]), "", '<meta charset="windows-1251">Пр'],
    [
      "the page's older meta",
      bytes("<meta http-equiv=Content-Type content='text/html; charset=shift_jis'>", [0x93, 0x8c]),
      "",
      "<meta http-equiv=Content-Type content='text/html; charset=shift_jis'>東",
    ],
    [
      "an XML declaration",
      bytes('<?xml version="1.0" encoding="iso-8859-2"?>', [0xb3]),
      "",
      '<?xml version="1.0" encoding="iso-8859-2"?>ł',
    ],
    ["a label that nobody knows", bytes(Buffer.from("é").toString("latin1")), "klingon", "é"],
    ["a meta that cannot be true", bytes("<meta charset=utf-16>a"), "", "<meta charset=utf-16>a"],
    ["nothing said, UTF-8", bytes(Buffer.from("東京").toString("latin1")), "", "東京"],
    ["nothing said, no UTF-8", bytes("na\xefve \x93quoted\x94"), "", "naïve “quoted”"],
    ["a wrong word: replaced, not refused", bytes("caf\xe9"), "utf-8", "caf\ufffd"],
    [
      "a meta behind a long head",
      bytes(`<link href="${"a".repeat(5000)}">`, "<meta charset='koi8-r'>", [0xf0, 0xd2]),
      "",
      `<link href="${"a".repeat(5000)}"><meta charset='koi8-r'>Пр`,
    ],
    ["an unquoted meta in capitals", bytes("<META CHARSET=Big5>", [0xa4, 0xa4]), "", "<META CHARSET=Big5>中"],
    [
      "the first meta that is known",
      bytes('<meta charset="klingon"><meta charset="euc-jp">', [0xc5, 0xec]),
      "",
      '<meta charset="klingon"><meta charset="euc-jp">東',
    ],
  ])("%s", (_, body, charset, text) => {
    expect(decodePage(body, charset)).toBe(text);
  });

  it.each([
    '<!-- <meta charset="koi8-r"> -->',
    `<script>write('<meta charset="koi8-r">')</script>`,
    '<title>The <meta charset="koi8-r"> element</title>',
    '<meta name="description" content="text/html; charset=koi8-r">',
    '<meta name="author" title=" charset=koi8-r ">',
    '<p>It begins with <?xml version="1.0" encoding="koi8-r"?></p>',
  ])("is not what %s says", (start) => {
    expect(decodePage(Buffer.from(`${start}é`))).toBe(`${start}é`);
  });

  it("takes no longer for a page that never ends its tags", () => {
    const started = performance.now();
    for (const piece of ["<meta ", '<meta a="', "<!--", "<script>", "<?xml "]) decodePage(bytes(piece.repeat(20_000)));
    expect(performance.now() - started).toBeLessThan(2_000);
  });
});

describe("charsets by their names", () => {
  // As the WHATWG Encoding Standard decodes them. Made with Python's codecs of these charsets.
  it.each<[string, number[], string]>([
    ["iso-8859-1", [0x80, 0x93, 0xfc, 0x94], "€“ü”"],
    ["us-ascii", [0x85], "…"],
    ["windows-1250", [0x8a, 0xb9], "Šą"],
    ["windows-1251", [0xcc, 0xee, 0xf1, 0xea, 0xe2, 0xe0], "Москва"],
    ["iso-8859-2", [0xa3, 0xf3, 0x64, 0xbc], "Łódź"],
    ["iso-8859-9", [0xdd, 0xfe, 0x80], "İş€"],
    ["iso-8859-15", [0xa4, 0xbd], "€œ"],
    ["iso-8859-16", [0xaa, 0xde], "ȘȚ"],
    ["gb2312", [0xb1, 0xb1, 0xbe, 0xa9, 0x80, 0x95, 0x34, 0xb2, 0x35], "北京€𠮷"],
    ["big5", [0xa5, 0x78, 0x87, 0x40], "台䏰"],
    ["shift_jis", [0x93, 0x8c, 0x8b, 0x9e, 0x87, 0x40], "東京①"],
    ["euc-jp", [0xc5, 0xec, 0xb5, 0xfe], "東京"],
    ["iso-2022-jp", [0x1b, 0x24, 0x42, 0x45, 0x6c, 0x1b, 0x28, 0x42], "東"],
    ["euc-kr", [0xc7, 0xd1, 0x8c, 0x63, 0xc6, 0x52], "한똠힣"],
    ["windows-874", [0xb7, 0xe4], "ทไ"],
  ])("%s", (charset, encoded, text) => {
    expect(decodeText(Buffer.from(encoded), [charset])).toBe(text);
  });
});

describe("a text that says nothing", () => {
  const utf8 = (text: string): Buffer => Buffer.from(text);
  it.each<[string, Uint8Array, string]>([
    [
      "stays UTF-8 with a stray byte",
      bytes(utf8("Müller – “na").toString("latin1"), [0xef], "ve"),
      "Müller – “na\ufffdve",
    ],
    ["stays UTF-8 when its end is cut off", utf8("Łódź, 東京").subarray(0, -1), "Łódź, 東\ufffd"],
    ["stays UTF-8 beside half a character for each whole one", bytes(utf8("é").toString("latin1"), [0xe9]), "é\ufffd"],
    ["is windows-1252 where most is no UTF-8", bytes("M\xfcller, na\xefve, caf\xe9 \x80"), "Müller, naïve, café €"],
    ["keeps a replacement character that it holds", utf8("a \ufffd b"), "a \ufffd b"],
  ])("%s", (_, body, text) => {
    expect(decodeText(body)).toBe(text);
  });
});
