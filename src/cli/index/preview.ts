/** @file `sleuth index --preview`: the first passages that would be made, without writing anything. */
import { parseJsonLines } from "../../files/lines.js";
import { readCorpus } from "../../search/documents/corpus.js";
import { countWords } from "../../search/documents/chunk.js";
import { findSources } from "../../search/documents/find.js";
import { leftOutWithStrict, readFound } from "../../search/documents/gather.js";
import { DocumentParser } from "../../search/documents/parser.js";
import { oneLine, printable } from "../../printable.js";
import { tellLeftOut } from "./left-out.js";
import type { IndexOptions } from "./corpus.js";
import { chunkSettings } from "./sources.js";
import { plural } from "../terminal/format.js";
import type { Terminal } from "../terminal/terminal.js";
import type { VerbAnswer } from "../verb.js";
import type { StoredPassage } from "../../types.js";

export async function showPreview(terminal: Terminal, options: IndexOptions, signal: AbortSignal): Promise<VerbAnswer> {
  const wanted = options.preview as number;
  const passages: StoredPassage[] = [];
  for await (const passage of passagesOf(terminal, options, signal)) {
    passages.push(passage);
    if (passages.length === wanted) break;
  }
  for (const { id, title, text } of passages) {
    const { colors } = terminal;
    terminal.print(
      `${colors.bold(oneLine(title) || "(no title)")}  ${colors.dim(`${oneLine(id)}, ${plural(countWords(text), "word")}`)}`,
    );
    for (const line of printable(text).split("\n")) terminal.print(`    ${line}`);
  }
  terminal.note(terminal.progressColors.dim("Nothing was written: leave --preview out to make the index."));
  return { passages };
}

async function* passagesOf(
  terminal: Terminal,
  options: IndexOptions,
  signal: AbortSignal,
): AsyncGenerator<StoredPassage> {
  const { paths, include, exclude, strict = false, baseUrl } = options;
  const { corpora, documents, skipped, others } = await findSources(paths, { include, exclude, signal });
  if (strict && skipped.length > 0) throw leftOutWithStrict(skipped[0]);
  tellLeftOut(terminal, { skipped, others, documents: documents.length });
  if (corpora.length > 0) for await (const batch of readCorpus(corpora, { signal })) yield* batch;
  const chunks = await chunkSettings(options);
  const parser = new DocumentParser();
  try {
    for (const document of documents) {
      const { file } = document;
      const { lines, skipped: why } = await readFound(document, parser, { chunks, baseUrl }, signal);
      if (why !== undefined) {
        if (strict) throw leftOutWithStrict({ file, why });
        terminal.note(`Would be left out: ${printable(`${file}: ${why}`)}`);
      }
      if (lines !== undefined) yield* parseJsonLines(new TextDecoder().decode(lines.bytes)) as StoredPassage[];
    }
  } finally {
    await parser.close();
  }
}
