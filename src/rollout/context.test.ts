/**
 * Passages before the first word (`rollout.context` question), and rollouts without search:
 *  1. One search with the question itself; its passages stand in the prompt, or behind it where the prompt has no place for them.
 *  2. Either way they are not the policy's: masked, sanitized, on record among the searches.
 *  3. `maxSearches` does not count that search; with 0 a further one is the end.
 *  4. Passages that do not fit are left out whole; the row keeps its limit; a prompt without room is found out before anything is asked.
 *  5. A failed search is marked; an abort ends the row.
 *  6. Without search (protocol r1) search tags are words like any other.
 */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { tokenRoles } from "../algorithms/batches.test-support.js";
import { trajectoryToDatum } from "../algorithms/datum.js";
import { createChatTemplate } from "../engine/io/chat-template.js";
import { scriptedPolicy } from "../policy/scripted.js";
import { byteTokenizer } from "../policy/testing.js";
import { hostileText } from "../prompts/hostile.test-support.js";
import { atlas, r1, searchR1 } from "../prompts/protocol.js";
import { renderObservation, renderPassages, renderPrompt } from "../prompts/render.js";
import type { Trajectory } from "../types.js";
import { engineOf, options, passage, question, story } from "./fixtures.test-support.js";
import { PromptTooLong, requireRoom, rollout, type RolloutOptions } from "./rollout.js";

const searchText = "<search> q </search>";
const answerText = "<answer> Paris </answer>";
const found = [passage("Paris is the capital of France.", "France"), passage("Lyon is large.", "Lyon")];
const withContext = (changes: Partial<RolloutOptions> = {}, script: readonly string[] = [answerText]) =>
  options(script, { context: "question", search: engineOf(() => found), ...changes });
const lengthOf = ({ segments }: Trajectory): number => segments.reduce((sum, { tokens_T }) => sum + tokens_T.length, 0);

describe("passages in the prompt (1, 2)", () => {
  it("stand where the released code's nq_rag.py has them", async () => {
    const given = withContext({ protocol: r1, maxSearches: 0 });
    const trajectory = await rollout(question, given);
    const context = renderPassages(r1, found);
    expect(context).toBe("Doc 1(Title: France) Paris is the capital of France.\nDoc 2(Title: Lyon) Lyon is large.\n");
    expect(story(trajectory)).toEqual([`prompt: ${renderPrompt(r1, question, context)}`, `policy: ${answerText}`]);
    expect(trajectory.texts[0]).toContain(`Question: Capital of France? Context: ${context} \n`);
    expect(trajectory.searches).toMatchObject([{ query: question.question, passages: found, omittedPassages: 0 }]);
    expect(given.policy.calls[0].prefixText).toBe(trajectory.texts[0]);
  });

  it("go through the chat template with it", async () => {
    const template = "{% for m in messages %}[{{ m.role }}]{{ m.content }}{% endfor %}[assistant]";
    const tokenizer = { ...byteTokenizer(r1), chatTemplate: createChatTemplate(template, {}) };
    const policy = scriptedPolicy({ tokenizer, script: [answerText] });
    const { texts } = await rollout(question, { ...withContext({ protocol: r1 }), policy });
    expect(texts[0]).toBe(`[user]${renderPrompt(r1, question, renderPassages(r1, found))}[assistant]`);
  });
});

describe("passages behind the prompt (1, 2, 3)", () => {
  it.each([atlas, searchR1])("are an observation like any other: $name", async (protocol) => {
    const trajectory = await rollout(question, withContext({ protocol, maxSearches: 1 }, [searchText, answerText]));
    const observation = renderObservation(protocol, found);
    expect(story(trajectory)).toEqual([
      `prompt: ${renderPrompt(protocol, question)}`,
      `environment: ${observation}`,
      `policy: ${searchText}`,
      `environment: ${observation}`,
      `policy: ${answerText}`,
    ]);
    expect(trajectory.searches.map(({ query }) => query)).toEqual([question.question, "q"]);
  });

  it("leave no further search where none is allowed", async () => {
    const trajectory = await rollout(question, withContext({ maxSearches: 0 }, [searchText]));
    expect(trajectory).toMatchObject({ finishReason: "out-of-turns", searches: [{ query: question.question }] });
  });

  it("carry loss in the ablation alone, as an observation; in a prompt never", async () => {
    const masks = async (protocol: typeof atlas, maskRetrieved: boolean): Promise<unknown> => {
      const trajectory = await rollout(question, withContext({ protocol, maxSearches: 0 }));
      const { sampledMask_T } = trajectoryToDatum(trajectory, { maskRetrieved });
      const roles = tokenRoles(trajectory);
      return [...new Set(roles)].map((role) =>
        [role, [...sampledMask_T].filter((_, t) => roles[t] === role)].map(unique),
      );
    };
    const unique = (value: string | number[]): unknown => (typeof value === "string" ? value : [...new Set(value)]);
    expect(await masks(atlas, true)).toEqual([["prompt", [0]], ["environment", [0]], ["policy", [1]]]); // prettier-ignore
    expect(await masks(atlas, false)).toEqual([["prompt", [0]], ["environment", [1]], ["policy", [1]]]); // prettier-ignore
    expect(await masks(r1, false)).toEqual([["prompt", [0]], ["policy", [1]]]); // prettier-ignore
  });
});

