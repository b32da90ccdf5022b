/** @file How documents say things, for the rules that make questions and for the script that answers them: what one writes the other must know. */

/** In one line. */
export function plainLine(text: string): string {
  return text.replace(/\s+/g, " ").trim();
}

/** Since when something is there; the version is captured. */
export const addedIn = /\b(?:New|Added) in (?:version )?v?(\d+(?:\.\d+)+)/;

/** What stands before a default, as the source of a pattern. */
export const defaultIs = String.raw`\b(?:[Tt]he default(?: value)? is|[Dd]efaults to|[Dd]efault:)\s+`;

/** Words before a name in a reference that say what it is, as the source of a pattern. */
export const kindsOfNames =
  "class|classmethod|staticmethod|abstractmethod|async|method|function|exception|property|static|attribute|data|coroutine";

/** The names of an option in a line like `-q, --[no-]quiet <level>`, the longest first; none where it names no option. */
export function optionNames(line: string): string[] {
  const names = line.split(/,\s+|\s+or\s+|\s*\|\s*/).flatMap((one) => /^-{1,2}(?:\[no-\])?[\w-]+/.exec(one) ?? []);
  return names.map((name) => name.replace("[no-]", "")).sort((a, b) => b.length - a.length);
}
