/** @file How much memory may be used: what was asked for, or most of what the machine or its container has. */
import { totalmem } from "node:os";
import { UserError } from "../../errors.js";

/** Of all memory, where no limit was given; the rest is the system's and other programs'. */
const defaultShare = 0.8;
/** 1 GB is 2^30 bytes throughout, as memory is sold. */
const units: Readonly<Record<string, number>> = {
  MB: 2 ** 20,
  MIB: 2 ** 20,
  GB: 2 ** 30,
  GIB: 2 ** 30,
  TB: 2 ** 40,
  TIB: 2 ** 40,
};

/**
 * Bytes of a text such as 8GB, 512MB or 1.5GiB.
 * @param source names it in the error message, for example the flag
 * @throws UserError for anything else
 */
export function parseMemory(text: string, source: string): number {
  const [, amount, unit] = /^\s*(\d+(?:\.\d+)?)\s*([a-z]+)\s*$/i.exec(text) ?? [];
  const bytes = Number(amount) * (units[unit?.toUpperCase()] ?? NaN);
  if (bytes > 0 && Number.isFinite(bytes)) return Math.floor(bytes);
  throw new UserError(
    `${source} is "${text}", which is no amount of memory. Write a number and MB or GB, for example 8GB or 512MB.`,
  );
}

/** What this process may use when no limit was given. */
export function defaultMemoryLimit(
  total: number = totalmem(),
  constrained: number | undefined = process.constrainedMemory(),
): number {
  // Without a limit of the container the system reports none, 0, or more than the machine has.
  const available = constrained ? Math.min(total, constrained) : total;
  return Math.floor(defaultShare * available);
}

/** Bytes as people read them: "4.2 GB", "312 MB". */
export function formatMemory(bytes: number): string {
  const gigabytes = bytes / units.GB;
  return gigabytes >= 0.95 ? `${gigabytes.toFixed(1)} GB` : `${Math.ceil(bytes / units.MB)} MB`;
}
