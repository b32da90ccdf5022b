import { getEventListeners } from "node:events";
import { describe, expect, it } from "vitest";
import { withDeadline } from "./deadline.js";

const late = (): Error => new Error("late");
const untilAborted = (signal: AbortSignal): Promise<never> =>
  new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason as Error)));

describe("a task with one signal", () => {
  it("gives what the task gives, and leaves no listeners behind", async () => {
    const run = new AbortController();
    expect(await withDeadline([run.signal, undefined], 1_000, late, async () => 7)).toBe(7);
    expect(getEventListeners(run.signal, "abort")).toHaveLength(0);
  });

  it("ends with the reason of the signal that aborts first, before or meanwhile", async () => {
    const [run, other] = [new AbortController(), new AbortController()];
    const reason = new Error("enough");
    const task = withDeadline([run.signal, other.signal], 1_000, late, untilAborted);
    other.abort(reason);
    await expect(task).rejects.toBe(reason);
    const neverRun = withDeadline([run.signal, other.signal], 1_000, late, () => {
      throw new Error("it ran");
    });
    await expect(neverRun).rejects.toBe(reason);
    expect(getEventListeners(run.signal, "abort")).toHaveLength(0);
  });

  it("ends when time is up", async () => {
    await expect(withDeadline([], 10, late, untilAborted)).rejects.toThrow("late");
  });

  it("a part that fails stops the others", async () => {
    let stopped: unknown;
    const task = withDeadline([], 1_000, late, (signal) =>
      Promise.all([
        untilAborted(signal).catch((reason: unknown) => (stopped = reason)),
        Promise.reject(new Error("a part failed")),
      ]),
    );
    await expect(task).rejects.toThrow("a part failed");
    await Promise.resolve();
    expect(stopped).toMatchObject({ message: "a part failed" });
  });
});
