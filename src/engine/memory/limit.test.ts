import { describe, expect, it } from "vitest";
import { UserError } from "../../errors.js";
import { defaultMemoryLimit, formatMemory, parseMemory } from "./limit.js";

describe("parseMemory", () => {
  it.each([
    ["8GB", 8 * 2 ** 30],
    ["512MB", 512 * 2 ** 20],
    ["1.5GiB", 1.5 * 2 ** 30],
    [" 2 gb ", 2 * 2 ** 30],
    ["1TB", 2 ** 40],
  ])("reads %s", (text, bytes) => expect(parseMemory(text, "--memory")).toBe(bytes));

  it.each(["", "8", "GB", "8 apples", "-1GB", "0GB", "8GB!", "1e3GB", "NaN GB"])(
    "refuses %j and says how to write it",
    (text) => {
      expect(() => parseMemory(text, "run.memory")).toThrow(UserError);
      expect(() => parseMemory(text, "run.memory")).toThrow(/run\.memory is .*8GB or 512MB/);
    },
  );
});

describe("defaultMemoryLimit", () => {
  it("is a share of the machine's memory", () => expect(defaultMemoryLimit(1000, undefined)).toBe(800));
  it("is a share of the container's where that is less", () => expect(defaultMemoryLimit(1000, 500)).toBe(400));
  it.each([0, 2 ** 64])("takes a container's limit of %d for none", (none) =>
    expect(defaultMemoryLimit(1000, none)).toBe(800),
  );
});

describe("formatMemory", () => {
  it.each([
    [4.2 * 2 ** 30, "4.2 GB"],
    [1000 * 2 ** 20, "1.0 GB"],
    [312 * 2 ** 20, "312 MB"],
    [1, "1 MB"],
  ])("writes %d as %s", (bytes, text) => expect(formatMemory(bytes)).toBe(text));
});
