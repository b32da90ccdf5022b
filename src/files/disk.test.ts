import { readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { OutputFile, replaceFile } from "./disk.js";
import { onFailingDisk, scratchFolder } from "./failing-disk.test-support.js";

const folder = scratchFolder("sleuth-disk-");
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe("replaceFile", () => {
  it("whichever change of the disk fails, the old content is there or the new one, and no other file", async () => {
    const path = join(folder, "replaced");
    for (const isKilled of [false, true]) {
      let failures = 0;
      for (let failAt = 1; ; failAt++) {
        writeFileSync(path, "old");
        const { changes, failure } = await onFailingDisk({ folder, failAt, isKilled }, async () =>
          replaceFile(path, "new"),
        );
        expect(readFileSync(path, "utf8")).toBe(failure === null ? "new" : "old");
        if (!isKilled) expect(readdirSync(folder)).toEqual(["replaced"]);
        if (failure !== null) failures++;
        if (failAt > changes) break;
      }
      // All but the last one: only the folder is synced after the new content is there.
      expect(failures).toBe(5);
    }
  });
});

describe("an output file", () => {
  it("goes on behind its first bytes, and is closed once", () => {
    const path = join(folder, "extended");
    writeFileSync(path, "one two three");
    const file = OutputFile.extend(path, 4);
    file.write(Buffer.from("four"));
    file.finish();
    file.abandon();
    expect(readFileSync(path, "utf8")).toBe("one four");
    expect(() => file.write(Buffer.from("five"))).toThrow("internal: the file is closed");
    expect(() => OutputFile.create(path)).toThrow(/EEXIST/);
  });
});

describe("the failing disk", () => {
  it("leaves other folders alone, and everything as it was afterwards", async () => {
    const other = scratchFolder("sleuth-other-");
    const { failure } = await onFailingDisk({ folder, failAt: 1, isKilled: true, code: "EIO" }, async () => {
      replaceFile(join(other, "file"), "content");
      replaceFile(join(folder, "file"), "content");
    });
    expect(failure).toMatchObject({ code: "EIO" });
    expect(readFileSync(join(other, "file"), "utf8")).toBe("content");
    replaceFile(join(folder, "file"), "content");
    expect(readFileSync(join(folder, "file"), "utf8")).toBe("content");
    rmSync(other, { recursive: true });
  });
});
