/**
 * @file How training sequences are cut into micro-batches: those that begin alike share the computation of their beginning, like lengths
 * go together, so that little is padded, and every micro-batch is bounded, so that memory is.
 */
import type { Layout } from "../model/sequence-layout.js";

/** What one sequence needs. */
export interface SequenceSize {
  /** Tokens that go through the model. */
  length: number;
  /** Rows that go through the LM head. */
  lossRows: number;
  /** Its leading tokens that may be computed once for all sequences with the same `family`; they carry no loss. */
  shareable?: { family: string; length: number };
}

interface MicroBatchLimits {
  /** Most tokens of one micro-batch, padding included. */
  tokens: number;
  /** Most tokens of one under `plain`. Default `tokens`. */
  plainTokens?: number;
  /** Most rows of logits of one micro-batch. */
  lossRows: number;
}

/** One run of a graph of the layout. */
export interface MicroBatch {
  layout: Layout;
  /** Indices of the sequences; under `shared` the first `copies` belong to the first group, and so on. */
  sequences: number[];
  /** Sequences per prefix; 1 under `plain`. */
  copies: number;
}

/** Below this many shared tokens a second stream through the model costs more than it saves. */
const leastShared = 48;

/**
 * Every sequence with loss is in exactly one micro-batch; one that exceeds a limit has a micro-batch to itself. Sequences without loss are
 * left out.
 */
export function planMicroBatches(sizes: readonly SequenceSize[], limits: MicroBatchLimits): MicroBatch[] {
  const plainTokens = limits.plainTokens ?? limits.tokens;
  const order = sizes.flatMap(({ lossRows }, index) => (lossRows > 0 ? [index] : []));
  order.sort((a, b) => sizes[b].length - sizes[a].length || a - b);
  const parts = [...families(sizes, order).values()].flatMap((family) => partsOf(family, sizes, limits));
  const isShared = new Set(parts.flatMap(({ members }) => members));
  const alone = order.filter((index) => !isShared.has(index));
  return [...joinParts(parts, limits), ...plainBatches(alone, sizes, { ...limits, tokens: plainTokens })];
}

/** Sequences that begin alike, longest first. */
function families(sizes: readonly SequenceSize[], order: readonly number[]): Map<string, number[]> {
  const result = new Map<string, number[]>();
  for (const index of order) {
    const { shareable } = sizes[index];
    if (!shareable || shareable.length < leastShared) continue;
    result.set(shareable.family, [...(result.get(shareable.family) ?? []), index]);
  }
  return result;
}

/** Some sequences behind one prefix. */
interface Part {
  members: number[];
  prefix: number;
  /** Of the longest member, behind the prefix. */
  length: number;
  lossRows: number;
}

/** A family in as few equal parts as the limits allow; none where not even two sequences fit behind their prefix. */
function partsOf(family: readonly number[], sizes: readonly SequenceSize[], limits: MicroBatchLimits): Part[] {
  const prefix = sizes[family[0]].shareable?.length ?? 0;
  const longest = sizes[family[0]].length - prefix;
  const mostRows = Math.max(...family.map((index) => sizes[index].lossRows));
  const most = Math.min(Math.floor((limits.tokens - prefix) / longest), Math.floor(limits.lossRows / mostRows));
  if (most < 2) return [];
  const count = Math.ceil(family.length / most);
  const size = Math.ceil(family.length / count);
  const parts = Array.from({ length: count }, (_, part) => family.slice(part * size, (part + 1) * size));
  return parts
    .filter((members) => members.length > 1)
    .map((members) => ({
      members,
      prefix,
      length: sizes[members[0]].length - prefix,
      lossRows: members.reduce((sum, index) => sum + sizes[index].lossRows, 0),
    }));
}

/** Parts with equally many sequences run together while the limits allow. */
function joinParts(parts: Part[], limits: MicroBatchLimits): MicroBatch[] {
  const sorted = [...parts].sort((a, b) => b.members.length - a.members.length || b.length - a.length);
  const batches: MicroBatch[] = [];
  let joined: Part[] = [];
  const close = (): void => {
    if (joined.length === 0) return;
    const sequences = joined.flatMap(({ members }) => members);
    batches.push({ layout: "shared", sequences, copies: joined[0].members.length });
    joined = [];
  };
  for (const part of sorted) {
    if (joined.length > 0 && !fitsTogether([...joined, part], limits)) close();
    joined.push(part);
  }
  close();
  return batches;
}

function fitsTogether(parts: readonly Part[], limits: MicroBatchLimits): boolean {
  const copies = parts[0].members.length;
  const prefix = Math.max(...parts.map((part) => part.prefix));
  const length = Math.max(...parts.map((part) => part.length));
  const rows = parts.reduce((sum, part) => sum + part.lossRows, 0);
  const tokens = parts.length * (prefix + copies * length);
  return parts.every(({ members }) => members.length === copies) && tokens <= limits.tokens && rows <= limits.lossRows;
}

function plainBatches(
  order: readonly number[],
  sizes: readonly SequenceSize[],
  limits: MicroBatchLimits,
): MicroBatch[] {
  const batches: MicroBatch[] = [];
  let current: number[] = [];
  let rows = 0;
  const close = (): void => {
    if (current.length > 0) batches.push({ layout: "plain", sequences: current, copies: 1 });
    current = [];
    rows = 0;
  };
  for (const index of order) {
    const longest = sizes[current[0] ?? index].length;
    const full = (current.length + 1) * longest > limits.tokens || rows + sizes[index].lossRows > limits.lossRows;
    if (full) close();
    current.push(index);
    rows += sizes[index].lossRows;
  }
  close();
  return batches;
}
