/** @file Connections to public addresses alone: names are resolved here, and what was checked is what is connected to. */
import { lookup } from "node:dns/promises";
import { Agent, buildConnector } from "undici";
import { FetchFailed, isPublicAddress, Refused } from "./addresses.js";

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
 * in the environment are not used: behind one, nobody could tell where a connection leads. Requests fail with `Refused` otherwise.
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
