import { describe, expect, it } from "vitest";
import { readPdf } from "./pdf.js";
import { cjkFont, drawPdf, linesOfText, makePdf } from "./pdf.test-support.js";

/** A string of PDF, in codes of two bytes as UTF-16. */
const utf16 = (text: string): string => `<${Buffer.from(text, "utf16le").swap16().toString("hex")}>`;

async function texts(bytes: Uint8Array): Promise<string[]> {
  return (await readPdf(bytes)).blocks.filter(({ level }) => level === 0).map(({ text }) => text);
}

describe("fonts of Chinese, Japanese and Korean", () => {
  it.each([
    ["UniGB-UCS2-H", "GB1", utf16("渡轮九点开船"), "渡轮九点开船"],
    ["GBK-EUC-H", "GB1", "<b6c9c2d6>", "渡轮"],
    ["UniCNS-UTF16-H", "CNS1", utf16("渡輪九點開船"), "渡輪九點開船"],
    ["ETen-B5-H", "CNS1", "<b4e7bdfc>", "渡輪"],
    ["UniJIS-UTF16-V", "Japan1", utf16("船は九時に出る"), "船は九時に出る"],
    ["90ms-RKSJ-H", "Japan1", "<91448b44>", "船汽"],
    ["UniKS-UCS2-H", "Korea1", utf16("배는 아홉 시에"), "배는 아홉 시에"],
    ["KSCms-UHC-H", "Korea1", "<c7d1b1b9>", "한국"],
  ])("%s", async (cmap, ordering, shown, text) => {
    const bytes = drawPdf({ pages: [{ content: linesOfText([shown]) }], font: cjkFont(cmap, ordering) });
    expect(await texts(bytes)).toEqual([text]);
  });

  it.each(["No-Such-H", "../../package", "LICENSE"])(
    "of a CMap called %s have no text, and that is said",
    async (cmap) => {
      const bytes = drawPdf({ pages: [{ content: linesOfText([utf16("渡轮")]) }], font: cjkFont(cmap, "GB1") });
      await expect(readPdf(bytes)).rejects.toThrow("its fonts do not say which characters they show");
    },
  );
});

describe("what is missing", () => {
  const page = (...lines: string[]): string[] => lines;

  it("pages without text are counted, where they are many", async () => {
    const scans = Array.from({ length: 5 }, () => page());
    expect((await readPdf(makePdf({ pages: [page("A cover"), ...scans] }))).missing).toBe(
      "5 of its 6 pages hold no text (`ocrmypdf` reads the letters of pictures)",
    );
    const report = Array.from({ length: 8 }, (_, at) => page(`Chapter ${"abcdefgh"[at]}`));
    expect((await readPdf(makePdf({ pages: [...report, page(), page()] }))).missing).toBeUndefined();
    await expect(readPdf(makePdf({ pages: scans }))).rejects.toThrow("its pages are pictures or blank");
  });

  it("signs without a meaning are counted and left out", async () => {
    const font =
      "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding << /Type /Encoding /Differences [65 /uniE001 /uniE002] >> >>";
    const read = await readPdf(drawPdf({ pages: [{ content: linesOfText(["(ABABAB lower)"]) }], font }));
    expect(read.blocks.at(-1)?.text).toBe("lower");
    expect(read.missing).toBe("its fonts do not say what 6 of 11 characters are");
    const bullets = await readPdf(drawPdf({ pages: [{ content: linesOfText([`(A ${"word ".repeat(20)})`]) }], font }));
    expect(bullets.missing).toBeUndefined();
  });
});

