/** @file The files of a segment while they are written. */
import { join } from "node:path";
import { ChecksummedFile, NumberWriter } from "../../files/checksummed-file.js";
import type { FileChecksum, Numbers } from "../../files/checksummed-file.js";
import { syncFolder } from "../../files/disk.js";
import type { FileName } from "./format.js";

export class SegmentFiles {
  readonly #folder: string;
  readonly #opened: ChecksummedFile[] = [];
  readonly #checksums: Record<string, FileChecksum> = {};

  constructor(folder: string) {
    this.#folder = folder;
  }

  bytes(name: FileName): ChecksummedFile {
    const file = ChecksummedFile.create(join(this.#folder, name));
    this.#opened.push(file);
    return file;
  }

  numbers(name: FileName, kind: new (length: number) => Numbers): NumberWriter {
    return new NumberWriter(this.bytes(name), kind);
  }

  /** Puts a file on the disk and notes its checksum. */
  finishFile(name: FileName, file: { finish(): FileChecksum }): void {
    this.#checksums[name] = file.finish();
  }

  /** The checksums of all files, once everything is on the disk, apart from the folder's own entry. */
  finish(): Record<string, FileChecksum> {
    syncFolder(this.#folder);
    return this.#checksums;
  }

  /** Closes what is open. The caller removes the folder. */
  abandon(): void {
    for (const file of this.#opened) file.abandon();
  }
}
