/** @file Memory of large arrays, given back at once. */
import { MessageChannel } from "node:worker_threads";

/** A port whose other end is closed: what is handed over to it is dropped, with its memory. */
const nowhere = closedPort();

function closedPort() {
  const { port1, port2 } = new MessageChannel();
  port2.close();
  return port1;
}

/**
 * Frees arrays that nothing reads any more; they have a length of 0 afterwards. The garbage collector would find them some time: it goes by
 * JavaScript's own memory, and gigabytes of numbers can wait for it.
 */
export function freeMemory(arrays: readonly Float32Array<ArrayBuffer>[]): void {
  nowhere.postMessage(
    null,
    arrays.map(({ buffer }) => buffer),
  );
}
