import { mkdtemp, readFile, readdir, rm, writeFile } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { UserError } from "../errors.js";
import { moveIntoPlace, writeError } from "./durable.js";
import { parseJsonLines, toJsonLines } from "./lines.js";

describe("moveIntoPlace", () => {
  let folder: string;
  beforeEach(async () => {
    folder = await mkdtemp(path.join(os.tmpdir(), "sleuth-durable-"));
  });
  afterEach(() => rm(folder, { recursive: true, force: true }));

  it("shows the old content or the new, also to readers in between, and leaves nothing beside it", async () => {
    const file = path.join(folder, "file");
    await writeFile(file, "old");
    await moveIntoPlace(file, async (temporary) => {
      await writeFile(temporary, "ne");
      expect(await readFile(file, "utf8")).toBe("old");
      await writeFile(temporary, "new");
    });
    expect(await readFile(file, "utf8")).toBe("new");
    expect(await readdir(folder)).toEqual(["file"]);
  });

  it("keeps the old content when the new one cannot be made", async () => {
    const file = path.join(folder, "file");
    await writeFile(file, "old");
    const failing = moveIntoPlace(file, async (temporary) => {
      await writeFile(temporary, "ne");
      throw new Error("no room");
    });
    await expect(failing).rejects.toThrow("no room");
    expect(await readFile(file, "utf8")).toBe("old");
    expect(await readdir(folder)).toEqual(["file"]);
  });
});

describe("writeError", () => {
  const systemError = (code: string): Error =>
    Object.assign(new Error(`${code}: says the system, open '/x'`), { code });

  it.each([
    ["ENOSPC", "Cannot write the index x: the disk is full. Make room."],
    ["EDQUOT", "Cannot write the index x: the disk quota is used up. Make room."],
    ["EACCES", "Cannot write the index x: EACCES: says the system, open '/x'. Make room."],
  ])("says in words what %s means", (code, words) => {
    const error = writeError("the index x", systemError(code), "Make room.");
    expect(error).toBeInstanceOf(UserError);
    expect(error).toMatchObject({ message: words, cause: { code } });
  });

  it.each([
    new UserError("said already"),
    new Error("internal: a bug"),
    systemError("ERR_INVALID_ARG_TYPE"),
    undefined,
  ])("leaves other errors alone: %s", (error) => expect(writeError("the index x", error, "Make room.")).toBe(error));
});

describe("lines of JSON", () => {
  it("come back as they were written", () => {
    const records = [{ step: 1, text: "a\nb" }, { step: 2 }];
    expect(parseJsonLines(toJsonLines(records))).toEqual(records);
    expect(parseJsonLines("")).toEqual([]);
  });

  it("tell which line is torn", () => {
    expect(parseJsonLines('{"step":1}\n\n{"st\n{"step":3}\n{"step":')).toEqual([
      { step: 1 },
      undefined,
      { step: 3 },
      undefined,
    ]);
  });
});
