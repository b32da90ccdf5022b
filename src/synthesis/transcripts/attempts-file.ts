/** @file Attempts on file while they are collected, one per line behind a line that says what they were made of: a stopped collection goes on from it. */
import { appendFile, rm } from "node:fs/promises";
import { z } from "zod";
import { UserError } from "../../errors.js";
import { writeError, writeFileDurably } from "../../files/durable.js";
import { readOptionalText } from "../../files/json-file.js";
import { parseJsonLines, toJsonLines } from "../../files/lines.js";
import { outcomes, type CollectedAttempt, type Outcome } from "./outcome.js";

const headSchema = z.object({ collecting: z.string() });
const attemptSchema = z.object({
  question: z.string(),
  attempt: z.int().nonnegative(),
  outcome: z.enum(Object.keys(outcomes) as [Outcome, ...Outcome[]]),
  reward: z.number(),
  searches: z.int().nonnegative(),
  answer: z.string().nullable(),
  turns: z.array(z.record(z.string(), z.unknown())).optional(),
}) as unknown as z.ZodType<CollectedAttempt>;

const advice = "Make room, then start the same command again: it goes on.";

export class AttemptsFile {
  readonly #file: string;
  /** What the file holds already. */
  readonly earlier: readonly CollectedAttempt[];

  private constructor(file: string, earlier: readonly CollectedAttempt[]) {
    this.#file = file;
    this.earlier = earlier;
  }

  /**
   * Opens the file, or begins it.
   * @param identity what attempts depend on: the file of another identity is not gone on with
   * @throws UserError when it was begun with something else, or cannot be written
   */
  static async open(file: string, identity: string): Promise<AttemptsFile> {
    const text = await readOptionalText(file);
    const [head, ...lines] = parseJsonLines(text ?? "");
    const begun = headSchema.safeParse(head);
    if (text !== undefined && text !== "" && !begun.success)
      throw new UserError(`${file} is there, and holds no attempts of sleuth collect. Move it, or name another --out.`);
    if (begun.success && begun.data.collecting !== identity)
      throw new UserError(
        `${file} holds the attempts of a collection that was begun with other questions, passages or settings. Delete it to begin anew, or start the command that began it.`,
      );
    const earlier = lines.flatMap((line) => attemptSchema.safeParse(line).data ?? []);
    // A torn last line, as a kill leaves it, is gone before the next one is written.
    try {
      await writeFileDurably(file, toJsonLines([{ collecting: identity }, ...earlier]));
    } catch (error) {
      throw writeError(file, error, advice);
    }
    return new AttemptsFile(file, earlier);
  }

  /** @throws UserError when the disk is full */
  async add(attempts: readonly CollectedAttempt[]): Promise<void> {
    try {
      await appendFile(this.#file, toJsonLines(attempts));
    } catch (error) {
      throw writeError(this.#file, error, advice);
    }
  }

  /** After the transcripts are written. */
  async remove(): Promise<void> {
    await rm(this.#file, { force: true });
  }
}
