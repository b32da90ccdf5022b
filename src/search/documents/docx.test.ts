import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import mammoth from "mammoth";
import { afterAll, expect, it, vi } from "vitest";
import { linkedPicture, makeDocx, paragraph } from "./docx.test-support.js";
import { readDocx } from "./docx.js";

const folder = mkdtempSync(join(tmpdir(), "sleuth-docx-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

it("a document of Word that would be too large unzipped is refused before it is opened", async () => {
  const docx = makeDocx(paragraph("They sail."));
  // Nothing in it is compressed, and its zip has names and sizes besides.
  expect((await readDocx(docx, docx.length)).blocks).toEqual([{ level: 0, text: "They sail." }]);
  const open = vi.spyOn(mammoth, "convertToHtml");
  await expect(readDocx(docx, 1024)).rejects.toThrow(/^it is larger than [\d.]+ MB unzipped: split it$/);
  expect(open).not.toHaveBeenCalled();
  open.mockRestore();
});

it("a file that a document of Word links to is not opened", async () => {
  const file = join(folder, "a.png");
  writeFileSync(file, "a picture");
  const buffer = makeDocx(paragraph("They sail.") + linkedPicture, pathToFileURL(file).href);
  const convert = vi.spyOn(mammoth, "convertToHtml");
  expect((await readDocx(buffer)).blocks).toEqual([{ level: 0, text: "They sail." }]);
  const options = convert.mock.lastCall?.[1];
  convert.mockRestore();
  // By mammoth's own way with pictures: it reads this one where it may.
  const html = async (externalFileAccess?: boolean): Promise<string> =>
    (await mammoth.convertToHtml({ buffer }, { ...options, convertImage: undefined, externalFileAccess })).value;
  const picture = Buffer.from("a picture").toString("base64");
  expect(await html(true)).toContain(picture);
  expect(await html(options?.externalFileAccess)).not.toContain(picture);
  expect(options?.externalFileAccess).toBe(false);
});
