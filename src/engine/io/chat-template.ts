/**
 * @file Chat templates: the Jinja programs by which an instruct model was taught to see a conversation, rendered as Hugging Face
 * transformers renders them (`apply_chat_template(messages, tools=…, add_generation_prompt=…)` without documents).
 *
 * One departure: `strftime_now` tells the time at which the template was made, not that of each rendering, and always in English: a run
 * does not change its prompt at midnight or with the machine's language.
 */
import { nearest, UserError } from "../../errors.js";
import { Lru } from "../../lru.js";
import type { ChatTemplate, ConversationMessage } from "../../types.js";
import { OutOfTime } from "./time-limit.js";
import { defaultBudget, OverBudget, readJinja, runJinja, type JinjaProgram, type TemplateBudget } from "./jinja.js";
import { callFormOf, messageAsData, plainForm, type CallForm } from "./template-messages.js";
import type { TokenizerFiles } from "./tokenizer-files.js";

/** The special tokens that a template may name; a template can tell one that is undefined from an empty one. */
const tokenNames = ["bos_token", "eos_token", "pad_token", "unk_token"] as const;
type SpecialTokens = Partial<Record<(typeof tokenNames)[number], string>>;

interface ChatTemplateOptions {
  /** Where the template stands, for error messages. Default: "The chat template". */
  name?: string;
  /** What `strftime_now` tells. Default: now. */
  now?: Date;
  /** What a rendering may take, where it is not the default. */
  budget?: Partial<TemplateBudget>;
}

/** Renderings kept, of conversations that no assistant has had a part in: the attempts at a question begin alike. */
const cacheSize = 1000;

/**
 * A template from its Jinja source. The source is read at the first rendering, so that a model whose template has an error can still be
 * used without it.
 */
export function createChatTemplate(
  source: string,
  specials: SpecialTokens,
  { name = "The chat template", now = new Date(), budget }: ChatTemplateOptions = {},
): ChatTemplate {
  const limits = { ...defaultBudget, ...budget };
  let program: JinjaProgram | undefined;
  let ended: UserError | undefined;
  let callForm: CallForm | undefined;
  const cache = new Lru<string, string>(cacheSize);
  return {
    source,
    render(messages, { addGenerationPrompt, variables = {}, tools }) {
      // What cannot be read, or once spent more than its budget, is not tried again: the thread waits for it.
      if (ended !== undefined) throw ended;
      const key = JSON.stringify([messages, addGenerationPrompt, variables, tools]);
      const known = cache.get(key);
      if (known !== undefined) return known;
      try {
        program ??= readProgram(source, name, limits);
      } catch (error) {
        ended = error as UserError;
        throw error;
      }
      requireRead(variables, program, name);
      try {
        const read = program;
        const run = (data: readonly object[]): string => {
          const known = { ...templateGlobals(now), ...specials, ...variables };
          // Templates tell "no tools" from "not defined".
          const given = { messages: data, add_generation_prompt: addGenerationPrompt, tools: null, documents: null };
          if (tools === undefined || tools.length === 0) return runJinja(read, { ...known, ...given }, limits);
          return runJinja(read, { ...known, ...given, tools }, limits);
        };
        const calls = messages.some((message) => message.role === "assistant" && message.toolCalls?.length);
        if (calls) callForm ??= callFormOf(run);
        const text = run(messages.map((message) => messageAsData(message, callForm ?? plainForm)));
        if (!messages.some(({ role }) => role === "assistant")) cache.set(key, text);
        return text;
      } catch (error) {
        const refused = refusal(name, messages, error);
        if (error instanceof OutOfTime || error instanceof OverBudget) ended = refused;
        throw refused;
      }
    },
  };
}

/** A variable that a template never reads is a slip: the prompt would be the same without it. */
function requireRead(variables: object, { names }: JinjaProgram, template: string): void {
  for (const name of Object.keys(variables)) {
    if (names.has(name)) continue;
    const near = nearest(name, [...names]);
    throw new UserError(
      `rollout.templateVariables sets ${name}, which ${template[0].toLowerCase()}${template.slice(1)} never reads. ` +
        `${near === undefined ? "" : `Did you mean ${near}? `}Look for its switches in the template, or leave the setting out.`,
    );
  }
}

/**
 * The template of a tokenizer's files, with its special tokens; undefined where there is none. Of several templates in
 * `tokenizer_config.json` it is the one named "default".
 * @param location folder or file of the model, for error messages
 */
