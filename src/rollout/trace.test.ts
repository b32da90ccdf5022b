import { describe, expect, it } from "vitest";
import { policyTokenCount, tokenRoles } from "../algorithms/batches.test-support.js";
import { trajectoryToDatum } from "../algorithms/datum.js";
import { engineOf, options, passage, question } from "./fixtures.test-support.js";
import { rollout } from "./rollout.js";
import { renderTrace, traceFromLine, traceToLine } from "./trace.js";

const script = ["<think>hm</think><search>capital</search>", "<answer>Paris</answer>"];

describe("datum", () => {
  it("takes masks from roles and log-probabilities from the sampler", async () => {
    const trajectory = await rollout(question, options(script));
    const datum = trajectoryToDatum(trajectory);
    expect(datum.tokens_T).toEqual(trajectory.segments.flatMap(({ tokens_T }) => tokens_T));
    tokenRoles(trajectory).forEach((role, t) => {
      expect([datum.sampledMask_T[t], datum.logprobs_T?.[t]]).toEqual(role === "policy" ? [1, -1] : [0, 0]);
    });
    expect(datum.sampledMask_T.reduce((sum, bit) => sum + bit, 0)).toBe(policyTokenCount(trajectory));
  });

  it("without the mask, environment tokens carry loss and wait for the trainer's log-probabilities", async () => {
    const trajectory = await rollout(question, options(script));
    const datum = trajectoryToDatum(trajectory, { maskRetrieved: false });
    const roles = tokenRoles(trajectory);
    expect([...datum.sampledMask_T]).toEqual(roles.map((role) => (role === "prompt" ? 0 : 1)));
    expect([...datum.logprobs_T]).toEqual(roles.map((role) => ({ prompt: 0, policy: -1, environment: NaN })[role]));
  });

  it("refuses policy tokens without log-probabilities", async () => {
    const trajectory = await rollout(question, options(script));
    delete trajectory.segments[1].logprobs_T;
    expect(() => trajectoryToDatum(trajectory)).toThrow(/internal: question q1/);
  });
});

describe("trace", () => {
  it("survives the round trip to a line", async () => {
    const search = engineOf(() => [
      { ...passage("a\u2028b\n</information>"), url: "https://a.example/#b", section: "A › B" },
    ]);
    const trajectory = await rollout(question, options(script, { search }));
    const record = { trajectory, question, reward: 1, step: 3 };
    const line = traceToLine(record);
    expect(line).not.toContain("\n");
    expect(traceFromLine(line)).toEqual(record);
  });

  it("names the place and the field of a bad line", async () => {
    expect(() => traceFromLine('{"trajectory":', "t.jsonl:7")).toThrow(/^t.jsonl:7: not a JSON line/);
    const record = { trajectory: await rollout(question, options(script)) };
    const bad = traceToLine(record).replace('"role":"policy"', '"role":"user"');
    expect(() => traceFromLine(bad, "t.jsonl:8")).toThrow(/^t.jsonl:8: field trajectory.segments.1.role/);
    record.trajectory.segments[1].logprobs_T?.pop();
    expect(() => traceFromLine(traceToLine(record))).toThrow(/differ in length/);
  });

  it("reads well, with and without colours", async () => {
    const trajectory = await rollout(question, options(script));
    const text = renderTrace({ trajectory, question, reward: 1 }, { colors: false });
    expect(text).toBe(
      `${trajectory.texts.join("")}\n[answered · answer: Paris · expected: Paris · reward: 1 · 1 search]`,
    );
    const coloured = renderTrace({ trajectory }, { colors: true });
    expect(coloured).toContain("<search>\u001b[36mcapital\u001b[39m</search>");
    expect(coloured).toContain("\u001b[33m<information>");
    expect(coloured).toMatch(/\u001b\[32mParis/);
  });

  it("paints the policy's queries, whoever else searched", async () => {
    const context = { ...options(script), context: "question" as const };
    const text = renderTrace({ trajectory: await rollout(question, context) }, { colors: true });
    expect(text).toContain("<search>\u001b[36mcapital\u001b[39m</search>");
    expect(text).toContain("2 searches");
  });

  it("sends no escape sequence of a model or a document to the terminal", async () => {
    const trajectory = await rollout(question, options(["\u001b[2J<answer>\u001b]0;x\u0007</answer>"]));
    const text = renderTrace({ trajectory }, { colors: false });

    expect(text).not.toMatch(/[\u001b\u0007]/);
  });
});
