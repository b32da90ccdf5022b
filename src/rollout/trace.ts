/** @file Traces: one JSON line per trajectory for programs, coloured text for people. */
import picocolors from "picocolors";
import { z } from "zod";
import { UserError } from "../errors.js";
import { printable } from "../printable.js";
import type { Question, Trajectory } from "../types.js";

/** What a line of an evaluation has beside the reward: scores, and its place. `eval/evaluation.ts` says what each means. */
const evaluationNumbers = z
  .object({
    exactMatch: z.number(),
    squadMatch: z.number(),
    f1: z.number(),
    coverMatch: z.number(),
    judge: z.number(),
    answerShown: z.number(),
    answerInCorpus: z.number(),
    index: z.int().nonnegative(),
    attempt: z.int().nonnegative(),
  })
  .partial();

/** What one line of a trace file holds. */
export interface TraceRecord extends z.output<typeof evaluationNumbers> {
  trajectory: Trajectory;
  question?: Question;
  reward?: number;
  /** Training step, or where else it belongs. */
  step?: number;
}

const questionSchema = z.object({
  id: z.string(),
  question: z.string(),
  answers: z.array(z.string()),
  hops: z.number().optional(),
  source: z.string().optional(),
  kind: z.string().optional(),
  evidence: z.array(z.object({ id: z.string(), url: z.string().optional() })).optional(),
});
const passageSchema = z.object({
  id: z.string(),
  title: z.string(),
  text: z.string(),
  url: z.string().optional(),
  section: z.string().optional(),
  score: z.number(),
});
const segmentSchema = z
  .object({
    role: z.enum(["prompt", "policy", "environment"]),
    tokens_T: z.array(z.number().int().nonnegative()),
    logprobs_T: z.array(z.number()).optional(),
  })
  .refine(({ tokens_T, logprobs_T }) => logprobs_T === undefined || logprobs_T.length === tokens_T.length, {
    message: "logprobs_T and tokens_T differ in length",
  });
/** Traces of before `sanitized` had its name say `neutralised`. */
const searchSchema = z.preprocess(
  (value) =>
    typeof value === "object" && value !== null && "neutralised" in value
      ? { sanitized: value.neutralised, ...value }
      : value,
  z.object({
    query: z.string(),
    passages: z.array(passageSchema),
    omittedPassages: z.number(),
    rowWasFull: z.literal(true).optional(),
    sanitized: z.number(),
    waitedMs: z.number(),
    error: z.string().optional(),
  }),
);
const trajectorySchema = z
  .object({
    questionId: z.string(),
    segments: z.array(segmentSchema),
    searches: z.array(searchSchema),
    answer: z.string().nullable(),
    finishReason: z.enum(["answered", "out-of-turns", "out-of-tokens", "malformed", "search-failed", "cancelled"]),
    textOnly: z.literal(true).optional(),
    cutTurns: z.number().optional(),
    texts: z.array(z.string()),
    timing: z.object({ policyMs: z.number(), searchMs: z.number() }),
  })
  .refine(({ segments, texts }) => segments.length === texts.length, {
    message: "segments and texts differ in length",
  });
const recordSchema = z.object({
  trajectory: trajectorySchema,
  question: questionSchema.optional(),
  reward: z.number().optional(),
  ...evaluationNumbers.shape,
  step: z.number().optional(),
});

/** One line, without its newline. */
export function traceToLine(record: TraceRecord): string {
  return JSON.stringify(record);
}

/**
 * Reads what `traceToLine` wrote.
 * @param where File and line, for the message.
 * @throws UserError naming the place and the field that is wrong.
 */
export function traceFromLine(line: string, where = "trace"): TraceRecord {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch (error) {
    throw new UserError(
      `${where}: not a JSON line (${(error as Error).message}). A half-written last line can be deleted.`,
    );
  }
  const parsed = recordSchema.safeParse(value);
  if (parsed.success) return parsed.data;
  const { path, message } = parsed.error.issues[0];
  throw new UserError(`${where}: field ${path.join(".") || "(whole line)"}: ${message}. Is this a Sleuth trace?`);
}

interface RenderTraceOptions {
  /** Default: whether the terminal shows colours. */
  colors?: boolean;
  /** Without instruction and question, where the reader has just written it. */
  withoutPrompt?: boolean;
}

/**
 * The trajectory for a person: prompt dim, the policy's words plain, queries cyan, passages yellow, answer green, and a
 * last line that says how it ended. Below it stand the addresses of the passages that were shown, where they have one.
 */
export function renderTrace(record: TraceRecord, options: RenderTraceOptions = {}): string {
  const colors = picocolors.createColors(options.colors ?? picocolors.isColorSupported);
  const { trajectory, question, reward } = record;
  let searches = 0;
  const parts = trajectory.segments.map(({ role }, index) => {
    const text = printable(trajectory.texts[index]);
    if (role === "prompt") return options.withoutPrompt === true ? "" : colors.dim(text);
    if (role === "environment") return colors.yellow(text);
    const isLast = index === trajectory.segments.length - 1;
    if (isLast && trajectory.answer !== null)
      return highlight(text, printable(trajectory.answer), (inner) => colors.bold(colors.green(inner)));
    // A malformed turn is answered by the environment too, but it is no search; and not every search is the policy's.
    const asked = trajectory.searches.findIndex(
      (search, at) => at >= searches && text.includes(printable(search.query)),
    );
    if (asked < 0) return text;
    searches = asked + 1;
    return highlight(text, printable(trajectory.searches[asked].query), colors.cyan);
  });
  const facts = [
    trajectory.finishReason,
    ...(trajectory.answer === null ? [] : [`answer: ${printable(trajectory.answer)}`]),
    ...(question === undefined ? [] : [`expected: ${printable(question.answers.join(" | "))}`]),
    ...(reward === undefined ? [] : [`reward: ${Number(reward.toFixed(4))}`]),
    plural(trajectory.searches.length, "search", "searches"),
    ...trajectory.searches.flatMap(searchFacts),
  ];
  const urls = trajectory.searches.flatMap(({ passages }) => passages.flatMap(({ url }) => url ?? []));
  const sources = [...new Set(urls)].map((url) => `\n${colors.dim(`source: ${printable(url)}`)}`);
  return `${parts.join("")}\n${colors.magenta(`[${facts.join(" · ")}]`)}${sources.join("")}`;
}

function searchFacts({ query, error, omittedPassages, sanitized }: Trajectory["searches"][number]): string[] {
  return [
    ...(error === undefined ? [] : [`"${printable(query)}" failed: ${printable(error)}`]),
    ...(omittedPassages === 0 ? [] : [`${plural(omittedPassages, "passage", "passages")} did not fit`]),
    ...(sanitized === 0 ? [] : [`${plural(sanitized, "place", "places")} sanitized`]),
  ];
}

function plural(count: number, one: string, many: string): string {
  return `${count} ${count === 1 ? one : many}`;
}

/** Paints the last occurrence of `content`: that is where the action stands. */
function highlight(text: string, content: string, paint: (text: string) => string): string {
  const start = content === "" ? -1 : text.lastIndexOf(content);
  if (start < 0) return text;
  return text.slice(0, start) + paint(content) + text.slice(start + content.length);
}
