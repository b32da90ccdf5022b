import { describe, expect, it } from "vitest";
import { credentialIn } from "./credentials.js";

describe("credentialIn", () => {
  it.each([
    ["http://me:you@host/", "a password"],
    ["http://me@host/", "a password"],
    ["http://host/?api_key=1", 'a key ("api_key")'],
    ["http://host/?a=b&X-Api-Key=1", 'a key ("X-Api-Key")'],
    ["http://host/?key=1", 'a key ("key")'],
    ["http://host/?access_token=1", 'a key ("access_token")'],
    ["http://host/?sig=1", 'a key ("sig")'],
    ["http://host:80/path?api-version=1&keyword=2&index=3", undefined],
  ])("%s holds %s", (address, found) => expect(credentialIn(new URL(address))).toBe(found));
});
