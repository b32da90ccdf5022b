import { expect, it } from "vitest";
import { fuzzPassages } from "./passages.js";

it("no reading of a hostile passage holds structure", async () => {
  const { tried, leftOut, failures } = await fuzzPassages({ seed: 7, count: 300 });
  expect(failures).toEqual([]);
  expect(tried).toBe(300);
  expect(leftOut).toBeLessThan(15);
});

it("every reading would, without the sanitizer (negative control)", async () => {
  const sanitizer = { sanitize: (text: string) => ({ text, count: 0 }), countTags: () => 0 };
  const { failures } = await fuzzPassages({ seed: 7, count: 150, sanitizer });
  expect(new Set(failures.map(({ reading }) => reading)).size).toBe(4);
});
