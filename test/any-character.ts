/** @file Characters of any kind for properties: `unit: anyCharacter`. The same as fast-check's "binary", which takes a second to make. */
import fc from "fast-check";

/** One code point, surrogates apart, each as likely as the others. */
export const anyCharacter = fc
  .integer({ min: 0, max: 0x10ffff - 0x800 })
  .map((number) => String.fromCodePoint(number < 0xd800 ? number : number + 0x800));
