import { describe, expect, it } from "vitest";
import { decodePage } from "./charset.js";

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
  ])("%s", (_, body, charset, text) => {
    expect(decodePage(body, charset)).toBe(text);
  });
});
