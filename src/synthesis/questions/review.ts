/**
 * @file A small page on this machine where a person reads made questions and strikes bad ones. A strike is on disk before the page shows it: the question leaves
 * its part and stands in `struck.jsonl`, from where it can be put back; `sleuth questions make` does not make it again.
 */
import { randomBytes, timingSafeEqual } from "node:crypto";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { Gate } from "../../async.js";
import { questionParts, readPart, type QuestionPart } from "../../data/questions.js";
import { UserError } from "../../errors.js";
import type { Question } from "../../types.js";
import { readStruck, requireMadeFolder, writePart, writeStruck, type StruckQuestion } from "./folder.js";
import { reviewPage, type Shown } from "./review-page.js";

/** A page that is being served. */
export interface Review {
  /** With the token that lets in: other pages of the browser do not know it. */
  url: string;
  /** How many questions are struck now. */
  struck: () => number;
  close(): Promise<void>;
}

export interface ReviewOptions {
  /** 0: any free one. */
  port: number;
  /** The text of a passage, for people to compare; undefined where it is not known. */
  passageOf?: (id: string) => string | undefined;
}

/** Longest request. Bytes. */
const mostBytes = 10_000;

/**
 * Serves the questions of a folder on 127.0.0.1.
 * @throws UserError for a folder that `sleuth questions make` has not written, and a port that is taken
 */
export async function serveReview(folder: string, { port, passageOf }: ReviewOptions): Promise<Review> {
  await requireMadeFolder(folder);
  const desk = await Desk.open(folder);
  const token = randomBytes(16).toString("hex");
  const server = createServer((request, response) => {
    answer(desk, { token, passageOf }, request, response).catch((error: unknown) => {
      send(response, 500, "text/plain", (error as Error).message);
    });
  });
  await new Promise<void>((resolve, reject) => {
    server.once("error", (cause) =>
      reject(new UserError(`Port ${port} cannot be used: ${cause.message}. Choose another with --port.`, { cause })),
    );
    server.listen(port, "127.0.0.1", resolve);
  });
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/?token=${token}`,
    struck: () => desk.struck.length,
    async close() {
      await desk.idle();
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

async function answer(
  desk: Desk,
  { token, passageOf }: { token: string; passageOf?: ReviewOptions["passageOf"] },
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const url = new URL(request.url ?? "/", "http://127.0.0.1");
  const host = (request.headers.host ?? "").replace(/:\d+$/, "");
  const isKnown = (host === "127.0.0.1" || host === "localhost") && isSame(url.searchParams.get("token") ?? "", token);
  if (!isKnown)
    return send(response, 403, "text/plain", "Open the address that the command has shown, with its token.");
  if (request.method === "GET" && url.pathname === "/")
    return send(response, 200, "text/html; charset=utf-8", reviewPage(desk.shown(passageOf), token));
  if (request.method !== "POST" || url.pathname !== "/strike") return send(response, 404, "text/plain", "Not here.");
  const { id, struck } = JSON.parse(await bodyOf(request)) as { id?: unknown; struck?: unknown };
  if (typeof id !== "string" || typeof struck !== "boolean")
    return send(response, 400, "text/plain", "Needs id and struck.");
  const isDone = await desk.set(id, struck);
  send(response, isDone ? 200 : 404, "application/json", JSON.stringify({ struck: desk.struck.length }));
}

function send(response: ServerResponse, status: number, type: string, text: string): void {
  response.writeHead(status, {
    "content-type": type,
    "cache-control": "no-store",
    "content-security-policy":
      "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self'; frame-ancestors 'none'",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
  });
  response.end(text);
}

function isSame(given: string, token: string): boolean {
  return given.length === token.length && timingSafeEqual(Buffer.from(given), Buffer.from(token));
}

async function bodyOf(request: IncomingMessage): Promise<string> {
  let text = "";
  for await (const piece of request) {
    text += String(piece);
    if (text.length > mostBytes) throw new Error("The request is too long.");
  }
  return text;
}

/** The questions of a folder, in memory and on disk. */
class Desk {
  readonly #folder: string;
  readonly #parts: Record<QuestionPart, Question[]>;
  /** One change at a time. */
  readonly #changes = new Gate(1);
  struck: StruckQuestion[];

  private constructor(folder: string, parts: Record<QuestionPart, Question[]>, struck: StruckQuestion[]) {
    this.#folder = folder;
    this.#parts = parts;
    this.struck = struck;
  }

  /** What a kill left both in its part and among the struck ones is struck. */
  static async open(folder: string): Promise<Desk> {
    const struck = await readStruck(folder);
    const ids = new Set(struck.map(({ id }) => id));
    const parts: Record<QuestionPart, Question[]> = { train: [], validation: [], test: [] };
    for (const part of questionParts) {
      const all = await readPart(folder, part);
      parts[part] = all.filter(({ id }) => !ids.has(id));
      if (parts[part].length < all.length) await writePart(folder, part, parts[part].map(withoutSource));
    }
    return new Desk(folder, parts, struck);
  }

  shown(passageOf?: ReviewOptions["passageOf"]): Shown[] {
    const show = (question: Question, part: Shown["part"], isStruck: boolean): Shown => {
      const { id, question: asked, answers, kind = "", evidence = [] } = question;
      const passages = evidence.map((one) => ({ id: one.id, text: passageOf?.(one.id) ?? "" }));
      return { id, question: asked, answers, kind, part, isStruck, passages };
    };
    return [
      ...questionParts.flatMap((part) => this.#parts[part].map((question) => show(question, part, false))),
      ...this.struck.map((question) => show(question, question.part ?? "", true)),
    ];
  }

  idle(): Promise<void> {
    return this.#changes.idle();
  }

  /** Strikes a question or puts it back; false where it is not there. */
  set(id: string, isStruck: boolean): Promise<boolean> {
    return this.#changes.run(() => (isStruck ? this.#strike(id) : this.#putBack(id)));
  }

  async #strike(id: string): Promise<boolean> {
    const part = questionParts.find((one) => this.#parts[one].some((question) => question.id === id));
    if (part === undefined) return this.struck.some((question) => question.id === id);
    const question = this.#parts[part].find((one) => one.id === id) as Question;
    const struck = [...this.struck, { ...withoutSource(question), part }];
    const rest = this.#parts[part].filter((one) => one.id !== id);
    // First the list: a question that is in both is struck.
    await writeStruck(this.#folder, struck);
    await writePart(this.#folder, part, rest.map(withoutSource));
    this.struck = struck;
    this.#parts[part] = rest;
    return true;
  }

  async #putBack(id: string): Promise<boolean> {
    const found = this.struck.find((question) => question.id === id);
    if (found === undefined) return questionParts.some((part) => this.#parts[part].some((one) => one.id === id));
    const { part, ...question } = found;
    if (part === undefined)
      throw new Error(
        "It was struck by hand, and its line in struck.jsonl does not say of which file. Move it back there.",
      );
    const whole = [...this.#parts[part].filter((one) => one.id !== id), question];
    const struck = this.struck.filter((one) => one.id !== id);
    await writePart(this.#folder, part, whole.map(withoutSource));
    await writeStruck(this.#folder, struck);
    this.struck = struck;
    this.#parts[part] = whole;
    return true;
  }
}

/** The name of the file is what reading adds. */
function withoutSource(question: Question): Question {
  return { ...question, source: undefined };
}
