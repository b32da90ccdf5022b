import { describe, expect, it } from "vitest";
import { searchR1 } from "../prompts/protocol.js";
import { buildAtlas } from "./atlas/atlas.js";
import { mentions } from "./atlas/country.js";
import { atlasTranscripts, type AtlasTranscriptOptions } from "./atlas-transcripts.js";
import { requireRollout, type Transcript } from "./transcripts.js";

const options: AtlasTranscriptOptions = {
  count: 200,
  seed: 0,
  worldSeed: 0,
  maxHops: 2,
  topK: 2,
  k1: 0.9,
  b: 0.4,
  protocol: searchR1,
};
const world = buildAtlas();
const transcripts = await atlasTranscripts(options);

/** Everything a reader of the transcripts sees. */
function textsOf({ question, answers, turns }: Transcript): string {
  const said = turns.flatMap((turn) => {
    if ("passages" in turn) return turn.passages.map((passage) => `${passage.title} | ${passage.text}`);
    return "text" in turn ? [turn.text] : [];
  });
  return [question, ...answers, ...said].join(" | ");
}

/** Names and capitals of held-out countries that a text mentions; "South Sudan" may be known although "Sudan" is not. */
function heldOutIn(text: string): string[] {
  const known = world.countries.train.map((country) => country.name).filter((name) => name.includes(" "));
  const rest = known.reduce((left, name) => left.replaceAll(name, "…"), text);
  return [...world.countries.validation, ...world.countries.test]
    .flatMap(({ name, facts }) => [name, ...(facts.capital === undefined ? [] : [facts.capital])])
    .filter((value) => mentions(rest, value));
}

describe("transcripts of the built-in world", () => {
  it("are as many as asked for, equally many of each number of searches, and could be rollouts", () => {
    expect(transcripts).toHaveLength(200);
    expect(transcripts.filter(({ turns }) => turns.length === 3)).toHaveLength(100);
    expect(transcripts.filter(({ turns }) => turns.length === 5)).toHaveLength(100);
    for (const transcript of transcripts) requireRollout(transcript, searchR1);
    expect(new Set(transcripts.map(({ id }) => id)).size).toBe(200);
  });

  it("follow from the seed, which changes questions and wordings", async () => {
    expect(await atlasTranscripts(options)).toEqual(transcripts);
    const others = await atlasTranscripts({ ...options, seed: 1 });
    const known = new Map(transcripts.map((transcript) => [transcript.id, transcript]));
    expect(others.some(({ id }) => !known.has(id))).toBe(true);
    const same = others.filter(({ id }) => known.has(id));
    expect(
      same.filter((other) => textsOf(other) !== textsOf(known.get(other.id) as Transcript)).length,
    ).toBeGreaterThan(same.length / 2);
  });

  it("read their answer in the last passages, and search in more than keywords", () => {
    for (const { answers, turns } of transcripts) {
      const last = turns[turns.length - 2];
      if (!("passages" in last)) throw new Error("no passages before the answer");
      expect(last.passages).toHaveLength(2);
      expect(last.passages.some(({ text }) => mentions(text, answers[0]))).toBe(true);
    }
    const queries = transcripts.map(
      ({ turns }) => /<search> (.*) <\/search>/.exec((turns[0] as { text: string }).text)?.[1] ?? "",
    );
    expect(queries.filter((query) => query.endsWith("?")).length).toBeGreaterThan(20);
    expect(queries.filter((query) => / of | whose | with | that /.test(query)).length).toBeGreaterThan(80);
  });

  it("never mention a country that is held out", () => {
    expect(transcripts.map(textsOf).flatMap(heldOutIn)).toEqual([]);
    // The check notices one: most test questions name a held-out country or its capital.
    const noticed = world.questions.test.filter(
      ({ question, answers }) => heldOutIn(`${question} | ${answers[0]}`).length > 0,
    );
    expect(noticed.length).toBeGreaterThan(world.questions.test.length / 3);
  });

  it("say so when the world has too few", async () => {
    await expect(atlasTranscripts({ ...options, count: 5000 })).rejects.toThrow(
      /gives \d+ transcripts of 1 search.*sft\.count/,
    );
  });
});
