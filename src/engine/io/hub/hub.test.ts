/** @file Models of the Hub, fetched from a server that is refused, cut off, slow, wrong or gone. */
import { spawnSync } from "node:child_process";
import {
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { hostname, tmpdir } from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { GGUFValueType } from "@huggingface/gguf";
import { afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { UserError } from "../../../errors.js";
import { readTestGguf, testGgufBytes, type TestGguf, type TestTensor } from "../gguf.test-support.js";
import {
  adapterConfig,
  commit,
  etagOf,
  HubServer,
  laterCommit,
  modelConfig,
  modelFiles,
  noise,
  sha256,
  type Asked,
} from "../../../hub/hub-server.test-support.js";
import { placeFile } from "../../../hub/cache.js";
import type { PullOptions, PullProgress } from "../../../hub/fetch.js";
import { pinModel, pinTokenizer, pullModel, resolveEncoder, resolveModel } from "./pull.js";

const name = "hf:org/tiny";
const wanted = [
  "README.md",
  "config.json",
  "generation_config.json",
  "model.safetensors",
  "special_tokens_map.json",
  "tokenizer.json",
  "tokenizer_config.json",
];

let hub: HubServer;
let home: string;
let cache: string;
let environment: NodeJS.ProcessEnv;
let options: PullOptions;

beforeEach(async () => {
  hub = await HubServer.start();
  hub.repositories["org/tiny"] = { revisions: { main: commit }, files: modelFiles() };
  home = mkdtempSync(path.join(tmpdir(), "sleuth-hub-"));
  cache = path.join(home, "hub", "models--org--tiny");
  environment = { HF_HOME: home, HF_ENDPOINT: `${hub.endpoint}/` };
  hub.received = kept;
  options = { environment, retry: { firstDelayMs: 1, silenceMs: 20_000 } };
});

/** Bytes of the weights that are on the disk. */
const kept = (): number => lstatSync(`${weightsBlob()}.incomplete`, { throwIfNoEntry: false })?.size ?? 0;

afterEach(async () => {
  await hub.close();
  rmSync(home, { recursive: true, force: true });
});

const weights = (): Buffer => hub.repositories["org/tiny"].files["model.safetensors"];
const weightsBlob = (): string => path.join(cache, "blobs", sha256(weights()));
const isWeights = ({ host, url }: Asked): boolean => host === "cdn" && url.includes(sha256(weights()));
const downloads = (asked: Asked[]): Asked[] => asked.filter(({ url }) => /\/resolve\/|Signature/.test(url));
const failureOf = async (promise: Promise<unknown>): Promise<Error> => {
  const error: unknown = await promise.catch((thrown: unknown) => thrown);
  expect(error).toBeInstanceOf(UserError);
  return error as Error;
};
/** Answers the n-th request that `which` picks with the n-th trouble. */
const troubles = (which: (asked: Asked) => boolean, ...list: ReturnType<HubServer["fault"]>[]): void => {
  hub.fault = (asked) => (which(asked) ? list.shift() : undefined);
};
const expectWhole = (folder: string, files = hub.repositories["org/tiny"].files): void => {
  expect(readdirSync(folder).sort()).toEqual(wanted);
  for (const file of wanted) expect(readFileSync(path.join(folder, file)).equals(files[file]), file).toBe(true);
};

describe("a tokenizer alone", () => {
  it("is fetched without weights, of a model that cannot be computed here too, and the model later", async () => {
    const { files } = hub.repositories["org/tiny"];
    const known = files["config.json"];
    files["config.json"] = Buffer.from(JSON.stringify({ model_type: "of_another_kind" }));
    const { name: pinned, location } = await pinTokenizer(name, options);
    expect(pinned).toBe(`${name}@${commit}`);
    expect(readdirSync(location).sort()).toEqual(wanted.filter((file) => file !== "model.safetensors"));
    const offline = { ...options, environment: { ...environment, HF_HUB_OFFLINE: "1" } };
    expect(await pinTokenizer(name, offline)).toMatchObject({ name: pinned, location });
    expect((await failureOf(pinModel(name, offline))).message).toMatch(/lacks model\.safetensors/);
    files["config.json"] = known;
    hub.repositories["org/tiny"].revisions.main = laterCommit;
    expectWhole((await pinModel(name, options)).location);
    delete files["tokenizer.json"];
    hub.repositories["org/tiny"].revisions.main = commit.replaceAll(/./g, "d");
    expect((await failureOf(pinTokenizer(name, options))).message).toMatch(/org\/tiny has no tokenizer\.json/);
    expect(await pinTokenizer("some/folder", options)).toEqual({ name: "some/folder", location: "some/folder" });
  });
});

describe("a pull", () => {
  it("fetches what a model needs, and no more, into the layout of the shared cache", async () => {
    const result = await pullModel("org/tiny", options);
    expect(result.folder).toBe(path.join(cache, "snapshots", commit));
    expect(result.name).toBe(`hf:org/tiny@${commit}`);
    expectWhole(result.folder);
    expect(readFileSync(path.join(cache, "refs", "main"), "utf8")).toBe(commit);
    const files = modelFiles();
    expect(readdirSync(path.join(cache, "blobs")).sort()).toEqual(wanted.map((file) => etagOf(files[file])).sort());
    for (const file of wanted)
      expect(readlinkSync(path.join(result.folder, file))).toBe(`../../blobs/${etagOf(files[file])}`);
    const total = wanted.reduce((sum, file) => sum + files[file].length, 0);
    expect(result).toMatchObject({ bytes: total, downloadedBytes: total });
    expect(result.files.map((file) => file.path).sort()).toEqual(wanted);
    expect(readdirSync(path.join(cache, ".no_exist", commit)).sort()).toEqual([
      "adapter_config.json",
      "chat_template.jinja",
    ]);
    expect(readdirSync(path.join(home, "hub", ".locks", "models--org--tiny"))).toEqual([]);
  });

  it("fetches nothing again", async () => {
    await pullModel(name, options);
    hub.takeAsked();
    expect(await pullModel(name, options)).toMatchObject({ downloadedBytes: 0, commit });
    expect(downloads(hub.takeAsked())).toEqual([]);
  });

  it("fetches only what another commit changed, and keeps both", async () => {
    const first = await resolveModel(name, options);
    const repository = hub.repositories["org/tiny"];
    const changed = { ...repository.files, "config.json": modelConfig({ model_type: "qwen2" }) };
    hub.repositories["org/tiny"] = { revisions: { main: laterCommit, v1: commit }, files: changed };
    const second = await pullModel(name, options);
    expect(second.downloadedBytes).toBe(changed["config.json"].length);
    expect(readFileSync(path.join(second.folder, "config.json"), "utf8")).toContain("qwen2");
    expect(readFileSync(path.join(first, "config.json"), "utf8")).toContain("llama");
    expect(await resolveModel(`${name}@v1`, options)).toBe(first);
    expect(readFileSync(path.join(cache, "refs", "main"), "utf8")).toBe(laterCommit);
  });

  it("reports bytes that add up to what was announced", async () => {
    const moments: PullProgress[] = [];
    const { downloadedBytes } = await pullModel(name, { ...options, onProgress: (moment) => moments.push(moment) });
    // What was read first, to judge the model, is there already.
    const { length } = modelFiles()["config.json"];
    expect(moments[0]).toMatchObject({ repository: "org/tiny", done: length, total: downloadedBytes });
    expect(moments.at(-1)).toMatchObject({ done: downloadedBytes, total: downloadedBytes });
    for (const [index, { done }] of moments.entries())
      expect(done).toBeGreaterThanOrEqual(moments[index - 1]?.done ?? 0);
  });

  it("mends a cached file that was cut off; with verify also one that was changed", async () => {
    const { folder } = await pullModel(name, options);
    truncateSync(weightsBlob(), 1000);
    expect(await pullModel(name, options)).toMatchObject({ downloadedBytes: weights().length });
    expectWhole(folder);
    writeFileSync(weightsBlob(), noise(weights().length, 99));
    expect(await pullModel(name, options)).toMatchObject({ downloadedBytes: 0 });
    expect(await pullModel(name, { ...options, verify: true })).toMatchObject({ downloadedBytes: weights().length });
    expectWhole(folder);
  });

  it("takes the shards that an index names, and an adapter with its configuration", async () => {
    const { "model.safetensors": single, ...rest } = modelFiles();
    const index = { weight_map: { a: "model-00001-of-00002.safetensors", b: "model-00002-of-00002.safetensors" } };
    const files = {
      ...rest,
      "consolidated.safetensors": noise(4000, 7),
      "model-00001-of-00002.safetensors": single,
      "model-00002-of-00002.safetensors": noise(3000, 8),
      "model.safetensors.index.json": Buffer.from(JSON.stringify(index)),
    };
    hub.repositories["org/tiny"].files = files;
    const { folder, files: pulled, downloadedBytes, bytes } = await pullModel(name, options);
    expect(readdirSync(folder).filter((file) => file.includes("safetensors"))).toEqual([
      "model-00001-of-00002.safetensors",
      "model-00002-of-00002.safetensors",
      "model.safetensors.index.json",
    ]);
    expect(pulled).toHaveLength(wanted.length + 2);
    expect(downloadedBytes).toBe(bytes);
    rmSync(path.join(folder, "model-00002-of-00002.safetensors"));
    const offline = { ...options, environment: { ...environment, HF_HUB_OFFLINE: "1" } };
    expect((await failureOf(resolveModel(name, offline))).message).toContain("model-00002-of-00002.safetensors");

    hub.repositories["org/adapter"] = {
      revisions: { main: commit },
      files: {
        "adapter_config.json": adapterConfig(),
        "adapter_model.safetensors": noise(2000, 9),
        "optimizer.pt": noise(2000, 10),
      },
    };
    const adapter = await resolveModel("hf:org/adapter", options);
    expect(readdirSync(adapter)).toEqual(["adapter_config.json", "adapter_model.safetensors"]);
    expect(await resolveModel("hf:org/adapter", offline)).toBe(adapter);
  });

  it("takes the one GGUF file that is named, and lists them otherwise", async () => {
    const gguf = noise(9000, 11);
    const files = { "README.md": Buffer.from("x"), "q4.gguf": gguf, "big/q8.gguf": noise(2000, 12) };
    hub.repositories["org/quants"] = { revisions: { main: commit, "refs/pr/1": laterCommit }, files };
    const message = (await failureOf(resolveModel("hf:org/quants", options))).message;
    expect(message).toContain("hf:org/quants/q4.gguf");
    expect(message).toContain("hf:org/quants/big/q8.gguf");
    expect((await failureOf(resolveModel("hf:org/quants/q5.gguf", options))).message).toMatch(/no q5\.gguf.*\n.*q4/);
    const file = await resolveModel("hf:org/quants/q4.gguf", options);
    expect(path.basename(file)).toBe("q4.gguf");
    expect(readFileSync(file).equals(gguf)).toBe(true);
    const other = await resolveModel("hf:org/quants/big/q8.gguf@refs/pr/1", options);
    expect(other).toContain(path.join("snapshots", laterCommit, "big", "q8.gguf"));
    expect(readFileSync(other).length).toBe(2000);
    hub.takeAsked();
    expect(await resolveModel(`hf:org/quants/q4.gguf@${commit}`, options)).toBe(file);
    expect(hub.takeAsked()).toEqual([]);
  });

  it.each([
    [{ "config.json": "{}", "tokenizer.json": "{}", "pytorch_model.bin": "x" }, /only pytorch_model\.bin/],
    [{ "config.json": "{}", "model.safetensors": "x" }, /no tokenizer\.json/],
    [{ "tokenizer.json": "{}", "model.safetensors": "x" }, /no config\.json/],
    [
      { "config.json": "{}", "tokenizer.json": "{}", "model.safetensors.index.json": '{"weight_map":{"a":"b"}}' },
      /lacks b, /,
    ],
    [{ "config.json": "{}", "tokenizer.json": "{}", "model.safetensors.index.json": "{" }, /not valid JSON/],
    [{ "adapter_config.json": "{}" }, /no model\.safetensors/],
  ])("refuses a repository that makes no model: %j", async (contents, message) => {
    const files = Object.entries(contents).map(([file, text]) => [file, Buffer.from(text)]);
    hub.repositories["org/tiny"].files = Object.fromEntries(files) as Record<string, Buffer>;
    expect((await failureOf(resolveModel(name, options))).message).toMatch(message);
    expect(existsSync(path.join(cache, "snapshots"))).toBe(false);
  });

  it("leaves out names that would leave the folder", async () => {
    const files = hub.repositories["org/tiny"].files;
    hub.repositories["org/tiny"].files = {
      ...files,
      "../tokenizer_evil.json": Buffer.from("{}"),
      "tokenizer_a\\..\\b.json": Buffer.from("{}"),
    };
    expectWhole(await resolveModel(name, options), files);
    expect(await failureOf(resolveModel("hf:org/tiny/../x.gguf", options))).toBeInstanceOf(UserError);
  });
});

describe("broken connections", () => {
  it("go on from the byte at which they broke", async () => {
    troubles(isWeights, { cutAfter: 100_000 }, { cutAfter: 50_000 });
    const { folder, downloadedBytes, bytes } = await pullModel(name, options);
    const ranges = hub.asked.filter(isWeights).map(({ range }) => range);
    expect(ranges).toEqual([undefined, "bytes=100000-", "bytes=150000-"]);
    expect(downloadedBytes).toBe(bytes);
    expectWhole(folder);
  });

  it("count anew after every byte that arrives, and end after a few without one", async () => {
    troubles(isWeights, ...Array.from({ length: 9 }, () => ({ cutAfter: 20_000 })));
    expectWhole(await resolveModel(name, options));
    rmSync(path.join(home, "hub"), { recursive: true });
    hub.takeAsked();
    hub.fault = (asked) => (isWeights(asked) ? { cutAfter: asked.range === undefined ? 30_000 : 0 } : undefined);
    expect((await failureOf(resolveModel(name, options))).message).toMatch(/goes on where it stopped/);
    expect(hub.asked.filter(isWeights)).toHaveLength(5);
    expect(readFileSync(`${weightsBlob()}.incomplete`).equals(weights().subarray(0, 30_000))).toBe(true);
    expect(existsSync(path.join(cache, "snapshots"))).toBe(false);
    expect(existsSync(path.join(cache, "refs"))).toBe(false);
    hub.fault = () => undefined;
    hub.takeAsked();
    const { folder, downloadedBytes } = await pullModel(name, options);
    expect(hub.asked.filter(isWeights).map(({ range }) => range)).toEqual(["bytes=30000-"]);
    expect(downloadedBytes).toBeLessThan(weights().length);
    expectWhole(folder);
  });

  it("include servers that fall silent and servers that know no ranges", async () => {
    options.retry = { firstDelayMs: 1, silenceMs: 1000 };
    troubles(isWeights, { silentAfter: 70_000 }, { ignoreRange: true });
    expectWhole(await resolveModel(name, options));
    expect(hub.asked.filter(isWeights).map(({ range }) => range)).toEqual([undefined, "bytes=70000-"]);
  });

  it("include listings that are cut off", async () => {
    let cuts = 2;
    const fetchCut: typeof fetch = async (input, init) => {
      const response = await fetch(input, init);
      if (!String(input as URL).includes("/tree/") || cuts-- <= 0) return response;
      return new Response(new ReadableStream({ start: (controller) => controller.error(new Error("cut")) }), response);
    };
    expectWhole(await resolveModel(name, { ...options, fetch: fetchCut }));
  });

  it("stop at once when the caller stops, keep what arrived, and go on from there", async () => {
    const controller = new AbortController();
    const reason = new Error("enough");
    hub.fault = (asked) => (isWeights(asked) ? { silentAfter: 60_000 } : undefined);
    const onProgress = ({ file }: PullProgress): void => {
      if (file === "model.safetensors" && kept() === 60_000) controller.abort(reason);
    };
    await expect(pullModel(name, { ...options, signal: controller.signal, onProgress })).rejects.toBe(reason);
    expect(existsSync(path.join(cache, "snapshots"))).toBe(false);
    hub.fault = () => undefined;
    hub.takeAsked();
    expectWhole((await pullModel(name, options)).folder);
    expect(hub.asked.filter(isWeights).map(({ range }) => range)).toEqual(["bytes=60000-"]);
    await expect(pullModel(name, { ...options, signal: controller.signal })).rejects.toBe(reason);
  });
});

describe("a wrong checksum", () => {
  it("is refused, and nothing of it stays", async () => {
    hub.fault = (asked) => (isWeights(asked) ? { body: noise(weights().length, 5) } : undefined);
    expect((await failureOf(resolveModel(name, options))).message).toMatch(/model\.safetensors is not what .* lists/);
    expect(readdirSync(path.join(cache, "blobs")).filter((file) => file.startsWith(sha256(weights())))).toEqual([]);
    rmSync(path.join(home, "hub"), { recursive: true });
    hub.fault = ({ url }) =>
      url.includes("/cached/") && url.endsWith("config.json") ? { body: noise(modelConfig().length, 5) } : undefined;
    expect((await failureOf(resolveModel(name, options))).message).toMatch(/config\.json is not what .* lists/);
  });

  it("is mended where an earlier try left rubbish", async () => {
    mkdirSync(path.join(cache, "blobs"), { recursive: true });
    writeFileSync(`${weightsBlob()}.incomplete`, noise(4000, 6));
    expectWhole(await resolveModel(name, options));
    expect(hub.asked.filter(isWeights).map(({ range }) => range)).toEqual(["bytes=4000-", undefined]);
  });

  it("is mended where an earlier try left too much, or just enough", async () => {
    mkdirSync(path.join(cache, "blobs"), { recursive: true });
    writeFileSync(`${weightsBlob()}.incomplete`, noise(weights().length + 1, 6));
    const tokenizer = hub.repositories["org/tiny"].files["tokenizer.json"];
    writeFileSync(path.join(cache, "blobs", `${sha256(tokenizer)}.incomplete`), tokenizer);
    const { folder, files } = await pullModel(name, options);
    expectWhole(folder);
    expect(files.find((file) => file.path === "tokenizer.json")?.downloadedBytes).toBe(0);
  });
});

describe("access", () => {
  const token = "hf_abcdefSECRET";
  const withToken = (): PullOptions => ({ ...options, environment: { ...environment, HF_TOKEN: ` ${token}\n` } });

  it("gives the token to the Hub and to no other host", async () => {
    hub.repositories["org/tiny"].token = token;
    expectWhole(await resolveModel(name, withToken()));
    const asked = hub.takeAsked();
    for (const { host, authorization, url } of asked)
      expect(authorization, url).toBe(host === "hub" ? `Bearer ${token}` : undefined);
    expect(asked.filter(({ host }) => host === "cdn").length).toBeGreaterThan(1);
  });

  it("finds the token where Python tools keep it", async () => {
    hub.repositories["org/tiny"].token = token;
    writeFileSync(path.join(home, "token"), `${token}\n`);
    expectWhole(await resolveModel(name, options));
    const disabled = { ...options, environment: { ...environment, HF_HUB_DISABLE_IMPLICIT_TOKEN: "1" } };
    await failureOf(pullModel(name, disabled));
  });

  it("is explained when it is refused, without the token", async () => {
    const unknown = await failureOf(resolveModel("hf:org/nothing", options));
    expect(unknown.message).toMatch(/no public model org\/nothing.*set HF_TOKEN/s);
    hub.repositories["org/tiny"].token = "another";
    const refused = await failureOf(resolveModel(name, withToken()));
    expect(refused.message).toMatch(/does not accept the token in HF_TOKEN/);
    hub.repositories["org/tiny"] = { revisions: { main: commit }, files: modelFiles(), gated: true };
    const gated = await failureOf(resolveModel(name, options));
    expect(gated.message).toMatch(/gated.*Ask for it at http.*org\/tiny.*HF_TOKEN/s);
    expect((await failureOf(resolveModel(name, withToken()))).message).toMatch(/the one in HF_TOKEN has none/);
    hub.fault = () => ({ status: 403, headers: { "x-error-message": `no ${token}` } });
    const forbidden = await failureOf(resolveModel(name, withToken()));
    expect(forbidden.message).toMatch(/\(403\)/);
    hub.fault = () => ({ status: 400, headers: { "x-error-message": `no ${token}` } });
    const strange = await failureOf(resolveModel(name, withToken()));
    expect(strange.message).toContain("no [key]");
    const broken = { ...options, environment: { ...environment, HF_TOKEN: "hf_SEC\u00e9RET" } };
    const unusable = await failureOf(resolveModel(name, broken));
    for (const error of [unknown, refused, gated, forbidden, strange, unusable])
      for (let at: unknown = error; at instanceof Error; at = at.cause)
        expect(`${at.message} ${at.stack}`).not.toMatch(/SECRET|SEC.RET/);
  });

  it("names what does not exist", async () => {
    expect((await failureOf(resolveModel(`${name}@v9`, options))).message).toMatch(/no revision "v9"/);
    hub.fault = () => ({ status: 404, headers: { "x-error-code": "RepoNotFound" } });
    expect((await failureOf(resolveModel(name, withToken()))).message).toMatch(/no model org\/tiny.*HF_TOKEN/);
    hub.fault = () => ({ status: 404 });
    expect((await failureOf(resolveModel(name, options))).message).toMatch(/no org\/tiny with a revision "main"/);
    expect(hub.asked.every(({ authorization }) => authorization !== "Bearer undefined")).toBe(true);
  });
});

describe("an overloaded or absent Hub", () => {
  it("is asked again when it says so, and not sooner", async () => {
    troubles(
      ({ url }) => url.includes("/revision/"),
      { status: 429, headers: { "retry-after": "0.2" } },
      { status: 503 },
    );
    const started = performance.now();
    expectWhole(await resolveModel(name, options));
    expect(performance.now() - started).toBeGreaterThan(195);
    expect(hub.asked.filter(({ url }) => url.includes("/revision/"))).toHaveLength(3);
  });

  it("is given up when it asks for too long a wait, or fails too often", async () => {
    hub.fault = () => ({ status: 429, headers: { "retry-after": "3600" } });
    expect((await failureOf(resolveModel(name, options))).message).toMatch(/429.*HF_TOKEN/s);
    expect(hub.takeAsked()).toHaveLength(1);
    hub.fault = () => ({ status: 429, headers: { ratelimit: '"api";r=0;t=3600' } });
    await failureOf(resolveModel(name, options));
    expect(hub.takeAsked()).toHaveLength(1);
    hub.fault = () => ({ status: 502 });
    expect((await failureOf(resolveModel(name, options))).message).toMatch(/status 502/);
    expect(hub.takeAsked()).toHaveLength(5);
  });

  it("is replaced by the cache, with a word about it, where something only needs the model", async () => {
    const folder = await resolveModel(name, options);
    const notes: string[] = [];
    const gone = await HubServer.start();
    const HF_ENDPOINT = gone.endpoint;
    await gone.close();
    const down = {
      ...options,
      environment: { ...environment, HF_ENDPOINT, https_proxy: "http://proxy" },
      onNote: (note: string) => void notes.push(note),
    };
    expect(await resolveModel(name, down)).toBe(folder);
    expect(notes.join()).toMatch(/No connection to http:.*ECONNREFUSED.*cached org\/tiny is used/);
    expect((await failureOf(pullModel(name, down))).message).toMatch(/No connection.*https_proxy.*NODE_USE_ENV_PROXY/);
    expect((await failureOf(resolveModel("hf:org/other", down))).message).toMatch(/No connection/);
  });

  it("is told from a login page and from circles", async () => {
    hub.fault = () => ({ status: 200, headers: { "content-type": "text/html" } });
    expect((await failureOf(resolveModel(name, options))).message).toMatch(/not as the Hub does/);
    hub.fault = () => ({ status: 302, headers: { location: "/again" } });
    expect((await failureOf(resolveModel(name, options))).message).toMatch(/in a circle/);
  });
});

describe("offline", () => {
  const offline = (): PullOptions => ({ ...options, environment: { ...environment, HF_HUB_OFFLINE: "1" } });

  it("uses what is cached, and says what is missing", async () => {
    expect((await failureOf(resolveModel(name, offline()))).message).toMatch(/HF_HUB_OFFLINE.*not in the cache/);
    const folder = await resolveModel(name, options);
    hub.takeAsked();
    expect(await resolveModel(name, offline())).toBe(folder);
    expect(await pullModel(name, offline())).toMatchObject({ folder, downloadedBytes: 0 });
    rmSync(weightsBlob());
    expect((await failureOf(resolveModel(name, offline()))).message).toMatch(/lacks model\.safetensors/);
    expect((await failureOf(resolveModel(`${name}@v2`, offline()))).message).toMatch(/tiny@v2 is not in the cache/);
    expect(hub.asked).toEqual([]);
  });

  it("never asks about a commit that is whole in the cache, but asks where Python left a part", async () => {
    const { name: pinned } = await pinModel(name, options);
    expect(pinned).toBe(`hf:org/tiny@${commit}`);
    hub.takeAsked();
    expect(await pinModel(pinned, options)).toMatchObject({ name: pinned });
    expect(hub.takeAsked()).toEqual([]);
    rmSync(path.join(cache, "snapshots", commit, "generation_config.json"));
    expectWhole(await resolveModel(pinned, options));
    expect(downloads(hub.takeAsked())).toEqual([]);
  });

  it("leaves every other name alone", async () => {
    for (const other of ["atlas-base", "./hf", "models/x", "/a/b.gguf", "org/tiny"])
      expect(await pinModel(other, { ...options, fetch: () => Promise.reject(new Error("asked")) })).toEqual({
        name: other,
        location: other,
      });
  });
});

describe("a model that cannot be opened", () => {
  const fetched = (): string[] => downloads(hub.takeAsked()).map(({ url }) => url.replace(/.*\//, ""));

  it.each<[Record<string, unknown>, RegExp]>([
    [
      { model_type: "gpt2", hidden_size: undefined },
      /config.json of org\/tiny, field "model_type" is "gpt2", but only/,
    ],
    [{ model_type: "bert" }, /an encoder/],
    [{ model_type: "qwen2_vl" }, /a model of images/],
    [{ architectures: ["LlamaForSequenceClassification"] }, /only models that write text/],
    [{ quantization_config: { quant_method: "awq" } }, /weights are quantized \(awq\)/],
    [{ model_type: "qwen2", use_sliding_window: true }, /sliding-window/],
    [{ rope_scaling: { rope_type: "yarn", factor: 4 } }, /rotary positions \(yarn\)/],
  ])("is refused before its weights are fetched: %j", async (change, message) => {
    hub.repositories["org/tiny"].files["config.json"] = modelConfig(change);
    for (const ask of [resolveModel, pullModel]) {
      expect((await failureOf(ask(name, options))).message).toMatch(message);
      expect(fetched().filter((file) => file !== "config.json")).toEqual([]);
    }
    expect(existsSync(path.join(cache, "snapshots"))).toBe(false);
    // The Hub's index of shards is small, too.
    const { "model.safetensors": single, ...rest } = hub.repositories["org/tiny"].files;
    const index = Buffer.from(JSON.stringify({ weight_map: { a: "model-00001-of-00001.safetensors" } }));
    const shards = { "model.safetensors.index.json": index, "model-00001-of-00001.safetensors": single };
    hub.repositories["org/tiny"].files = { ...rest, ...shards };
    expect((await failureOf(resolveModel(name, options))).message).toMatch(message);
    expect(fetched()).toEqual(["model.safetensors.index.json"]);
  });

  it("may be an adapter", async () => {
    const files = {
      "adapter_config.json": adapterConfig({ use_dora: true }),
      "adapter_model.safetensors": noise(2000, 9),
    };
    hub.repositories["org/adapter"] = { revisions: { main: commit }, files };
    const { message } = await failureOf(resolveModel("hf:org/adapter", options));
    expect(message).toMatch(/adapter_config.json of org\/adapter, field "use_dora" asks for .*DoRA/);
    expect(fetched().filter((file) => file !== "adapter_config.json")).toEqual([]);
  });

  it("may be one that writes, named as an encoder", async () => {
    delete hub.repositories["org/tiny"].files["onnx/model.onnx"];
    const { message } = await failureOf(resolveEncoder(name, "", options));
    expect(message).toMatch(/org\/tiny has no ONNX file, and .* plain BERT models only: .* model_type "llama"/);
    expect(fetched().filter((file) => file !== "config.json")).toEqual([]);
  });
});

describe("a GGUF file", () => {
  let content: TestGguf;
  const serve = (change: Record<string, string>, tensors = content.tensors): Buffer => {
    const metadata = { ...content.metadata };
    for (const [key, value] of Object.entries(change)) metadata[key] = { type: GGUFValueType.STRING, value };
    const file = Buffer.from(testGgufBytes({ metadata, tensors }));
    hub.repositories["org/gguf"] = { revisions: { main: commit }, files: { "model.gguf": file } };
    return file;
  };
  /** Behind the metadata stand three megabytes that a refusal should not cost. */
  const padding = (): TestTensor => ({ name: "x", shape: [750_000], type: 0, data: new Uint8Array(3_000_000) });
  beforeAll(async () => {
    content = await readTestGguf(fileURLToPath(new URL("../../../../test/golden/llama/model.gguf", import.meta.url)));
  });

  it.each<[string, () => Buffer, RegExp]>([
    [
      "architecture",
      () => serve({ "general.architecture": "mamba" }, [...content.tensors, padding()]),
      /model.gguf of org\/gguf, metadata field "general.architecture": it is "mamba"/,
    ],
    [
      "tensor",
      () => serve({}, [...content.tensors, padding()]),
      /model.gguf of org\/gguf has the unexpected tensor "x"/,
    ],
    [
      "tokenizer",
      () => serve({ "tokenizer.ggml.model": "t5" }, [...content.tensors, padding()]),
      /metadata field "tokenizer.ggml.model": it is "t5"/,
    ],
  ])("is refused by its header alone, for its %s", async (_, make, message) => {
    const { length } = make();
    expect((await failureOf(resolveModel("hf:org/gguf/model.gguf", options))).message).toMatch(message);
    const asked = hub.takeAsked().filter(({ host }) => host === "cdn");
    expect(asked.map(({ range }) => range)).toEqual(["bytes=0-1999999"]);
    expect(length).toBeGreaterThan(3_000_000);
    expect(readdirSync(path.join(home, "hub", "models--org--gguf", "blobs"))).toEqual([]);
  });

  it("is fetched when its header is right, and where nobody can tell beforehand", async () => {
    const file = serve({});
    const place = await resolveModel("hf:org/gguf/model.gguf", options);
    expect(readFileSync(place).equals(file)).toBe(true);
    rmSync(path.join(home, "hub"), { recursive: true });
    const refused = serve({ "general.architecture": "mamba" }, [
      ...content.tensors,
      { ...padding(), data: noise(6e6) },
    ]);
    hub.fault = ({ host }) => (host === "cdn" ? { ignoreRange: true } : undefined);
    expect(readFileSync(await resolveModel("hf:org/gguf/model.gguf", options)).equals(refused)).toBe(true);
  });
});

describe("the disk", () => {
  it("is asked for room before anything is fetched", async () => {
    const error = await failureOf(resolveModel(name, { ...options, freeBytes: () => Promise.resolve(1000) }));
    expect(error.message).toMatch(/needs 0\.3 MB more, and only 0\.0 MB are free at .*HF_HOME/);
    // The configuration, which says whether the model is worth the room.
    expect(downloads(hub.asked).map(({ url }) => path.basename(url))).toEqual(["config.json"]);
  });

  it.skipIf(!existsSync("/dev/full"))("may be full all the same (needs Linux's /dev/full)", async () => {
    mkdirSync(path.join(cache, "blobs"), { recursive: true });
    symlinkSync("/dev/full", `${weightsBlob()}.incomplete`);
    expect((await failureOf(resolveModel(name, options))).message).toMatch(/disk is full.*HF_HOME/);
    expect(existsSync(path.join(cache, "snapshots"))).toBe(false);
    expect(readdirSync(path.join(home, "hub", ".locks", "models--org--tiny"))).toEqual([]);
  });

  it("may be a folder that is none", async () => {
    writeFileSync(path.join(home, "hub"), "");
    expect((await failureOf(resolveModel(name, options))).message).toMatch(
      /Cannot write into the cache of the Hub's files/,
    );
  });

  it("without links gets second names or copies", async () => {
    const refuse = (): Promise<never> => Promise.reject(new Error("EPERM"));
    const blob = path.join(home, "blob");
    writeFileSync(blob, "content");
    const file = path.join(home, "a", "file");
    for (const link of [async () => writeFileSync(path.join(home, "linked"), ""), refuse]) {
      await placeFile(blob, file, {
        symlink: refuse,
        link: link === refuse ? refuse : (await import("node:fs/promises")).link,
      });
      expect(lstatSync(file).isSymbolicLink()).toBe(false);
      expect(readFileSync(file, "utf8")).toBe("content");
      expect(lstatSync(file).nlink).toBe(link === refuse ? 1 : 2);
    }
    expect(readdirSync(path.join(home, "a"))).toEqual(["file"]);
  });

  it("keeps a snapshot's own files where a system without links left no blob", async () => {
    const { folder } = await pullModel(name, options);
    rmSync(path.join(folder, "model.safetensors"));
    writeFileSync(path.join(folder, "model.safetensors"), weights());
    rmSync(weightsBlob());
    expect(await pullModel(name, { ...options, verify: true })).toMatchObject({ downloadedBytes: 0 });
    expectWhole(folder);
  });
});

describe("two at once", () => {
  it("fetch every file once", async () => {
    const notes: string[] = [];
    const onNote = (note: string): void => void notes.push(note);
    const [first, second] = await Promise.all([
      pullModel(name, { ...options, onNote }),
      pullModel(name, { ...options, onNote }),
    ]);
    expect(first.downloadedBytes + second.downloadedBytes).toBe(first.bytes);
    expect(hub.asked.filter(isWeights)).toHaveLength(1);
    expect(notes).toEqual([expect.stringMatching(/waiting/)]);
    expectWhole(first.folder);
  });

  it("do not wait for one that is gone", async () => {
    const lock = path.join(home, "hub", ".locks", "models--org--tiny", "sleuth.lock");
    mkdirSync(path.dirname(lock), { recursive: true });
    writeFileSync(lock, JSON.stringify({ pid: 1, host: "elsewhere" }));
    utimesSync(lock, new Date(0), new Date(0));
    expectWhole(await resolveModel(name, options));
    expect(readdirSync(path.dirname(lock))).toEqual([]);
    rmSync(path.join(cache, "snapshots"), { recursive: true });
    const ended = spawnSync(process.execPath, ["-e", ""]);
    writeFileSync(lock, JSON.stringify({ pid: ended.pid, host: hostname() }));
    expectWhole(await resolveModel(name, options));
    expect(readdirSync(path.dirname(lock))).toEqual([]);
  });
});
