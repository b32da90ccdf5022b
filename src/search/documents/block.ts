/** @file What every reader of documents makes of one. */

/** A stretch of a document: a heading of a level from 1 to 6, or, with level 0, what stands below one. */
export interface Block {
  level: number;
  text: string;
  /** What an address ends with behind "#" to lead here: the id of a heading, of a term or of a piece of text. */
  anchor?: string;
  /**
   * What is not running text. Rows stand one after another, those of a header first ("header"), and are cut between lines, the header repeated;
   * so is code. A term stays with the block that explains it. Absent: running text.
   */
  kind?: "header" | "row" | "code" | "term";
}
