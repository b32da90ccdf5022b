/** @file A prompt at which queries are tried one after another. */
import { createInterface } from "node:readline";
import { classify } from "./failure.js";

interface PromptStreams {
  input: NodeJS.ReadableStream;
  output: NodeJS.WritableStream;
}

/**
 * Asks for queries until an empty line, the end of the input or Ctrl-C. A query that fails says so, and the next one is asked for; Ctrl-C while
 * one is under way gives it up.
 * @returns how many queries were asked
 */
export async function askAgainAndAgain(
  { input, output }: PromptStreams,
  ask: (query: string, signal: AbortSignal) => Promise<unknown>,
): Promise<number> {
  const lines = createInterface({ input, output, prompt: "search: " });
  let underWay: AbortController | undefined;
  lines.on("SIGINT", () => {
    if (underWay === undefined) lines.close();
    else underWay.abort(new Error("given up"));
  });
  let asked = 0;
  lines.prompt();
  for await (const line of lines) {
    const query = line.trim();
    if (query === "") break;
    asked++;
    underWay = new AbortController();
    try {
      await ask(query, underWay.signal);
    } catch (error) {
      const message = underWay.signal.aborted ? "Given up." : (classify(error)?.message ?? "");
      output.write(`${message}\n`);
    }
    underWay = undefined;
    output.write("\n");
    lines.prompt();
  }
  lines.close();
  return asked;
}
