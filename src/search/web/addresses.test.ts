/** @file Addresses that lead inside are refused however they are written. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { checkUrl, isPublicAddress, Refused } from "./addresses.js";

/** First and last address of ranges that no packet should reach. */
const innerRanges: [string, string][] = [
  ["0.0.0.0", "0.255.255.255"],
  ["10.0.0.0", "10.255.255.255"],
  ["100.64.0.0", "100.127.255.255"],
  ["127.0.0.0", "127.255.255.255"],
  ["169.254.0.0", "169.254.255.255"],
  ["172.16.0.0", "172.31.255.255"],
  ["192.0.0.0", "192.0.0.255"],
  ["192.168.0.0", "192.168.255.255"],
  ["198.18.0.0", "198.19.255.255"],
  ["224.0.0.0", "255.255.255.255"],
];
const numberOf = (address: string): number => address.split(".").reduce((sum, part) => sum * 256 + Number(part), 0);
const inner = fc
  .constantFrom(...innerRanges)
  .chain(([from, to]) => fc.integer({ min: numberOf(from), max: numberOf(to) }));

const bytesOf = (number: number): number[] => [24, 16, 8, 0].map((shift) => (number >>> shift) & 255);
const dotted = (number: number): string => bytesOf(number).join(".");
const words = (number: number): string => `${(number >>> 16).toString(16)}:${(number & 0xffff).toString(16)}`;

/** The ways in which browsers, resolvers and transition mechanisms write an IPv4 address. */
const forms: Record<string, (number: number) => string> = {
  dotted,
  decimal: String,
  hexadecimal: (number) => `0x${number.toString(16)}`,
  octal: (number) => `0${number.toString(8)}`,
  "octal parts": (number) =>
    bytesOf(number)
      .map((part) => `0${part.toString(8)}`)
      .join("."),
  "hexadecimal parts": (number) =>
    bytesOf(number)
      .map((part) => `0x${part.toString(16)}`)
      .join("."),
  "two parts": (number) => `${number >>> 24}.${number & 0xffffff}`,
  "three parts": (number) => `${number >>> 24}.${(number >>> 16) & 255}.${number & 0xffff}`,
  "with a dot at the end": (number) => `${dotted(number)}.`,
  "full-width digits": (number) =>
    dotted(number).replace(/\d/g, (digit) => String.fromCharCode(0xff10 + Number(digit))),
  "percent-encoded": (number) =>
    dotted(number)
      .split("")
      .map((unit) => `%${unit.charCodeAt(0).toString(16)}`)
      .join(""),
  mapped: (number) => `[::ffff:${dotted(number)}]`,
  "mapped, in words": (number) => `[::ffff:${words(number)}]`,
  compatible: (number) => `[::${words(number)}]`,
  translated: (number) => `[::ffff:0:${words(number)}]`,
  NAT64: (number) => `[64:ff9b::${words(number)}]`,
  "local NAT64": (number) => `[64:ff9b:1::${words(number)}]`,
  "6to4": (number) => `[2002:${words(number)}::1]`,
};

describe("addresses", () => {
  it.each(Object.entries(forms))("inner addresses are refused: %s", (_, form) => {
    fc.assert(
      fc.property(inner, fc.constantFrom("http", "https"), (number, scheme) => {
        expect(() => checkUrl(`${scheme}://${form(number)}/`)).toThrow(Refused);
      }),
      { numRuns: 200, seed: 31 },
    );
  });

  it("inner IPv6 addresses are refused", () => {
    const hextet = fc.integer({ min: 0, max: 0xffff });
    const start = fc.constantFrom(
      "::1",
      "::",
      "fe80:",
      "fec0:",
      "fc00:",
      "fd00:ec2:",
      "ff02:",
      "2001:db8:",
      "2001:0:",
      "100:",
    );
    fc.assert(
      fc.property(start, hextet, hextet, (prefix, a, b) => {
        const address = prefix.startsWith("::") ? prefix : `${prefix}:${a.toString(16)}:${b.toString(16)}`;
        expect(() => checkUrl(`http://[${address}]/`)).toThrow(Refused);
      }),
      { numRuns: 200, seed: 32 },
    );
  });

  it("every IPv4 address outside of the special ranges is public: the check is no wall", () => {
    const special = [
      ...innerRanges,
      ["192.0.2.0", "192.0.2.255"],
      ["192.31.196.0", "192.31.196.255"],
      ["192.52.193.0", "192.52.193.255"],
      ["192.88.99.0", "192.88.99.255"],
      ["192.175.48.0", "192.175.48.255"],
      ["198.51.100.0", "198.51.100.255"],
      ["203.0.113.0", "203.0.113.255"],
      ["168.63.129.16", "168.63.129.16"],
    ];
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 0xffffffff }), (number) => {
        const isSpecial = special.some(([from, to]) => number >= numberOf(from) && number <= numberOf(to));
        expect(isPublicAddress(dotted(number))).toBe(!isSpecial);
      }),
      { numRuns: 2_000, seed: 33 },
    );
    for (const address of ["2606:4700:4700::1111", "2a00:1450:4001:81b::200e", "8.8.8.8"])
      expect(isPublicAddress(address)).toBe(true);
    for (const address of ["", "example.com", "fe80::1%eth0", "168.63.129.16"])
      expect(isPublicAddress(address)).toBe(false);
  });

  it.each([
    "localhost",
    "LOCALHOST.",
    "printer.local",
    "metadata.google.internal",
    "router.lan",
    "intranet",
    "a.localhost",
    "x.home.arpa",
    "abc.onion",
  ])("names of inner networks are refused without asking a resolver: %s", (name) => {
    expect(() => checkUrl(`https://${name}/`)).toThrow(/is not a public name/);
  });

  it.each([
    ["file:///etc/passwd", /file: is not visited/],
    ["ftp://example.org/", /ftp: is not visited/],
    ["data:text/html,hi", /data: is not visited/],
    ["javascript:alert(1)", /not visited/],
    ["http://user:secret@example.org/", /password/],
    ["http://example.org:8080/", /port 8080/],
    ["https://example.org:22/", /port 22/],
    ["//example.org/", /not an address/],
    ["", /not an address/],
    [`https://example.org/${"a".repeat(3_000)}`, /longer than/],
  ])("%s is refused", (address, why) => {
    expect(() => checkUrl(address)).toThrow(why);
  });

  it("pages of the web are visited, without their fragment", () => {
    expect(checkUrl("HTTPS://Example.org:443/a b?c=d#e").href).toBe("https://example.org/a%20b?c=d");
    expect(checkUrl("http://example.org/").href).toBe("http://example.org/");
    expect(checkUrl("http://93.184.216.34/").href).toBe("http://93.184.216.34/");
    expect(checkUrl("http://bücher.example.com/").host).toBe("xn--bcher-kva.example.com");
  });
});
