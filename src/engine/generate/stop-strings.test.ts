import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { StopStringWatch } from "./stop-strings.js";

/** One token per byte. */
const decodeBytes = (tokens: readonly number[]) => Buffer.from(tokens).toString("utf8");

/** Index of the token with which the watch reports a stop, or −1. */
function stopsAt(strings: string[], tokens: number[], decode = decodeBytes): number {
  const watch = new StopStringWatch(strings, decode);
  for (let end = 1; end <= tokens.length; end++) if (watch.completes(tokens.slice(0, end))) return end - 1;
  return -1;
}

describe("StopStringWatch", () => {
  it("finds a string that spans tokens, at the very token that completes it", () => {
    const bytes = [...Buffer.from("a </sea </search> b")];
    expect(stopsAt(["</search>", "</answer>"], bytes)).toBe(bytes.indexOf(62));
    expect(stopsAt(["</answer>"], bytes)).toBe(-1);
  });

  it("finds strings with multi-byte characters and strings followed by half a character", () => {
    expect(stopsAt(["→é"], [...Buffer.from("x→é!")])).toBe(5);
    const words = ["go", ">\u{1F600}"];
    const decode = (tokens: readonly number[]) =>
      Buffer.concat(
        tokens.map((token) => (token < 2 ? Buffer.from(words[token]).subarray(0, 3) : Buffer.from("x"))),
      ).toString();
    expect(stopsAt(["go>"], [0, 1, 2], decode)).toBe(1);
  });

  it("goes on after bytes that never become a character", () => {
    expect(stopsAt(["stop"], [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, ...Buffer.from("stop")])).toBe(9);
  });

  it("does not lose the spaces that a tokenizer drops at the beginning of a text", () => {
    const words = ["▁now", "▁stop", "▁go"];
    const decode = (tokens: readonly number[]) =>
      tokens
        .map((token) => words[token])
        .join("")
        .replaceAll("▁", " ")
        .trimStart();
    expect(stopsAt(["w stop"], [0, 1, 2], decode)).toBe(1);
    expect(stopsAt(["wstop"], [0, 1, 2], decode)).toBe(-1);
  });

  it("agrees with searching the whole text (property)", () => {
    fc.assert(
      fc.property(
        fc.array(fc.constantFrom("a", "b", "é", "→", "\u{1F600}"), { maxLength: 25 }),
        fc.array(fc.array(fc.constantFrom("a", "b", "é", "→"), { minLength: 1, maxLength: 3 }), {
          minLength: 1,
          maxLength: 2,
        }),
        (characters, stops) => {
          const strings = stops.map((stop) => stop.join(""));
          const bytes = [...Buffer.from(characters.join(""))];
          const ends = strings.map(
            (string) => Buffer.from(characters.join("")).indexOf(string) + Buffer.byteLength(string) - 1,
          );
          const found = ends.filter((end, index) => characters.join("").includes(strings[index]) && end >= 0);
          expect(stopsAt(strings, bytes)).toBe(found.length > 0 ? Math.min(...found) : -1);
        },
      ),
    );
  });
});
