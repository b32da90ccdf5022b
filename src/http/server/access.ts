/**
 * @file Which requests are answered at all: those with the server's token, and none that a web page sends. Browsers let any page send
 * requests to this machine, also under a name of the page's own that leads here (DNS rebinding): such a request has a foreign `Host` or an
 * `Origin`, which programs do not send.
 */
import { createHash, timingSafeEqual } from "node:crypto";

/** Which clients are answered. */
export interface AccessSettings {
  /** All but health needs `authorization: Bearer TOKEN`, of several any; none, or an empty one: no token is needed. */
  token: string | readonly string[];
  /** Names besides this machine's own (`localhost`, `127.0.0.1`, `[::1]`) under which it may be asked, without ports; "any": every name. */
  allowedHosts: readonly string[] | "any";
  /** Origins whose web pages are answered, as browsers send them: `https://example.org`. */
  allowedOrigins: readonly string[];
}

/** Value of a header by its name in small letters. */
export type HeaderOf = (name: string) => string | undefined;

/** Whether a name or an address, with a port or without, is this machine's own alone. */
export function isLoopback(host: string): boolean {
  // As most clients write it.
  if (/^127\.0\.0\.1(:\d+)?$/.test(host)) return true;
  const name = nameOf(host);
  return name === "localhost" || name === "::1" || name === "[::1]" || /^127(\.\d{1,3}){3}$/.test(name);
}

/** Why a request comes from a web page that is not answered; undefined where it does not. */
export function foreignness(header: HeaderOf, { allowedHosts, allowedOrigins }: AccessSettings): string | undefined {
  const [host, origin] = [header("host"), header("origin")];
  // Only clients of HTTP/1.0 send no host: no browsers.
  if (
    allowedHosts !== "any" &&
    host !== undefined &&
    !isLoopback(host) &&
    !isAmong(nameOf(host), allowedHosts.map(nameOf))
  )
    return "This server does not answer under that name. Ask it as localhost, or start it with --allow-host NAME.";
  if (origin !== undefined && !isAmong(origin, allowedOrigins))
    return "Web pages are not answered here. Start the server with --allow-origin ORIGIN to let those of one site.";
  return undefined;
}

/** What a browser needs to hand an answer to the page that asked; nothing for other clients. */
export function pageHeaders(origin: string | undefined): Record<string, string> {
  return origin === undefined ? {} : { "access-control-allow-origin": origin, vary: "origin" };
}

/** The same for the question that a browser asks before a page's request. Clients of services add headers of their own. */
export function preflightHeaders(header: HeaderOf): Record<string, string> {
  return {
    "access-control-allow-methods": "POST, GET",
    "access-control-allow-headers":
      header("access-control-request-headers") ?? "content-type, authorization, x-request-id",
  };
}

/** Whether a request carries a token of the server, or needs none. */
export function hasToken(authorization: string | undefined, token: AccessSettings["token"]): boolean {
  const tokens = [token].flat().filter((one) => one !== "");
  if (tokens.length === 0) return true;
  // Digests have one length, and comparing them tells nothing about how much of a guess was right.
  const digest = (text: string): Buffer => createHash("sha256").update(text).digest();
  const given = digest(authorization ?? "");
  return tokens.some((one) => timingSafeEqual(given, digest(`Bearer ${one}`)));
}

/** Whether a body is what services read. Pages of other sites cannot send this type without asking first. */
export function isPlainJson(header: HeaderOf): boolean {
  const given = header("content-type");
  // As most clients write it.
  if (given === "application/json" && header("content-encoding") === undefined) return true;
  const type = given?.replace(/;.*$/s, "").trim().toLowerCase();
  return type === "application/json" && /^(identity)?$/i.test(header("content-encoding") ?? "");
}

function nameOf(host: string): string {
  return host
    .replace(/(?<=^\[.*\]|^[^:]*):\d*$/, "")
    .replace(/\.$/, "")
    .toLowerCase();
}

function isAmong(name: string, allowed: readonly string[]): boolean {
  return allowed.some((one) => one.toLowerCase() === name.toLowerCase());
}
