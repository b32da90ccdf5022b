/** @file Where a server of the command line listens, and which clients it answers. */
import type { Command } from "commander";
import { isLoopback } from "../http/server/access.js";
import { collect, integer } from "./run-options.js";
import type { Terminal } from "./terminal/terminal.js";

export interface ListeningOptions {
  port: number;
  host: string;
  allowHost?: string[];
  allowOrigin?: string[];
}

/** Adds the options. */
export function addListening(command: Command, port: number): void {
  command
    .option("--port <number>", "port; 0 for any free one", integer(0), port)
    .option("--host <address>", "address to listen on; 0.0.0.0 for the network", "127.0.0.1")
    .option(
      "--allow-host <name>",
      "answer requests under this name besides localhost, and no others; may be repeated",
      collect,
    )
    .option("--allow-origin <origin>", "answer web pages of this origin; may be repeated", collect);
}

/**
 * Tells of a server that the network reaches without a token.
 * @param options.may what any client may do then
 */
export function noteOpenDoor(
  terminal: Terminal,
  host: string,
  { may, variable }: { may: string; variable: string },
): void {
  if (!isLoopback(host))
    terminal.note(`Any client that reaches this machine may ${may}. Set ${variable} to ask for a token.`);
}
