/** @file One trajectory as people read it: what the policy wrote, its queries and answer in colour, retrieved passages dimmed. */
import type { Protocol, TagPair } from "../../prompts/protocol.js";
import type { Trajectory } from "../../types.js";
import { wrap } from "./format.js";
import type { Colors } from "./terminal.js";

export interface TranscriptOptions {
  protocol: Protocol;
  colors: Colors;
  /** Columns to wrap at. */
  columns: number;
}

/** The trajectory's own words without the prompt, line by line, then how it ended. */
export function renderTranscript(trajectory: Trajectory, options: TranscriptOptions): string[] {
  const lines = trajectory.segments.flatMap((segment, index) => {
    if (segment.role === "prompt") return [];
    const text = trajectory.texts[index].trim();
    if (text === "") return [];
    const paint = segment.role === "policy" ? colorTags(options) : options.colors.dim;
    const indent = segment.role === "policy" ? "  " : "    ";
    return wrap(text, options.columns - indent.length).map((line) => indent + paint(line));
  });
  return [...lines, `  ${options.colors.dim(ending(trajectory))}`];
}

/** Colours whole tag pairs; a pair that is wrapped over two lines is coloured on each by its own tags. */
function colorTags({ protocol, colors }: TranscriptOptions): (line: string) => string {
  const rules: [TagPair, (text: string) => string][] = [
    [protocol.search, (text) => colors.bold(colors.cyan(text))],
    [protocol.answer, (text) => colors.bold(colors.green(text))],
  ];
  return (line) =>
    rules.reduce(
      (text, [[open, close], paint]) =>
        text.replace(new RegExp(`${escapeRegExp(open)}.*?(?:${escapeRegExp(close)}|$)`, "g"), paint),
      line,
    );
}

function ending(trajectory: Trajectory): string {
  const searches = trajectory.searches.length;
  const failed = trajectory.searches.filter((call) => call.error !== undefined).length;
  const searched = `${searches} search${searches === 1 ? "" : "es"}${failed > 0 ? ` (${failed} failed)` : ""}`;
  return `[${trajectory.finishReason}, ${searched}]`;
}

function escapeRegExp(text: string): string {
  return text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
}
