/** @file LanceDB and Arrow, loaded when they are first needed: they are optional, and 215 MB. */
import { createRequire } from "node:module";
import type * as Lance from "@lancedb/lancedb";
import type * as Arrow from "apache-arrow";
import { UserError } from "../../../errors.js";

const require = createRequire(import.meta.url);

/** @throws UserError where LanceDB is not installed or has no build for this machine */
export function loadLance(): typeof Lance {
  // LanceDB warns on stderr at every look at an index unless it is told whether the centroids belong to the answer. Sleuth does not read them.
  // Its other warnings are about choices made here, and would be written across a progress bar.
  process.env.LANCEDB_LOG ??= "error";
  process.env.LANCE_INCLUDE_VECTOR_CENTROIDS ??= "false";
  return load<typeof Lance>("@lancedb/lancedb");
}

/**
 * Arrow as LanceDB itself sees it: both are CommonJS here. Tables made by Arrow's ES module have other classes, and LanceDB refuses them.
 * @throws UserError where Arrow is not installed
 */
export function loadArrow(): typeof Arrow {
  return load<typeof Arrow>("apache-arrow");
}

/** Why there is no LanceDB here; undefined where there is. Loads it. */
export function lanceIsAbsent(): string | undefined {
  try {
    loadLance();
    loadArrow();
    return undefined;
  } catch (error) {
    return (error as Error).message;
  }
}

function load<Library>(name: string): Library {
  try {
    return require(name) as Library;
  } catch (cause) {
    const { code, message } = cause as NodeJS.ErrnoException;
    const isMissing = code === "MODULE_NOT_FOUND";
    throw new UserError(
      `LanceDB ${isMissing ? "is not installed" : `does not load on this machine (${message.split("\n")[0]})`}. ` +
        "It is optional; this installs it: npm install @lancedb/lancedb@0.30.0 apache-arrow@18.1.0",
      { cause },
    );
  }
}
