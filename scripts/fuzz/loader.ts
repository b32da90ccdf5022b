/** @file What reads a kind of file, and what is written for it to read. */

export interface Loader {
  /** For `--loader` and the table. */
  name: string;
  /** Writes the whole, undamaged files into an empty folder. */
  make(folder: string): Promise<void>;
  /** Of the files that `make` writes, those that are damaged. Default: all. */
  damages?: (file: string) => boolean;
  /**
   * Reads the folder's files through to the end, as a command would.
   * @returns what was read; it is compared where `isChecked`
   */
  load(folder: string): Promise<unknown>;
  /** Files carry checksums: what is read must be what was written, or be refused. */
  isChecked?: boolean;
  /** Puts right checksums over what was damaged, as somebody would who means harm. Tried in every other case. */
  writeChecksums?(folder: string): Promise<void>;
  /** It writes into the folder, which is made anew for each case. */
  writes?: boolean;
  /** Damage is passed over (a cache asks again, a line is skipped): errors are not expected to name a file. */
  isNameless?: boolean;
}
