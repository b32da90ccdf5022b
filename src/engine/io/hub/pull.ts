/**
 * @file From the name of a model on the Hub to files on this disk. `resolveModel` is for whatever takes a model: it asks as little as
 * it can. `pullModel` is for `sleuth pull`: it looks at every file.
 */
import { mkdir, readdir, readFile, rm, statfs } from "node:fs/promises";
import path from "node:path";
import { UserError } from "../../../errors.js";
import { writeError } from "../../../files/durable.js";
import { withLock } from "../../../files/lock.js";
import { fileSize, ModelCache } from "./cache.js";
import { downloadBlob, isIntact, unfinishedBytes } from "./download.js";
import { judgeFiles, judgeGguf } from "./judge.js";
import { commitOf, fileUrl, listRepository } from "./listing.js";
import { isCommit, isHubName, parseHubName, pinnedName, type HubName } from "./name.js";
import { encoderOptional, optionalFiles, selectFiles, type ListedFile } from "./selection.js";
import { hubSettings, type HubSettings } from "./settings.js";
import { parseJson } from "../../../files/json-file.js";
import { HubError, HubTransport, type TransportOptions } from "./transport.js";

/** A moment of a download. What was there before it began counts neither as done nor in the total. */
export interface PullProgress {
  repository: string;
  /** The file that is being fetched. */
  file: string;
  /** Bytes. */
  done: number;
  total: number;
}

export interface PullOptions extends TransportOptions {
  onProgress?: (progress: PullProgress) => void;
  /** Default: the environment of this process. */
  environment?: Readonly<Record<string, string | undefined>>;
  /** Bytes that are free where a folder is. Default: asks the file system. */
  freeBytes?: (folder: string) => Promise<number>;
}

export interface PulledFile {
  path: string;
  bytes: number;
  /** Bytes that were fetched now: 0 for what was cached, fewer than `bytes` for what was begun earlier. */
  downloadedBytes: number;
}

export interface PullResult {
  /** `hf:ORG/NAME@COMMIT`: means these very bytes for ever. */
  name: string;
  repository: string;
  commit: string;
  /** The snapshot's folder, or the GGUF file in it: what takes a model can be given this. */
  folder: string;
  files: PulledFile[];
  bytes: number;
  downloadedBytes: number;
}

/** A model that is on this disk. */
interface LocalModel {
  /** As it was given, or `hf:ORG/NAME@COMMIT` for a model of the Hub. */
  name: string;
  location: string;
}

/**
 * The folder (or GGUF file) of a model: for `hf:ORG/NAME[/FILE.gguf][@REVISION]` its place in the Hugging Face cache, after
 * downloading what is missing; every other name is returned as it is.
 * @throws UserError when it cannot be had; the signal's reason when it aborts
 */
export async function resolveModel(name: string, options: PullOptions = {}): Promise<string> {
  return (await pinModel(name, options)).location;
}

/** The same, with a name that will mean the same bytes when a branch has moved on. */
export async function pinModel(given: string, options: PullOptions = {}): Promise<LocalModel> {
  return isHubName(given) ? pin(parseHubName(given), options) : { name: given, location: given };
}

/**
 * `resolveModel` for encoders and cross-encoders: their ONNX file and what says how texts are read.
 * @param variant which of several ONNX files: "fp16", "quantized", …; "" is onnx/model.onnx or, where there is none, model.safetensors
 * @throws as `resolveModel` does
 */
export async function resolveEncoder(given: string, variant = "", options: PullOptions = {}): Promise<string> {
  if (!isHubName(given)) return given;
  return (await pin({ ...parseHubName(given), onnx: variant }, options)).location;
}

async function pin(name: HubName, options: PullOptions): Promise<LocalModel> {
  const settings = hubSettings(options.environment);
  const cache = new ModelCache(settings.cacheFolder, name);
  const local = (commit: string): LocalModel => ({
    name: pinnedName(name, commit),
    location: cache.location(name, commit),
  });
  const cached = await cache.cachedCommit(name.revision);
  if (settings.offline) return local(await requireCached(cache, name, cached, settings));
  if (isCommit(name.revision) && (await isWhole(cache, name, name.revision))) return local(name.revision);
  try {
    const transport = new HubTransport(settings, name, options);
    const commit = await commitOf(transport, name);
    if (await isWhole(cache, name, commit)) await cache.setCommit(name.revision, commit);
    else await fetchFiles({ transport, cache, name, commit, options });
    return local(commit);
  } catch (error) {
    const isUnavailable = error instanceof HubError && error.isUnavailable;
    if (!isUnavailable || cached === undefined || (await cache.lacking(name, cached)).missing.length > 0) throw error;
    options.onNote?.(`${error.message} Meanwhile the cached ${name.repository} is used (commit ${cached}).`);
    return local(cached);
  }
}

