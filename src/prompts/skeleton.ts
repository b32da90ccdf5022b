/**
 * @file The skeleton of a text: what is left when everything is undone by which structure is disguised. Compatibility forms are decomposed (NFKD),
 * entities of HTML decoded, letters of other scripts and brackets that look alike made plain, case dropped, white space, marks and invisible
 * characters left out. So `</ANSWER>`, `< / answer >`, `＜/answer＞`, `&lt;/answer&gt;`, `</аnswer>` with a Cyrillic а and an `</answer>` split
 * by a zero-width space all have the skeleton `</answer>`.
 */

/** Left out of skeletons; legitimate elsewhere (accents, joiners in Persian or emoji), so not all of it is removed from texts. */
const ignorable = /[\s\p{Cf}\p{Mn}\p{Me}\p{Default_Ignorable_Code_Point}]+/gu;
/** A plain sign or letter, and what looks like it: Cyrillic, Greek, Armenian and Latin letters; capitals too, whose small letters look otherwise. */
const lookAlikes = [
  ...["<‹〈⟨《⟪❮❬❰⧼ᐸ˂≺⋖«", ">›〉⟩》⟫❯❭❱⧽ᐳ˃≻⋗»", "/⁄∕⧸╱⟋", "|∣ǀ│❘⏐¦"],
  ...["aаАαΑɑᴀ", "bВΒƅЬьʙ", "cсСςᴄ", "dԁɗᴅ", "eеЕΕҽєᴇ", "fƒ", "gɡԍɢց", "hһНΗհʜ", "iіІιΙıɩӏɪ", "jјЈϳᴊ"],
  ...["kкКκΚᴋ", "lӀⅼʟ", "mмМΜᴍ", "nΝոռпηɴ", "oоОοΟσօᴏ", "pрРρΡᴘ", "qԛզ", "rгᴦʀ", "sѕЅʂꜱ", "tтТτΤᴛ"],
  ...["uυսᴜ", "vѵνᴠ", "wԝѡᴡ", "xхХΧχ", "yуУүγΥʏ", "zᴢΖ"],
];
const plainOf = new Map(lookAlikes.flatMap(([plain, ...others]) => others.map((other) => [other, plain] as const)));
const lookAlike = new RegExp(`[${[...plainOf.keys()].join("")}]`, "gu");

/** The entities that HTML has for ASCII signs, white space and invisible characters. */
const named: Readonly<Record<string, string>> = {
  ...{ lt: "<", LT: "<", gt: ">", GT: ">", sol: "/", vert: "|", verbar: "|", VerticalLine: "|", lowbar: "_" },
  ...{ UnderBar: "_", lsqb: "[", lbrack: "[", rsqb: "]", rbrack: "]", lcub: "{", lbrace: "{", rcub: "}" },
  ...{
    rbrace: "}",
    lpar: "(",
    rpar: ")",
    Tab: "\t",
    NewLine: "\n",
    nbsp: "\u00a0",
    shy: "\u00ad",
    zwj: "\u200d",
    zwnj: "\u200c",
  },
  ...{ ZeroWidthSpace: "\u200b", NoBreak: "\u2060", lrm: "\u200e", rlm: "\u200f" },
};
/** Encoded twice and oftener too: `&amp;lt;`. */
const entitySource = `&(?:amp;|#0*38;|#[xX]0*26;)*(?:(?:${Object.keys(named).join("|")})(?:;|(?<=[lg]t|[LG]T))|#0*\\d{1,7};?|#[xX]0*[0-9a-fA-F]{1,6};?)`;
const entity = new RegExp(entitySource, "g");
const entityHere = new RegExp(entitySource, "y");

/** The text with these entities decoded. */
function decodeEntities(text: string): string {
  return text.includes("&") ? text.replace(entity, decodeEntity) : text;
}

function decodeEntity(written: string): string {
  const name = written.replace(/^&(?:amp;|#0*38;|#x0*26;)*/i, "").replace(/;$/, "");
  if (!name.startsWith("#")) return named[name];
  const codePoint = /^#x/i.test(name) ? parseInt(name.slice(2), 16) : parseInt(name.slice(1), 10);
  return codePoint > 0x10ffff ? "\ufffd" : String.fromCodePoint(codePoint);
}

/** The skeleton without positions. The same for a text as for its pieces (characters, entities) one by one: what is context-bound is left out. */
export function fold(text: string): string {
  const decoded = decodeEntities(text);
  if (/^[\0-\x7f]*$/.test(decoded)) return decoded.toLowerCase().replace(/\s+/g, "");
  return decoded
    .normalize("NFKD")
    .replace(lookAlike, (character) => plainOf.get(character) as string)
    .toLowerCase()
    .replace(ignorable, "");
}

interface Skeleton {
  folded: string;
  /** For each unit of `folded`, where its piece begins and ends in the text. */
  starts: number[];
  ends: number[];
}

/** The skeleton, and where its parts stand in the text. */
export function skeletonOf(text: string): Skeleton {
  const pieces: string[] = [];
  const starts: number[] = [];
  const ends: number[] = [];
  for (let position = 0; position < text.length;) {
    const piece = pieceAt(text, position);
    const folded = foldPiece(piece);
    const end = position + piece.length;
    for (let unit = 0; unit < folded.length; unit++) {
      starts.push(position);
      ends.push(end);
    }
    pieces.push(folded);
    position = end;
  }
  return { folded: pieces.join(""), starts, ends };
}

/** A text as its pieces: entities and characters. */
export function piecesOf(text: string): string[] {
  const pieces: string[] = [];
  for (let position = 0; position < text.length; position += pieces[pieces.length - 1].length)
    pieces.push(pieceAt(text, position));
  return pieces;
}

function pieceAt(text: string, position: number): string {
  const character = String.fromCodePoint(text.codePointAt(position) as number);
  if (character !== "&") return character;
  entityHere.lastIndex = position;
  return entityHere.exec(text)?.[0] ?? character;
}

/** Folds of characters met so far. */
const folds = new Map<string, string>();

/** The fold of a character or an entity. */
export function foldPiece(piece: string): string {
  const known = folds.get(piece);
  if (known !== undefined) return known;
  const folded = fold(piece);
  // Entities have endless spellings.
  if (piece.length <= 2) folds.set(piece, folded);
  return folded;
}
