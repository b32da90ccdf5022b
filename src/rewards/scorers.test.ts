/** @file Scores against the scorers that the field publishes with: `test/golden/scorers.py` names the packages and what each stands for. */
import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { attemptOf } from "./attempts.test-support.js";
import { ours, squad, substringMatch } from "./answers.js";

interface Scores {
  em: number;
  f1: number;
}
interface ScorerCase {
  trap: string;
  answer: string;
  golds: string[];
  same: number;
  squad1: Scores;
  squad2: Scores;
  hotpot: Scores;
  flashrag: Scores & { sub: number };
  mrqa: Pick<Scores, "em">;
}

const file = new URL("../../test/golden/scorers.json", import.meta.url);
const { cases } = JSON.parse(readFileSync(file, "utf8")) as { cases: ScorerCase[] };
const scoreOf = ({ answer, golds }: ScorerCase, score: typeof squad.exactMatch): number =>
  score({ id: "q", question: "?", answers: golds }, attemptOf(["turn"], answer));
/** Compared with the case beside it, so that a failure names it. */
const told = ({ trap, answer, golds }: ScorerCase, score: unknown): unknown => ({ trap, answer, golds, score });
const casesWhere = (isMeant: (each: ScorerCase) => boolean): string[] =>
  cases.filter(isMeant).map(({ answer, golds }) => JSON.stringify([answer, ...golds]));

describe("the field's scorers", () => {
  it("are asked about many kinds of traps", () => {
    expect(cases.length).toBeGreaterThan(100);
    expect(new Set(cases.map(({ trap }) => trap)).size).toBeGreaterThan(10);
  });

  it("agree with em/squad on every case: SQuAD 1.1, SQuAD 2.0, FlashRAG, MRQA", () => {
    for (const each of cases) {
      const { squad1, squad2, flashrag, mrqa } = each;
      const score = scoreOf(each, squad.exactMatch);
      expect(told(each, [score, score, score, score])).toEqual(
        told(each, [squad1.em, squad2.em, flashrag.em, mrqa.em]),
      );
    }
  });

  it("agree with F1: FlashRAG's, and SQuAD 2.0's where nothing is left of both answers", () => {
    for (const each of cases) {
      const expected = each.squad2.f1 === 1 ? 1 : each.flashrag.f1;
      expect(told(each, scoreOf(each, squad.f1).toFixed(12))).toEqual(told(each, expected.toFixed(12)));
    }
  });

  it("agree with substring match: FlashRAG's acc, which papers call sub-EM or cover-EM", () => {
    for (const each of cases) expect(told(each, scoreOf(each, substringMatch))).toEqual(told(each, each.flashrag.sub));
  });

  it("disagree among themselves where the documentation says, and nowhere else", () => {
    const differs = (of: (each: ScorerCase) => readonly number[]): string[] =>
      casesWhere((each) => new Set(of(each)).size > 1);
    // DSPy's copy of HotpotQA's script decomposes accents first.
    expect(differs(({ hotpot, flashrag }) => [hotpot.em, flashrag.em])).toEqual(['["Bogota\u0301","Bogotá"]']);
    // HotpotQA's rule.
    const isLeft = ({ squad2 }: ScorerCase): boolean => squad2.f1 < 1;
    expect(casesWhere((each) => isLeft(each) && each.squad2.f1 !== each.flashrag.f1)).toEqual([
      '["yes and no","yes"]',
      '["yes","yes indeed"]',
    ]);
    // Nothing is left of both answers.
    const nothing = casesWhere((each) => !isLeft(each) && each.flashrag.f1 < 1);
    expect(nothing).toEqual([
      '["the","a"]',
      '["A","the A"]',
      '["!!!","???"]',
      '["!!!","!!!"]',
      '["","the"]',
      '["",""]',
      '["...","the","Paris"]',
    ]);
  });

  it("never give less than cover match, which wants whole words", () => {
    const stricter = cases.filter((each) => scoreOf(each, squad.coverMatch) < each.flashrag.sub);
    expect(stricter.map(({ answer }) => answer)).toEqual(expect.arrayContaining(["Norway", "solution", "東京都"]));
    for (const each of cases)
      expect(told(each, scoreOf(each, squad.coverMatch) <= each.flashrag.sub)).toEqual(told(each, true));
  });

  it("say of 26 cases what a person would not, and our comparison of one", () => {
    const wrong = (score: typeof squad.exactMatch): string[] =>
      casesWhere((each) => scoreOf(each, score) !== each.same);
    expect(wrong(squad.exactMatch)).toHaveLength(26);
    // The Spanish word is taken for an English article.
    expect(wrong(ours.exactMatch)).toEqual(['["día a día","día día"]']);
  });
});
