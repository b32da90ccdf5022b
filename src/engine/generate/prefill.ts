/** @file Computing the keys and values of new prefixes, piece by piece, many rows at a time. */
import type { GenerateBackend, PrefillInput } from "./backend.js";
import { capacityFor, KvCache } from "./kv-cache.js";
import { nextPieceEnd, paddedLength, samePiece } from "./prefix-reuse.js";
import type { SamplerOptions } from "./sampler.js";
import type { Slot, SlotTable } from "./slots.js";

type PrefillLimits = Required<Pick<SamplerOptions, "pieceLength" | "tokensPerRun">>;

interface PrefillCounts {
  runs: number;
  /** Tokens whose keys and values were computed. */
  tokens: number;
  /** Positions that were computed only because a run has one length. */
  padding: number;
}

/** A slot whose prefix is to be computed; a follower has the same prefix as its leader and copies it. */
export interface PrefillRow {
  slot: Slot;
  leader?: Slot;
}

interface Piece {
  slot: Slot;
  start: number;
  end: number;
}

/** Computes prefixes in pieces of bounded size; what it has computed lies in the slots' cache. */
export class Prefiller {
  readonly counts: PrefillCounts = { runs: 0, tokens: 0, padding: 0 };
  readonly #backend: GenerateBackend;
  readonly #limits: PrefillLimits;
  #scratch: KvCache;

  constructor(backend: GenerateBackend, limits: PrefillLimits) {
    this.#backend = backend;
    this.#limits = limits;
    this.#scratch = new KvCache(backend.kv, 1);
  }

  /** Brings every row to the end of its prefix. The slots' `length` grows as pieces are done. */
  async fill(table: SlotTable, rows: readonly PrefillRow[]): Promise<void> {
    let pending = rows.filter((row) => !row.leader && row.slot.length < row.slot.prefixEnd).map((row) => row.slot);
    while (pending.length > 0) {
      const copies = new Map<Slot, Slot>();
      const pieces = this.#nextPieces(pending, copies);
      for (const run of this.#groupIntoRuns(pieces)) await this.#run(table, run);
      for (const [slot, source] of copies) {
        table.cache.copyPositions(source.row, slot.row, slot.length, source.length);
        slot.length = source.length;
      }
      pending = pending.filter((slot) => slot.length < slot.prefixEnd);
    }
    for (const { slot, leader } of rows) {
      if (!leader) continue;
      table.cache.copyPositions(leader.row, slot.row, 0, leader.length);
      slot.length = leader.length;
      slot.canonical = leader.canonical;
    }
  }

  /** Gives memory back; needed when it may hold numbers that are not finite. */
  clear(): void {
    this.#scratch = new KvCache(this.#backend.kv, 1);
  }

  /** One piece per slot; slots that would compute the very same piece are noted in `copies` instead. */
  #nextPieces(slots: readonly Slot[], copies: Map<Slot, Slot>): Piece[] {
    const { pieceLength } = this.#limits;
    const pieces: Piece[] = [];
    for (const slot of slots) {
      const twin = pieces.find((piece) => samePiece(piece.slot, slot, pieceLength));
      if (twin) copies.set(slot, twin.slot);
      else pieces.push({ slot, start: slot.length, end: nextPieceEnd(slot, pieceLength) });
    }
    return pieces;
  }

  /** Only pieces of one padded length share a run: what a row gets must not depend on its neighbours. */
  #groupIntoRuns(pieces: Piece[]): Piece[][] {
    const sorted = [...pieces].sort((a, b) => padded(a) - padded(b) || a.start - b.start);
    const runs: Piece[][] = [];
    let run: Piece[] = [];
    for (const piece of sorted) {
      const length = padded(piece);
      const rows = run.length + 1;
      const { tokensPerRun } = this.#limits;
      // Cached positions are copied for the run: they are bounded, too.
      const fits = rows * length <= tokensPerRun && rows * (capacityFor(piece.start) + length) <= 2 * tokensPerRun;
      if (run.length > 0 && (padded(run[0]) !== length || !fits)) {
        runs.push(run);
        run = [];
      }
      run.push(piece);
    }
    if (run.length > 0) runs.push(run);
    return runs;
  }

  async #run(table: SlotTable, pieces: Piece[]): Promise<void> {
    const length = padded(pieces[0]);
    const input = this.#gather(table, pieces, length);
    const newKv = await this.#backend.prefill(input);
    this.counts.runs++;
    pieces.forEach(({ slot, start, end }, index) => {
      table.cache.writePiece(newKv, { batch: pieces.length, length, index }, slot.row, start, end - start);
      slot.length = end;
      this.counts.tokens += end - start;
      this.counts.padding += length - (end - start);
    });
  }

  /** Copies the rows' caches into one block: rows of a run need not be neighbours, nor as long as the longest row. */
  #gather(table: SlotTable, pieces: readonly Piece[], length: number): PrefillInput {
    const batch = pieces.length;
    const capacity = capacityFor(Math.max(...pieces.map((piece) => piece.start)));
    this.#scratch.resize(batch, capacity, []);
    const cachedLengths_B = new Int32Array(batch);
    const tokens_B_L = new Int32Array(batch * length);
    pieces.forEach(({ slot, start, end }, index) => {
      table.cache.copyInto(this.#scratch, slot.row, index, start);
      cachedLengths_B[index] = start;
      tokens_B_L.set(slot.tokens.subarray(start, end), index * length);
    });
    return { batch, capacity, length, cachedLengths_B, tokens_B_L, ...this.#scratch.views(batch) };
  }
}

function padded(piece: Piece): number {
  return paddedLength(piece.end - piece.start);
}
