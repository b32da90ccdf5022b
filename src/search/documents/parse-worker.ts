/** @file The worker's side of `DocumentParser`. */
import { readFileSync } from "node:fs";
import { serveTasks } from "../../workers/serve-tasks.js";
import type { ChunkSettings } from "./chunk.js";
import { loadReader, readDocument } from "./read.js";
import type { DocumentKind } from "./read.js";

export type ParseTask =
  /** Loads what a kind of document needs, so that its time is not counted as the document's. */
  | { do: "load"; kind: DocumentKind }
  | { do: "html-to-text"; html: string; url?: string }
  | { do: "passages"; file: string; kind: DocumentKind; path: string; url?: string; settings: ChunkSettings };

/** Passages of one document as lines of a corpus. */
export interface PassageLines {
  /** `{"id","title","text","url"?,"section"?}` and a line break for each, UTF-8. */
  bytes: Uint8Array<ArrayBuffer>;
  passages: number;
  /** What a person would see in the document and the passages lack. */
  missing?: string;
}

type Parsed = null | { title: string; text: string } | PassageLines;

await serveTasks(() => ({
  async run(task: ParseTask): Promise<Parsed> {
    if (task.do === "load") {
      await loadReader(task.kind);
      return null;
    }
    if (task.do === "html-to-text") return (await import("./html.js")).htmlToText(task.html, task.url);
    const { file, kind, path, url, settings } = task;
    let missing: string | undefined;
    const onMissing = (what: string): void => void (missing = what);
    // A copy: a reader may hand its bytes over, and a small Buffer shares its memory with others.
    const bytes = new Uint8Array(readFileSync(file));
    const passages = await readDocument(bytes, kind, path, settings, { url, onMissing });
    const lines = passages.map((passage, index) => JSON.stringify({ id: `${path}#${index + 1}`, ...passage }) + "\n");
    return { bytes: new TextEncoder().encode(lines.join("")), passages: passages.length, missing };
  },
  transfer: (answer: Parsed) => (answer !== null && "bytes" in answer ? [answer.bytes.buffer] : []),
}));
