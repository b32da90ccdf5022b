/** @file What stands about a Markdown text at its very beginning: YAML between lines of dashes, or TOML between lines of plus signs. */

interface FrontMatter {
  title: string;
  /** A sentence about the text, for its readers. */
  description: string;
  /** The address that the text says it has. */
  url?: string;
  /** The text behind it. */
  body: string;
}

const yaml = /^---[ \t]*\n(?:([\s\S]*?)\n)?(?:---|\.\.\.)[ \t]*(?:\n|$)/;
const toml = /^\+\+\+[ \t]*\n(?:([\s\S]*?)\n)?\+\+\+[ \t]*(?:\n|$)/;

/** A key of any letters, quoted or not, and what follows it; a continuation, an item, a comment or a bracket. */
const yamlKey = /^(?:"[^"]*"|'[^']*'|[^\s#:'"\-[{][^:]*?)\s*:(?:\s|$)/;
const yamlLine = /^(?:\s|#|-(?:\s|$)|[\]}]|$)/;

/** Front matter and what follows it. A rule between two paragraphs is none: front matter begins with a key, and has only lines of its kind. */
export function frontMatter(source: string): FrontMatter {
  const found = yaml.exec(source);
  const lines = found?.[1]?.split("\n") ?? [];
  const first = lines.find((line) => line.trim() !== "" && !line.startsWith("#"));
  const isYaml =
    first !== undefined && yamlKey.test(first) && lines.every((line) => yamlKey.test(line) || yamlLine.test(line));
  if (found !== null && isYaml) return told(found[1], source.slice(found[0].length), ":");
  const other = toml.exec(source);
  return other === null
    ? { title: "", description: "", body: source }
    : told(other[1] ?? "", source.slice(other[0].length), "=");
}

function told(text: string, body: string, sign: ":" | "="): FrontMatter {
  const value = (names: string): string => valueOf(text, names, sign);
  const url = value("canonical|canonical_url|permalink|url");
  return {
    title: value("title"),
    description: value("description|summary"),
    ...(/^https?:\/\//i.test(url) && { url }),
    body,
  };
}

/** The text behind the first of some keys; one that is folded over lines is one line. */
function valueOf(text: string, names: string, sign: ":" | "="): string {
  const found = new RegExp(`^["']?(?:${names})["']?[ \\t]*${sign}[ \\t]*(.*(?:\\n[ \\t]+\\S.*)*)`, "im").exec(text);
  const value = (found?.[1] ?? "")
    .replace(/^[>|][-+]?\d*[ \t]*\n/, "")
    .replace(/\s+/g, " ")
    .trim();
  const quoted = /^(["'])(.*)\1$/.exec(value);
  if (quoted === null) return value.replace(/\s+#.*$/, "");
  return quoted[1] === '"' ? quoted[2].replace(/\\(["\\])/g, "$1") : quoted[2].replaceAll("''", "'");
}
