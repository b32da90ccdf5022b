import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Lru } from "./lru.js";

describe("Lru", () => {
  it("forgets what was used longest ago; reading and writing are uses", () => {
    const cache = new Lru<string, number>(2);
    cache.set("a", 1);
    cache.set("b", 2);
    expect(cache.get("a")).toBe(1);
    cache.set("c", 3);
    expect(["a", "b", "c"].map((key) => cache.get(key))).toEqual([1, undefined, 3]);
    cache.set("a", 4);
    cache.set("d", 5);
    expect(["a", "c", "d"].map((key) => cache.get(key))).toEqual([4, undefined, 5]);
  });

  it("bounds the size of all values together; one that is too large by itself is not kept", () => {
    const memory = new Lru<string, string>(10, (text) => text.length);
    memory.set("a", "12345");
    memory.set("b", "123");
    expect(memory.get("a")).toBe("12345");
    memory.set("c", "1234");
    expect([memory.get("a"), memory.get("b"), memory.get("c")]).toEqual(["12345", undefined, "1234"]);
    memory.set("c", "12");
    memory.set("d", "123");
    expect([memory.get("a"), memory.get("c"), memory.get("d")]).toEqual(["12345", "12", "123"]);
    memory.set("e", "x".repeat(11));
    expect(["a", "c", "d", "e"].map((address) => memory.get(address))).toEqual([
      undefined,
      undefined,
      undefined,
      undefined,
    ]);
  });

  it("holds the last distinct keys, whatever is asked in whatever order", () =>
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.boolean(), fc.nat(6))), (uses) => {
        const cache = new Lru<number, number>(3);
        let order: number[] = [];
        for (const [isRead, key] of uses) {
          if (isRead) expect(cache.get(key)).toBe(order.includes(key) ? key : undefined);
          else cache.set(key, key);
          if (!isRead || order.includes(key)) order = [...order.filter((other) => other !== key), key].slice(-3);
        }
      }),
    ));
});
