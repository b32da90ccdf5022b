/** @file What the environment says about the Hub: the variables that Python's `huggingface_hub` reads, with the same meaning. */
import { readFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { UserError } from "../errors.js";
import { credentialIn, shownAddress } from "../http/credentials.js";

export interface HubSettings {
  /** Address of the Hub, without a slash at its end. */
  endpoint: string;
  /** The folder that holds `models--ORG--NAME/`. */
  cacheFolder: string;
  /** The variable that names a proxy, which Node's own `fetch` heeds only when it is told to. */
  proxyVariable?: string;
  /** Never ask the network. */
  offline: boolean;
  /** Sent to the endpoint and to no other host; in no message. */
  token?: string;
  /** Where the token came from, for messages. */
  tokenSource?: string;
}

/** @throws UserError for an address or a token that cannot be used */
export function hubSettings(environment: Readonly<Record<string, string | undefined>> = process.env): HubSettings {
  const home =
    folder(environment.HF_HOME) ??
    path.join(folder(environment.XDG_CACHE_HOME) ?? path.join(os.homedir(), ".cache"), "huggingface");
  return {
    endpoint: endpointOf(environment.HF_ENDPOINT || "https://huggingface.co"),
    cacheFolder:
      folder(environment.HF_HUB_CACHE) ?? folder(environment.HUGGINGFACE_HUB_CACHE) ?? path.join(home, "hub"),
    offline: isTrue(environment.HF_HUB_OFFLINE) || isTrue(environment.TRANSFORMERS_OFFLINE),
    ...tokenOf(environment, home),
    ...(environment.NODE_USE_ENV_PROXY === "1" ? {} : { proxyVariable: proxyOf(environment) }),
  };
}

function endpointOf(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url !== undefined && credentialIn(url) !== undefined)
    throw new UserError(
      `HF_ENDPOINT holds ${credentialIn(url)}, and messages show it. Take it out; a token belongs into HF_TOKEN.`,
    );
  if (url === undefined || !["http:", "https:"].includes(url.protocol))
    throw new UserError(
      `HF_ENDPOINT is "${shownAddress(text)}", which is not the address of a server. It looks like https://huggingface.co.`,
    );
  return text.replace(/\/+$/, "");
}

function tokenOf(
  environment: Readonly<Record<string, string | undefined>>,
  home: string,
): Pick<HubSettings, "token" | "tokenSource"> {
  if (isTrue(environment.HF_HUB_DISABLE_IMPLICIT_TOKEN)) return {};
  const file = folder(environment.HF_TOKEN_PATH) ?? path.join(home, "token");
  const sources = [
    ["HF_TOKEN", () => environment.HF_TOKEN],
    ["HUGGING_FACE_HUB_TOKEN", () => environment.HUGGING_FACE_HUB_TOKEN],
    [file, () => readIfThere(file)],
  ] as const;
  for (const [tokenSource, read] of sources) {
    const token = read()
      ?.replace(/[\r\n]/g, "")
      .trim();
    if (!token) continue;
    // Node's own message about such a header would show the token.
    if (!/^[\x21-\x7e]+$/.test(token))
      throw new UserError(
        `The token in ${tokenSource} has characters that no token has. Copy it again from the Hub's settings.`,
      );
    return { token, tokenSource };
  }
  return {};
}

function proxyOf(environment: Readonly<Record<string, string | undefined>>): string | undefined {
  return ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"].find((name) => environment[name]);
}

function readIfThere(file: string): string | undefined {
  try {
    return readFileSync(file, "utf8");
  } catch {
    return undefined;
  }
}

function folder(text: string | undefined): string | undefined {
  return text ? path.resolve(text.replace(/^~(?=$|[/\\])/, os.homedir())) : undefined;
}

function isTrue(text: string | undefined): boolean {
  return ["1", "ON", "YES", "TRUE"].includes((text ?? "").toUpperCase());
}
