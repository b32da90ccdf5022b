/** @file A small internet for tests: names with public addresses, all of whose connections end at one local server. */
import { createServer } from "node:http";
import type { IncomingMessage, ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import type { ConnectRules } from "./addresses.js";

export const publicAddress = "93.184.216.34";

export type Answer = (request: IncomingMessage, response: ServerResponse) => void;

export interface Internet {
  rules: Required<ConnectRules>;
  /** Addresses of names; what is not here is at the public address. */
  names: Map<string, string[] | (() => string[])>;
  /** What answers for "host/path"; robots.txt is absent unless it is here. */
  pages: Map<string, Answer>;
  /** Addresses and ports that connections were made to. */
  dialled: string[];
  /** "host/path" of the requests that arrived. */
  requests: string[];
  close(): Promise<void>;
}

export async function startInternet(): Promise<Internet> {
  const pages = new Map<string, Answer>();
  const names: Internet["names"] = new Map();
  const [dialled, requests]: string[][] = [[], []];
  const server = createServer((request, response) => {
    const asked = `${request.headers.host}${request.url}`;
    requests.push(asked);
    const answer = pages.get(asked);
    if (answer !== undefined) return answer(request, response);
    response.writeHead(404, { "content-type": "text/plain" }).end("nothing here");
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  return {
    names,
    pages,
    dialled,
    requests,
    rules: {
      resolve: async (name) => {
        const known = names.get(name) ?? [publicAddress];
        return typeof known === "function" ? known() : known;
      },
      dial: (address, to) => {
        dialled.push(`${address}:${to}`);
        return { address: "127.0.0.1", port };
      },
    },
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

export function html(body: string | Buffer, headers: Record<string, string> = {}): Answer {
  return (_, response) => {
    response.writeHead(200, { "content-type": "text/html; charset=utf-8", ...headers }).end(body);
  };
}

export function redirect(location: string, status = 302): Answer {
  return (_, response) => {
    response.writeHead(status, { location }).end();
  };
}
