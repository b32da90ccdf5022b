import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { z } from "zod";
import { UserError } from "../errors.js";
import { isDeeperThan, readJsonAs, readOptionalJson, readOptionalJsonAs, readRequiredJson } from "./json-file.js";

const folder = mkdtempSync(path.join(tmpdir(), "sleuth-json-"));
afterAll(() => rmSync(folder, { recursive: true }));

function file(content: string): string {
  const place = path.join(folder, "some.json");
  writeFileSync(place, content);
  return place;
}

const nested = (levels: number): string => `{"a":${"[".repeat(levels - 1)}${"]".repeat(levels - 1)}}`;

describe("a damaged file is a UserError that names it", () => {
  it.each([
    ["", /not valid JSON/],
    ['{"a":', /not valid JSON/],
    ["[1]", /does not hold a JSON object/],
    ["null", /does not hold a JSON object/],
    [nested(100_000), /deeper than 100 levels/],
  ])("%.20j", async (content, message) => {
    const place = file(content);
    for (const read of [(name: string) => readRequiredJson(name, "Advice."), readOptionalJson]) {
      const error = (await read(place).catch((reason: unknown) => reason)) as Error;
      expect(error).toBeInstanceOf(UserError);
      expect(error.message).toMatch(message);
      expect(error.message).toContain(place);
    }
  });

  it("a folder in a file's place", async () => {
    await expect(readRequiredJson(folder, "Advice.")).rejects.toThrow(/Cannot read .*EISDIR.*Advice\./);
    await expect(readOptionalJson(folder)).rejects.toThrow(/Cannot read .*EISDIR/);
  });

  it("the first field that a schema does not allow", async () => {
    const schema = z.object({ starts: z.array(z.object({ node: z.string() })) });
    await expect(readJsonAs(file('{"starts":[{"node":1}]}'), schema, "Advice.")).rejects.toThrow(
      /some\.json is damaged: field "starts\.0\.node": .*Advice\./,
    );
    expect(await readOptionalJsonAs(path.join(folder, "none"), schema, "Advice.")).toBeUndefined();
  });
});

it("counts the levels of JSON, and not the brackets in its strings", () => {
  expect(isDeeperThan(nested(5), 5)).toBe(false);
  expect(isDeeperThan(nested(6), 5)).toBe(true);
  expect(isDeeperThan(JSON.stringify({ 'a"\\': '[[[[\\"[[[[' }), 1)).toBe(false);
  expect(isDeeperThan("[],".repeat(1000), 1)).toBe(false);
  expect(isDeeperThan('"[[[[', 1)).toBe(false);
});
