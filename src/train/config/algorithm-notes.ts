/** @file What a run is told of its algorithm's settings that is allowed and yet may not be meant. */
import type { Choices } from "../../algorithms/choices.js";
import { choicesOf } from "../../algorithms/named.js";
import { parseConfig, type Config } from "./config.js";
import { overridesOf } from "../parts.js";

/** One sentence or two for each. */
export function algorithmNotes(config: Config): string[] {
  return [...otherThanNamed(config), ...criticWithoutUse(config)];
}

/**
 * A name over a preset or a file that spells out the choices of another one: those stay, and may leave little of the name but itself. Told
 * are differences in what sets the name apart from GRPO, and in what it estimates and minimises.
 */
function otherThanNamed(config: Config): string[] {
  const { name } = config.algorithm;
  const [own, standard, overrides] = [choicesOf(name), choicesOf("grpo"), overridesOf(config)];
  const keys = (Object.keys(own) as (keyof Choices)[]).filter(
    (key) => own[key] !== standard[key] || key === "advantage" || key === "loss",
  );
  const different = keys.filter((key) => overrides[key] !== undefined && overrides[key] !== own[key]);
  if (different.length === 0) return [];
  const nameOf = (key: keyof Choices): string => (key === "clipLow" ? "clip" : key);
  const list = (values: Partial<Choices>): string =>
    different.map((key) => `${nameOf(key)}=${String(values[key])}`).join(" ");
  const [first] = different;
  const isFaithful = first === "aggregation" && config.faithful.microBatchMean > 0;
  const back = isFaithful ? "faithful.microBatchMean=0" : `algorithm.${nameOf(first)}=auto`;
  return [
    `algorithm.name=${name} stands for ${list(own)}, but this run has ${list(overrides)}. ` +
      `Where that comes from a preset, a file or --faithful and is not meant, take the name's own: --set ${different.length > 1 ? `${back}, and so on` : back}.`,
  ];
}

function criticWithoutUse(config: Config): string[] {
  const { name, advantage } = config.algorithm;
  if ((advantage === "auto" ? choicesOf(name).advantage : advantage) === "gae") return [];
  const { critic } = parseConfig({});
  const set = (Object.keys(critic) as (keyof typeof critic)[]).filter((key) => config.critic[key] !== critic[key]);
  if (set.length === 0) return [];
  const keys = set.map((key) => `critic.${key}`).join(", ");
  return [`${keys} will not be used: ${name} has no critic. algorithm.name=ppo has one.`];
}
