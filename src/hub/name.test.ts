/** @file Names of models of the Hub: what they mean, and that none leads out of the cache. */
import os from "node:os";
import path from "node:path";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { UserError } from "../errors.js";
import { RepositoryCache } from "./cache.js";
import { parseDatasetName, parseHubName, pinnedName } from "./name.js";
import { hubSettings } from "./settings.js";

const commit = "a".repeat(40);

describe("a name", () => {
  it.each([
    ["hf:org/name", { repository: "org/name", revision: "main" }],
    ["org/name", { repository: "org/name", revision: "main" }],
    ["hf:Qwen/Qwen2.5-0.5B@v1.0", { repository: "Qwen/Qwen2.5-0.5B", revision: "v1.0" }],
    ["hf:org/name@refs/pr/1", { repository: "org/name", revision: "refs/pr/1" }],
    ["hf:org/name/q/x.Q4_1.gguf@main", { repository: "org/name", file: "q/x.Q4_1.gguf", revision: "main" }],
  ])("%s", (text, expected) => {
    expect(parseHubName(text)).toEqual(expected);
  });

  it.each([
    ["hf:", /ORG\/NAME/],
    ["hf:gpt2", /ORG\/NAME/],
    ["hf:org/name/config.json", /FILE\.gguf/],
    ["hf:org/../x", /ORG\/NAME/],
    ["hf:../../x", /ORG\/NAME/],
    ["hf:org/name/a/../x.gguf", /FILE\.gguf/],
    ["hf:org/name/..\\x.gguf", /FILE\.gguf/],
    ["hf:org/na--me", /ORG\/NAME/],
    ["hf:org/name@", /not a branch/],
    ["hf:org/name@../../x", /not a branch/],
    ["hf:org/name@main/x.gguf", /behind the file/],
    ["https://huggingface.co/org/name", /hf:ORG\/NAME/],
  ])("refuses %s", (text, message) => {
    expect(() => parseHubName(text)).toThrow(UserError);
    expect(() => parseHubName(text)).toThrow(message);
  });

  it.each([
    ["hf:org/name", { repository: "org/name" }],
    ["org/name/nq", { repository: "org/name", file: "nq" }],
    ["hf:org/name/nq/test.jsonl@v1", { repository: "org/name", file: "nq/test.jsonl", revision: "v1" }],
  ])("of a dataset: %s", (text, expected) => {
    expect(parseDatasetName(text)).toEqual({ type: "dataset", revision: "main", ...expected });
    expect(new RepositoryCache("/c", parseDatasetName(text)).folder).toBe(path.join("/c", "datasets--org--name"));
  });

  it.each([
    ["hf:nq", /does not name a dataset.*ORG\/NAME\/FOLDER/],
    ["hf:org/name/../x", /does not name a dataset/],
    ["hf:org/name/nq@", /not a branch/],
  ])("refuses the dataset %s", (text, message) => {
    expect(() => parseDatasetName(text)).toThrow(UserError);
    expect(() => parseDatasetName(text)).toThrow(message);
  });

  it("whatever it is, stays inside the cache or is refused", () => {
    const pieces = fc.constantFrom("..", ".", "/", "\\", "a", "main", "@", "x.gguf", "hf:", "--", " ", "\0", "C:", "~");
    let parsed = 0;
    fc.assert(
      fc.property(fc.array(pieces, { maxLength: 8 }), (words) => {
        const text = `hf:a/b${words.join("")}`;
        let name;
        try {
          name = parseHubName(text);
        } catch (error) {
          expect(error).toBeInstanceOf(UserError);
          return;
        }
        parsed += 1;
        const cache = new RepositoryCache("/cache", name);
        const ref = path.join(cache.folder, "refs", name.revision);
        for (const place of [cache.location(name, commit), ref, cache.lockFile])
          expect(path.relative("/cache", place)).not.toMatch(/^\.\.|^\//);
        expect(path.relative(path.join(cache.folder, "refs"), ref)).not.toMatch(/^\.\./);
        expect(parseHubName(pinnedName(name, commit))).toEqual({ ...name, revision: commit });
      }),
      { seed: 1, numRuns: 2000 },
    );
    expect(parsed).toBeGreaterThan(20);
  });
});

describe("the environment", () => {
  it("means what it means to Python's huggingface_hub", () => {
    const cacheOf = (environment: NodeJS.ProcessEnv): string => hubSettings(environment).cacheFolder;
    expect(cacheOf({})).toBe(path.join(os.homedir(), ".cache", "huggingface", "hub"));
    expect(cacheOf({ XDG_CACHE_HOME: "/x" })).toBe("/x/huggingface/hub");
    expect(cacheOf({ XDG_CACHE_HOME: "/x", HF_HOME: "/h" })).toBe("/h/hub");
    expect(cacheOf({ HF_HOME: "/h", HF_HUB_CACHE: "~/c" })).toBe(path.join(os.homedir(), "c"));
    expect(cacheOf({ HF_HOME: "/h", HUGGINGFACE_HUB_CACHE: "/o" })).toBe("/o");
    const none = { HF_HOME: "/nowhere" };
    expect(hubSettings(none)).toMatchObject({ endpoint: "https://huggingface.co", offline: false });
    expect(hubSettings(none).token).toBeUndefined();
    expect(hubSettings({ ...none, HF_HUB_OFFLINE: "true" }).offline).toBe(true);
    expect(hubSettings({ ...none, HF_HUB_OFFLINE: "0" }).offline).toBe(false);
    expect(hubSettings({ ...none, HF_TOKEN: "hf_x\n" })).toMatchObject({ token: "hf_x", tokenSource: "HF_TOKEN" });
    expect(() => hubSettings({ ...none, HF_ENDPOINT: "huggingface.co" })).toThrow(/HF_ENDPOINT/);
    const withPassword = { ...none, HF_ENDPOINT: "https://me:s3cret@huggingface.co" };
    expect(() => hubSettings(withPassword)).toThrow(/^HF_ENDPOINT holds a password(?!.*s3cret)/);
  });
});
