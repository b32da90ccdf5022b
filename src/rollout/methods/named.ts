/** @file The methods by name, and what each makes of a rollout's settings. */
import { protocolNamed, type Protocol, type ProtocolName } from "../../prompts/protocol.js";
import { chainOfThought } from "./chain-of-thought.js";
import { closedBook } from "./closed-book.js";
import { direct } from "./direct.js";
import { ircot } from "./ircot.js";
import type { Method } from "./method.js";
import { oracle, oracleSearch } from "./oracle.js";
import { r1Method } from "./r1.js";
import { rag } from "./rag.js";
import { searchR1Method } from "./search-r1.js";

export const methods = {
  "search-r1": searchR1Method,
  direct,
  cot: chainOfThought,
  rag,
  ircot,
  r1: r1Method,
  "closed-book": closedBook,
  oracle,
  "oracle-search": oracleSearch,
} as const satisfies Readonly<Record<string, Method>>;
export type MethodName = keyof typeof methods;
/** For settings, which list the names. */
export const methodNames = Object.keys(methods) as MethodName[];

/** The method of a name. */
function methodNamed(name: MethodName): Method {
  return methods[name];
}

/** What a method looks at. */
interface Given {
  method: MethodName;
  protocol: ProtocolName | "auto";
  context: "none" | "question";
  maxSearches: number;
}

/** A rollout's settings with the method's in place. */
interface MethodSettings extends Pick<Given, "context" | "maxSearches"> {
  protocol: Protocol;
  oracle: boolean;
}

/** The settings of a rollout whose protocol is settled, by its method. */
export function methodSettings(rollout: Given): MethodSettings {
  const { method: name, maxSearches } = rollout;
  const method = methodNamed(name);
  const own = protocolNamed(rollout.protocol);
  return {
    protocol: madeProtocol(name, own),
    context: contextOf(rollout),
    maxSearches: method.maxSearches?.(own) ?? maxSearches,
    oracle: method.oracle === true,
  };
}

/** Whether a search with the question comes first, whatever the protocol. */
export function contextOf({ method, context }: Pick<Given, "method" | "context">): Given["context"] {
  return methodNamed(method).context ?? context;
}

/** Whether a rollout searches for anything, whatever its protocol. */
export function searchesAtAll(rollout: Omit<Given, "protocol">): boolean {
  return methodNamed(rollout.method).searches && (contextOf(rollout) === "question" || rollout.maxSearches > 0);
}

const made = new Map<MethodName, Map<Protocol, Protocol>>();

/** Made once for each: rollouts prepare much for a protocol. */
function madeProtocol(name: MethodName, own: Protocol): Protocol {
  const known = made.get(name) ?? new Map<Protocol, Protocol>();
  made.set(name, known);
  const protocol = known.get(own) ?? methodNamed(name).protocol(own);
  known.set(own, protocol);
  return protocol;
}