/**
 * Fetches every file of a model that is not in the cache, and checks the sizes of those that are.
 * @param given `ORG/NAME[/FILE.gguf][@REVISION]`, with or without `hf:`
 * @throws UserError when it cannot be had; the signal's reason when it aborts
 */
export async function pullModel(given: string, options: PullOptions & { verify?: boolean } = {}): Promise<PullResult> {
  const name = parseHubName(given);
  const settings = hubSettings(options.environment);
  const cache = new ModelCache(settings.cacheFolder, name);
  if (settings.offline) {
    const commit = await requireCached(cache, name, await cache.cachedCommit(name.revision), settings);
    return result(cache, name, commit, await cachedFiles(cache, name, commit));
  }
  const transport = new HubTransport(settings, name, options);
  const commit = await commitOf(transport, name);
  const files = await fetchFiles({ transport, cache, name, commit, options });
  return result(cache, name, commit, files);
}

function result(cache: ModelCache, name: HubName, commit: string, files: PulledFile[]): PullResult {
  const sum = (key: "bytes" | "downloadedBytes"): number => files.reduce((total, file) => total + file[key], 0);
  return {
    name: pinnedName(name, commit),
    repository: name.repository,
    commit,
    folder: cache.location(name, commit),
    files,
    bytes: sum("bytes"),
    downloadedBytes: sum("downloadedBytes"),
  };
}

/** What a snapshot holds of a model, as far as can be said without the network. */
async function cachedFiles(cache: ModelCache, name: HubName, commit: string): Promise<PulledFile[]> {
  const folder = cache.snapshot(commit);
  const paths = name.file === undefined ? await readdir(folder) : [name.file];
  const sizes = await Promise.all(paths.map((file) => fileSize(path.join(folder, file))));
  return paths.map((path, index) => ({ path, bytes: sizes[index], downloadedBytes: 0 }));
}

async function isWhole(cache: ModelCache, name: HubName, commit: string): Promise<boolean> {
  const { missing, unknown } = await cache.lacking(name, commit);
  return missing.length === 0 && unknown.length === 0;
}

/** @returns the cached commit of a model that is there, as far as can be said without the network */
async function requireCached(
  cache: ModelCache,
  name: HubName,
  commit: string | undefined,
  settings: HubSettings,
): Promise<string> {
  const advice = `Unset HF_HUB_OFFLINE to fetch it, or point HF_HUB_CACHE (now ${settings.cacheFolder}) to a cache that has it.`;
  if (commit === undefined)
    throw new UserError(
      `HF_HUB_OFFLINE is set, and ${name.repository}@${name.revision} is not in the cache. ${advice}`,
    );
  const { missing } = await cache.lacking(name, commit);
  if (missing.length > 0)
    throw new UserError(
      `HF_HUB_OFFLINE is set, and the cached ${name.repository}@${name.revision} lacks ${missing.join(", ")}. ${advice}`,
    );
  return commit;
}

interface Fetch {
  transport: HubTransport;
  cache: ModelCache;
  name: HubName;
  commit: string;
  options: PullOptions & { verify?: boolean };
}

