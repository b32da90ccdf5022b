/** @file AsciiDoc, by Asciidoctor in its most careful mode: nothing is included, no file is read, no command is run. */
import { Extensions, IncludeProcessor, LoggerManager, NullLogger, convert, type Registry } from "@asciidoctor/core";
import { htmlBlocks } from "./html.js";
import type { ReadDocument } from "./read.js";

// Its warnings are about references and macros, and would go to the terminal.
LoggerManager.setLogger(new NullLogger());

/** Takes every include and puts nothing in its place; the secure mode alone would put a link there. */
class NoInclude extends IncludeProcessor {
  override process(): void {}
}

const withoutIncludes = Extensions.create(null, (registry: Registry) => registry.includeProcessor(NoInclude));

/** AsciiDoc as headings and text. What it includes from other files is left out. */
export async function readAsciidoc(source: string): Promise<ReadDocument> {
  const html = await convert(source, {
    safe: "secure",
    extension_registry: withoutIncludes,
    attributes: { showtitle: true, "toc!": "", "sectanchors!": "", "stem!": "", icons: "font" },
  });
  return htmlBlocks(String(html));
}
