/** @file Reading without a model: a table of questions over passages, with what is read. */
import { describe, expect, it } from "vitest";
import { readAnswer } from "./extract.js";

const passages = [
  {
    title: "tidewatch(1) › Options",
    text: "* **mesh** `number` (optional) - Width of a mesh of the net.\n\n--lag\n\nWait before the next tide. The default is currently 5 million ticks when idle.\n\n--span=<days>\n\nShow the tides of so many days. The default is 3. New in version 2.4.\n\n-q, --quiet\n\nPrint nothing but the highest tide.\n\ngauge(name, *, unit)\n\nReturn the gauge of a harbour. Added in 1.9.",
  },
  {
    title: "Harbours",
    text: "| harbour | depth | since |\n|---|---|---|\n| Ystad | 7 m | 1866 |\n| Halmstad | 9 m | 1322 |\n\nA mole is a massive wall of stone that shelters ships from waves. The Swedish Maritime Administration (SMA) was founded on 1 July 1956 in Norrköping. Since 2011 pilots report to Karin Lindqvist every 6 hours.",
  },
];

describe("an answer is read", () => {
  it.each([
    ["a gap", 'Which word is missing: "A mole is a massive ____ of stone that shelters ships"?', "wall"],
    ["a gap of two words", 'Fill in the blank: "The Swedish ____ (SMA) was founded"', "Maritime Administration"],
    ["a gap at the end", 'Which word is missing: "that shelters ships from ____"?', "waves"],
    ["a gap without quotation marks", "Fill in the gap: Print nothing but the ____ tide", "highest"],
    [
      "the term above a description",
      'Which option of tidewatch is described like this: "Print nothing but the highest tide"?',
      "--quiet",
    ],
    ["an option without its value", 'Which option is described like this: "Show the tides of so many days"?', "--span"],
    [
      "a function without arguments",
      'Which function is described like this: "Return the gauge of a harbour"?',
      "gauge",
    ],
    ["the subject of a definition", "What is a massive wall of stone that shelters ships from waves?", "mole"],
    ["a default", "What is the default of the option --span of tidewatch?", "3"],
    ["a default with its unit", "What is the default of the option --lag?", "5 million ticks"],
    ["a term of a list with types", 'Which term is described like this: "Width of a mesh of the net"?', "mesh"],
    ["the version behind a name", "In which version was the function gauge of tidewatch added?", "1.9"],
    ["a cell of a table", "What is the depth of Halmstad in Harbours?", "9 m"],
    ["what an abbreviation stands for", "What does SMA stand for?", "Swedish Maritime Administration"],
    ["a day", "When was the Swedish Maritime Administration founded?", "1 July 1956"],
    ["a person", "Who do pilots report to?", "Karin Lindqvist"],
    ["a number", "Every how many hours do pilots report?", "6"],
  ])("of %s", (_, question, answer) => {
    expect(readAnswer(question, passages)?.answer).toBe(answer);
  });

  it("with the sentence and the place of the passage that hold it", () => {
    const reading = readAnswer('Which word is missing: "shelters ____ from waves"?', passages);
    expect(reading).toMatchObject({
      answer: "ships",
      document: 2,
      sentence: "A mole is a massive wall of stone that shelters ships from waves.",
    });
  });

  it.each([
    ["What is the default of the option --lag?", "The default is currently 5 million ticks"],
    ["In which version was the function gauge of tidewatch added?", "Added in 1.9"],
  ])("with the words that stand in the passage, to be copied: %s", (question, sentence) => {
    expect(readAnswer(question, passages)).toMatchObject({ sentence });
    expect(passages[0].text).toContain(sentence);
  });

  it("and nothing where no passage has a word of the question, or there is none", () => {
    expect(readAnswer("Who painted the ceiling?", passages)).toBe(null);
    expect(readAnswer("When was it founded?", [])).toBe(null);
    expect(readAnswer("", passages)).toBe(null);
  });

  it("never from what the question says already", () => {
    expect(readAnswer("When were pilots told since 2011?", passages)?.answer).not.toBe("2011");
  });
});
