import { expect, it } from "vitest";
import { OutOfTime, withTimeLimit } from "./time-limit.js";

/** About so long, on any machine. */
function work(ms: number): string {
  const end = performance.now() + ms;
  while (performance.now() < end);
  return "done";
}

it("returns what is done in time, and throws what is thrown", () => {
  const made = { of: "this realm" };
  expect(withTimeLimit(1000, () => made)).toBe(made);
  const error = new TypeError("no");
  expect(() =>
    withTimeLimit(1000, () => {
      throw error;
    }),
  ).toThrow(error);
});

it("ends what takes longer, also inside other work, which goes on", () => {
  expect(() => withTimeLimit(5, () => work(300))).toThrow(OutOfTime);
  const nested = withTimeLimit(5000, () => {
    expect(() => withTimeLimit(5, () => work(300))).toThrow(/longer than 0\.005 s/);
    return work(1);
  });
  expect(nested).toBe("done");
});

it("ends a regular expression", () => {
  // Quadratic: a second and more.
  const slow = (): boolean => /\s+x/.test(" ".repeat(60_000));
  expect(() => withTimeLimit(5, slow)).toThrow(OutOfTime);
});
