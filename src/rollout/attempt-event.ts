/** @file What happens in an attempt, told while it happens. */
import type { SearchCall } from "../types.js";

export type AttemptEvent =
  /** The policy has written a turn, and this of it is neither query nor answer; not told where nothing is. */
  | { kind: "thought"; text: string }
  /** A search begins. */
  | { kind: "search"; query: string }
  /** A search has ended, with the passages that are shown. */
  | { kind: "passages"; search: SearchCall };

export type OnAttemptEvent = (event: AttemptEvent) => void;
