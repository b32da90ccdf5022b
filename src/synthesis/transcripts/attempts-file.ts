/** @file Attempts on file while they are collected, one per line behind a line that says what they were made of: a stopped collection goes on from it. */
import { rm } from "node:fs/promises";
import { z } from "zod";
import { UserError } from "../../errors.js";
import { openJournal, type Journal } from "../../files/journal.js";
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
  readonly #journal: Journal;
  /** What the file holds already. */
  readonly earlier: readonly CollectedAttempt[];

  private constructor(file: string, journal: Journal, earlier: readonly CollectedAttempt[]) {
    this.#file = file;
    this.#journal = journal;
    this.earlier = earlier;
  }

  /**
   * Opens the file, or begins it.
   * @param identity what attempts depend on: the file of another identity is not gone on with
   * @throws UserError when it was begun with something else, or cannot be written
   */
  static async open(file: string, identity: string): Promise<AttemptsFile> {
    const journal = await openJournal(file, advice);
    const [head, ...lines] = journal.earlier;
    if (journal.earlier.length === 0) await journal.append([{ collecting: identity }]);
    else checkHead(file, head, identity);
    const earlier = lines.flatMap((line) => attemptSchema.safeParse(line).data ?? []);
    return new AttemptsFile(file, journal, earlier);
  }

  /** @throws UserError when the disk is full */
  add(attempts: readonly CollectedAttempt[]): Promise<void> {
    return this.#journal.append(attempts);
  }

  /** After the transcripts are written. */
  async remove(): Promise<void> {
    await rm(this.#file, { force: true });
  }
}

function checkHead(file: string, head: unknown, identity: string): void {
  const begun = headSchema.safeParse(head);
  if (!begun.success)
    throw new UserError(`${file} is there, and holds no attempts of sleuth collect. Move it, or name another --out.`);
  if (begun.data.collecting !== identity)
    throw new UserError(
      `${file} holds the attempts of a collection that was begun with other questions, passages or settings. Delete it to begin anew, or start the command that began it.`,
    );
}
