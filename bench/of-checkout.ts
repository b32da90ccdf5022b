/**
 * @file Modules of `src/` of the checkout in whose folder the process runs, by path: so a script of this tree measures another commit (`bench/self.ts`). In a
 * process of this tree they are its own.
 */
import path from "node:path";
import { pathToFileURL } from "node:url";

/** @param name below `src/`, without ending */
export async function ofCheckout<Module>(name: string): Promise<Module> {
  return (await import(pathToFileURL(path.resolve("src", `${name}.ts`)).href)) as Module;
}
