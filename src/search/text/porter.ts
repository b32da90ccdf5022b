/**
 * @file Porter's stemmer (M. F. Porter, "An algorithm for suffix stripping", Program 14(3), 1980) with the two
 * departures of its author's own programs, which Lucene's PorterStemFilter has too: `-bli` → `-ble` and
 * `-logi` → `-log`; words of one or two letters stay as they are.
 */

type Replacement = readonly [suffix: string, replacement: string];

/** Step 2 of the paper, by the last letter but one; within a row the longer suffix stands before its own ending. */
const doubleSuffixes: readonly Replacement[] = [
  ["ational", "ate"],
  ["tional", "tion"],
  ["enci", "ence"],
  ["anci", "ance"],
  ["izer", "ize"],
  ["bli", "ble"],
  ["alli", "al"],
  ["entli", "ent"],
  ["eli", "e"],
  ["ousli", "ous"],
  ["ization", "ize"],
  ["ation", "ate"],
  ["ator", "ate"],
  ["alism", "al"],
  ["iveness", "ive"],
  ["fulness", "ful"],
  ["ousness", "ous"],
  ["aliti", "al"],
  ["iviti", "ive"],
  ["biliti", "ble"],
  ["logi", "log"],
];

/** Step 3. */
const derivations: readonly Replacement[] = [
  ["icate", "ic"],
  ["ative", ""],
  ["alize", "al"],
  ["iciti", "ic"],
  ["ical", "ic"],
  ["ful", ""],
  ["ness", ""],
];

/** Step 4. `ement` is tried before `ment` and `ent`: the longest suffix that matches decides, even when it then stays. */
const residues: readonly string[] = [
  "al",
  "ance",
  "ence",
  "er",
  "ic",
  "able",
  "ible",
  "ant",
  "ement",
  "ment",
  "ent",
  "ion",
  "ou",
  "ism",
  "ate",
  "iti",
  "ous",
  "ive",
  "ize",
];

/** The stem of a lower-case word. */
export function porterStem(word: string): string {
  if (word.length <= 2) return word;
  let stem = removePlural(word);
  stem = removePast(stem);
  if (stem.endsWith("y") && hasVowel(stem, stem.length - 1)) stem = stem.slice(0, -1) + "i";
  stem = replaceFirst(stem, doubleSuffixes);
  stem = replaceFirst(stem, derivations);
  stem = removeResidue(stem);
  return tidyEnd(stem);
}

/** Step 1a: caresses → caress, ponies → poni, cats → cat. */
function removePlural(word: string): string {
  if (!word.endsWith("s")) return word;
  if (word.endsWith("sses") || word.endsWith("ies")) return word.slice(0, -2);
  return word.endsWith("ss") ? word : word.slice(0, -1);
}

/** Step 1b: agreed → agree, plastered → plaster, motoring → motor. */
function removePast(word: string): string {
  if (word.endsWith("eed")) return measure(word, word.length - 3) > 0 ? word.slice(0, -1) : word;
  const cut = word.endsWith("ed") ? 2 : word.endsWith("ing") ? 3 : 0;
  if (cut === 0 || !hasVowel(word, word.length - cut)) return word;
  const stem = word.slice(0, -cut);
  if (stem.endsWith("at") || stem.endsWith("bl") || stem.endsWith("iz")) return stem + "e";
  if (endsInDoubleConsonant(stem)) return /[lsz]$/.test(stem) ? stem : stem.slice(0, -1);
  return measure(stem, stem.length) === 1 && endsInShortSyllable(stem, stem.length) ? stem + "e" : stem;
}

/** Replaces the first suffix that matches, when something measurable stands before it. */
function replaceFirst(word: string, rules: readonly Replacement[]): string {
  for (const [suffix, replacement] of rules) {
    if (!word.endsWith(suffix)) continue;
    const length = word.length - suffix.length;
    return measure(word, length) > 0 ? word.slice(0, length) + replacement : word;
  }
  return word;
}

/** Step 4: revival → reviv, adjustment → adjust; `-ion` only behind s or t. */
function removeResidue(word: string): string {
  for (const suffix of residues) {
    if (!word.endsWith(suffix)) continue;
    const length = word.length - suffix.length;
    if (suffix === "ion" && !/[st]/.test(word.charAt(length - 1))) continue;
    return measure(word, length) > 1 ? word.slice(0, length) : word;
  }
  return word;
}

/** Step 5: probate → probat, cease → ceas, controll → control. */
function tidyEnd(word: string): string {
  let stem = word;
  if (stem.endsWith("e")) {
    const syllables = measure(stem, stem.length - 1);
    if (syllables > 1 || (syllables === 1 && !endsInShortSyllable(stem, stem.length - 1))) stem = stem.slice(0, -1);
  }
  // The measure of the whole word, final l included: a consonant behind a consonant adds nothing.
  return stem.endsWith("ll") && measure(stem, stem.length) > 1 ? stem.slice(0, -1) : stem;
}

/** Whether the letter at `index` sounds as a consonant: everything but a, e, i, o, u and a y behind a consonant. */
function isConsonant(word: string, index: number): boolean {
  switch (word.charCodeAt(index)) {
    case 0x61:
    case 0x65:
    case 0x69:
    case 0x6f:
    case 0x75:
      return false;
    case 0x79:
      return index === 0 || !isConsonant(word, index - 1);
    default:
      return true;
  }
}

/** m of the paper: how often a vowel is followed by a consonant in the first `length` letters. */
function measure(word: string, length: number): number {
  let count = 0;
  let afterVowel = false;
  for (let index = 0; index < length; index++) {
    const consonant = isConsonant(word, index);
    if (consonant && afterVowel) count++;
    afterVowel = !consonant;
  }
  return count;
}

function hasVowel(word: string, length: number): boolean {
  for (let index = 0; index < length; index++) if (!isConsonant(word, index)) return true;
  return false;
}

function endsInDoubleConsonant(word: string): boolean {
  const last = word.length - 1;
  return last >= 1 && word[last] === word[last - 1] && isConsonant(word, last);
}

/** *o of the paper: consonant, vowel, consonant at the end of the first `length` letters, the last not w, x or y. */
function endsInShortSyllable(word: string, length: number): boolean {
  const last = length - 1;
  if (last < 2 || !isConsonant(word, last) || isConsonant(word, last - 1) || !isConsonant(word, last - 2)) return false;
  return !/[wxy]/.test(word.charAt(last));
}
