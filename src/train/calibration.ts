/** @file What the 8-bit weights of a run are fitted to: its own prompts with what a first search brings; or those of the checkpoint that it goes on from. */
import { isAdapterFolder } from "../engine/io/adapter-folder.js";
import { usualTexts } from "../engine/int8/usual-texts.js";
import type { Task } from "../eval/run-evaluation.js";
import type { LocalOptions } from "../policy/local/local.js";
import { mayCalibrate } from "../policy/local/precision.js";
import { scriptedPolicy } from "../policy/scripted.js";
import { Random } from "../random.js";
import type { Question, Trajectory } from "../types.js";
import type { ModelFacts } from "./budgets.js";
import { findCheckpoint } from "./checkpoint.js";
import type { Config } from "./config/config.js";
import { locateModel } from "./model-folder.js";
import type { GivenParts } from "./parts.js";
import { methodSettings } from "../rollout/methods/named.js";
import { isServed } from "./served-model.js";

/** Texts, tokens of each, and tokens of all from which on no more are taken: a thousand take SmolLM2 three seconds. */
const most = { texts: 8, tokens: 256, all: 1024 };
/** Where they have fewer tokens in all, the usual texts are added. */
const fewest = 700;

export type Fitting = Pick<LocalOptions, "calibration" | "continues">;

/**
 * What a local policy is to be told of the texts that it will read. Nothing where it is given, and where no weights can be 8-bit numbers.
 * @param texts asked for only where they are needed
 * @param runFolder of a run that may have checkpoints
 * @throws UserError when the model cannot be had, or every checkpoint is damaged
 */
export async function fittingOf(
  config: Config,
  given: Pick<GivenParts, "policy">,
  texts: () => Promise<number[][] | undefined>,
  runFolder?: string,
): Promise<Fitting> {
  if (given.policy !== undefined || isServed(config)) return {};
  const located = await locateModel(config.model.folder);
  const { precision } = config.run;
  if (runFolder !== undefined && (precision === "int8" || isAdapterFolder(located.model))) {
    const checkpoint = await findCheckpoint(runFolder, () => undefined);
    if (checkpoint !== null) return { continues: checkpoint.policyFolder };
  }
  const isWanted = await mayCalibrate({ ...located, adapt: config.model.adapt, precision });
  return isWanted ? { calibration: await texts() } : {};
}

interface Asking {
  config: Config;
  given: Pick<GivenParts, "search" | "environment">;
  task: Pick<Task, "environment">;
  questions: readonly Question[];
  model: ModelFacts;
}

/**
 * Prompts of some questions as the task lays them out, with the search and the passages that follow where searching costs nothing and finds the same
 * whenever the run is started; undefined where an environment of the caller's lays them out.
 */
export async function questionTexts({
  config,
  given,
  task,
  questions,
  model,
}: Asking): Promise<number[][] | undefined> {
  if (given.environment !== undefined || questions.length === 0) return undefined;
  const { tokenizer, contextLength } = model;
  const { protocol, maxSearches } = methodSettings(config.rollout);
  const { engine, rerank, maxRequests, cache } = config.search;
  const isFree = given.search === undefined && engine === "bm25" && rerank === "" && maxRequests === 0 && cache === "";
  const searches = isFree && protocol.searches && maxSearches > 0;
  const chosen = new Random(config.train.seed, "calibration").shuffle(questions).slice(0, most.texts);
  const texts: number[][] = [];
  for (const question of chosen) {
    const [answer = ""] = question.answers;
    const answered = `${protocol.answer[0]} ${answer} ${protocol.answer[1]}`;
    // Short enough for any turn.
    const query = question.question.split(/\s+/).slice(0, 8).join(" ");
    const searched = `${protocol.search[0]} ${query} ${protocol.search[1]}`;
    const script = (_: string, turn: number): string => (searches && turn === 0 ? searched : answered);
    const policy = scriptedPolicy({ tokenizer, contextLength, script });
    texts.push(tokensOf(await task.environment(question, { policy, temperature: 0, seed: 0 })));
  }
  return calibrationOf(texts, model);
}

/** The same of attempts that are there already. */
export function trajectoryTexts(trajectories: readonly Trajectory[], model: ModelFacts): number[][] {
  return calibrationOf(trajectories.slice(0, most.texts).map(tokensOf), model);
}

function tokensOf({ segments }: Trajectory): number[] {
  return segments.flatMap(({ tokens_T }) => tokens_T);
}

function calibrationOf(texts: readonly number[][], { tokenizer }: ModelFacts): number[][] {
  const own: number[][] = [];
  let count = 0;
  for (const tokens_T of texts) {
    if (count >= most.all) break;
    own.push(tokens_T.slice(0, most.tokens));
    count += own[own.length - 1].length;
  }
  return count < fewest ? [...own, ...usualTexts(tokenizer)] : own;
}
