import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { Job } from "./jobs.js";
import { Clock, runJobs, type RunOptions } from "./run-jobs.js";

let root: string;
let said: string[];
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "sleuth-experiments-"));
  said = [];
  writeFileSync(join(root, "sleuth.mjs"), program);
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

/** Stands for sleuth: its first word says how it ends, and it leaves a file behind where it was. */
const program = `
import { appendFileSync } from "node:fs";
const [how, , , folder] = process.argv.slice(2);
process.on("SIGINT", () => { appendFileSync(folder + ".seen", "interrupted\\n"); process.exit(130); });
appendFileSync(folder + ".seen", "started\\n");
console.log("told " + how);
if (how === "fail") process.exit(3);
if (how === "wait") setTimeout(() => {}, 60_000);
`;

function jobOf(label: string, how: string): Job & { kept: number[] } {
  const folder = join(root, "runs", label);
  const kept: number[] = [];
  return {
    label,
    words: [how],
    folder,
    cost: 1,
    kept,
    isDone: () => kept.length > 0,
    keep: (seconds) => Promise.resolve(void kept.push(seconds)),
    summary: () => `all of ${label}`,
  };
}

const options = (over: Partial<RunOptions> = {}): RunOptions => ({
  jobs: 2,
  sleuth: join(root, "sleuth.mjs"),
  root,
  say: (line) => void said.push(line),
  ...over,
});
const seen = (job: Job): string => readFileSync(`${job.folder}.seen`, "utf8");

describe("jobs side by side", () => {
  it("runs what is not done, keeps what ended well and tells of each", async () => {
    const jobs = ["a", "b", "c"].map((label) => jobOf(label, "pass"));
    jobs[1].kept.push(0);
    expect(await runJobs(jobs, options())).toEqual({ failed: [], interrupted: false });
    expect(jobs.map(({ kept }) => kept.length)).toEqual([1, 1, 1]);
    expect(existsSync(`${jobs[1].folder}.seen`)).toBe(false);
    expect(readFileSync(`${jobs[0].folder}.log`, "utf8")).toBe("told pass\n");
    expect(said).toHaveLength(2);
    expect(said.join("\n")).toMatch(/^\[2\/3\] [ac]: all of/);
  });

  it("goes on after a failure, names its log and does not keep it", async () => {
    const jobs = [jobOf("a", "fail"), jobOf("b", "pass")];
    const { failed } = await runJobs(jobs, options({ jobs: 1 }));
    expect(failed).toEqual([jobs[0]]);
    expect(said[0]).toContain(`a: ended with status 3, see ${jobs[0].folder}.log`);
    expect(jobs.map(({ kept }) => kept.length)).toEqual([0, 1]);
  });

  it("counts a job as failed whose outcome cannot be read", async () => {
    const job = { ...jobOf("a", "pass"), keep: () => Promise.reject(new Error("no result")) };
    expect((await runJobs([job], options())).failed).toEqual([job]);
    expect(said[0]).toContain("a: no result");
  });

  it("passes an interruption on once, waits for the end and starts no more", async () => {
    const jobs = ["a", "b", "c"].map((label) => jobOf(label, "wait"));
    const controller = new AbortController();
    const running = runJobs(jobs, options({ signal: controller.signal }));
    const started = () => jobs.slice(0, 2).every((job) => existsSync(`${job.folder}.seen`));
    while (!started()) await new Promise((resolve) => setTimeout(resolve, 20));
    controller.abort();
    expect(await running).toEqual({ failed: [], interrupted: true });
    expect(jobs.slice(0, 2).map(seen)).toEqual(["started\ninterrupted\n", "started\ninterrupted\n"]);
    expect(existsSync(`${jobs[2].folder}.seen`)).toBe(false);
    expect(jobs.map(({ kept }) => kept.length)).toEqual([0, 0, 0]);
  });
});

describe("the time left", () => {
  const costs = [10, 10, 20].map((cost) => ({ cost }));

  it("is what was expected, until something is known", () => {
    expect(new Clock(costs, 2).secondsLeft()).toBe(20);
  });

  it("follows the pace of what has ended", () => {
    const clock = new Clock(costs, 2);
    clock.ended(costs[0], 30);
    expect(clock.secondsLeft()).toBe(45);
    clock.ended(costs[1], 10);
    expect(clock.secondsLeft()).toBe(20);
  });
});
