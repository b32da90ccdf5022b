/** @file Patterns of file names: `*`, `?`, `**`, `[abc]`, `{a,b}`, on paths with "/". */
import { UserError } from "../../errors.js";

/**
 * Whether a path fits a pattern. A pattern without "/" is compared with the file's name, one with "/" with the whole path.
 * @param pattern for example "*.md", "guides/**", "draft-*.{md,txt}"
 * @throws UserError for a pattern that is none
 */
export function globMatcher(pattern: string): (path: string) => boolean {
  const expression = compile(pattern);
  const isName = !pattern.includes("/");
  return (path) => expression.test(isName ? path.slice(path.lastIndexOf("/") + 1) : path);
}

function compile(pattern: string): RegExp {
  try {
    return new RegExp(`^${toExpression(pattern)}$`, "u");
  } catch (cause) {
    throw new UserError(
      `"${pattern}" is no pattern of file names. Patterns look like *.md, guides/** or draft-?.txt.`,
      { cause },
    );
  }
}

function toExpression(pattern: string): string {
  let expression = "";
  let depth = 0;
  for (let at = 0; at < pattern.length; at++) {
    const character = pattern[at];
    if (pattern.startsWith("**/", at)) {
      expression += "(?:[^/]+/)*";
      at += 2;
    } else if (pattern.startsWith("**", at)) {
      expression += ".*";
      at++;
    } else if (character === "*") expression += "[^/]*";
    else if (character === "?") expression += "[^/]";
    else if (character === "[" && pattern.indexOf("]", at + 2) > 0) {
      const end = pattern.indexOf("]", at + 2);
      const inside = pattern
        .slice(at + 1, end)
        .replace(/^!/, "^")
        .replace(/[\\[\]]/g, "\\$&");
      expression += `[${inside}]`;
      at = end;
    } else if (character === "{") {
      expression += "(?:";
      depth++;
    } else if (character === "}" && depth > 0) {
      expression += ")";
      depth--;
    } else if (character === "," && depth > 0) expression += "|";
    else
      expression += character.replace(/[\\^$.*+?()[\]{}|/-]/g, (special) => (special === "-" ? "-" : `\\${special}`));
  }
  // A brace that nothing closes is a brace.
  return depth === 0 ? expression : toExpression(pattern.replaceAll("{", "[{]").replaceAll("}", "[}]"));
}
