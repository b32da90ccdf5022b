import { describe, expect, it } from "vitest";
import { isCounted, servingOne, sizes, unusedExports } from "./count-source.js";

const files = new Map([
  ["src/index.ts", 'export { open } from "./a/open.js";\n'],
  [
    "src/a/open.ts",
    'import type { Kind } from "./kinds.js";\nimport { helper as own } from "./helper.js";\nexport const open = (kind: Kind) => own(kind);\nexport const unused = 1;\n',
  ],
  ["src/a/kinds.ts", "export type Kind = string;\nexport interface Local {}\n"],
  [
    "src/a/helper.ts",
    "export function helper(text: string): string {\n  return text;\n}\n  export const indented = 1;\nconst hidden = 1, shown = 2;\nexport { shown as tested, hidden };\n",
  ],
  ["src/a/helper.test.ts", 'import { tested } from "./helper.js";\nexport const counted = tested;\n'],
  ["src/b/lazy.ts", "export const { first, second: renamed } = { first: 1, second: 2 };\nexport const third = 3;\n"],
  [
    "src/b/user.mjs",
    'const { first } = await import("./lazy.js");\nconst more = (await import("./lazy.js")).third;\nnew Worker(new URL("./worker.js", import.meta.url));\n',
  ],
  ["src/b/worker.ts", 'import * as kinds from "../a/kinds.js";\nexport default kinds;\n'],
]);

describe("the count of the sources", () => {
  it("leaves out tests, their helpers and conformance suites", () => {
    const counted = ["src/a.ts", "src/a/b.mjs", "src/testing-ground.ts", "src/a/tests.ts"];
    const left = ["src/a.test.ts", "src/a.test-support.ts", "src/a/testing.ts", "src/a/conformance-x.ts", "bench/a.ts"];
    expect(counted.filter(isCounted)).toEqual(counted);
    expect(left.filter(isCounted)).toEqual([]);
  });

  it("counts lines, files and lines that begin with export, by folder", () => {
    expect([...sizes(files)]).toEqual([
      ["a", { lines: 12, files: 3, exports: 6 }],
      ["b", { lines: 7, files: 3, exports: 3 }],
      ["src", { lines: 1, files: 1, exports: 1 }],
    ]);
  });

  it("lists exported names that no other file imports", () => {
    expect(unusedExports(files)).toEqual([
      "src/a/open.ts: unused",
      "src/a/helper.ts: indented",
      "src/a/helper.ts: hidden",
      "src/b/lazy.ts: renamed",
      "src/b/worker.ts: default",
    ]);
  });

  it("lists files that serve one other file", () => {
    expect(servingOne(files)).toEqual([
      "src/a/open.ts → src/index.ts",
      "src/a/helper.ts → src/a/open.ts",
      "src/b/lazy.ts → src/b/user.mjs",
      "src/b/worker.ts → src/b/user.mjs",
    ]);
  });
});
