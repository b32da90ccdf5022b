/** @file A measurement in a process of its own. */
import { spawn } from "node:child_process";
import path from "node:path";
import { text } from "node:stream/consumers";

/**
 * Runs a script, which reads its options from stdin and prints its figures, both as JSON.
 * @param script below `bench/`, or an absolute path
 * @param longestMs it is killed then
 * @param root of another checkout whose script of that name runs instead; an absolute one runs there
 * @throws Error when it fails; what it printed on stderr stands above
 */
export async function runCase<Figures>(
  script: string,
  options: object,
  { longestMs, root }: { longestMs?: number; root?: string } = {},
): Promise<Figures> {
  const child = spawn(
    process.execPath,
    ["--import", "tsx", path.resolve(root === undefined ? import.meta.dirname : path.join(root, "bench"), script)],
    {
      cwd: root,
      stdio: ["pipe", "pipe", "inherit"],
      timeout: longestMs,
      killSignal: "SIGKILL",
    },
  );
  const ended = new Promise<void>((resolve, reject) => {
    child.once("error", reject);
    child.once("exit", (code, signal) =>
      code === 0 ? resolve() : reject(new Error(`${script} has ended with ${code ?? signal}`)),
    );
  });
  child.stdin.end(JSON.stringify(options));
  const [printed] = await Promise.all([text(child.stdout), ended]);
  return JSON.parse(printed) as Figures;
}