export function chatTemplateOf(
  files: Pick<TokenizerFiles, "settings" | "chatTemplate">,
  location: string,
  options: Omit<ChatTemplateOptions, "name"> = {},
): ChatTemplate | undefined {
  const { settings } = files;
  const source = files.chatTemplate ?? defaultTemplate(settings.chat_template);
  if (source === undefined) return undefined;
  const specials: SpecialTokens = {};
  for (const name of tokenNames) {
    const token = tokenText(settings[name]);
    if (token !== undefined) specials[name] = token;
  }
  return createChatTemplate(source, specials, { ...options, name: `The chat template of ${location}` });
}

/** The template in `tokenizer_config.json`: text, or a list of `{ name, template }`. */
export function defaultTemplate(value: unknown): string | undefined {
  if (typeof value === "string") return value;
  if (!Array.isArray(value)) return undefined;
  const named = value as { name?: unknown; template?: unknown }[];
  const chosen = named.find(({ name }) => name === "default") ?? (named.length === 1 ? named[0] : undefined);
  return typeof chosen?.template === "string" ? chosen.template : undefined;
}

/** A token as a tokenizer's files give it: `"</s>"` or `{"content": "</s>"}`. */
export function tokenText(token: unknown): string | undefined {
  if (typeof token === "string") return token;
  const content = (token as { content?: unknown } | null | undefined)?.content;
  return typeof content === "string" ? content : undefined;
}

function readProgram(source: string, name: string, budget: TemplateBudget): JinjaProgram {
  try {
    return readJinja(source, budget);
  } catch (error) {
    throw new UserError(
      `${name} is not a Jinja template that can be read: ${(error as Error).message}. Copy it again from the model's source, or set rollout.chat=never to give the model the bare prompt.`,
      { cause: error },
    );
  }
}

function refusal(name: string, messages: readonly ConversationMessage[], cause: unknown): UserError {
  const roles = messages.map(({ role }) => role).join(", ");
  const which = `${messages.length} ${messages.length === 1 ? "message" : "messages"} (${roles})`;
  return new UserError(
    `${name} cannot render a conversation of ${which}: ${(cause as Error).message}. Set rollout.chat=never to give the model the bare prompt, or mend the template.`,
    { cause },
  );
}

/** Longer lists of numbers are refused before they are made. */
const longestRange = 100_000;

/** What a template finds besides its variables; the same names as in transformers. */
export function templateGlobals(now: Date): Record<string, unknown> {
  return {
    true: true,
    false: false,
    none: null,
    True: true,
    False: false,
    None: null,
    raise_exception: (message: unknown) => {
      throw new Error(String(message));
    },
    strftime_now: (format: unknown) => strftime(now, String(format)),
    range: (first: number, second?: number, step = 1) => {
      const [start, stop] = second === undefined ? [0, first] : [first, second];
      const length = Math.max(0, Math.ceil((stop - start) / step));
      if (!(length <= longestRange)) throw new Error(`range(${start}, ${stop}, ${step}) is too long`);
      return Array.from({ length }, (_, index) => start + index * step);
    },
  };
}

const months = "January February March April May June July August September October November December".split(" ");
const days = "Sunday Monday Tuesday Wednesday Thursday Friday Saturday".split(" ");

/** Python's `strftime` in English, as far as templates use it; other directives stay as they are. */
function strftime(date: Date, format: string): string {
  const two = (value: number): string => String(value).padStart(2, "0");
  const hour12 = date.getHours() % 12 || 12;
  const firstOfYear = Date.UTC(date.getFullYear(), 0, 1);
  const dayOfYear = (Date.UTC(date.getFullYear(), date.getMonth(), date.getDate()) - firstOfYear) / 86_400_000 + 1;
  const values: Readonly<Record<string, string>> = {
    Y: String(date.getFullYear()),
    y: two(date.getFullYear() % 100),
    m: two(date.getMonth() + 1),
    d: two(date.getDate()),
    j: String(dayOfYear).padStart(3, "0"),
    B: months[date.getMonth()],
    b: months[date.getMonth()].slice(0, 3),
    A: days[date.getDay()],
    a: days[date.getDay()].slice(0, 3),
    H: two(date.getHours()),
    I: two(hour12),
    M: two(date.getMinutes()),
    S: two(date.getSeconds()),
    p: date.getHours() < 12 ? "AM" : "PM",
    "%": "%",
  };
  return format.replace(/%(-?)([a-zA-Z%])/g, (whole, short: string, directive: string) => {
    const value = values[directive];
    return value === undefined ? whole : short === "" ? value : value.replace(/^0+(?=.)/, "");
  });
}
