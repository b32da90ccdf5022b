import { describe, expect, it } from "vitest";
import { foreignness, isLoopback, isPlainJson } from "./access.js";

const headers = (given: Record<string, string>) => (name: string) => given[name];

describe("a host", () => {
  it.each(["localhost", "LocalHost:80", "localhost.:8000", "127.0.0.1:1", "127.9.8.7", "::1", "[::1]", "[::1]:8000"])(
    "%s is this machine's own",
    (host) => expect(isLoopback(host)).toBe(true),
  );
  it.each([
    "127.evil.example",
    "localhost.evil.example",
    "evil.example:127",
    "128.0.0.1",
    "",
    "[::2]:1",
    "x@localhost",
  ])("%s is not", (host) => expect(isLoopback(host)).toBe(false));
});

describe("foreign requests", () => {
  const local = { token: "", allowedHosts: ["search.lan"], allowedOrigins: ["https://page.example"] };
  const open = { ...local, allowedHosts: "any" as const };

  it("come under a name that is not allowed, where names are checked", () => {
    for (const host of ["localhost:8000", "search.lan", "SEARCH.lan:8000"])
      expect(foreignness(headers({ host }), local)).toBeUndefined();
    expect(foreignness(headers({}), local)).toBeUndefined();
    expect(foreignness(headers({ host: "rebound.example:8000" }), local)).toContain("--allow-host");
    expect(foreignness(headers({ host: "rebound.example:8000" }), open)).toBeUndefined();
  });

  it("come from a page whose origin is not allowed", () => {
    for (const settings of [local, open]) {
      for (const origin of ["http://localhost:3000", "null", "https://page.example.evil.example", ""])
        expect(foreignness(headers({ host: "localhost", origin }), settings)).toContain("--allow-origin");
      expect(foreignness(headers({ host: "localhost", origin: "https://page.example" }), settings)).toBeUndefined();
    }
  });
});

it("JSON is application/json and nothing that a page may send unasked", () => {
  for (const type of ["application/json", "Application/JSON; charset=utf-8"])
    expect(isPlainJson(headers({ "content-type": type }))).toBe(true);
  for (const type of ["text/plain", "application/x-www-form-urlencoded", "text/plain; application/json", ""])
    expect(isPlainJson(headers({ "content-type": type }))).toBe(false);
  expect(isPlainJson(headers({}))).toBe(false);
  expect(isPlainJson(headers({ "content-type": "application/json", "content-encoding": "gzip" }))).toBe(false);
});
