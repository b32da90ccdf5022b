import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { searchR1 } from "../prompts/protocol.js";
import type { Question, SearchCall, Trajectory } from "../types.js";
import { attemptOf, searchCall } from "./attempts.test-support.js";
import { combineRewards, rewardsFor, stageAt, stagedReward, type RewardStage } from "./combine.js";
import { exactMatch, matchesAnswer, ours, squad, substringMatch } from "./answers.js";
import { isWellFormed, searchR1FormatReward } from "./format.js";
import { normaliseAnswer } from "./normalise.js";
import { lengthCost, noAnswer, noSearch, overlong, repeatedQueries, repetitionCost, searchCost } from "./penalties.js";
import type { Reward } from "./reward.js";
import { normaliseLikeSquad } from "./squad.js";

const question: Question = { id: "q", question: "Capital of France?", answers: ["Paris", "City of Paris"] };

const trajectoryOf = (turns: string[], answer: string | null, searches: SearchCall[] = []): Trajectory =>
  attemptOf(turns, answer, { searches });

describe("SQuAD's normalisation", () => {
  // The first twelve were run on the original's qa_em.py (Search-R1 @ a14dc3a), the others on test/golden/rewards.py.
  it.each([
    ["The Beatles", "beatles"],
    ["3,000", "3000"],
    ["O'Neil", "oneil"],
    ["U.S.", "us"],
    ["rock-n-roll", "rocknroll"],
    ["L’Oréal", "l’oréal"],
    ["The U.S.A., an apple—a day", "usa apple— day"],
    ["día a día", "día día"],
    ["  A\tthe  An ", ""],
    ["theatre anathema", "theatre anathema"],
    ["the_a", "thea"],
    ["ça the été", "ça été"],
    ["the\u001fU.S.\u0085A", "us"],
    ["a\ufeff", "\ufeff"],
    ["½ of an hour", "½ of hour"],
    ["ΣΑΣ", "σας"],
    ["北京的the", "北京的the"],
    ["a-the-an", "athean"],
    ["100% (the) \\`a`", "100"],
  ])("%j → %j", (text, normalised) => {
    expect(normaliseLikeSquad(text)).toBe(normalised);
  });

  it("knows no accents, other punctuation or numbers", () => {
    for (const [one, other] of [
      ["Bogota\u0301", "Bogotá"],
      ["北京。", "北京"],
      ["L’Oréal", "L'Oréal"],
    ])
      expect(squad.matchesAnswer(one, [other])).toBe(false);
    for (const [one, other] of [
      ["3.5", "35"],
      ["C++", "C#"],
      ["A", "the"],
      ["Vitamin A", "vitamin"],
    ])
      expect(squad.matchesAnswer(one, [other])).toBe(true);
  });
});

describe("exact match", () => {
  it.each([
    ["paris", 1],
    [" The PARIS. ", 1],
    ["city of Paris", 1],
    ["Paris, France", 0],
    ["Pari", 0],
    ["", 0],
    [null, 0],
  ])("%j → %i", (answer, reward) => {
    expect(exactMatch(question, trajectoryOf(["turn"], answer))).toBe(reward);
  });

  it("does not see the prompt's example", () => {
    const asked = { ...question, answers: ["Beijing"] };
    expect(exactMatch(asked, trajectoryOf(["no answer"], null))).toBe(0);
  });
});

