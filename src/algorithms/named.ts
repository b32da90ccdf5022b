/** @file The algorithms by name. Each is a set of choices, in a file of its own that says from which paper and with which departures. */
import type { AlgorithmName, Choices } from "./choices.js";
import { cispo } from "./named/cispo.js";
import { dapo } from "./named/dapo.js";
import { drGrpo } from "./named/dr-grpo.js";
import { grpo } from "./named/grpo.js";
import { gspo } from "./named/gspo.js";
import { ppo } from "./named/ppo.js";
import { reinforcePlusPlus, reinforcePlusPlusBaseline } from "./named/reinforce-plus-plus.js";
import { reinforce } from "./named/reinforce.js";
import { rloo } from "./named/rloo.js";

const named: { [Name in AlgorithmName]: Readonly<Choices> } = {
  grpo,
  "dr-grpo": drGrpo,
  dapo,
  gspo,
  cispo,
  rloo,
  reinforce,
  "reinforce++": reinforcePlusPlus,
  "reinforce++-baseline": reinforcePlusPlusBaseline,
  ppo,
};

/** What a name chooses. */
export function choicesOf(name: AlgorithmName): Readonly<Choices> {
  return named[name];
}
