/**
 * @file Rows of the key/value cache and the sequences that hold them. Rows [0, active) run; behind them lie finished sequences, kept
 * because their next turn will begin with the same tokens, and free rows.
 */
import type { KvShape } from "./backend.js";
import { bytesPerPosition, capacityFor, KvCache } from "./kv-cache.js";
import { findReuse } from "./prefix-reuse.js";
import type { SamplerOptions } from "./sampler.js";

/** One row's content. Positions [0, length) of the cache hold the keys and values of `tokens[0 … length)`. */
export interface Slot {
  row: number;
  /** Room for a whole context; [0, length) belong to the cached keys and values, the next one is known, or −1. */
  tokens: Int32Array;
  length: number;
  /** The leading positions that were computed from the beginning in canonical pieces. */
  canonical: number;
  /** Where the prefix of the last request ended (without its last token): decoding began with this state. */
  prefixEnd: number;
  /** Logical time of the last use; the least recently used idle slot is given up first. */
  lastUsed: number;
}

type SlotLimits = Required<
  Pick<SamplerOptions, "contextLength" | "slots" | "memoryLimitBytes" | "reuse" | "pieceLength">
>;

/** Keys and values up to here are not given back: taking memory anew costs time, too. */
const keptBytes = 2 ** 28;

/** All slots and the cache that they are rows of. */
export class SlotTable {
  cache: KvCache;
  /** Index is the row. */
  slots: Slot[] = [];
  active = 0;
  evictions = 0;
  readonly #limits: SlotLimits;
  readonly #bytesPerPosition: number;
  #clock = 0;
  #tainted = false;

  constructor(shape: KvShape, limits: SlotLimits) {
    this.#limits = limits;
    this.#bytesPerPosition = bytesPerPosition(shape);
    this.cache = new KvCache(shape, 1);
    this.#addSlots();
  }

