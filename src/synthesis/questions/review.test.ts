/** @file Striking: on disk at once, put back, not made again; and who may strike. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { request } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { loadQuestions, readPart } from "../../data/questions.js";
import { UserError } from "../../errors.js";
import type { Question } from "../../types.js";
import { evidenceTexts } from "./evidence-texts.js";
import { prepareFolder, readStruck, writeFolder } from "./folder.js";
import { serveReview, type Review } from "./review.js";

let folder: string;
let review: Review | undefined;
const question = (id: string): Question => ({
  ...{ id, question: `Which </script><b>${id}</b>?`, answers: ["x"], hops: 1, kind: "gap" },
  evidence: [{ id: "a#1" }],
});
beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), "sleuth-review-"));
  await writeFolder(folder, { train: [question("a"), question("b")], validation: [question("c")], test: [] }, {});
});
afterEach(async () => {
  await review?.close();
  rmSync(folder, { recursive: true, force: true });
});

const open = async (): Promise<URL> => new URL((review = await serveReview(folder, { port: 0 })).url);
const strike = async (url: URL, id: string, struck = true): Promise<number> => {
  const address = new URL(`/strike${url.search}`, url);
  return (await fetch(address, { method: "POST", body: JSON.stringify({ id, struck }) })).status;
};
const idsOf = async (part: "train" | "validation" | "test"): Promise<string[]> =>
  (await readPart(folder, part)).map(({ id }) => id);

describe("the page of questions", () => {
  it("shows every question, and text of strangers ends no script", async () => {
    const url = await open();
    const answer = await fetch(url);
    const html = await answer.text();
    expect(answer.headers.get("content-security-policy")).toContain("default-src 'none'");
    const data = /<script type="application\/json" id="data">(.*?)<\/script>/s.exec(html)?.[1] ?? "";
    expect(JSON.parse(data)).toMatchObject(
      ["a", "b", "c"].map((id) => ({ id, question: question(id).question, isStruck: false })),
    );
  });

  it("strikes from a part, all at once too, puts back, and tells the next call", async () => {
    const url = await open();
    expect(await Promise.all(["a", "c", "b", "none"].map((id) => strike(url, id)))).toEqual([200, 200, 200, 404]);
    expect([await idsOf("train"), await idsOf("validation")]).toEqual([[], []]);
    expect(await readStruck(folder)).toMatchObject([
      { id: "a", part: "train" },
      { id: "c", part: "validation" },
      { id: "b" },
    ]);
    expect(await strike(url, "b", false)).toBe(200);
    expect(await loadQuestions(folder)).toEqual([{ ...question("b"), source: "train.jsonl" }]);
    expect(review?.struck()).toBe(2);
  });

  it("what a kill left in both places is struck", async () => {
    writeFileSync(join(folder, "struck.jsonl"), `${JSON.stringify({ ...question("a"), part: "train" })}\n{"id":`);
    await open();
    expect(await idsOf("train")).toEqual(["b"]);
  });

  it("shows what was struck by hand, and puts it back nowhere: nobody knows on which side it stood", async () => {
    writeFileSync(join(folder, "struck.jsonl"), `${JSON.stringify(question("d"))}\n{"id":"e"}\n`);
    const url = await open();
    expect(await (await fetch(url)).text()).toContain('"kind":"gap","part":"","isStruck":true');
    const address = new URL(`/strike${url.search}`, url);
    const answer = await fetch(address, { method: "POST", body: JSON.stringify({ id: "d", struck: false }) });
    expect([answer.status, await answer.text()]).toEqual([500, expect.stringMatching(/Move it back/)]);
    expect(await readStruck(folder)).toMatchObject([{ id: "d" }]);
  });

  it("has the texts of a large index, too", async () => {
    const count = 500_000;
    const passages = {
      count,
      isDeleted: (number: number) => number < count - 64,
      read: (numbers: readonly number[]) =>
        Promise.resolve(numbers.map((number) => ({ id: `${number % 64}.md#1`, title: "a", text: "b" }))),
    };
    const asked = { ...question("a"), evidence: Array.from({ length: 64 }, (_, at) => ({ id: `${at}.md#1` })) };
    await writeFolder(folder, { train: [asked], validation: [], test: [] }, {});
    expect((await evidenceTexts(folder, passages)).size).toBe(64);
  });

  it("of a folder whose writing was killed is made again", async () => {
    const other = mkdtempSync(join(tmpdir(), "sleuth-review-"));
    await expect(
      writeFolder(other, { train: [], validation: [question("c")], test: undefined as unknown as Question[] }, {}),
    ).rejects.toThrow();
    expect(await prepareFolder(other)).toBe(false);
    rmSync(other, { recursive: true });
  });

  it("lets in nobody without the token, and no other name of this machine", async () => {
    const url = await open();
    expect((await fetch(new URL("/", url))).status).toBe(403);
    expect(await strike(new URL("/?token=0123", url), "a")).toBe(403);
    const status = await new Promise((resolve) => {
      request(url, { headers: { host: "evil.example" } }, (answer) => resolve(answer.resume().statusCode)).end();
    });
    expect(status).toBe(403);
    expect(await idsOf("train")).toEqual(["a", "b"]);
  });

  it.each([
    ["a folder that was not made here", async (path: string) => void (await serveReview(path, { port: 0 }))],
    ["an --out with other files in it", prepareFolder],
  ])("%s is refused", async (_, use) => {
    const other = mkdtempSync(join(tmpdir(), "sleuth-review-"));
    writeFileSync(join(other, "notes.txt"), "mine");
    await expect(use(other)).rejects.toBeInstanceOf(UserError);
    expect(readFileSync(join(other, "notes.txt"), "utf8")).toBe("mine");
    rmSync(other, { recursive: true });
  });
});
