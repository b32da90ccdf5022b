/** @file Results on the built-in world stand: our comparison of answers and SQuAD's say the same of it. */
import { expect, it } from "vitest";
import { buildAtlas } from "../data/atlas/atlas.js";
import { attemptOf } from "../rewards/attempts.test-support.js";
import { ours, squad } from "../rewards/answers.js";
import { normaliseAnswer } from "../rewards/normalise.js";
import { normaliseLikeSquad } from "../rewards/squad.js";

it.each([0, 1])(
  "world %d: every question, answer and title is the same; passages differ in minus signs alone",
  (seed) => {
    const { questions, passages } = buildAtlas({ seed });
    const all = Object.values(questions).flat();
    for (const text of [
      ...all.flatMap(({ question, answers }) => [question, ...answers]),
      ...passages.map((p) => p.title),
    ])
      expect(normaliseAnswer(text)).toBe(normaliseLikeSquad(text));
    for (const { text } of passages) expect(normaliseAnswer(text).replaceAll(" -", " ")).toBe(normaliseLikeSquad(text));

    const some = passages.filter((_, index) => index % 40 === 0);
    const right = all.filter((_, index) => index % 40 === 0);
    const found = some.map((passage) => ({
      query: "q",
      passages: [{ ...passage, score: 1 }],
      omittedPassages: 0,
      sanitized: 0,
      waitedMs: 0,
    }));
    const [read, retrieved] = [ours, squad].map(({ retrievedAnswer }) =>
      right.flatMap(({ answers }) =>
        found.map((search) => retrievedAnswer(attemptOf(["t"], null, { searches: [search] }), answers)),
      ),
    );
    expect(read).toEqual(retrieved);
    expect(read).toContain(true);
  },
);
