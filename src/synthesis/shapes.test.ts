/** @file What rules ask the script can answer: every kind of made question, read from its own passage. */
import { expect, it } from "vitest";
import { ours } from "../rewards/answers.js";
import { clozeCandidates } from "./questions/cloze/cloze.js";
import { WordRarity } from "./questions/word-rarity.js";
import { optionNames } from "./shapes.js";
import { readAnswer } from "./transcripts/extract.js";

const texts = [
  "-q, --[no-]quiet-run <level>\n\nPrint nothing but the names of boats that are late.",
  "mooring_slots (integer)\n\nSets how many boats may lie at a pier. The default is 48 slots.\n\nNew in version 2.7.",
  'buoy_paint(name)\n\nReturn the buoy with its name in fresh paint. Added in 3.12. The default is "vermilion".',
  "static keel_depth\n\nHow deep the keel of a boat lies under the water.",
  "| Boat | Meaning | Code |\n| --- | --- | --- |\n| Albatross | carries only mail in the winter | KX-17 |",
  "Every boat needs a Harbour Entry Permit (HEP) before it may come in at night.",
  "A bollardine is a short post on a quay that ropes of smaller boats are tied to.",
  "Boats that come from the north must call the station Vestlandet before they pass the second light.",
  "The lamp at the end of the long pier was lit for 1866 nights before it was taken down again.",
];

it("reads the right answer of every kind of question that rules make", () => {
  const rarity = new WordRarity();
  for (let index = 0; index < 1000; index++) rarity.add("The harbour keeps a list of boats that lie at the pier.");
  for (const text of texts) rarity.add(text);
  const made = texts.flatMap((text, at) => {
    const passage = { id: `${at}.md#1`, title: "ferry — A tool for harbours", text };
    return clozeCandidates(passage, rarity).map((candidate) => ({ ...candidate, passage }));
  });
  expect(new Set(made.map(({ kind }) => kind))).toEqual(
    new Set(["definition", "default", "since", "table", "abbreviation", "gap", "number"]),
  );
  const wrong = made.flatMap(({ question, answers, passage }) => {
    const read = readAnswer(question, [passage])?.answer ?? "";
    return ours.matchesAnswer(read, answers) ? [] : [{ question, answers, read }];
  });
  expect(wrong).toEqual([]);
});

it.each([
  ["-q, --[no-]quiet <level>", ["--quiet", "-q"]],
  ["--span=<days> | -s or --days", ["--span", "--days", "-s"]],
  ["quiet", []],
])("names the options of %s", (line, names) => {
  expect(optionNames(line)).toEqual(names);
});
