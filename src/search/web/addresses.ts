/**
 * @file Which addresses of the web may be visited. A search result is text from strangers: followed blindly, it could reach this machine,
 * its network, or a cloud's metadata service (server-side request forgery).
 */
import ipaddr from "ipaddr.js";

/** An address that is not visited, and why. Trying again would not help. */
export class Refused extends Error {}

/** A page that cannot be had: its server does not answer, or sends too much, too slowly or nonsense. */
export class FetchFailed extends Error {}

/** Names that mean something inside of a network only (RFC 6761, RFC 6762, RFC 8375, ICANN's .internal). */
const innerNames = /(^|\.)(localhost|local|internal|intranet|lan|home|corp|private|test|invalid|onion|home\.arpa)$/;

/** Public by number, yet answered inside a cloud: Azure's metadata and DNS. */
const innerAddresses = new Set(["168.63.129.16"]);

/** IPv6 that is routed on the internet (RFC 4291): all others are special, also those that embed an IPv4 address. */
const globalUnicast = ipaddr.IPv6.parseCIDR("2000::/3");

/**
 * Whether packets to this address (IPv4 or IPv6, no name) leave for the internet. Private, loopback, link-local, carrier-grade NAT, multicast,
 * documentation and reserved ranges do not; nor do IPv6 forms that carry an IPv4 address (mapped, compatible, NAT64, 6to4, Teredo), whatever they carry.
 */
export function isPublicAddress(address: string): boolean {
  if (!ipaddr.isValid(address) || innerAddresses.has(address)) return false;
  const parsed = ipaddr.parse(address);
  if (parsed.range() !== "unicast") return false;
  return parsed instanceof ipaddr.IPv6 ? parsed.match(globalUnicast) : true;
}

/** The longest address that is visited. Characters. */
const maxUrlLength = 2_048;

/**
 * The address to visit, without its fragment. The URL standard has brought decimal, octal, hexadecimal and full-width numbers into one form by then.
 * @throws Refused unless it is http or https, without credentials, at the scheme's own port, with a public name or number
 */
export function checkUrl(text: string): URL {
  if (text.length > maxUrlLength) throw new Refused(`the address is longer than ${maxUrlLength} characters`);
  let url: URL;
  try {
    url = new URL(text);
  } catch {
    throw new Refused("not an address");
  }
  if (url.protocol !== "http:" && url.protocol !== "https:") throw new Refused(`${url.protocol} is not visited`);
  if (url.username !== "" || url.password !== "") throw new Refused("addresses with a password are not visited");
  // The URL standard leaves out a port that is the scheme's own; 80 under https and 443 under http harm nobody.
  if (url.port !== "" && url.port !== "80" && url.port !== "443") throw new Refused(`port ${url.port} is not visited`);
  const host = url.hostname.replace(/\.$/, "");
  const number = host.replace(/^\[|\]$/g, "");
  if (ipaddr.isValid(number)) {
    if (!isPublicAddress(number)) throw new Refused(`${number} is not a public address`);
  } else if (!host.includes(".") || innerNames.test(host)) throw new Refused(`${host} is not a public name`);
  url.hash = "";
  return url;
}
