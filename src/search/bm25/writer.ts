/** @file Writes one generation of an index: passages as they come, everything else at the end. */
import { join } from "node:path";
import { UserError } from "../../errors.js";
import type { Analyzer } from "../analyzer.js";
import { frequencyArray } from "./data.js";
import type { OutputFile, OutputFiles } from "./files.js";
import { fileNames } from "./format.js";
import type { FileName, FileSeal } from "./format.js";
import { GrowingUint32 } from "./growing.js";
import { Inverter } from "./inverter.js";
import { offsetsOf } from "./memory.js";
import { checkNumber } from "./passages.js";
import type { StoredPassage } from "./passages.js";
import { mergeRuns, readerInMemory, spillRun, totalCounts } from "./runs.js";
import type { RunReader } from "./runs.js";
import { NumberWriter, SealedFile } from "./sealed-file.js";

/** Postings of one index: as many 32-bit numbers as fit the largest buffer of Node 20 (4 GiB). */
const maxPostings = 2 ** 30 - 1;

export interface WrittenIndex {
  passages: number;
  terms: number;
  postings: number;
  totalLength: number;
  frequencyBytes: number;
  files: Record<FileName, FileSeal>;
}

/** Takes passages in order, then `finish`. After an error, `abandon`. */
export class IndexWriter {
  private readonly folder: string;
  private readonly files: OutputFiles;
  private readonly postingsPerRun: number;
  private readonly inverter: Inverter;
  private readonly open = new Set<OutputFile>();
  private readonly seals: Partial<Record<FileName, FileSeal>> = {};
  private readonly spilled: { counts: Uint32Array; path: string; reader: () => RunReader }[] = [];
  private readonly passageFile: SealedFile;
  private readonly passageOffsets: NumberWriter;
  private readonly passageChecks = new GrowingUint32();
  private postings = 0;

  constructor(folder: string, analyzer: Analyzer, files: OutputFiles, postingsPerRun: number) {
    this.folder = folder;
    this.files = files;
    this.postingsPerRun = postingsPerRun;
    this.inverter = new Inverter(analyzer);
    this.passageFile = this.create(fileNames.passages);
    this.passageOffsets = new NumberWriter(this.create(fileNames.passageOffsets), Float64Array);
    this.passageOffsets.put(0);
  }

  /** @throws UserError when the corpus outgrows one index. */
  add(passage: StoredPassage): void {
    const line = Buffer.from(JSON.stringify({ id: passage.id, title: passage.title, text: passage.text }) + "\n");
    this.passageFile.write(line);
    this.passageOffsets.put(this.passageFile.bytes);
    this.passageChecks.push(checkNumber(line));
    const before = this.inverter.gathered;
    this.inverter.add(passage.title, passage.text);
    this.postings += this.inverter.gathered - before;
    if (this.postings > maxPostings)
      throw new UserError(
        `The corpus is too large for one index: more than ${maxPostings} postings (about 18 million passages of 100 words). Split it into several corpora.`,
      );
    if (this.inverter.gathered >= this.postingsPerRun) this.spill();
  }

  /** Writes the rest. Everything is on the disk afterwards, apart from the folder's own entry. */
  async finish(): Promise<WrittenIndex> {
    const { inverter } = this;
    this.seal(fileNames.passages, this.passageFile);
    this.seal(fileNames.passageOffsets, this.passageOffsets);
    this.write(fileNames.passageChecks, Uint32Array, this.passageChecks.view());
    this.write(fileNames.lengths, Uint32Array, inverter.lengths.view());
    const frequencyBytes = await this.writePostings();
    this.writeTerms();
    this.files.syncFolder(this.folder);
    return {
      passages: inverter.lengths.length,
      terms: inverter.terms.size,
      postings: this.postings,
      totalLength: inverter.totalLength,
      frequencyBytes,
      files: this.seals as Record<FileName, FileSeal>,
    };
  }

  /** Closes what is open. The caller removes the folder. */
  abandon(): void {
    for (const file of this.open) file.abandon();
    this.open.clear();
  }

  private async writePostings(): Promise<number> {
    const terms = this.inverter.terms.size;
    const last = this.inverter.takeRun();
    const counts = totalCounts([...this.spilled, last], terms);
    this.write(fileNames.postingOffsets, Uint32Array, offsetsOf(counts));
    const passages = new NumberWriter(this.create(fileNames.postingPassages), Uint32Array);
    const kind = frequencyArray(this.inverter.maxFrequency, 0);
    const frequencies = new NumberWriter(
      this.create(fileNames.postingFrequencies),
      kind.constructor as new (length: number) => typeof kind,
    );
    const readers: RunReader[] = [];
    try {
      for (const { reader } of this.spilled) readers.push(reader());
      readers.push(readerInMemory(last));
      for (const pause of mergeRuns(readers, terms, passages, frequencies))
        await new Promise<void>((resolve) => setImmediate(() => resolve(pause)));
    } finally {
      for (const { passages: source, frequencies: other } of readers) {
        source.close();
        other.close();
      }
    }
    this.seal(fileNames.postingPassages, passages);
    this.seal(fileNames.postingFrequencies, frequencies);
    for (const { path } of this.spilled) this.files.remove(path);
    return kind.BYTES_PER_ELEMENT;
  }

  private writeTerms(): void {
    const sorted = [...this.inverter.terms.keys()].sort();
    const text = this.create(fileNames.terms);
    const offsets = new NumberWriter(this.create(fileNames.termOffsets), Uint32Array);
    const numbers = new NumberWriter(this.create(fileNames.termNumbers), Uint32Array);
    offsets.put(0);
    for (const term of sorted) {
      text.write(Buffer.from(term));
      offsets.put(text.bytes);
      numbers.put(this.inverter.terms.get(term) as number);
    }
    this.seal(fileNames.terms, text);
    this.seal(fileNames.termOffsets, offsets);
    this.seal(fileNames.termNumbers, numbers);
  }

  private spill(): void {
    const path = join(this.folder, `run-${this.spilled.length}`);
    const run = this.inverter.takeRun();
    this.spilled.push({ counts: run.counts, path, reader: spillRun(run, path, this.files) });
  }

  private write(name: FileName, kind: Uint32ArrayConstructor, values: Uint32Array): void {
    this.seal(name, new NumberWriter(this.create(name), kind).putAll(values));
  }

  private create(name: FileName): SealedFile {
    const file = this.files.create(join(this.folder, name));
    const tracked: OutputFile = {
      write: (bytes) => file.write(bytes),
      finish: () => {
        this.open.delete(tracked);
        file.finish();
      },
      abandon: () => file.abandon(),
    };
    this.open.add(tracked);
    return new SealedFile(tracked);
  }

  private seal(name: FileName, file: { finish(): FileSeal }): void {
    this.seals[name] = file.finish();
  }
}
