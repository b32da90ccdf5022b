/**
 * @file The one form of text that is kept, indexed and asked: composed (`Mu\u0308ller` → `Müller`, Unicode's NFC), without invisible characters that only
 * lay out. Documents and corpora become so when they are read, queries before they reach an engine (`middleware/normalised.ts`).
 */

/**
 * Soft hyphens, direction marks, word joiners, invisible operators, byte order marks. Zero-width spaces stay, since they divide words (Thai, Khmer), and
 * so do joiners and variation selectors, which change what is written.
 */
const layout = /[\u00ad\u061c\u200e\u200f\u202a-\u202e\u2060-\u2064\u2066-\u2069\ufeff]+/g;

/** The first characters that composing can change; below, only the soft hyphen is not as it should be. */
const mayChange = /[\u00ad\u0300-\uffff]/;

/** A text in the form that is kept. Most texts are in it already and come back as they are. */
export function normaliseText(text: string): string {
  return mayChange.test(text) ? text.replace(layout, "").normalize("NFC") : text;
}
