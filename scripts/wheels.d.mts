/** @file The types of `wheels.mjs`. */

/** What went wrong, for people. */
export class Failure extends Error {}
export function findPython(advice: string): string;
export function downloadWheel(python: string, requirement: string, size: string, work: string): string;
export function unpackWheel(python: string, wheel: string): string;
export function runPython(python: string, words: readonly string[]): void;
export function requireFile(file: string, checksum: string, requirement: string): void;
export function withWorkshop(target: string, make: (work: string) => void | Promise<void>): Promise<void>;
