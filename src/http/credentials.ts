/** @file Addresses that hold what nobody should see: they are shown in errors and written into run folders and indexes. */

/** Names of parameters that carry credentials; "api-version" and "keyword" are none. */
const secretNames = /key$|token|secret|passw|signature|^sig$/i;

/** What of an address is a credential, in words and without its value: `a password`, `a key ("api_key")`; undefined where nothing is. */
export function credentialIn(url: URL): string | undefined {
  if (url.username !== "" || url.password !== "") return "a password";
  const name = [...url.searchParams.keys()].find((name) => secretNames.test(name));
  return name === undefined ? undefined : `a key (${JSON.stringify(name)})`;
}
