/**
 * @file From the name of a repository on the Hub to files on this disk: blobs first, then the snapshot that links to them, last the revision that names
 * it. Which files of it are wanted is the caller's to say. `pinRepository` asks as little as it can; `pullRepository` looks at every file.
 */
import { mkdir, readdir, readFile, rm, statfs } from "node:fs/promises";
import path from "node:path";
import { UserError } from "../errors.js";
import { writeError } from "../files/durable.js";
import { parseJson } from "../files/json-file.js";
import { withLock } from "../files/lock.js";
import { fileSize, RepositoryCache } from "./cache.js";
import { downloadBlob, isIntact, unfinishedBytes } from "./download.js";
import { commitOf, fileUrl, listRepository, type ListedFile } from "./listing.js";
import { isCommit, pinnedName, type HubName } from "./name.js";
import { hubSettings, type HubSettings } from "./settings.js";
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
  /** The snapshot's folder, or the file or folder in it that was meant. */
  folder: string;
  files: PulledFile[];
  bytes: number;
  downloadedBytes: number;
}

/** What is wanted of a repository. */
export interface Wanted {
  /**
   * The files to fetch.
   * @param listed all files of the commit
   * @throws UserError when they are not what is wanted
   */
  choose(listed: readonly ListedFile[], tools: ChoosingTools): Promise<ListedFile[]>;
  /** Taken where they exist; their absence is recorded, so that a cached repository is known to be whole. */
  optional: readonly string[];
  /**
   * What a snapshot lacks, judged without the network.
   * @returns `missing`: files without which it is of no use; `unknown`: optional files that the repository may or may not have
   */
  lacking(cache: RepositoryCache, commit: string): Promise<{ missing: string[]; unknown: string[] }>;
}

/** What may be looked at before anything large is fetched. */
export interface ChoosingTools {
  transport: HubTransport;
  commit: string;
  /** Fetches a small file, and parses it as JSON. */
  readSmall(file: ListedFile): Promise<unknown>;
  /** Whether a file needs no download. */
  isThere(file: ListedFile): Promise<boolean>;
}

/** A repository that is on this disk. */
export interface PinnedRepository {
  /** `hf:ORG/NAME@COMMIT`: means these very bytes for ever. */
  name: string;
  commit: string;
  location: string;
}

/**
 * What is wanted of a repository, after downloading what is missing.
 * @throws UserError when it cannot be had; the signal's reason when it aborts
 */
export async function pinRepository(name: HubName, wanted: Wanted, options: PullOptions): Promise<PinnedRepository> {
  const settings = hubSettings(options.environment);
  const cache = new RepositoryCache(settings.cacheFolder, name);
  const local = (commit: string): PinnedRepository => ({
    name: pinnedName(name, commit),
    commit,
    location: cache.location(name, commit),
  });
  const cached = await cache.cachedCommit(name.revision);
  if (settings.offline) return local(await requireCached({ cache, name, wanted, settings }, cached));
  const isWhole = async (commit: string): Promise<boolean> => {
    const { missing, unknown } = await wanted.lacking(cache, commit);
    return missing.length === 0 && unknown.length === 0;
  };
  if (isCommit(name.revision) && (await isWhole(name.revision))) return local(name.revision);
  try {
    const transport = new HubTransport(settings, name, options);
    const commit = await commitOf(transport, name);
    if (await isWhole(commit)) await cache.setCommit(name.revision, commit);
    else await fetchFiles({ transport, cache, name, wanted, commit, options });
    return local(commit);
  } catch (error) {
    const isUnavailable = error instanceof HubError && error.isUnavailable;
    if (!isUnavailable || cached === undefined || (await wanted.lacking(cache, cached)).missing.length > 0) throw error;
    options.onNote?.(`${error.message} Meanwhile the cached ${name.repository} is used (commit ${cached}).`);
    return local(cached);
  }
}

