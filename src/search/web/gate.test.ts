import fc from "fast-check";
import { expect, it } from "vitest";
import { HostGate } from "./gate.js";

const never = new AbortController().signal;
const turn = (ms = 1): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

it("lets through as many as it says, in all and at one host", () =>
  fc.assert(
    fc.asyncProperty(fc.array(fc.constantFrom("a", "b", "c"), { maxLength: 30 }), async (hosts) => {
      const gate = new HostGate(4, 2);
      const now = new Map<string, number>();
      let [most, mostAtHost, done] = [0, 0, 0];
      const task = (host: string) => async (): Promise<void> => {
        now.set(host, (now.get(host) ?? 0) + 1);
        mostAtHost = Math.max(mostAtHost, ...now.values());
        most = Math.max(
          most,
          [...now.values()].reduce((sum, count) => sum + count, 0),
        );
        await new Promise((resolve) => setImmediate(resolve));
        now.set(host, (now.get(host) as number) - 1);
        done++;
        if (done % 5 === 0) throw new Error("a task that fails gives its place back");
      };
      await Promise.allSettled(hosts.map((host) => gate.run(host, never, task(host))));
      expect(done).toBe(hosts.length);
      expect(most).toBe(
        Math.min(
          4,
          ["a", "b", "c"].reduce((sum, host) => sum + Math.min(2, hosts.filter((name) => name === host).length), 0),
        ),
      );
      expect(mostAtHost).toBeLessThanOrEqual(2);
    }),
    { numRuns: 30, seed: 71 },
  ));

it("those who wait for a busy host do not hold up others, and may give up", async () => {
  const gate = new HostGate(3, 1);
  let release = (): void => undefined;
  const slow = gate.run("slow", never, () => new Promise<void>((resolve) => (release = resolve)));
  const stop = new AbortController();
  const waiting = [1, 2, 3, 4].map(() => gate.run("slow", stop.signal, turn));
  const settled = Promise.allSettled(waiting);
  expect(await gate.run("quick", never, async () => "served")).toBe("served");
  const reason = new Error("enough");
  stop.abort(reason);
  for (const outcome of await settled) expect(outcome).toEqual({ status: "rejected", reason });
  release();
  await slow;
  expect(await gate.run("slow", never, async () => "served")).toBe("served");
  await expect(gate.run("slow", stop.signal, turn)).rejects.toBe(reason);
});