it("fields of forms and notes on a page are read, and nothing hidden or secret", async () => {
  const field = (name: string, rest: string): string =>
    `<< /Type /Annot /Subtype /Widget /Rect [100 600 300 620] /T (${name}) ${rest} >>`;
  const form = [
    field("surname", "/FT /Tx /TU (Family name) /V (Okafor)"),
    field("form.page[0].town[0]", "/FT /Tx /V (Lagos)"),
    field("country", "/FT /Ch /Ff 131072 /Opt [[(pe) (Peru)] [(cl) (Chile)]] /V (cl)"),
    field("agree", "/FT /Btn /V /Yes /AS /Yes /AP << /N << /Yes 3 0 R /Off 3 0 R >> >>"),
    field("refuse", "/FT /Btn /V /Off /AS /Off /AP << /N << /Yes 3 0 R /Off 3 0 R >> >>"),
    field("blank", "/FT /Tx"),
    field("word", "/FT /Tx /Ff 8192 /V (secret)"),
    field("inner", "/FT /Tx /F 2 /V (hidden)"),
    "<< /Type /Annot /Subtype /FreeText /Rect [100 100 300 120] /Contents (Seen by the office) /DA (/F1 12 Tf) >>",
    "<< /Type /Annot /Subtype /Link /Rect [100 100 300 120] /Contents (A link) >>",
  ];
  const refs = form.map((_, at) => `${6 + at} 0 R`);
  const bytes = drawPdf({
    pages: [{ content: linesOfText(["(Application)"]), annotations: refs }],
    more: [...form, `<< /Fields [${refs.slice(0, 8).join(" ")}] /DA (/F1 12 Tf) >>`],
    catalog: `/AcroForm ${6 + form.length} 0 R`,
  });
  const [text] = await texts(bytes);
  expect(text.split("\n").sort()).toEqual(
    ["Application", "Family name: Okafor", "Seen by the office", "agree: Yes", "country: Chile", "town: Lagos"].sort(),
  );
});

describe("lines that stand on page after page", () => {
  const body = ["Ferries leave at nine", "Trains leave at ten", "Buses leave at noon", "Trams leave at one"];
  const pages = (lines: (page: number) => string[], many = 4): string[][] =>
    Array.from({ length: many }, (_, page) => lines(page));

  it("headers, footers and page numbers are left out, whatever their number's offset and spelling", async () => {
    const roman = ["i", "ii", "iii", "iv"];
    const made = pages((page) => [
      `Harbour handbook ${page + 11}`,
      `${body[page]}.`,
      `More of ${body[page]}.`,
      `- ${roman[page]} -`,
    ]);
    expect(await texts(makePdf({ pages: made }))).toEqual(body.map((line) => `${line}.\nMore of ${line}.`));
  });

  it("are found on pages that are turned", async () => {
    const bytes = drawPdf({
      pages: body.map((line, page) => ({
        content: ["Handbook", line, `${line} too`, `${page + 1}`]
          .map((text, row) => `BT /F1 12 Tf 0 1 -1 0 ${72 + row * 14} 72 Tm (${text}) Tj ET`)
          .join("\n"),
        rotate: 90,
      })),
    });
    expect(await texts(bytes)).toEqual(body.map((line) => `${line}\n${line} too`));
  });

  it.each([
    ["what differs by more than the page's number", (page: number) => [`Total ${page * page + 7}`, body[page]]],
    [
      "text in the middle",
      (page: number) => [`${body[page]} a`, `${body[page]} b`, "See below", `${body[page]} c`, `${body[page]} d`],
    ],
    ["what is all that a page has", () => ["Slide", "Notes"]],
  ])("%s stays", async (_name, lines) => {
    const made = pages(lines);
    expect(await texts(makePdf({ pages: made }))).toEqual(made.map((each) => each.join("\n")));
  });

  it("two pages alike are no sign of it", async () => {
    const made = pages((page) => ["Handbook", body[page], `${page + 1}`], 2);
    expect(await texts(makePdf({ pages: made }))).toEqual(made.map((each) => each.join("\n")));
  });
});

it.each([
  ["Introduction . . . . . . . . 5", "Introduction 5"],
  ["Introduction........5", "Introduction 5"],
  ["Wait... what", "Wait... what"],
  ["Version 1.2.3.4", "Version 1.2.3.4"],
])("leaders: %s", async (line, text) => {
  expect(await texts(makePdf({ pages: [[line]] }))).toEqual([text]);
});