describe("the comparison of answers", () => {
  it.each([
    ["The Beatles.", "beatles"],
    ["Beatles, The", "The Beatles"],
    ["U.S.", "us"],
    ["rock-n-roll", "rocknroll"],
    ["3,000", "3000"],
    ["1.000.000", "1,000,000"],
    ["12-05-2020", "12/05/2020"],
    ["3,5", "3.5"],
    ["北京。", "北京"],
    ["「北 京」", "北京"],
    ["東京、", "東京"],
    ["ﾄｰｷｮｰ", "トーキョー"],
    ["ジョン・スミス", "ジョンスミス"],
    ["กรุงเทพฯ", "กรุงเทพ ฯ"],
    ["서울!", "서울"],
    ["الرياض؟", "الرياض"],
    ["«Москва»", "москва"],
    ["नई दिल्ली।", "नई दिल्ली"],
    ["L’Oréal", "L'Oréal"],
    ["Hawaiʻi", "Hawai´i"],
    ["Αθήνα\u037e", "Αθήνα;"],
    ["ＮＡＴＯ", "NATO"],
    ["Bogota\u0301", "Bogotá"],
    ["Par\u00adis\u200b", "Paris"],
    ["LEGO®", "Lego"],
    ["CO₂", "CO2"],
    ["−5", "-5"],
    ["1914–1918", "1914-1918"],
    ["The A", "a"],
  ])("%j = %j", (one, other) => {
    expect(matchesAnswer(one, [other])).toBe(true);
    expect(matchesAnswer(other, [one])).toBe(true);
  });

  it.each([
    ["3.5", "35"],
    ["1/2", "12"],
    ["10²", "102"],
    ["-5", "5"],
    ["C++", "C#"],
    ["C", "C++"],
    ["A", "the"],
    ["A", ""],
    ["the", ""],
    ["The The", "The Who"],
    ["Vitamin A", "Vitamin"],
    ["!!!", "?"],
    ["$", ""],
    ["กา", "ก้า"],
    ["서울 시", "서울시"],
  ])("%j ≠ %j", (one, other) => {
    expect(matchesAnswer(one, [other])).toBe(false);
    expect(matchesAnswer(other, [one])).toBe(false);
  });

  it.each([
    ["北京", "首都是北京。", 1, 4 / 7],
    ["北京", "北京", 1, 1],
    ["北京", "南京", 0, 0.5],
    ["กรุงเทพ", "เมืองหลวงคือกรุงเทพครับ", 1, 12 / 25],
    ["1949", "成立于1949年", 1, 1 / 3],
    ["vitamin A", "It holds vitamin A, and no more", 1, 1 / 4],
    ["vitamin A", "It holds vitamin C", 0, 1 / 3],
    ["A", "a cat", 0, 0],
    ["İzmir", "in İzmir", 1, 2 / 3],
    ["zmir", "İzmir", 0, 0],
    ["The The", "songs of The The, a band", 1, 0],
    ["The The", "the song of the band", 0, 0],
  ])("%j in %j: cover %d, F1 %d", (gold, answer, cover, score) => {
    const asked = { ...question, answers: [gold] };
    expect(ours.coverMatch(asked, attemptOf(["turn"], answer))).toBe(cover);
    expect(ours.f1(asked, attemptOf(["turn"], answer))).toBeCloseTo(score, 12);
    const found = attemptOf(["turn"], null, { searches: [searchCall("q", answer)] });
    expect(ours.retrieval(asked, found)).toBe(cover);
  });

  it("is SQuAD's for English in ASCII, but for what the documentation names (property)", () => {
    const word = fc.constantFrom(
      ...'The a an of U.S. rock-n-roll O\'Neil (Paris) "Rome", 1,000 $5 100% 1990-1995 AT&T no. 7 yes; x_y a/b'.split(
        " ",
      ),
    );
    const text = fc.array(word, { maxLength: 5 }).map((words) => `${words.join(" ")} end`);
    fc.assert(
      fc.property(text, (english) => {
        expect(normaliseAnswer(english)).toBe(normaliseLikeSquad(english));
      }),
      { numRuns: 300 },
    );
  });
});

const think = "<think> a </think>";
const search = `${think}\n<search> q </search>`;
const answerText = `${think} <answer> Paris </answer>`;

