/** @file What must not be seen: keys and passwords are kept out of addresses, which errors and run folders show, and out of messages. */
import { UserError } from "../errors.js";

/** Names of parameters that carry credentials; "api-version" and "keyword" do not. */
const secretNames = /key$|token|secret|passw|signature|^sig$/i;

/** The credential in an address, in words and without its value: `a password`, `a key ("api_key")`; undefined where nothing is. */
export function credentialIn(url: URL): string | undefined {
  if (url.username !== "" || url.password !== "") return "a password";
  const name = [...url.searchParams.keys()].find((name) => secretNames.test(name));
  return name === undefined ? undefined : `a key (${JSON.stringify(name)})`;
}

interface AddressWords {
  /** Whose address it is, as a sentence about it begins: "The search server's address", "reward.judgeUrl". */
  name: string;
  example: string;
  /** A sentence: what to do instead of putting credentials into the address. */
  keyAdvice: string;
}

/**
 * The address of a service.
 * @throws UserError for what is no http(s) address, and for one with credentials in it
 */
export function serviceUrl(text: string, { name, example, keyAdvice }: AddressWords): URL {
  let url: URL;
  try {
    url = new URL(text);
  } catch (cause) {
    throw new UserError(`"${text}" is not an address. ${name} looks like ${example}.`, { cause });
  }
  if (url.protocol !== "http:" && url.protocol !== "https:")
    throw new UserError(`"${text}" must begin with http:// or https://. ${name} looks like ${example}.`);
  const credential = credentialIn(url);
  if (credential !== undefined)
    throw new UserError(`${name} must not hold ${credential}: errors and files show it. ${keyAdvice}`);
  return url;
}

/** @throws UserError, without the key, for a key that no header can hold */
export function checkKey(key: string, variable: string): void {
  if (/[^\x21-\x7e]/.test(key))
    throw new UserError(`${variable} holds spaces, line breaks or other characters that no key has. Copy it again.`);
}

/** The credentials in headers, without their scheme: servers quote them in refusals. */
export function secretsIn(headers: Readonly<Record<string, string>>): string[] {
  const named = Object.entries(headers).filter(([name]) => /authorization|key|token/i.test(name));
  return named.map(([, value]) => value.split(" ").at(-1) as string);
}

/** The text without the secrets, as they are, as they stand in addresses, and as they stand in JSON. */
export function hideSecrets(text: string, secrets: readonly string[]): string {
  let shown = text;
  for (const secret of secrets.filter((secret) => secret !== ""))
    for (const form of [secret, encodeURIComponent(secret), JSON.stringify(secret).slice(1, -1)])
      shown = shown.replaceAll(form, "[key]");
  return shown;
}

/** More of an answer is not looked at for its beginning. UTF-16 units. */
const longestLookedAt = 65_536;

/** The beginning of an answer, on one line and quoted. Secrets are taken out before the text is cut: a part of one could remain otherwise. */
export function excerpt(text: string, secrets: readonly string[]): string {
  const line = hideSecrets(text.slice(0, longestLookedAt), secrets).replace(/\s+/g, " ").trim();
  return JSON.stringify(line.length > 200 ? `${line.slice(0, 200)}…` : line);
}
