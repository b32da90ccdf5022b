/** @file The text of a passage as encoders read it: Search-R1's `contents`, a quoted title and the text. */
import { formatContents } from "../contents.js";
import type { StoredPassage } from "../../types.js";

/** Passages without a title are their text alone. */
export function passageText({ title, text }: Pick<StoredPassage, "title" | "text">): string {
  return title === "" ? text : formatContents({ title, text });
}
