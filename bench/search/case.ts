/** @file A measurement in a process of its own. */
import { spawn } from "node:child_process";
import { join } from "node:path";
import { text } from "node:stream/consumers";

/**
 * Runs a script of this folder, which reads its options from stdin and prints its figures, both as JSON.
 * @param longestMs it is killed then
 * @param root of another checkout whose script of that name runs instead
 * @throws Error when it fails; what it printed on stderr stands above
 */
export async function runCase<Figures>(
  script: string,
  options: object,
  { longestMs, root }: { longestMs?: number; root?: string } = {},
): Promise<Figures> {
  const child = spawn(
    process.execPath,
    ["--import", "tsx", root === undefined ? join(import.meta.dirname, script) : join(root, "bench", "search", script)],
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