  /** How many rows fit into the memory limit at a capacity. */
  rowsAllowed(capacity: number): number {
    const rows = Math.floor(this.#limits.memoryLimitBytes / (capacity * this.#bytesPerPosition));
    return Math.min(this.#limits.slots, rows);
  }

  /** Makes room for `length` positions in every row; idle sequences give way where memory does not allow both. */
  ensureCapacity(length: number): void {
    const capacity = capacityFor(length);
    if (capacity <= this.cache.capacity) return;
    const allowed = Math.max(1, this.active, this.rowsAllowed(capacity));
    if (this.slots.length > allowed) this.#giveUpRows(allowed);
    this.#resize(this.slots.length, capacity);
  }

  /**
   * Takes a row for a sequence that begins with `tokens`, fills it with what is held of them (unless `lookUp` is
   * false) and moves it behind the running ones. Undefined when every row runs.
   */
  acquire(tokens: Int32Array, lookUp = true): Slot | undefined {
    const prefixEnd = tokens.length - 1;
    this.ensureCapacity(tokens.length);
    const found = this.#limits.reuse && lookUp ? this.#find(tokens) : undefined;
    const idleSource = found && found.slot.row >= this.active ? found.slot : undefined;
    // A sequence that is continued whole is no longer needed as it was; one shared in part stays for its own next turn.
    const slot = found?.whole ? found.slot : (this.#vacate(found?.slot) ?? idleSource);
    if (!slot) return undefined;
    const length = found?.length ?? 0;
    const canonical = found?.slot.canonical ?? 0;
    if (found && slot !== found.slot) this.cache.copyPositions(found.slot.row, slot.row, 0, length);
    slot.tokens.set(tokens);
    slot.length = length;
    // A prefix computed from its beginning, in pieces that depend on nothing but its tokens, is canonical throughout.
    slot.canonical = length > canonical ? canonical : prefixEnd;
    slot.prefixEnd = prefixEnd;
    this.touch(slot);
    this.#swap(slot.row, this.active);
    this.active++;
    return slot;
  }

  /**
   * Ends a running row; its content stays for reuse unless `discard` (its numbers are not finite). The last running
   * row takes its place.
   */
  release(slot: Slot, discard = false): void {
    if (discard) {
      this.cache.clearRow(slot.row);
      empty(slot);
      this.#tainted = true;
    }
    this.touch(slot);
    this.#swap(slot.row, this.active - 1);
    this.active--;
  }

  touch(slot: Slot): void {
    slot.lastUsed = ++this.#clock;
  }

  /** Forgets everything. Much memory is given back, little is kept and laid out anew. */
  clear(): void {
    this.active = 0;
    for (const slot of this.slots) empty(slot);
    const { shape, rows, capacity } = this.cache;
    if (this.#tainted || rows * capacity * this.#bytesPerPosition > keptBytes) {
      this.cache.free();
      this.cache = new KvCache(shape, rows);
    }
    this.#tainted = false;
    // Every decode step reads the whole capacity of every row, but growing moves only what is valid: what comes next begins short.
    this.#resize(this.slots.length, capacityFor(1));
  }

  #find(tokens: Int32Array): (ReturnType<typeof findReuse> & { slot: Slot }) | undefined {
    let best: (ReturnType<typeof findReuse> & { slot: Slot }) | undefined;
    for (const slot of this.slots) {
      if (slot.length === 0) continue;
      const reuse = findReuse(slot, slot.row >= this.active, tokens, this.#limits.pieceLength);
      if (reuse.length > (best?.length ?? 0)) best = { ...reuse, slot };
    }
    return best;
  }

  /** A row without content: a free one, a new one, or the least recently used idle one that is not `spared`. */
  #vacate(spared: Slot | undefined): Slot | undefined {
    let oldest: Slot | undefined;
    for (let row = this.active; row < this.slots.length; row++) {
      const slot = this.slots[row];
      if (slot.length === 0) return slot;
      if (slot !== spared && (!oldest || slot.lastUsed < oldest.lastUsed)) oldest = slot;
    }
    const allowed = this.rowsAllowed(this.cache.capacity);
    if (this.slots.length < allowed) {
      const rows = Math.min(allowed, 2 * this.slots.length);
      const firstNew = this.slots.length;
      this.#resize(rows, this.cache.capacity);
      return this.slots[firstNew];
    }
    if (oldest) {
      this.evictions++;
      empty(oldest);
    }
    return oldest;
  }

  /** Keeps the `allowed` most useful rows: all that run, then the most recently used. */
  #giveUpRows(allowed: number): void {
    const idle = this.slots.slice(this.active).sort((a, b) => b.lastUsed - a.lastUsed);
    for (const slot of idle.slice(allowed - this.active)) {
      if (slot.length > 0) this.evictions++;
      empty(slot);
    }
    let free = this.active;
    for (let row = allowed; row < this.slots.length; row++) {
      if (this.slots[row].length === 0) continue;
      while (this.slots[free].length > 0) free++;
      this.#swap(row, free);
    }
    this.slots.length = allowed;
  }

  #swap(a: number, b: number): void {
    if (a === b) return;
    const [slotA, slotB] = [this.slots[a], this.slots[b]];
    this.cache.swapRows(a, b, slotA.length, slotB.length);
    slotA.row = b;
    slotB.row = a;
    this.slots[a] = slotB;
    this.slots[b] = slotA;
  }

  #resize(rows: number, capacity: number): void {
    const lengths = this.slots.map((slot) => slot.length);
    this.cache.resize(rows, capacity, lengths);
    this.#addSlots();
  }

  #addSlots(): void {
    while (this.slots.length < this.cache.rows) {
      const tokens = new Int32Array(this.#limits.contextLength);
      this.slots.push({ row: this.slots.length, tokens, length: 0, canonical: 0, prefixEnd: 0, lastUsed: 0 });
    }
  }
}

function empty(slot: Slot): void {
  slot.length = 0;
  slot.canonical = 0;
  slot.prefixEnd = 0;
  slot.lastUsed = 0;
}
