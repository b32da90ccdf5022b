import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { anyCharacter } from "../../../test/any-character.js";
import { normaliseText } from "./normalise.js";

describe("the form of texts", () => {
  it.each<[string, string, string]>([
    ["composes letters and their marks", "Mu\u0308ller, \u1112\u1161\u11ab", "Müller, 한"],
    ["composes across what only lays out", "Mu\u00ad\u0308ller", "Müller"],
    ["takes one of several characters that look and mean alike", "\u212bngstr\u00f6m \u2126 \uf900", "Ångström Ω 豈"],
    ["drops soft hyphens", "co\u00adop\u00ader\u00adate", "cooperate"],
    [
      "drops word joiners, direction marks, byte order marks",
      "\ufeffa\u2060b\u200ec\u202dd\u202c\u2066e\u2069",
      "abcde",
    ],
    ["keeps a space of no width, which divides words", "ភាសា\u200bខ្មែរ", "ភាសា\u200bខ្មែរ"],
    ["keeps joiners and variation selectors", "می\u200cخواهم 👩\u200d🔬 ❤\ufe0f", "می\u200cخواهم 👩\u200d🔬 ❤\ufe0f"],
    ["keeps compatibility forms", "ﬁne ² Ａ", "ﬁne ² Ａ"],
    ["keeps what is plain", "plain \u00ff", "plain \u00ff"],
  ])("%s", (_, text, expected) => {
    expect(normaliseText(text)).toBe(expected);
  });

  it("is the same when made twice, and NFC whatever its cheap test says (property)", () => {
    fc.assert(
      fc.property(fc.string({ unit: anyCharacter, maxLength: 20 }), (text) => {
        const form = normaliseText(text);
        expect(normaliseText(form)).toBe(form);
        expect(form).toBe(form.normalize("NFC"));
      }),
      { numRuns: 300, seed: 3 },
    );
  });

  it("knows by its cheap test every character that composing changes", () => {
    for (let code = 0; code < 0x300; code++) {
      const text = `a${String.fromCharCode(code)}b`;
      if (text.normalize("NFC") !== text) throw new Error(`U+${code.toString(16)} is not looked at`);
    }
  });
});
