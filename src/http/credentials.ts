/** @file What must not be seen: keys and passwords are kept out of addresses, which errors and run folders show, and out of messages. */
import { UserError } from "../errors.js";

/** Names of parameters that carry credentials; "api-version" and "keyword" do not. */
const secretNames =
  /key$|token|secret|passw|pwd$|credential|signature|^sig$|^auth(?:$|[-_]|oriz)|bearer|^code$|^jwt$|session|^sas$/i;
/** How values of keys begin, whatever the parameter is called. */
const secretValues = /^(?:sk-|pk-|hf_|gh[a-z]_|github_pat_|glpat-|xox[a-z]-|AKIA|AIza|eyJ)/;

/** The credential in an address, in words and without its value: `a password`, `a key ("api_key")`; undefined where nothing is. */
export function credentialIn(url: URL): string | undefined {
  if (url.username !== "" || url.password !== "") return "a password";
  const parameter = [...url.searchParams].find(([name, value]) => secretNames.test(name) || secretValues.test(value));
  return parameter === undefined ? undefined : `a key (${JSON.stringify(parameter[0])})`;
}

/** An address as messages show it, whether or not it is one: without user, password and the values of its query. */
export function shownAddress(text: string): string {
  return text.replace(/\/\/[^/?#]*@/, "//[key]@").replace(/(\?|&)([^=&#]*)=[^&#]*/g, "$1$2=…");
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
    throw new UserError(`"${shownAddress(text)}" is not an address. ${name} looks like ${example}.`, { cause });
  }
  if (url.protocol !== "http:" && url.protocol !== "https:")
    throw new UserError(`"${shownAddress(text)}" must begin with http:// or https://. ${name} looks like ${example}.`);
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
  const forms = new Set(secrets.filter((secret) => secret !== "").flatMap(formsOf));
  let shown = text;
  for (const form of forms) shown = shown.replaceAll(form, "[key]");
  return shown;
}

function formsOf(secret: string): string[] {
  const encoded = encodeURIComponent(secret);
  // Slashes may stay as they are in an address. Python's `quote` leaves them.
  return [secret, encoded, encoded.replaceAll("%2F", "/"), JSON.stringify(secret).slice(1, -1)];
}

/** Shorter texts, and numbers, are in answers by chance: taking them out would damage the answer. */
function isTelling(secret: string): boolean {
  return secret.length >= 8 && !/^\d+$/.test(secret);
}

/** A server's answer without the secrets that it was asked with: what it says is shown, recorded and trained on. */
export function withoutSecrets(answer: string, secrets: readonly string[]): string {
  const telling = secrets.filter(isTelling);
  // JSON may escape slashes.
  return hideSecrets(answer, [...telling, ...telling.map((secret) => secret.replaceAll("/", "\\/"))]);
}

/** More of an answer is not looked at for its beginning. UTF-16 units. */
const longestLookedAt = 65_536;

/** The beginning of an answer, on one line and quoted. Secrets are taken out before the text is cut: a part of one could remain otherwise. */
export function excerpt(text: string, secrets: readonly string[]): string {
  const line = hideSecrets(text.slice(0, longestLookedAt), secrets).replace(/\s+/g, " ").trim();
  return JSON.stringify(line.length > 200 ? `${line.slice(0, 200)}…` : line);
}