/**
 * Fetches every wanted file of a repository that is not in the cache, and checks the sizes of those that are.
 * @throws UserError when it cannot be had; the signal's reason when it aborts
 */
export async function pullRepository(
  name: HubName,
  wanted: Wanted,
  options: PullOptions & { verify?: boolean },
): Promise<PullResult> {
  const settings = hubSettings(options.environment);
  const cache = new RepositoryCache(settings.cacheFolder, name);
  if (settings.offline) {
    const commit = await requireCached({ cache, name, wanted, settings }, await cache.cachedCommit(name.revision));
    return result(cache, name, commit, await cachedFiles(cache, name, commit));
  }
  const transport = new HubTransport(settings, name, options);
  const commit = await commitOf(transport, name);
  const files = await fetchFiles({ transport, cache, name, wanted, commit, options });
  return result(cache, name, commit, files);
}

function result(cache: RepositoryCache, name: HubName, commit: string, files: PulledFile[]): PullResult {
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

/** What a snapshot holds, as far as can be said without the network. */
async function cachedFiles(cache: RepositoryCache, name: HubName, commit: string): Promise<PulledFile[]> {
  const folder = cache.snapshot(commit);
  const paths = name.file === undefined ? await readdir(folder) : [name.file];
  const sizes = await Promise.all(paths.map((file) => fileSize(path.join(folder, file))));
  return paths.map((path, index) => ({ path, bytes: sizes[index], downloadedBytes: 0 }));
}

interface Wish {
  cache: RepositoryCache;
  name: HubName;
  wanted: Wanted;
  settings: HubSettings;
}

/** @returns the cached commit of a repository that is there, as far as can be said without the network */
async function requireCached({ cache, name, wanted, settings }: Wish, commit: string | undefined): Promise<string> {
  const advice = `Unset HF_HUB_OFFLINE to fetch it, or point HF_HUB_CACHE (now ${settings.cacheFolder}) to a cache that has it.`;
  if (commit === undefined)
    throw new UserError(
      `HF_HUB_OFFLINE is set, and ${name.repository}@${name.revision} is not in the cache. ${advice}`,
    );
  const { missing } = await wanted.lacking(cache, commit);
  if (missing.length > 0)
    throw new UserError(
      `HF_HUB_OFFLINE is set, and the cached ${name.repository}@${name.revision} lacks ${missing.join(", ")}. ${advice}`,
    );
  return commit;
}

interface Fetch extends Omit<Wish, "settings"> {
  transport: HubTransport;
  commit: string;
  options: PullOptions & { verify?: boolean };
}

async function fetchFiles(fetching: Fetch): Promise<PulledFile[]> {
  const { transport, cache, name, wanted, commit, options } = fetching;
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
      const isFileThere = (file: ListedFile): Promise<boolean> => isThere(fetching, file);
      const chosen = await wanted.choose(listed, { transport, commit, readSmall, isThere: isFileThere });
      const small = early.reduce((sum, { downloadedBytes }) => sum + downloadedBytes, 0);
      const late = await fetchBlobs(fetching, chosen, small);
      for (const file of chosen) await cache.place(commit, file);
      const paths = new Set(listed.map((file) => file.path));
      const absent = wanted.optional.filter((file) => !paths.has(file));
      if (absent.length > 0) await cache.setAbsent(commit, absent);
      await cache.setCommit(name.revision, commit);
      return late.map((file) => early.find(({ path }) => path === file.path) ?? file);
    });
  } catch (error) {
    const advice =
      "What arrived is kept: make room or change permissions, then run the same command again, or set HF_HOME to another folder.";
    throw writeError(`into the cache of the Hub's files ${transport.settings.cacheFolder}`, error, advice);
  }
}

/**
 * Downloads those of the files that are not there.
 * @param before bytes that were fetched for the same repository, which count as progress
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
async function leftOver(cache: RepositoryCache, { etag, size }: ListedFile): Promise<number> {
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