/** Puts all blobs into the cache, and only then the snapshot that links to them, and last the revision that names it. */
async function fetchFiles(fetching: Fetch): Promise<PulledFile[]> {
  const { transport, cache, name, commit, options } = fetching;
  const listed = await listRepository(transport, name, commit);
  const { signal, onNote } = options;
  const onWait = (): void => onNote?.(`Another process is fetching ${name.repository}; waiting for it.`);
  try {
    return await withLock(cache.lockFile, { signal, onWait }, async () => {
      await mkdir(cache.blobs, { recursive: true });
      const early: PulledFile[] = [];
      const readSmall = async (file: ListedFile): Promise<unknown> => {
        early.push(...(await fetchBlobs({ ...fetching, options: { ...options, onProgress: undefined } }, [file])));
        return readJson(await cache.placeOf(commit, file), file, name);
      };
      const chosen = await selectFiles(listed, name, readSmall);
      if (name.file === undefined) await judgeFiles(chosen, name, readSmall);
      else if (!(await isThere(fetching, chosen[0]))) await judgeGguf(transport, name, commit, chosen[0]);
      const small = early.reduce((sum, { downloadedBytes }) => sum + downloadedBytes, 0);
      const late = await fetchBlobs(fetching, chosen, small);
      for (const file of chosen) await cache.place(commit, file);
      if (name.file === undefined) {
        const paths = new Set(listed.map((file) => file.path));
        const optional = name.onnx === undefined ? optionalFiles : encoderOptional;
        await cache.setAbsent(
          commit,
          optional.filter((file) => !paths.has(file)),
        );
      }
      await cache.setCommit(name.revision, commit);
      return late.map((file) => early.find(({ path }) => path === file.path) ?? file);
    });
  } catch (error) {
    const advice =
      "What arrived is kept: make room or change permissions, then run the same command again, or set HF_HOME to another folder.";
    throw writeError(`into the model cache ${transport.settings.cacheFolder}`, error, advice);
  }
}

/**
 * Downloads those of the files that are not there.
 * @param before bytes that were fetched for the same model, which count as progress
 */
async function fetchBlobs(fetching: Fetch, files: readonly ListedFile[], before = 0): Promise<PulledFile[]> {
  const { transport, cache, name, commit, options } = fetching;
  const missing: ListedFile[] = [];
  for (const file of files) if (!(await isThere(fetching, file))) missing.push(file);
  const sizes = await Promise.all(missing.map(async (file) => file.size - (await leftOver(cache, file))));
  const needed = sizes.reduce((sum, size) => sum + size, 0);
  if (needed > 0) await requireSpace(fetching, needed);
  const downloaded = new Map<string, number>();
  const total = before + needed;
  let done = before;
  for (const file of missing) {
    const url = fileUrl(transport, name, commit, file.path);
    const report = (): void => options.onProgress?.({ repository: name.repository, file: file.path, done, total });
    report();
    await downloadBlob(transport, url, file, cache.blob(file.etag), (count) => {
      done = Math.min(total, done + count);
      downloaded.set(file.path, (downloaded.get(file.path) ?? 0) + count);
      report();
    });
  }
  return files.map(({ path, size }) => ({ path, bytes: size, downloadedBytes: downloaded.get(path) ?? 0 }));
}

/** Whether a file needs no download. With `verify`, one whose content is not right is deleted. */
async function isThere(fetching: Fetch, file: ListedFile): Promise<boolean> {
  const place = await fetching.cache.placeOf(fetching.commit, file);
  if ((await fileSize(place)) === file.size && !(fetching.options.verify && !(await isIntact(place, file))))
    return true;
  await rm(place, { force: true });
  return false;
}

/** Bytes of an earlier try that will be used. */
async function leftOver(cache: ModelCache, { etag, size }: ListedFile): Promise<number> {
  const bytes = await unfinishedBytes(cache.blob(etag));
  return bytes <= size ? bytes : 0;
}

async function requireSpace({ cache, name, transport, options }: Fetch, bytes: number): Promise<void> {
  const free = await (options.freeBytes ?? freeBytes)(cache.blobs);
  if (free >= bytes) return;
  throw new UserError(
    `${name.repository} needs ${megabytes(bytes)} more, and only ${megabytes(free)} are free at ${transport.settings.cacheFolder}. ` +
      "Make room, or put the cache on another disk with HF_HOME.",
  );
}

async function freeBytes(folder: string): Promise<number> {
  // Some file systems of networks do not tell.
  return statfs(folder).then(
    ({ bavail, bsize, blocks }) => (blocks > 0 ? bavail * bsize : Infinity),
    () => Infinity,
  );
}

async function readJson(file: string, { path }: ListedFile, { repository }: HubName): Promise<unknown> {
  return parseJson(
    await readFile(file, "utf8"),
    `${path} of ${repository}`,
    "Tell its owners, or choose another revision.",
  );
}

function megabytes(bytes: number): string {
  return `${(bytes / 2 ** 20).toFixed(1)} MB`;
}