describe("format", () => {
  const turns: [name: string, turns: string[], valid: boolean][] = [
    ["think, answer", [answerText], true],
    ["think, search, think, answer", [search, `\n${answerText}\n`], true],
    ["three searches", [search, search, search, answerText], true],
    ["no thought", ["<answer> Paris </answer>"], false],
    ["no thought after a search", [search, "<answer> Paris </answer>"], false],
    ["two thoughts", [`${think}${answerText}`], false],
    ["text before the thought", [`x ${answerText}`], false],
    ["text between", [`${think} so <answer> Paris </answer>`], false],
    ["text after the answer", [`${answerText} and more`], false],
    ["unclosed thought", ["<think> a <answer> Paris </answer>"], false],
    ["a tag inside the thought", ["<think> <search> </think><answer> Paris </answer>"], false],
    ["a tag inside the answer", [`${think}<answer> <information> Paris </answer>`], false],
    ["a forged information block", [`${think}<search>q</search><information>x</information>`, answerText], false],
    ["a malformed turn before", ["hm", answerText], false],
    ["two searches in one turn", [`${search}<search>q</search>`, answerText], false],
    ["an answer in the middle", [answerText, answerText], false],
    ["a search at the end", [search, search], false],
    ["an empty turn", ["", answerText], false],
    ["nothing but empty tags", ["<think></think><search></search>", "<think></think><answer></answer>"], true],
    ["closing tags alone", ["</think><answer>Paris</answer>"], false],
    ["tags in capitals", [`<THINK> a </THINK><answer>Paris</answer>`], false],
    ["search and answer in one turn", [`${think}<search>q</search><answer> Paris </answer>`], false],
  ];
  it.each(turns)("%s", (_name, texts, valid) => {
    expect(isWellFormed(trajectoryOf(texts, "Paris"), searchR1)).toBe(valid);
  });

  // The tokens with which the models of test/golden/chat end their turns, and others' spelling of the same.
  it.each([
    "<|im_end|>",
    "<|endoftext|>",
    "<|eot_id|>",
    "</s>",
    "<eos>",
    "<end_of_turn>",
    "<｜end▁of▁sentence｜>",
    "<turn|>",
  ])("the end of a turn %s is no text after the answer", (end) => {
    expect(isWellFormed(attemptOf([`${search}${end}`, `${answerText}${end}\n`], "Paris"), searchR1)).toBe(true);
    expect(isWellFormed(attemptOf([`${answerText}${end} and more`], "Paris"), searchR1)).toBe(false);
    expect(isWellFormed(attemptOf([`${think}${end}<answer>Paris</answer>`], "Paris"), searchR1)).toBe(false);
  });

  it.each([
    ["begun by the template", "…<|im_start|>assistant\n<think>\n", "so </think><answer>Paris</answer>", true],
    ["begun by the template and again", "…assistant\n<think>\n", `${answerText}`, false],
    ["left empty by the template", "…assistant\n<think>\n\n</think>\n\n", "<answer>Paris</answer>", true],
    ["written by the policy all the same", "…assistant\n<think>\n\n</think>\n\n", answerText, false],
    ["in words of the prompt", "Think inside <think> and </think>", "<answer>Paris</answer>", false],
  ])("a thought %s", (_name, prompt, turn, valid) => {
    expect(isWellFormed(attemptOf([turn], "Paris", { prompt }), searchR1)).toBe(valid);
    expect(isWellFormed(attemptOf([search, turn], "Paris", { prompt }), searchR1)).toBe(false);
  });

  it("needs an answer, and can do without thoughts", () => {
    expect(isWellFormed(trajectoryOf([search, search], null), searchR1)).toBe(false);
    const bare = trajectoryOf(["<search>q</search>", "<answer>x</answer>"], "x");
    expect(isWellFormed(bare, searchR1, { thinkRequired: false })).toBe(true);
  });

  // The second paper's table (reference §3.3), but for no answer + valid, which cannot be without an answer.
  const hit = [searchCall("q", "In Paris.")];
  const miss = [searchCall("q", "In Rome.")];
  it.each([
    ["right, valid", answerText, "Paris", miss, 1],
    ["right, invalid", "<answer>Paris</answer>", "Paris", miss, 0.8],
    ["wrong, valid, retrieved", answerText, "Rome", hit, 0.25],
    ["wrong, valid, not retrieved", answerText, "Rome", miss, 0.2],
    ["wrong, invalid", "<answer>Rome</answer>", "Rome", hit, 0.1],
    ["none, invalid", "hm", null, hit, 0],
  ])("%s", (_name, turn, answer, searches, expected) => {
    const reward = searchR1FormatReward(searchR1, { retrieval: 0.05 });
    expect(reward(question, trajectoryOf([turn], answer, searches))).toBeCloseTo(expected, 12);
  });
});

describe("search cost", () => {
  const searches = [searchCall("a b", "x"), searchCall(" A  B", "x"), searchCall("c", "x")];
  it("is paid by right answers only", () => {
    const cost = searchCost({ perSearch: 0.1, perRepeat: 0.05, most: 0.9 });
    expect(cost(question, trajectoryOf(["t"], "Paris", searches))).toBeCloseTo(-0.35, 12);
    expect(cost(question, trajectoryOf(["t"], "Paris"))).toBe(0);
    expect(cost(question, trajectoryOf(["t"], "Rome", searches))).toBe(0);
    expect(cost(question, trajectoryOf(["t"], null, searches))).toBe(0);
  });

  it("has a limit, so that right stays better than wrong", () => {
    const many = Array.from({ length: 100 }, () => searchCall("q", "x"));
    expect(searchCost()(question, trajectoryOf(["t"], "Paris", many))).toBe(-0.3);
    expect(repeatedQueries(trajectoryOf(["t"], null, many))).toBe(99);
  });
});

