import { ReadStream, mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import fc from "fast-check";
import { afterAll, describe, expect, it, vi } from "vitest";
import { anyCharacter } from "../../../test/any-character.js";
import { UserError } from "../../errors.js";
import { formatContents, parseContents } from "../text/contents.js";
import { loadCorpus, readCorpus } from "./corpus.js";
import { IdPlaces, IdTable, hashId } from "../id-table.js";
import { linesOf, readLineBlocks } from "../../files/lines.js";
import type { LineBlock } from "../../files/lines.js";

const folder = mkdtempSync(join(tmpdir(), "sleuth-corpus-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

let files = 0;
function file(content: string | Uint8Array, ending = ".jsonl"): string {
  const path = join(folder, `c${files++}${ending}`);
  writeFileSync(path, content);
  return path;
}

describe("corpus", () => {
  it("reads Search-R1's contents and title/text lines alike", async () => {
    const path = file(
      [
        "\ufeff" + JSON.stringify({ id: "0", contents: '"Evan Morris"\nA lobbyist.\nBorn 1977.' }),
        "",
        JSON.stringify({ id: 1, title: "Peru", text: "Lima." }) + "\r",
        JSON.stringify({ id: "2", text: "no title", url: "https://a.example/b#c", section: "A › B", lang: "ignored" }),
        JSON.stringify({ id: "3", contents: "only one line", url: "https://a.example/", section: "" }),
        JSON.stringify({ id: "4", text: "others' things", url: null, section: 4 }),
      ].join("\n"),
    );
    expect(await loadCorpus([path])).toEqual([
      { id: "0", title: "Evan Morris", text: "A lobbyist.\nBorn 1977." },
      { id: "1", title: "Peru", text: "Lima." },
      { id: "2", title: "", text: "no title", url: "https://a.example/b#c", section: "A › B" },
      { id: "3", title: "", text: "only one line", url: "https://a.example/" },
      { id: "4", title: "", text: "others' things" },
    ]);
  });

  it("composes characters and drops those that only lay out; ids stay as they are", async () => {
    const path = file(
      [
        { id: "mu\u0308", title: "Mu\u0308ller", text: "ko\u00adoperiert\u2060" },
        { id: "2", contents: '\u200e"Mu\u0308ller"\nko\u00adoperiert' },
      ]
        .map((line) => JSON.stringify(line))
        .join("\n"),
    );
    expect(await loadCorpus([path])).toEqual([
      { id: "mu\u0308", title: "Müller", text: "kooperiert" },
      { id: "2", title: "Müller", text: "kooperiert" },
    ]);
  });

  it("reads gzip, and several files as one corpus, and reports all bytes", async () => {
    const lines = Array.from({ length: 5_000 }, (_, id) => JSON.stringify({ id: `a${id}`, text: "word ".repeat(40) }));
    const paths = [file(lines.join("\n")), file(gzipSync('{"id":"z","text":"last"}\n'), ".jsonl.gz")];
    const progress: number[][] = [];
    const passages = await loadCorpus(paths, { onProgress: (...bytes) => progress.push(bytes) });
    expect(passages).toHaveLength(5_001);
    expect(passages.at(-1)).toEqual({ id: "z", title: "", text: "last" });
    expect(progress.length).toBeGreaterThan(2);
    expect(progress.at(-1)?.[0]).toBe(progress.at(-1)?.[1]);
  });

  const good = '{"id":"1","text":"x"}\n';
  it.each<[string, string | Uint8Array, RegExp]>([
    ["broken JSON", good + '{"id":"2", "text": \n', /:2: the line is not JSON/],
    ["no object", good + "\n[1]\n", /:3: the line must be a JSON object, got a list/],
    ["no id", good + '{"text":"x"}', /:2: field "id" is missing; the line has "text"/],
    ["an empty id", '{"id":"","text":"x"}', /:1: field "id" must be text that is not empty/],
    ["an id of another kind", '{"id":{},"text":"x"}', /:1: field "id" must be text that is not empty, got a object/],
    [
      "no text",
      good + '{"id":"2","body":"x"}',
      /:2: field "text" \(or "contents"\) is missing; the line has "id", "body"/,
    ],
    ["text of another kind", '{"id":"2","text":5}', /:1: field "text" must be text, got a number/],
    ["contents of another kind", '{"id":"2","contents":null}', /:1: field "contents" must be text, got null/],
    ["a title of another kind", '{"id":"2","title":[],"text":""}', /:1: field "title" must be text, got a list/],
    [
      "a repeated id",
      good + '{"id":"2","text":"x"}\n\n{"id":"1","text":"y"}',
      /:4: field "id": "1" stands already in .*:1\. Ids must be unique/,
    ],
    ["bytes that are not UTF-8", Buffer.from([...Buffer.from(good), 0x7b, 0xff, 0x7d]), /:2: the line is not UTF-8/],
    ["nothing", "", /The corpus is empty/],
    ["blank lines only", "\n \n\n", /The corpus is empty/],
  ])("refuses %s, naming file, line and field", async (_, content, message) => {
    const path = file(content);
    const failure = await loadCorpus([path]).catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(UserError);
    expect((failure as Error).message).toMatch(message);
    expect((failure as Error).message).toContain(path);
  });

  it("names both files of an id that two files hold", async () => {
    const [first, second] = [file(good + '{"id":"b","text":""}'), file('{"id":"c","text":""}\n{"id":"b","text":""}')];
    await expect(loadCorpus([first, second])).rejects.toThrow(
      `${second}:2: field "id": "b" stands already in ${first}:2.`,
    );
  });

  it("refuses what cannot be read", async () => {
    await expect(loadCorpus([])).rejects.toThrow(UserError);
    await expect(loadCorpus([join(folder, "missing.jsonl")])).rejects.toThrow(/cannot be read.*Check the path/);
    await expect(loadCorpus([folder])).rejects.toThrow(/is a folder/);
    const cut = gzipSync(good.repeat(50)).subarray(0, 20);
    await expect(loadCorpus([file(cut, ".gz")])).rejects.toThrow(/is not a whole gzip file/);
  });

  it.each([
    ["zstd", "\x28\xb5\x2f\xfd\x24"],
    ["bzip2", "BZh91AY&SY"],
    ["xz", "\xfd7zXZ\0"],
    ["gzip", gzipSync(good).toString("latin1")],
    ["zip", "PK\x03\x04"],
  ])("says of a file packed with %s how to unpack it", async (packer, begin) => {
    const path = file(Buffer.from(begin, "latin1"), `.jsonl.${packer}`);
    await expect(loadCorpus([path])).rejects.toThrow(`is packed with ${packer}; unpack it first`);
  });

  it("stops when it is cancelled", async () => {
    const stop = new AbortController();
    const reason = new Error("enough");
    const path = file(
      Array.from({ length: 20_000 }, (_, id) => JSON.stringify({ id: `${id}`, text: "x".repeat(50) })).join("\n"),
    );
    const reading = (async () => {
      for await (const batch of readCorpus([path], { signal: stop.signal })) if (batch.length > 0) stop.abort(reason);
    })();
    await expect(reading).rejects.toBe(reason);
  });

  it("cuts lines right wherever chunks end", async () => {
    const passages = Array.from({ length: 3_000 }, (_, id) => ({
      id: `${id}`,
      title: "é",
      text: "漢".repeat(id % 400),
    }));
    expect(await loadCorpus([file(passages.map((passage) => JSON.stringify(passage)).join("\n"))])).toEqual(passages);
  });
});

describe("contents", () => {
  it("survives the round trip, but for line breaks in titles", () =>
    fc.assert(
      fc.property(fc.string(), fc.string({ unit: anyCharacter, maxLength: 20 }), (title, text) => {
        fc.pre(!/[\r\n]/.test(title));
        expect(parseContents(formatContents({ title, text }))).toEqual({ title, text });
      }),
    ));

  it("keeps quotes that belong to a title", () => {
    expect(parseContents('""Heroes" (song)"\ntext')).toEqual({ title: '"Heroes" (song)', text: "text" });
    expect(parseContents("Plain title\ntext")).toEqual({ title: "Plain title", text: "text" });
    expect(parseContents('"Only a title"')).toEqual({ title: "Only a title", text: "" });
    expect(formatContents({ title: "two\r\nlines", text: "t" })).toBe('"two lines"\nt');
  });
});

describe("blocks of lines", () => {
  const text = Array.from({ length: 400 }, (_, line) =>
    line % 7 === 3 ? "" : `${line}:${"漢é".repeat(line % 50)}`,
  ).join("\n");
  const paths = [file(text), file(gzipSync(text), ".jsonl.gz")];
  const expected = text.split("\n").flatMap((line, index) => (line === "" ? [] : [{ text: line, number: index + 1 }]));

  it("hold whole lines, whatever their size, and say where the next one begins", async () => {
    for (const path of paths) {
      for (const blockBytes of [1, 50, 1_000, 1 << 20]) {
        const blocks: LineBlock[] = [];
        for await (const block of readLineBlocks(path, { blockBytes })) blocks.push(block);
        expect(blocks.flatMap((block) => [...linesOf(path, block)])).toEqual(expected);
        let byte = 0;
        for (const [index, { bytes, next }] of blocks.entries()) {
          byte += bytes.length;
          expect(next).toEqual({ byte, line: blocks[index + 1]?.firstLine ?? text.split("\n").length + 1 });
        }
      }
    }
  });

  it("close the file when the reader leaves early, a packed one, too", async () => {
    // Enough that the rest of the packed file is not read ahead.
    const long = Array.from({ length: 60_000 }, (_, line) => hashId(String(line)).join(" ")).join("\n");
    for (const path of [file(long), file(gzipSync(long), ".jsonl.gz")]) {
      const opened = vi.spyOn(ReadStream.prototype, "on");
      for await (const { firstLine } of readLineBlocks(path)) {
        expect(firstLine).toBe(1);
        break;
      }
      const [stream] = opened.mock.contexts as ReadStream[];
      expect(stream.path).toBe(path);
      await vi.waitFor(() => expect(stream.closed).toBe(true));
      vi.restoreAllMocks();
    }
  });

  it("count the bytes of the file, packed or not", async () => {
    for (const path of paths) {
      let bytes = 0;
      let lines = 0;
      for await (const block of readLineBlocks(path, { onBytes: (count) => (bytes += count) }))
        lines += [...linesOf(path, block)].length;
      expect([bytes, lines]).toEqual([statSync(path).size, expected.length]);
    }
  });
});

describe("id table", () => {
  it("remembers the first place of each of 200,000 ids", () => {
    const table = new IdTable();
    let hits = 0;
    for (let place = 0; place < 200_000; place++) if (table.add(`id-${place}`, place) !== undefined) hits++;
    expect(hits).toBe(0);
    for (let place = 0; place < 200_000; place += 997) expect(table.add(`id-${place}`, 5)).toBe(place);
  });

  it("keeps every place of ids whose hashes are equal", () => {
    const places = new IdPlaces();
    expect(places.add(1, 2, 10)).toEqual([]);
    expect(places.add(1, 2, 11)).toEqual([10]);
    expect(places.add(1, 2, 12)).toEqual([10, 11]);
    expect(places.add(2, 2, 13)).toEqual([]);
    expect(places.placesOf(1, 2)).toEqual([10, 11, 12]);
    expect(places.placesOf(2, 2)).toEqual([13]);
    expect(places.placesOf(2, 1)).toEqual([]);
  });
});
