import { expect, it } from "vitest";
import { Budget } from "./budget.js";

function held(limit: number, graceMs = 0) {
  const budget = new Budget({ limit, graceMs });
  const cut: string[] = [];
  const hold = (name: string, amount: number) => budget.hold(amount, () => cut.push(name));
  return { budget, cut, hold };
}

it("cuts what has stood still longest when there is no room, and no more than it must", () => {
  const { budget, cut, hold } = held(10);
  const [a] = [hold("a", 4), hold("b", 4)];
  budget.shrink(a ?? expect.fail(), 1);
  expect(hold("c", 5)).toBeDefined();
  expect(cut).toEqual(["b"]);
  expect(budget.used).toBe(8);
});

it("turns the new one away while nobody has stood still for long", () => {
  const { budget, cut, hold } = held(10, 60_000);
  const a = hold("a", 6) ?? expect.fail();
  expect(hold("b", 5)).toBeUndefined();
  expect(budget.grow(a, 5)).toBe(true);
  expect(hold("c", 1)).toBeUndefined();
  budget.release(a);
  budget.release(a);
  expect([cut, budget.used]).toEqual([[], 0]);
});

it("lets a single one be larger than the limit, and cuts nothing that waits for the server", () => {
  const { budget, cut, hold } = held(10);
  const large = hold("large", 50) ?? expect.fail();
  budget.keep(large);
  expect(hold("b", 1)).toBeUndefined();
  budget.cutOlderThan(0);
  expect(cut).toEqual([]);
  budget.release(large);
  hold("c", 1);
  budget.cutOlderThan(60_000);
  expect(cut).toEqual([]);
  budget.cutOlderThan(0);
  expect([cut, budget.used]).toEqual([["c"], 0]);
});