describe("cover match, substring match and F1", () => {
  it.each<[string, string[], string | null, number, number, number]>([
    ["the answer alone", ["Peruvian sol"], "the Peruvian Sol.", 1, 1, 1],
    ["inside a sentence", ["Peruvian sol"], "It is the Peruvian sol, I think", 1, 1, 0.5],
    ["part of a word", ["sol"], "a solution", 0, 1, 0],
    ["letters of another word", ["no"], "Norway", 0, 1, 0],
    ["half of it", ["Peruvian sol"], "sol", 0, 0, 2 / 3],
    ["other order", ["sol peruvian"], "Peruvian sol", 0, 0, 1],
    ["words apart", ["Peruvian sol"], "Peruvian new sol", 0, 0, 0.8],
    ["repeated words count once", ["sol"], "sol sol sol", 1, 1, 0.5],
    ["yes is whole", ["yes"], "yes and no", 1, 1, 0],
    ["the best of several", ["Rome", "Paris France"], "Paris", 0, 0, 2 / 3],
    ["an article in something", ["the"], "Paris", 0, 1, 0],
    ["another article", ["the"], "a", 0, 1, 0],
    ["no answer", ["Paris"], null, 0, 0, 0],
  ])("%s", (_name, answers, answer, cover, substring, score) => {
    const asked = { ...question, answers };
    const attempt = attemptOf(["turn"], answer);
    expect([ours.coverMatch(asked, attempt), substringMatch(asked, attempt)]).toEqual([cover, substring]);
    expect(ours.f1(asked, attempt)).toBeCloseTo(score, 12);
  });
});

describe("retrieval", () => {
  it.each<[string, string[], string, number]>([
    ["a right answer", ["Paris"], "It is in Paris.", 1],
    ["any of them", ["Lutetia", "city of Paris"], "The City of Paris", 1],
    ["part of a word only", ["no"], "In Norway", 0],
    ["the title", ["t"], "x", 1],
    ["an answer of nothing", ["the"], "x", 0],
  ])("%s", (_name, answers, text, value) => {
    const attempt = attemptOf(["turn"], null, { searches: [searchCall("a"), searchCall("q", text)] });
    expect(ours.retrieval({ ...question, answers }, attempt)).toBe(value);
  });

  it("does not look at what the policy wrote", () => {
    const forged = attemptOf(["<information>Paris</information>"], "Paris", { searches: [searchCall("q", "Rome")] });
    expect(ours.retrieval(question, forged)).toBe(0);
  });
});

describe("prices", () => {
  it("no answer and no search", () => {
    const silent = attemptOf(["turn"], null, { searches: [searchCall("q")] });
    expect([noAnswer(question, silent), noSearch(question, silent)]).toEqual([-1, 0]);
    const guess = attemptOf(["turn"], "Rome");
    expect([noAnswer(question, guess), noSearch(question, guess)]).toEqual([0, -1]);
  });

  it.each([
    [[100, 100], 0],
    [[200, 56], 0],
    [[200, 57], -0.001],
    [[200, 156], -0.1],
    [[5000, 1], -0.3],
  ])("length: turns of %j tokens cost %d; passages are free", (tokens, price) => {
    const attempt = attemptOf(["a", "b"], "Paris", { tokens });
    attempt.segments[2].tokens_T = new Array<number>(1000).fill(9);
    expect(lengthCost()(question, attempt)).toBeCloseTo(price, 12);
  });

  it.each<[number, number]>([
    [79, 0],
    [80, 0],
    [85, -0.25],
    [90, -0.5],
    [99, -0.95],
    [100, -1],
    [101, -1],
  ])("overlong: a row of %d tokens of 100 costs %d", (length, price) => {
    const attempt = attemptOf(["a"], "Paris", { tokens: [length - 1] });
    expect(overlong({ most: 100 })(question, attempt)).toBeCloseTo(price, 12);
    const cut = attemptOf(["a"], null, { tokens: [2], finishReason: "out-of-tokens" });
    expect(overlong({ most: 100 })(question, cut)).toBe(-1);
  });

  it.each<[string, string[], number]>([
    ["nothing twice", ["one two three four five six"], 0],
    ["short turns", ["a a a"], 0],
    ["a loop", ["go go go go go go go"], -0.75],
    ["the same turn twice", ["<search> capital of France </search>", "<search> Capital of France </search>"], -0.5],
    ["no runs across turns", ["one two", "three one two three"], 0],
    ["a loop without spaces", ["去去去去去去去"], -0.75],
  ])("repetition: %s", (_name, turns, price) => {
    expect(repetitionCost()(question, attemptOf(turns, null))).toBeCloseTo(price, 12);
  });

  it("repetition does not see observations", () => {
    const same = ["one two three four five", "one two three four five"];
    expect(repetitionCost()(question, attemptOf(["a", "b", "c"], null, { observations: same }))).toBe(0);
  });
});

