/** @file How often passages hold terms, in as few bytes as do. */

export type Frequencies = Uint8Array | Uint16Array | Uint32Array;

/** The narrowest array that holds frequencies up to `maximum`. */
export function frequencyArray(maximum: number, length: number): Frequencies {
  if (maximum <= 0xff) return new Uint8Array(length);
  return maximum <= 0xffff ? new Uint16Array(length) : new Uint32Array(length);
}
