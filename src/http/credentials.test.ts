import { describe, expect, it } from "vitest";
import { UserError } from "../errors.js";
import { checkKey, credentialIn, excerpt, hideSecrets, serviceUrl, withoutSecrets } from "./credentials.js";

describe("credentialIn", () => {
  it.each([
    ["http://me:you@host/", "a password"],
    ["http://me@host/", "a password"],
    ["http://host/?api_key=1", 'a key ("api_key")'],
    ["http://host/?a=b&X-Api-Key=1", 'a key ("X-Api-Key")'],
    ["http://host/?key=1", 'a key ("key")'],
    ["http://host/?access_token=1", 'a key ("access_token")'],
    ["http://host/?sig=1", 'a key ("sig")'],
    ["http://host/?code=1", 'a key ("code")'],
    ["http://host/?Authorization=1", 'a key ("Authorization")'],
    ["http://host/?who=sk-abcdef", 'a key ("who")'],
    ["s3://me:you@bucket/folder", "a password"],
    ["http://host:80/path?api-version=1&keyword=2&index=3&author=me", undefined],
  ])("%s holds %s", (address, found) => expect(credentialIn(new URL(address))).toBe(found));
});

describe("serviceUrl", () => {
  const words = { name: "The test's address", example: "http://127.0.0.1:1", keyAdvice: "Put it into TEST_KEY." };

  it("takes http and https", () => {
    expect(serviceUrl("https://host:80/path?api-version=1", words).href).toBe("https://host:80/path?api-version=1");
  });

  it.each([
    ["localhost", '"localhost" is not an address. The test\'s address looks like http://127.0.0.1:1.'],
    [
      "ftp://host",
      '"ftp://host" must begin with http:// or https://. The test\'s address looks like http://127.0.0.1:1.',
    ],
    [
      "http://me:you@host",
      "The test's address must not hold a password: errors and files show it. Put it into TEST_KEY.",
    ],
    ["http://host?token=you", /must not hold a key \("token"\)/],
    ["ftp://me:you@host?a=you", '"ftp://[key]@host?a=…" must begin with http:// or https://.'],
    ["http//me:you@host?token=you&b=you", '"http//[key]@host?token=…&b=…" is not an address.'],
  ])("refuses %s", (address, message) => {
    const read = (): URL => serviceUrl(address, words);
    expect(read).toThrow(UserError);
    expect(read).toThrow(message);
    expect(read).not.toThrow(/you/);
  });
});

describe("secrets", () => {
  it("a key that no header can hold is refused, and not shown", () => {
    expect(() => checkKey("s3cret\n", "TEST_KEY")).toThrow(/^TEST_KEY holds spaces, line breaks or other characters/);
    expect(() => checkKey("s3cret\n", "TEST_KEY")).not.toThrow(/s3cret/);
    expect(() => checkKey("s3cret-._~+/=", "TEST_KEY")).not.toThrow();
  });

  it("are taken out as they are, as in an address, and as in JSON", () => {
    expect(hideSecrets('a "b" a%20%22b%22 a \\"b\\"', ['a "b"', ""])).toBe("[key] [key] [key]");
    expect(hideSecrets("a%2Fb%2Bc%3D a/b%2Bc%3D a/b+c=", ["a/b+c="])).toBe("[key] [key] [key]");
  });

  it("are taken out of answers, but not what may stand there by chance", () => {
    const answer = JSON.stringify({
      text: "you sent s3cret/of-mine",
      other: "s3cret\\/of-mine",
      number: 12345678,
      word: "none",
    });
    expect(
      JSON.parse(withoutSecrets(answer.replace("\\\\/", "\\/"), ["s3cret/of-mine", "12345678", "none", ""])),
    ).toEqual({
      ...{ text: "you sent [key]", other: "[key]", number: 12345678, word: "none" },
    });
  });

  it("are taken out before a text is cut", () => {
    expect(excerpt(`${"x".repeat(195)}s3cret and more`, ["s3cret"])).toBe(`"${"x".repeat(195)}[key]…"`);
    expect(excerpt("two\n  lines ", [])).toBe('"two lines"');
  });
});
