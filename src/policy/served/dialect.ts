/**
 * @file What a server understands: of the fields that servers need not know, those that it has not refused. A trial request before the first question finds
 * out, so that no question pays for it.
 */

interface OptionalField {
  name: string;
  /** Asked for with this instead, before it is left out. */
  instead?: unknown;
  /** Whether OpenAI's own interface has it: those are kept longest. */
  isStandard?: true;
  /** What is lost without it, as the end of a sentence; absent where nothing is. */
  loss?: string;
}

/** In the order in which a refusal is searched for their names. */
const optionalFields: readonly OptionalField[] = [
  // vLLM: the ids that were sampled, the stop string and special tokens in the text.
  { name: "return_token_ids" },
  { name: "return_tokens_as_token_ids" },
  { name: "include_stop_str_in_output" },
  { name: "skip_special_tokens" },
  { name: "stop_token_ids" },
  // Servers have defaults of their own for these, and a model's files may bring others: they would not be the model's own distribution.
  // "Everything" is -1 to vLLM and SGLang, 0 to some.
  { name: "top_k", instead: 0, loss: "the server may leave out unlikely tokens" },
  { name: "min_p", loss: "the server may leave out unlikely tokens" },
  { name: "repetition_penalty" },
  { name: "repeat_penalty" },
  { name: "chat_template_kwargs", loss: "rollout.templateVariables reach no template" },
  { name: "logprobs", isStandard: true },
  { name: "seed", isStandard: true, loss: "sampled attempts cannot be repeated" },
  { name: "top_p", isStandard: true, loss: "the server's own nucleus is sampled from" },
  { name: "temperature", isStandard: true, loss: "the server samples at its own temperature, and nothing is greedy" },
  { name: "stop", isStandard: true, loss: "turns are cut here, and what follows in them is computed all the same" },
];

export class Dialect {
  readonly #without = new Set<OptionalField>();
  readonly #instead = new Set<OptionalField>();
  /** Newer hosted models refuse `max_tokens`. */
  #lengthName = "max_tokens";
  /** Whether prompts may go as ids. */
  takesIds = true;

  /** The fields of a request as this server takes them. */
  fieldsOf(asked: Readonly<Record<string, unknown>>): Record<string, unknown> {
    const fields: Record<string, unknown> = {};
    for (const [name, value] of Object.entries(asked)) {
      if (value === undefined) continue;
      const optional = optionalFields.find((one) => one.name === name);
      if (optional !== undefined && this.#without.has(optional)) continue;
      const isReplaced = optional !== undefined && this.#instead.has(optional);
      fields[name === "max_tokens" ? this.#lengthName : name] = isReplaced ? optional.instead : value;
    }
    return fields;
  }

  /**
   * Leaves out what a refusal speaks of; where it names nothing, first what OpenAI's own interface lacks, then the rest.
   * @param asked what was refused, before `fieldsOf`
   * @returns whether there is something to try again without
   */
  learn(words: string, asked: Readonly<Record<string, unknown>>): boolean {
    const names = (name: string): boolean => new RegExp(`(?<!\\w)${name}(?!\\w)`).test(words);
    if (this.#lengthName === "max_tokens" && names("max_completion_tokens")) {
      this.#lengthName = "max_completion_tokens";
      return true;
    }
    const open = optionalFields.filter(
      (one) => one.name in asked && asked[one.name] !== undefined && !this.#without.has(one),
    );
    const named = open.find(({ name }) => names(name));
    if (named !== undefined) {
      if (named.instead === undefined || this.#instead.has(named)) this.#without.add(named);
      else this.#instead.add(named);
      return true;
    }
    if (this.takesIds && Array.isArray(asked.prompt) && names("prompt")) {
      this.takesIds = false;
      return true;
    }
    const extensions = open.filter(({ isStandard }) => isStandard !== true);
    for (const one of extensions.length > 0 ? extensions : open) this.#without.add(one);
    const hadIds = this.takesIds && Array.isArray(asked.prompt);
    this.takesIds &&= !hadIds;
    return open.length > 0 || hadIds;
  }

  /** What is lost with the fields that this server refuses, a clause each. */
  losses(): string[] {
    const lost = [...this.#without].flatMap(({ name, loss }) => (loss === undefined ? [] : [`${name}: ${loss}`]));
    return [...new Set(lost)];
  }
}