describe("budgets (4)", () => {
  it.each([r1, atlas])("leave passages out whole: $name", async (protocol) => {
    const search = engineOf(() => [passage("a".repeat(500)), passage("short")]);
    const { searches, texts } = await rollout(
      question,
      withContext({ protocol, search, maxSearches: 0, maxObservationTokens: 100 }),
    );
    expect(searches).toMatchObject([{ omittedPassages: 1, passages: [{ text: "short" }] }]);
    expect(texts.join("")).toContain("short");
    expect(texts.join("")).not.toContain("aaa");
  });

  it.each([r1, atlas])("the row keeps its limit, whatever it is: $name", async (protocol) => {
    let attempted = 0;
    for (let maxTokens = 30; maxTokens < 720; maxTokens += 7) {
      const given = withContext({ protocol, maxSearches: 0, maxTokens });
      let room = true;
      try {
        requireRoom(question, given);
      } catch (error) {
        room = false;
        expect(error).toBeInstanceOf(PromptTooLong);
      }
      if (!room) {
        await expect(rollout(question, given)).rejects.toThrow(/Question q1: its prompt .* no room to write/);
        expect(given.policy.calls).toEqual([]);
        continue;
      }
      attempted++;
      const trajectory = await rollout(question, given);
      expect(lengthOf(trajectory)).toBeLessThanOrEqual(maxTokens);
      expect(trajectory.segments.at(-1)?.role).toBe("policy");
      expect(trajectory.searches[0].passages.length + trajectory.searches[0].omittedPassages).toBe(2);
    }
    expect(attempted).toBeGreaterThan(5);
  });
});

describe("faults (5)", () => {
  const failing = engineOf(() => Promise.reject(new Error("down")));

  it("a failed search leaves its mark and the policy its turn", async () => {
    const observed = await rollout(question, withContext({ search: failing }));
    expect(observed.texts[1]).toBe("<information> Search failed.</information>\n");
    const prompted = await rollout(question, withContext({ protocol: r1, search: failing }));
    expect(prompted.texts[0]).toBe(renderPrompt(r1, question, ""));
    for (const { searches, finishReason } of [observed, prompted]) {
      expect(searches).toMatchObject([{ query: question.question, passages: [], error: "fake: down" }]);
      expect(finishReason).toBe("answered");
    }
  });

  it("and counts among those that end the row", async () => {
    const trajectory = await rollout(question, withContext({ search: failing, maxSearchFailures: 0 }));
    expect(trajectory).toMatchObject({ finishReason: "search-failed", answer: null });
  });

  it.each([r1, atlas])("an abort while it searches: $name", async (protocol) => {
    const controller = new AbortController();
    const search = engineOf(() => {
      setTimeout(() => controller.abort(), 5);
      return new Promise(() => {});
    });
    const given = withContext({ protocol, search, signal: controller.signal });
    const trajectory = await rollout(question, given);
    expect(trajectory).toMatchObject({ finishReason: "cancelled", searches: [] });
    expect(trajectory.segments.map(({ role }) => role)).toEqual(["prompt"]);
    expect(given.policy.calls).toEqual([]);
  });
});

it("hostile passages change nothing but words, in a prompt too (2)", async () => {
  const tokenizer = byteTokenizer(r1);
  const specials = new Set(tokenizer.specialTokens.values());
  const run = (text: string, title: string) =>
    rollout(question, withContext({ protocol: r1, search: engineOf(() => [passage(text, title)]), maxTokens: 4000 }));
  const structure = ({ segments }: Trajectory): unknown =>
    segments.map(({ role, tokens_T }) => [role, tokens_T.filter((token) => specials.has(token))]);
  const plain = await run("harmless", "T");
  await fc.assert(
    fc.asyncProperty(hostileText, hostileText, async (text, title) => {
      const trajectory = await run(text, title);
      expect(structure(trajectory)).toEqual(structure(plain));
      expect(trajectory).toMatchObject({ answer: "Paris", finishReason: "answered" });
    }),
    { numRuns: 60 },
  );
});

describe("without search (6)", () => {
  it("reads the released code's nq.py and takes one turn", async () => {
    const trajectory = await rollout(question, options(["<think>x</think>" + answerText], { protocol: r1 }));
    expect(trajectory.texts[0]).toBe(renderPrompt(r1, question));
    expect(trajectory).toMatchObject({ finishReason: "answered", answer: "Paris", searches: [] });
  });

  it("does not take a search tag for a search, nor for an end", async () => {
    const search = engineOf(() => found);
    const trajectory = await rollout(question, options([`${searchText} ${answerText}`], { protocol: r1, search }));
    expect(trajectory).toMatchObject({ finishReason: "answered", answer: "Paris", searches: [] });
    expect(search.batches).toEqual([]);
    const none = await rollout(question, options(["hm"], { protocol: r1 }));
    expect(none).toMatchObject({ finishReason: "malformed", answer: null });
    expect(none.segments.map(({ role }) => role)).toEqual(["prompt", "policy"]);
  });
});
