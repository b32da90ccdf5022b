/** @file Questions by rules, from the passages of an index. */
import type { Candidate } from "./candidate.js";
import { Checks, withoutAmbiguous } from "./checks.js";
import { clozeCandidates } from "./cloze/cloze.js";
import { documentShare, forEachPassage, type MakeOptions } from "./corpus.js";
import { balanced, documentOfCandidate } from "./draw.js";
import { finish, type Made } from "./finish.js";
import { WordRarity } from "./word-rarity.js";

/** Candidates checked at once. */
const checkedAtOnce = 256;

/**
 * Questions by rules, without a language model.
 * @throws UserError with counts, where no question is left; SearchError; the signal's reason
 */
export async function makeClozeQuestions(options: MakeOptions): Promise<Made> {
  const { seed, count, onProgress, signal } = options;
  const rarity = new WordRarity();
  await forEachPassage(options, "reading", ({ text }) => rarity.add(text));
  const found: Candidate[] = [];
  await forEachPassage(options, "finding", (passage) => void found.push(...clozeCandidates(passage, rarity)));
  const { perDocument = documentShare(count, new Set(found.map(documentOfCandidate)).size) } = options;
  const checks = new Checks({ struck: new Set(), ...options, perDocument });
  const clear = withoutAmbiguous(found, (reason) => checks.reject(reason));
  let tried = 0;
  let group: Candidate[] = [];
  for (const candidate of balanced(clear, seed)) {
    group.push(candidate);
    if (group.length < Math.min(checkedAtOnce, count - checks.kept.length)) continue;
    await checks.take(group, { signal });
    tried += group.length;
    group = [];
    onProgress?.("checking", checks.kept.length, count);
    if (checks.kept.length >= count) break;
  }
  await checks.take(group, { signal });
  tried += group.length;
  return finish(options, checks, { candidates: found.length, left: clear.length - tried });
}
