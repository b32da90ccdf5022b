/** @file The files of a segment while they are written. */
import { join } from "node:path";
import type { OutputFile, OutputFiles } from "../../files/disk.js";
import type { FileName } from "./format.js";
import { NumberWriter, SealedFile } from "../../files/checksummed-file.js";
import type { Numbers } from "../../files/checksummed-file.js";
import type { FileSeal } from "../../files/checksummed-manifest.js";

export class SegmentFiles {
  readonly folder: string;
  readonly #files: OutputFiles;
  readonly #open = new Set<OutputFile>();
  readonly #seals: Record<string, FileSeal> = {};

  constructor(folder: string, files: OutputFiles) {
    this.folder = folder;
    this.#files = files;
  }

  bytes(name: FileName): SealedFile {
    return new SealedFile(this.#track(this.#files.create(join(this.folder, name))));
  }

  numbers(name: FileName, kind: new (length: number) => Numbers): NumberWriter {
    return new NumberWriter(this.bytes(name), kind);
  }

  /** Goes on writing a file behind its first `bytes` bytes. */
  extend(name: FileName, bytes: number): SealedFile {
    const path = join(this.folder, name);
    return SealedFile.extending(this.#track(this.#files.extend(path, bytes)), path, bytes);
  }

  /** Puts a file on the disk and notes its seal. */
  seal(name: FileName, file: { finish(): FileSeal }): void {
    this.#seals[name] = file.finish();
  }

  /** The seals of all files, once everything is on the disk, apart from the folder's own entry. */
  finish(): Record<string, FileSeal> {
    this.#files.syncFolder(this.folder);
    return this.#seals;
  }

  /** Closes what is open. The caller removes the folder. */
  abandon(): void {
    for (const file of this.#open) file.abandon();
    this.#open.clear();
  }

  #track(file: OutputFile): OutputFile {
    const tracked: OutputFile = {
      write: (bytes) => file.write(bytes),
      sync: () => file.sync(),
      finish: () => {
        this.#open.delete(tracked);
        file.finish();
      },
      abandon: () => file.abandon(),
    };
    this.#open.add(tracked);
    return tracked;
  }
}
