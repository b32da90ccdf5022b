import { appendFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { Budget } from "./budget.js";
import { SearchError } from "../engine.js";

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "sleuth-budget-"));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

describe("Budget", () => {
  it("refuses what is beyond the bound, says what to do, and counts", () => {
    const budget = new Budget({ maxRequests: 2 });
    budget.spend("serper", 0.001);
    budget.spend("brave", 0.005);
    for (let again = 0; again < 2; again++) {
      expect(() => budget.spend("serper", 0.001)).toThrow(
        /budget of 2 requests is used up .*search.maxRequests.*Raise/,
      );
    }
    const failure = ((): unknown => {
      try {
        return budget.check("serper");
      } catch (error) {
        return error;
      }
    })();
    expect(failure).toBeInstanceOf(SearchError);
    expect(failure).toMatchObject({ isRetryable: false, engine: "serper" });
    expect(budget.counts()).toEqual({ budgetedRequests: 2, spentUsd: 0.006, refusedRequests: 3 });
  });

  it("bounds nothing at 0", () => {
    const budget = new Budget({ maxRequests: 0 });
    for (let request = 0; request < 100; request++) budget.spend("http", 0);
    expect(budget.counts()).toEqual({ budgetedRequests: 100, spentUsd: 0, refusedRequests: 0 });
  });

  it("goes on counting where the last process stopped, torn line included", () => {
    const file = join(folder, "requests.jsonl");
    const first = new Budget({ maxRequests: 4, file });
    first.spend("serper", 0.25);
    first.spend("serper", 0.5);
    expect(readFileSync(file, "utf8").split("\n")).toHaveLength(3);
    appendFileSync(file, '\n{"engine":"ser');
    const second = new Budget({ maxRequests: 4, file });
    expect(second.counts()).toEqual({ budgetedRequests: 3, spentUsd: 0.75, refusedRequests: 0 });
    second.spend("serper", 0.25);
    expect(() => second.spend("serper", 0.25)).toThrow(/used up/);
    expect(new Budget({ maxRequests: 0, file }).counts()).toMatchObject({ budgetedRequests: 4, spentUsd: 1 });
  });

  it("sends nothing that it cannot write down, and names a file that it cannot read", () => {
    const missing = new Budget({ maxRequests: 1, file: join(folder, "nowhere", "requests.jsonl") });
    expect(() => missing.spend("serper", 0)).toThrow(/cannot be written down in .*nowhere/);
    const file = join(folder, "requests.jsonl");
    mkdirSync(file);
    expect(() => new Budget({ maxRequests: 1, file })).toThrow(/cannot be read from .*requests.jsonl/);
  });
});
