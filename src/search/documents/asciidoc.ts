/** @file AsciiDoc, by Asciidoctor in its most careful mode: nothing is included, no file is read, no command is run. */
import { LoggerManager, NullLogger, convert } from "@asciidoctor/core";
import { htmlBlocks } from "./html.js";
import type { ReadDocument } from "./read.js";

// Its warnings are about references and macros, and would go to the terminal.
LoggerManager.setLogger(new NullLogger());

/** AsciiDoc as headings and text. What it includes from other files is left out. */
export async function readAsciidoc(source: string): Promise<ReadDocument> {
  const own = source.replace(/^include::.*$/gm, "");
  const html = await convert(own, {
    safe: "secure",
    attributes: { showtitle: true, "toc!": "", "sectanchors!": "", "stem!": "", icons: "font" },
  });
  return htmlBlocks(String(html));
}
