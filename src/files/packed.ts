/** @file Packed files, told by their first bytes: Sleuth opens gzip where it says so, and names what opens the others. */

/** Where they stand at the beginning of a file, as Latin-1. */
const packers: readonly { name: string; begins: RegExp; command: string }[] = [
  { name: "zstd", begins: /^\x28\xb5\x2f\xfd/, command: "zstd -d" },
  { name: "bzip2", begins: /^BZh[1-9](?:1AY&SY|\x17rE8P\x90)/, command: "bunzip2" },
  { name: "xz", begins: /^\xfd7zXZ\0/, command: "unxz" },
  { name: "gzip", begins: /^\x1f\x8b\x08/, command: "gunzip" },
  { name: "lz4", begins: /^\x04\x22\x4d\x18/, command: "lz4 -d" },
  { name: "7-Zip", begins: /^7z\xbc\xaf\x27\x1c/, command: "7z x" },
  { name: "zip", begins: /^PK\x03\x04/, command: "unzip" },
];

/**
 * What a user needs to know of a packed file, as the end of a sentence about it: "is packed with zstd; unpack it first, …". Undefined for
 * what is not packed.
 * @param bytes of the beginning; the first 10 are enough
 */
export function packedProblem(bytes: Uint8Array): string | undefined {
  const beginning = String.fromCharCode(...bytes.subarray(0, 10));
  const packer = packers.find(({ begins }) => begins.test(beginning));
  return packer && `is packed with ${packer.name}; unpack it first, for example with \`${packer.command}\``;
}
