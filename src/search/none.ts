/** @file What stands in for an engine where no search is possible: rollouts do not ask it, and whoever does finds nothing. */
import { EmptyEngine } from "./controls.js";

export class NoneEngine extends EmptyEngine {
  override readonly name = "none";
}
