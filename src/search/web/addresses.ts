/**
 * @file Which addresses of the web may be visited, and connections to those alone. A search result is text from strangers: followed blindly, it could reach this machine,
 * its network, or a cloud's metadata service (server-side request forgery).
 */
import { lookup } from "node:dns/promises";
import ipaddr from "ipaddr.js";
import { Agent, buildConnector } from "undici";

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
  // The URL standard leaves out a port that is the scheme's own; 80 under https and 443 under http are harmless.
  if (url.port !== "" && url.port !== "80" && url.port !== "443") throw new Refused(`port ${url.port} is not visited`);
  const host = url.hostname.replace(/\.$/, "");
  const number = host.replace(/^\[|\]$/g, "");
  if (ipaddr.isValid(number)) {
    if (!isPublicAddress(number)) throw new Refused(`${number} is not a public address`);
  } else if (!host.includes(".") || innerNames.test(host)) throw new Refused(`${host} is not a public name`);
  url.hash = "";
  return url;
}

/** For tests, which have no internet: no setting leads here. */
export interface ConnectRules {
  /** All addresses of a name. Default: the system's resolver. */
  resolve?: (name: string) => Promise<string[]>;
  /** Where a connection to a checked address really goes. Default: there. */
  dial?: (address: string, port: number) => { address: string; port: number };
}

const ports: Readonly<Record<string, number>> = { "http:": 80, "https:": 443 };

/**
 * A dispatcher that connects to public addresses alone. A name is resolved once for each connection; all of its addresses must be public, and the
 * connection is made to the first by number, so that a name that changes its address meanwhile (DNS rebinding) gains nothing. Proxies named
 * in the environment are not used: behind one, the target of a connection is unknown. Requests fail with `Refused` otherwise.
 */
export function publicAgent({ resolve = resolveAll, dial }: ConnectRules = {}): Agent {
  const connect = buildConnector({ timeout: 5_000 });
  return new Agent({
    connect: (options, callback) => {
      const port = Number(options.port) || ports[options.protocol];
      publicAddressOf(options.hostname, resolve).then(
        (address) => {
          const target = dial === undefined ? { address, port } : dial(address, port);
          // `host` keeps the name, for the certificate.
          connect({ ...options, hostname: target.address, port: String(target.port) }, callback);
        },
        (error: unknown) => callback(error as Error, null),
      );
    },
  });
}

/** @throws Refused when one of the name's addresses is not public: a name that points inside is not trusted with its other addresses either. */
async function publicAddressOf(host: string, resolve: (name: string) => Promise<string[]>): Promise<string> {
  const number = host.replace(/^\[|\]$/g, "");
  const addresses = /^[\d.]+$|:/.test(number) ? [number] : await resolve(number);
  if (addresses.length === 0) throw new FetchFailed(`${host} has no address`);
  for (const address of addresses)
    if (!isPublicAddress(address)) throw new Refused(`${host} is at ${address}, which is not a public address`);
  return addresses[0];
}

/** IPv4 first: many machines have addresses of both kinds and a way out by one. */
async function resolveAll(name: string): Promise<string[]> {
  const found = await lookup(name, { all: true });
  return found.sort((a, b) => a.family - b.family).map(({ address }) => address);
}
