/** @file Where LanceDB keeps tables: a folder, or an address on object storage with what the environment says about it. */
import { existsSync } from "node:fs";
import { basename, dirname } from "node:path";
import { UserError } from "../../../errors.js";
import { hideSecrets } from "../../../http/credentials.js";
import { SearchError } from "../../engine.js";

export type Environment = Readonly<Record<string, string | undefined>>;

/** A database and what is needed to reach it. Can be sent to a worker. */
export interface LancePlace {
  /** Folder or address, without the table. */
  address: string;
  /** Named by the address itself where that ends in TABLE.lance; else empty. */
  table: string;
  isRemote: boolean;
  /** As LanceDB's connect() takes them; empty for folders. Holds credentials: never to be shown. */
  storageOptions: Record<string, string>;
}

const remoteSchemes = ["s3", "s3+ddb", "gs", "az"];

/** Stalled storage fails after these, instead of LanceDB's minutes. The environment (AWS_…, as CLIENT_MAX_RETRIES) has precedence. */
const storageDefaults = { timeout: "20s", connect_timeout: "5s", client_max_retries: "3", client_retry_timeout: "20" };

/**
 * A folder, `TABLE.lance` within one, or s3://bucket/folder, gs://…, az://…: then keys, endpoint and region come from the environment
 * under their usual names (AWS_ACCESS_KEY_ID, AWS_ENDPOINT, GOOGLE_SERVICE_ACCOUNT, AZURE_STORAGE_ACCOUNT_NAME, …).
 * @throws UserError for an empty address and for schemes that LanceDB does not know
 */
export function lancePlace(address: string, environment: Environment = process.env): LancePlace {
  if (address === "")
    throw new UserError("lancedb needs the folder or the address of a database, such as --index s3://bucket/folder.");
  const scheme = /^([a-z][a-z0-9+.-]*):\/\//i.exec(address)?.[1].toLowerCase();
  if (scheme !== undefined && !remoteSchemes.includes(scheme)) {
    throw new UserError(
      `LanceDB tables are not read from ${scheme}:// addresses. A folder does, or ${remoteSchemes.map((name) => `${name}://…`).join(", ")}.`,
    );
  }
  const isRemote = scheme !== undefined;
  const trimmed = address.length > 1 ? address.replace(/[/\\]+$/, "") : address;
  const namesTable = trimmed.endsWith(".lance");
  return {
    address: namesTable ? (isRemote ? trimmed.slice(0, trimmed.lastIndexOf("/")) : dirname(trimmed)) : trimmed,
    table: namesTable ? basename(trimmed, ".lance") : "",
    isRemote,
    storageOptions: isRemote ? storageOptions(scheme, environment) : {},
  };
}

/** @throws UserError when a folder is not there: LanceDB would make it, empty. */
export function checkFolder({ address, isRemote }: LancePlace): void {
  if (!isRemote && !existsSync(address)) {
    throw new UserError(
      `There is no folder ${address}. Name the folder that holds the LanceDB tables (its entries end in .lance).`,
    );
  }
}

function storageOptions(scheme: string, environment: Environment): Record<string, string> {
  const prefix = scheme.startsWith("s3") ? "AWS_" : scheme === "gs" ? "GOOGLE_" : "AZURE_";
  const options: Record<string, string> = { ...storageDefaults };
  for (const [name, value] of Object.entries(environment)) {
    if (value === undefined || value === "") continue;
    if (name.startsWith(prefix)) options[name.toLowerCase()] = value;
    else if (name.toLowerCase() in storageDefaults) options[name.toLowerCase()] = value;
  }
  if (prefix !== "AWS_") return options;
  const endpoint = options.aws_endpoint ?? options.aws_endpoint_url_s3 ?? options.aws_endpoint_url;
  if (endpoint === undefined) return options;
  options.aws_endpoint = endpoint;
  // Servers of one's own seldom care for the region, but requests are signed with one.
  options.aws_region ??= options.aws_default_region ?? "us-east-1";
  if (endpoint.startsWith("http://")) options.allow_http ??= "true";
  return options;
}

/** LanceDB's words without its source positions, and without anything secret. */
export function plainMessage(error: unknown, { storageOptions }: Pick<LancePlace, "storageOptions">): string {
  let message = error instanceof Error ? error.message : String(error);
  message = message.replace(/,? \/[^\s,]*\.cargo\/[^\s,]*|,? \/[^\s,]*\/cargo\/registry\/[^\s,]*/g, "");
  const secrets = Object.entries(storageOptions).filter(([name]) =>
    /secret|token|password|credential|account_key|access_key|service_account|sas/.test(name),
  );
  message = hideSecrets(
    message,
    secrets.map(([, value]) => value),
  );
  message = message.replace(/\s+/g, " ").trim();
  return message.length > 500 ? `${message.slice(0, 500)}…` : message;
}

/** What storage says when it is slow, busy or away: asking later may help. */
const passing =
  /timeout|timed out|connection|connect error|error sending request|dns|slowdown|slow down|too many requests|service ?unavailable|internal ?server ?error|status:? (429|5\d\d)|broken pipe|reset by peer|please retry/i;

/** What no other try mends: storage that refuses the caller, also where the library has tried until its own time was up and says so. */
const final = /status(?: code)?:? 40[13]\b|\b40[13] (?:forbidden|unauthorized)|access ?denied|permission ?denied/i;

/** A failure of LanceDB, as every engine fails. */
export function lanceError(doing: string, error: unknown, place: Pick<LancePlace, "storageOptions">): Error {
  if (error instanceof SearchError || error instanceof UserError) return error;
  const message = plainMessage(error, place);
  // Without the cause: its message holds what this one leaves out.
  return new SearchError(`lancedb: ${doing} failed: ${message}`, {
    engine: "lancedb",
    isRetryable: passing.test(message) && !final.test(message),
  });
}
