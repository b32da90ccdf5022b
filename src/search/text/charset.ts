/**
 * @file Bytes as text: by their byte order mark, by what a page and its server say, or by what the bytes look like, in this order (WHATWG HTML).
 * One decoder for local files and for the web. Labels mean what the WHATWG Encoding Standard says: iso-8859-1 is windows-1252, gb2312 is gb18030.
 */
import { isUtf8 } from "node:buffer";
import { TextDecoder } from "node:util";
import iconv from "iconv-lite";

type Decode = (bytes: Uint8Array) => string;

/** How much of a page is searched for its own word. Bytes. The standard looks at 1,024 first, and at later ones while it parses. */
const declaredWithin = 16_384;

/** What stands in a page's head and is no declaration, whatever it says. */
const ignored = /<!--[^]*?(?:-->|$)|<(script|style|title|noscript)\b[^]*?(?:<\/\1|$)/gi;

/**
 * A page of HTML, local or of the web, which may name its charset itself: in an XML declaration or a meta element.
 * @param charset what the server says; empty where there is none or it says nothing
 */
export function decodePage(bytes: Uint8Array, charset = ""): string {
  const start = Buffer.from(bytes.subarray(0, declaredWithin)).toString("latin1");
  const ofXml = /^\s*<\?xml\s[^>]*?\bencoding\s*=\s*["']?\s*([^\s"'>?]+)/i.exec(start)?.[1] ?? "";
  // A page that says in single bytes that it is UTF-16 is wrong.
  const own = [ofXml, ...charsetsOfMetas(start)].map((label) => (/^utf-?16/i.test(label) ? "utf-8" : label));
  return decodeText(bytes, [charset, ...own]);
}

/** @param charsets what is said about the bytes, the most reliable first; unknown names are skipped */
export function decodeText(bytes: Uint8Array, charsets: readonly string[] = []): string {
  const said = charsets.map(decoderOf).find((decode) => decode !== undefined);
  return (bomOf(bytes) ?? said ?? undeclared)(bytes);
}

/**
 * UTF-8, though some bytes of it may be damaged, else windows-1252: in a text of any other charset, characters that happen to be UTF-8 are
 * rarer than bytes that are not.
 */
function undeclared(bytes: Uint8Array): string {
  const text = new TextDecoder().decode(bytes);
  if (isUtf8(bytes) || text.replace(/[\0-\x7f\ufffd]+/g, "").length >= text.split("\ufffd").length - 1) return text;
  return iconv.decode(bytes, "windows-1252");
}

function bomOf(bytes: Uint8Array): Decode | undefined {
  if (bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf) return decoderOf("utf-8");
  if (bytes[0] === 0xfe && bytes[1] === 0xff) return decoderOf("utf-16be");
  if (bytes[0] === 0xff && bytes[1] === 0xfe) return decoderOf("utf-16le");
  return undefined;
}

/**
 * Where Node's own decoder departs from the standard: Node 20 takes windows-1252 for Latin-1, knows no iso-8859-16, and its euc-kr and big5 lack the
 * characters of windows-949 and HKSCS. By the standard's names; the values are iconv-lite's.
 */
const byIconv = new Map([
  ["windows-1252", "windows-1252"],
  ["euc-kr", "cp949"],
  ["big5", "big5hkscs"],
  ["iso-8859-16", "iso-8859-16"],
]);

/** Undefined for unknown labels. */
function decoderOf(label: string): Decode | undefined {
  if (label === "") return undefined;
  const name = nameOf(label);
  if (name === undefined) return undefined;
  const other = byIconv.get(name);
  if (other !== undefined) return (bytes) => iconv.decode(bytes, other);
  // The standard decodes gbk as its superset, Node does not.
  const decoder = new TextDecoder(name === "gbk" ? "gb18030" : name);
  return (bytes) => decoder.decode(bytes);
}

/** The standard's name of a charset; undefined for unknown labels. */
function nameOf(label: string): string | undefined {
  const plain = label.trim().toLowerCase();
  if (byIconv.has(plain)) return plain;
  try {
    return new TextDecoder(plain).encoding;
  } catch {
    return undefined;
  }
}

/** What the meta elements of a page's beginning say, in order. */
function charsetsOfMetas(start: string): string[] {
  const metas = start.replace(ignored, " ").matchAll(/<meta[\s/]((?:[^>"']|"[^"]*"|'[^']*')*)>/gi);
  return Array.from(metas, ([, attributes]) => {
    const { charset, "http-equiv": header, content } = attributesOf(attributes);
    if (charset !== undefined) return charset;
    if (header?.trim().toLowerCase() !== "content-type") return "";
    return /charset\s*=\s*["']?\s*([^\s"';]+)/i.exec(content ?? "")?.[1] ?? "";
  });
}

function attributesOf(text: string): Partial<Record<string, string>> {
  const pairs = text.matchAll(/([^\s"'>/=]+)\s*=\s*(?:"([^"]*)"|'([^']*)'|([^\s"'>]+))/g);
  return Object.fromEntries(
    Array.from(pairs, ([, name, ...values]) => [name.toLowerCase(), values.find((value) => value !== undefined)]),
  );
}