describe("combined rewards", () => {
  it("are weighted sums with their parts", () => {
    const score = combineRewards({ "exact-match": 1, format: 0.2, "search-cost": 2 }, rewardsFor(searchR1));
    const result = score(question, trajectoryOf([search, answerText], "Paris", [searchCall("q", "x")]));
    if (result instanceof Promise) throw new Error("what needs no waiting is there at once");
    expect(result.parts).toEqual({ "exact-match": 1, format: 1, "search-cost": -0.02 });
    expect(result.total).toBeCloseTo(1.16, 12);
  });

  it("teach when a name or weight is wrong", () => {
    const known = rewardsFor(searchR1);
    expect(() => combineRewards({ "exact-mach": 1 }, known)).toThrow(/Did you mean exact-match\?/);
    expect(() => combineRewards({ toString: 1 }, known)).toThrow(/no reward named toString/);
    expect(() => combineRewards({ format: NaN }, known)).toThrow(/weight of reward format is NaN/);
    expect(() => combineRewards({}, known)).toThrow(/No reward is named/);
  });
});

describe("rewards that have to be waited for", () => {
  const later: Reward = (_question, { answer }) => Promise.resolve(answer === "Paris" ? 0.5 : 0);

  it("are summed with the others", async () => {
    const score = combineRewards({ "exact-match": 1, later: 2 }, { ...rewardsFor(searchR1), later });
    expect(await score(question, attemptOf([answerText], "Paris"))).toEqual({
      total: 2,
      parts: { "exact-match": 1, later: 0.5 },
    });
  });

  it("get the moment, and their failure is the sum's", async () => {
    const { signal } = new AbortController();
    const seen: unknown[] = [];
    const asking: Reward = (_question, _trajectory, moment) => {
      seen.push(moment);
      return Promise.reject(new Error("no judge"));
    };
    const score = stagedReward({ asking: 1 }, [], { asking });
    await expect(score(question, attemptOf([answerText], "Paris"), { step: 3, signal })).rejects.toThrow("no judge");
    expect(seen).toEqual([{ step: 3, signal }]);
  });
});

describe("stages", () => {
  const stages: RewardStage[] = [
    { from: 10, weights: { "exact-match": 1 } },
    { from: 20, weights: { "exact-match": 1, "search-cost": 1 } },
  ];
  const right = attemptOf([search, answerText], "Paris", { searches: [searchCall("q")] });
  const reward = stagedReward({ format: 0.5 }, stages, rewardsFor(searchR1));

  it.each([
    [0, 0.5],
    [9, 0.5],
    [10, 1],
    [19, 1],
    [20, 0.98],
    [1000, 0.98],
    [undefined, 0.98],
  ])("step %j → %d", (step, value) => {
    expect(reward(question, right, { step })).toBeCloseTo(value, 12);
  });

  it("are a function of the step alone: asked in any order, they say the same", () => {
    const forwards = [0, 5, 10, 15, 20, 25].map((step) => stageAt(stages, step).from);
    const backwards = [25, 20, 15, 10, 5, 0].map((step) => stageAt(stages, step).from);
    expect(backwards.reverse()).toEqual(forwards);
  });

  it("a stage from the beginning takes the weights' place", () => {
    const staged = stagedReward({ nonsense: 1 }, [{ from: 0, weights: { "exact-match": 2 } }], rewardsFor(searchR1));
    expect(staged(question, right, { step: 0 })).toBe(2);
  });

  it("teach when they are wrong", () => {
    const known = rewardsFor(searchR1);
    const [late, later] = stages;
    expect(() => stagedReward({ format: 1 }, [later, late], known)).toThrow(/stage from step 10 follows/);
    expect(() => stagedReward({ format: 1 }, [late, late], known)).toThrow(/out of order/);
    expect(() => stagedReward({ format: 1 }, [{ from: 5, weights: { formt: 1 } }], known)).toThrow(
      /Did you mean format\?/,
    );
    expect(() => stagedReward({ "llm-judge": 1 }, [], known)).toThrow(/needs reward.judgeUrl/);
  });
});
