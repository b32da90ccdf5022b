/** @file Where transcripts come from: JSONL files, trajectories that runs recorded, the built-in world, the answers of questions. */
import { existsSync } from "node:fs";
import { readdir, stat } from "node:fs/promises";
import path from "node:path";
import { atlasTranscripts } from "../../data/atlas-transcripts.js";
import { balancedSample } from "../../data/atlas/questions.js";
import { parseTranscript, requireRollout, transcriptOf, type Transcript } from "../../data/transcripts.js";
import { UserError } from "../../errors.js";
import { defaultBm25 } from "../../search/bm25/settings.js";
import type { Protocol } from "../../prompts/protocol.js";
import { traceFromLine, type TraceRecord } from "../../rollout/trace.js";
import { parseRecord, readLines } from "../../files/lines.js";
import { Random } from "../../random.js";
import type { Config } from "../config/config.js";
import { loadSplits } from "../questions.js";
import { methodSettings } from "../../rollout/methods/named.js";

export interface LoadedTranscripts {
  transcripts: Transcript[];
  /** Recorded trajectories that were not taken: too little reward, no answer, or a turn that is neither search nor answer. */
  notTaken: number;
}

/**
 * The transcripts of a configuration.
 * @throws UserError naming file, line and field of what cannot be used, and when there is nothing to learn from
 */
export async function loadTranscripts(config: Config): Promise<LoadedTranscripts> {
  const { sft, data, search, rollout } = config;
  if (sft.transcripts === "") {
    throw new UserError(
      "There is nothing to learn from. Name a JSONL file with --transcripts FILE, or say --transcripts atlas or --transcripts answers.",
    );
  }
  const { protocol, maxSearches } = methodSettings(rollout);
  if (sft.transcripts === "atlas") {
    const transcripts = await atlasTranscripts({
      count: sft.count,
      seed: config.train.seed,
      worldSeed: data.worldSeed,
      maxHops: Math.min(data.maxHops, Math.max(1, maxSearches)),
      topK: search.topK,
      k1: search.k1 === "auto" ? defaultBm25.k1 : search.k1,
      b: search.b === "auto" ? defaultBm25.b : search.b,
      protocol,
    });
    return { transcripts, notTaken: 0 };
  }
  if (sft.transcripts === "answers") return { transcripts: await answersOf(config, protocol), notTaken: 0 };
  const loaded: LoadedTranscripts = { transcripts: [], notTaken: 0 };
  for (const file of await filesOf(sft.transcripts)) await readFile(file, protocol, sft.minReward, loaded);
  if (loaded.transcripts.length > 0) return loaded;
  const advice =
    loaded.notTaken > 0
      ? `None of its ${loaded.notTaken} trajectories ended with an answer and a reward of at least ${sft.minReward}. Lower --min-reward, or record more.`
      : "It is empty.";
  throw new UserError(`${sft.transcripts} holds no transcript to learn from. ${advice}`);
}

/**
 * The training questions, each with the first of its answers and nothing before it: the papers' baseline SFT.
 * @throws UserError when there are no questions, and for an answer that a rollout would read otherwise
 */
async function answersOf(config: Config, protocol: Protocol): Promise<Transcript[]> {
  const { data, sft, train } = config;
  const [open, close] = protocol.answer;
  const { questions } = await loadSplits(config);
  const chosen = data.questions === "atlas" ? balancedSample(questions, sft.count, train.seed) : questions;
  return chosen
    .filter(({ answers }) => answers.length > 0)
    .map(({ id, question, answers }) => {
      const text = `${open} ${answers[0]} ${close}`;
      const transcript: Transcript = {
        ...{ id, question, answers, place: `${data.questions}: question ${id}` },
        turns: [{ role: "policy", text }],
      };
      requireRollout(transcript, protocol);
      return transcript;
    });
}

/** The file, or the JSONL files of the folder in the order of their names. */
async function filesOf(source: string): Promise<string[]> {
  if (!existsSync(source)) {
    throw new UserError(
      `${source} does not exist. Name a JSONL file of transcripts, a folder of them (a run's trajectories/), or say atlas or answers.`,
    );
  }
  if (!(await stat(source)).isDirectory()) return [source];
  const names = (await readdir(source)).filter((name) => /\.jsonl(\.gz)?$/.test(name)).sort();
  if (names.length > 0) return names.map((name) => path.join(source, name));
  throw new UserError(`${source} holds no .jsonl file. Name a file of transcripts, or a run's trajectories/ folder.`);
}

async function readFile(file: string, protocol: Protocol, minReward: number, into: LoadedTranscripts): Promise<void> {
  for await (const lines of readLines(file)) {
    for (const { text, number } of lines) {
      const place = `${file}:${number}`;
      const record = parseRecord(place, text, "Each line holds one transcript or one recorded trajectory.");
      const transcript =
        "trajectory" in record
          ? fromTrace(place, traceFromLine(text, place), protocol, minReward)
          : parseTranscript(place, record, protocol);
      if (transcript === null) into.notTaken++;
      else into.transcripts.push(transcript);
    }
  }
}

/** A recorded trajectory as a transcript; null when it is not fit to learn from. Without a recorded reward it counts as good enough. */
function fromTrace(place: string, record: TraceRecord, protocol: Protocol, minReward: number): Transcript | null {
  const { trajectory, question, reward = Infinity } = record;
  if (question === undefined) {
    throw new UserError(
      `${place}: field "question" is missing, so the prompt cannot be written. Record the run again.`,
    );
  }
  return reward < minReward ? null : transcriptOf(question, trajectory, { place, protocol });
}

/** Sets transcripts aside by question, so that no question is on both sides: at most `size`, at most a fifth. */
export function setAside(
  transcripts: readonly Transcript[],
  size: number,
  seed: number,
): { training: Transcript[]; validation: Transcript[] } {
  const most = Math.min(size, Math.floor(transcripts.length / 5));
  const validation = new Set<Transcript>();
  const byQuestion = new Map<string, Transcript[]>();
  for (const transcript of transcripts) {
    byQuestion.set(transcript.question, [...(byQuestion.get(transcript.question) ?? []), transcript]);
  }
  for (const question of new Random(seed, "set-aside").shuffle([...byQuestion.keys()])) {
    const group = byQuestion.get(question) ?? [];
    if (validation.size + group.length <= most) group.forEach((transcript) => validation.add(transcript));
  }
  return {
    training: transcripts.filter((transcript) => !validation.has(transcript)),
    validation: transcripts.filter((transcript) => validation.has(transcript)),
  };
}
