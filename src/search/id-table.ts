/**
 * @file A set of document ids in bounded memory: 64-bit hashes in typed arrays, 24 to 48 bytes an id, so that a million
 * ids cost tens of megabytes and not hundreds.
 */

/** Where an id stood: a number of the caller's own, such as a line's place in the order of reading. */
type Place = number;

/**
 * Remembers ids with their places. Equal hashes are only *probably* equal ids (one chance in 10⁷ for a million ids): the
 * caller confirms a hit before it complains.
 */
export class IdTable {
  #slots = 1 << 10;
  #high = new Uint32Array(this.#slots);
  #low = new Uint32Array(this.#slots);
  /** Place + 1; 0 is a free slot. */
  #places = new Uint32Array(this.#slots);
  #size = 0;

  /** Adds an id. Returns the place of an earlier id with the same hash, or undefined. */
  add(id: string, place: Place): Place | undefined {
    const [high, low] = hashId(id);
    return this.addHash(high, low, place);
  }

  /** The same for an id whose hash is at hand. */
  addHash(high: number, low: number, place: Place): Place | undefined {
    if (this.#size * 2 >= this.#slots) this.#grow();
    const slot = this.#find(high, low);
    if (this.#places[slot] !== 0) return this.#places[slot] - 1;
    this.#put(slot, high, low, place + 1);
    this.#size++;
    return undefined;
  }

  /** The place of an id with this hash, or undefined. */
  placeOf(high: number, low: number): Place | undefined {
    const place = this.#places[this.#find(high, low)];
    return place === 0 ? undefined : place - 1;
  }

  /** The slot of a hash, or the free slot where it belongs. */
  #find(high: number, low: number): number {
    const mask = this.#slots - 1;
    let slot = low & mask;
    while (this.#places[slot] !== 0 && (this.#high[slot] !== high || this.#low[slot] !== low)) slot = (slot + 1) & mask;
    return slot;
  }

  #put(slot: number, high: number, low: number, placePlusOne: number): void {
    this.#high[slot] = high;
    this.#low[slot] = low;
    this.#places[slot] = placePlusOne;
  }

  #grow(): void {
    const high = this.#high;
    const low = this.#low;
    const places = this.#places;
    this.#slots *= 2;
    this.#high = new Uint32Array(this.#slots);
    this.#low = new Uint32Array(this.#slots);
    this.#places = new Uint32Array(this.#slots);
    for (let slot = 0; slot < places.length; slot++)
      if (places[slot] !== 0) this.#put(this.#find(high[slot], low[slot]), high[slot], low[slot], places[slot]);
  }
}

/** Two FNV-like streams with different multipliers, each through murmur3's finalizer. */
export function hashId(text: string): [high: number, low: number] {
  let a = 0x811c9dc5;
  let b = 0x9747b28c;
  for (let index = 0; index < text.length; index++) {
    const code = text.charCodeAt(index);
    a = Math.imul(a ^ code, 0x01000193);
    b = Math.imul(b ^ code, 0x85ebca6b) + 0x165667b1;
  }
  return [finalize(a ^ text.length), finalize(b)];
}

function finalize(value: number): number {
  let x = value | 0;
  x = Math.imul(x ^ (x >>> 16), 0x85ebca6b);
  x = Math.imul(x ^ (x >>> 13), 0xc2b2ae35);
  return (x ^ (x >>> 16)) >>> 0;
}

/** Places by hash, where different ids may share one: every place is kept, and the caller compares the ids themselves. */
export class IdPlaces {
  readonly #first = new IdTable();
  /** Further places, by the first place of their hash; hardly ever any. */
  readonly #further = new Map<Place, Place[]>();

  /** Adds a place. Returns the earlier ones with the same hash. */
  add(high: number, low: number, place: Place): readonly Place[] {
    const first = this.#first.addHash(high, low, place);
    if (first === undefined) return none;
    const further = this.#further.get(first) ?? [];
    this.#further.set(first, [...further, place]);
    return [first, ...further];
  }

  placesOf(high: number, low: number): readonly Place[] {
    const first = this.#first.placeOf(high, low);
    return first === undefined ? none : [first, ...(this.#further.get(first) ?? none)];
  }
}

const none: readonly Place[] = [];
