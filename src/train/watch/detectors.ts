/**
 * @file The signs of a collapse. Each detector is a pure function of a run's last metric lines: what is now against what the run itself has
 * held before, with a floor for what is too little to matter. Thresholds, with the runs that they come from: docs/collapse.md.
 *
 * What a healthy run does as it converges (entropy falls, groups agree, gradients grow noisier, searches settle) is no sign by itself: those
 * detectors ask whether right answers are lost.
 */
import type { MetricLine, MetricName } from "../metrics.js";
import { median, recentSteps, seriesOf, type Series } from "./series.js";

/** `note`: worth knowing, no collapse; `warn`: acted on when it stays; `alarm`: acted on at once. */
type Severity = "note" | "warn" | "alarm";

export type Signal =
  | "divergence"
  | "right answers"
  | "likelihood"
  | "entropy"
  | "certainty"
  | "gradient"
  | "format"
  | "thoughts"
  | "repetition"
  | "searches"
  | "drift"
  | "no signal";

export interface Finding {
  signal: Signal;
  severity: Severity;
  /** What is wrong, with the numbers. */
  cause: string;
  /** The first step of those that show it. */
  sinceStep: number;
}

type Detector = (lines: readonly MetricLine[]) => Omit<Finding, "sinceStep"> | null;

const percent = (value: number): string => `${(100 * value).toFixed(0)} %`;
const nats = (value: number): string => `${value.toPrecision(2)} nats`;
const count = (value: number): string => value.toFixed(1);

/** warn from `warn` on, alarm from `alarm` on; null below. */
function graded(size: number, warn: number, alarm: number): "warn" | "alarm" | null {
  if (size >= alarm) return "alarm";
  return size >= warn ? "warn" : null;
}

/** How far training exact match is below the best level that was held; 0 within what questions differ by, or with nothing to compare. */
function lostAnswers(lines: readonly MetricLine[]): number {
  const em = seriesOf(lines, "em/train");
  const lost = em === null ? 0 : em.highest - em.now;
  return em !== null && lost > 2 * em.noise ? lost : 0;
}

/** Loss or gradient was no number: the step was not learned from. */
const divergence: Detector = (lines) =>
  lines.at(-1)?.["watch/diverged"] === 1
    ? { signal: "divergence", severity: "alarm", cause: "the loss or the gradient was no longer a number" }
    : null;

/** Right answers of the training attempts fall. By more than chance: questions differ from step to step. */
const rightAnswers: Detector = (lines) => {
  const em = seriesOf(lines, "em/train");
  if (em === null) return null;
  const severity = graded(em.highest - em.now, Math.max(0.1, 3 * em.noise), Math.max(0.2, 4 * em.noise));
  if (severity === null) return null;
  const reward = seriesOf(lines, "reward/mean");
  const hacked = reward !== null && reward.now >= reward.highest - reward.noise;
  const cause =
    `right answers in training fell from ${percent(em.highest)} to ${percent(em.now)}` +
    (hacked ? `, while the reward stayed at ${reward.now.toFixed(2)}: it pays for something else` : "");
  return { signal: "right answers", severity, cause };
};

/** Right answers on validation questions fall: the same questions every time, so that intervals that do not touch are enough. */
const validation: Detector = (lines) => {
  const scored = lines.flatMap((line) => {
    const [greedy, high] = [line["em/validation"], line["em/validation/high"]];
    if (greedy === undefined || high === undefined) return [];
    const sampled = line["em/validation/sampled"] ?? greedy;
    const sampledHigh = line["em/validation/sampled/high"] ?? high;
    return [{ step: line.step, value: (greedy + sampled) / 2, high: (high + sampledHigh) / 2 }];
  });
  const last = scored.at(-1);
  if (last === undefined || last.step !== lines.at(-1)?.step) return null;
  const best = Math.max(...scored.map(({ value }) => value));
  if (last.high >= best) return null;
  const severity = graded(best - last.value, 0.03, 0.06);
  const cause = `right answers on validation questions fell from ${percent(best)} to ${percent(last.value)}`;
  return severity && { signal: "right answers", severity, cause };
};

/**
 * Lazy likelihood displacement (arXiv:2512.04220): right trajectories themselves become less likely, and gradients grow as 1/p does. Either
 * alone happens in healthy runs (harder questions are answered; few groups are left to learn from).
 */
const likelihood: Detector = (lines) => {
  const series = unlikeliness(lines);
  const gradient = gradientSeries(lines);
  if (series === null || gradient === null) return null;
  const [best, now] = [Math.exp(series.lowest), Math.exp(series.now)];
  const growth = gradient.now / gradient.usual;
  if (now - best < 0.03 || series.now - series.lowest < Math.max(Math.log(2), 3 * series.noise) || growth < 1.5)
    return null;
  const severity = now - best >= 0.1 || (now >= 2.5 * best && growth >= 2) ? "alarm" : "warn";
  const cause =
    `right answers grow unlikely while gradients grow (lazy likelihood displacement): their tokens went from ` +
    `−${nats(best)} to −${nats(now)} each, the gradient norm to ${count(growth)} times the usual`;
  return { signal: "likelihood", severity, cause };
};

/** Entropy rises again after it had fallen: the policy forgets what it knew. */
const entropy: Detector = (lines) => {
  const surprise = seriesOf(lines, "policy/surprise");
  if (surprise === null) return null;
  const { now, lowest } = surprise;
  if (now < 2.5 * lowest || lostAnswers(lines) < 0.03) return null;
  const severity = graded(now - lowest, 0.06, 0.3);
  const cause = `entropy explodes: the policy's tokens surprise by ${nats(now)} each, after ${nats(lowest)}, and right answers are lost`;
  return severity && { signal: "entropy", severity, cause };
};

/** Entropy is gone, groups agree, and what they agree on is wrong: nothing is left to learn from. */
const certainty: Detector = (lines) => {
  const [surprise, agreeing, em] = [
    recentLevel(lines, "policy/surprise"),
    recentLevel(lines, "groups/zeroVariance"),
    recentLevel(lines, "em/train"),
  ];
  if (surprise === null || agreeing === null || em === null) return null;
  if (surprise > 0.05 || agreeing < 0.8 || em > 0.5) return null;
  const lost = lostAnswers(lines) >= 0.2 || em < 0.05;
  const cause = `the policy is certain of wrong answers: ${nats(surprise)} per token, ${percent(agreeing)} of the groups agree, ${percent(em)} are right`;
  return { signal: "certainty", severity: lost ? "alarm" : "warn", cause };
};

/** Gradients explode. */
const gradient: Detector = (lines) => {
  const series = gradientSeries(lines);
  if (series === null) return null;
  const growth = series.now / series.usual;
  const severity = graded(growth, 8, 30);
  const cause = `gradients explode: their norm is ${series.now.toPrecision(2)}, ${count(growth)} times the usual`;
  return severity && { signal: "gradient", severity, cause };
};

/**
 * The protocol is broken: tags that are missing, in the wrong order or never closed. A reward for answers alone may let form go while everything
 * else improves (experiments with warm-started models do), so that alone is but noted.
 */
const format: Detector = (lines) => {
  const form = seriesOf(lines, "format/wellFormed");
  const severity = form && gradedFall(form, 0.15, 0.25);
  const cause = `the format breaks: ${percent(form?.now ?? 0)} of the attempts keep to the protocol, after ${percent(form?.highest ?? 0)}`;
  return severity && { signal: "format", severity: isUnsettled(lines) ? severity : "note", cause };
};

/** Whether the policy shows more than a loss of form: answers are lost, or what it writes grows unlikely to itself. */
function isUnsettled(lines: readonly MetricLine[]): boolean {
  const [right, surprise] = [unlikeliness(lines), seriesOf(lines, "policy/surprise")];
  const isUnlikely = right !== null && right.now - right.lowest > Math.max(Math.log(1.8), 2 * right.noise);
  const isSurprised = surprise !== null && surprise.now > 1.5 * surprise.lowest + Math.max(0.02, 2 * surprise.noise);
  return lostAnswers(lines) > 0 || isUnlikely || isSurprised;
}

/** Thoughts disappear while the protocol is kept. Not every task needs them: this never acts on its own. */
const thoughts: Detector = (lines) => {
  const withThoughts = seriesOf(lines, "format/withThoughts");
  const form = seriesOf(lines, "format/wellFormed");
  if (withThoughts === null || form === null) return null;
  if (gradedFall(withThoughts, 0.25, 0.25) === null || form.now - withThoughts.now < 0.25) return null;
  const cause = `thoughts disappear: ${percent(withThoughts.now)} of the attempts think in every turn, after ${percent(withThoughts.highest)}`;
  return { signal: "thoughts", severity: "note", cause };
};

/** The policy goes round in circles. */
const repetition: Detector = (lines) => {
  const repeated = seriesOf(lines, "tokens/repeated");
  if (repeated === null) return null;
  const severity = graded(repeated.now - repeated.usual, 0.12 + 2 * repeated.noise, 0.25 + 2 * repeated.noise);
  const cause = `the policy repeats itself: ${percent(repeated.now)} of its tokens, after ${percent(repeated.usual)}`;
  return severity && { signal: "repetition", severity, cause };
};

/** Searches disappear or multiply while right answers are lost. Fewer or more of them with the same answers are the policy's business. */
const searches: Detector = (lines) => {
  const series = seriesOf(lines, "searches/perQuestion");
  if (series === null) return null;
  const lost = lostAnswers(lines);
  const { now, highest, usual, noise } = series;
  if (lost < 0.1 || Math.abs(now - usual) < 3 * noise) return null;
  const severity = lost >= 0.2 ? "alarm" : "warn";
  const saying = (what: string, before: number): string =>
    `the policy ${what}: ${now.toFixed(2)} per question, after ${before.toFixed(2)}, and right answers are lost`;
  if (highest >= 0.5 && now < 0.5 * highest)
    return { signal: "searches", severity, cause: saying("stops searching", highest) };
  if (now > 1.5 * usual && now - usual > 0.5)
    return { signal: "searches", severity, cause: saying("searches without end", usual) };
  return null;
};

/** The policy runs away: from its start, or within one batch from the policy that sampled. */
const drift: Detector = (lines) => {
  const inBatch = seriesOf(lines, "kl/sampler");
  if (inBatch !== null && inBatch.now >= 0.1 && inBatch.now >= 5 * inBatch.highest) {
    const severity = inBatch.now >= 0.3 && lostAnswers(lines) >= 0.1 ? "alarm" : "warn";
    const cause = `updates of one batch lead the policy away from what was sampled: KL ${nats(inBatch.now)} per token, after at most ${nats(inBatch.highest)}`;
    return { signal: "drift", severity, cause };
  }
  const fromStart = seriesOf(lines, "kl");
  if (fromStart === null || fromStart.now - fromStart.highest < 0.5 || fromStart.now < 5 * fromStart.highest)
    return null;
  const cause = `the policy runs away from its start: KL ${nats(fromStart.now)} per token, after at most ${nats(fromStart.highest)}`;
  return { signal: "drift", severity: fromStart.now >= 20 * fromStart.highest ? "alarm" : "warn", cause };
};

/** Groups agree for want of any right answer: not a collapse, but nothing is learned. */
const noSignal: Detector = (lines) => {
  const recent = lines.slice(-10);
  if (recent.length < 10) return null;
  const agreeing = recent.map((line) => line["groups/zeroVariance"] ?? 0);
  const em = recent.map((line) => line["em/train"] ?? 1);
  if (median(agreeing) < 0.95 || Math.max(...em) >= 0.05) return null;
  const cause = `hardly any group has different rewards (${percent(median(agreeing))} agree, and hardly any answer is right): there is nothing to learn from. ${whyNothing(recent)}`;
  return { signal: "no signal", severity: "note", cause };
};

/** The likely reason why no answer is right, and what to do about it: the first of these that most attempts of the steps show. */
function whyNothing(lines: readonly MetricLine[]): string {
  const level = (metric: MetricName): number => median(lines.map((line) => line[metric] ?? 0));
  if (level("searches/failed") >= 0.5) return "Searches fail: see to the search engine";
  if (level("turns/cut") >= 0.2)
    return "Turns are cut before they hold a search or an answer: raise rollout.maxTokensPerTurn";
  if (level("finish/out-of-tokens") >= 0.5) return "Attempts are full before they end: raise rollout.maxTokens";
  if (level("passages/omittedShare") >= 0.2)
    return "Passages do not fit and are never read: raise rollout.maxObservationTokens";
  if (level("finish/malformed") >= 0.5)
    return "The model writes neither searches nor answers as the prompt asks: a warm-up (sleuth sft) teaches it";
  if (level("finish/out-of-turns") >= 0.5)
    return "The model searches until it may not any more, or writes what is neither search nor answer: a warm-up (sleuth sft) teaches it to answer, a higher rollout.maxSearches gives it time";
  return "The model answers, and wrongly: give easier questions, larger groups (algorithm.groupSize), partial rewards (reward.weights.f1) or a warm-up (sleuth sft), and see that the answers stand in the passages (sleuth search)";
}

/** A fall of a share below the best level held; noise asks for more. */
function gradedFall({ highest, now, noise }: Series, warn: number, alarm: number): "warn" | "alarm" | null {
  return graded(highest - now, Math.max(warn, 3 * noise), Math.max(alarm, 4 * noise));
}

/** The median of the last steps, where they all have the metric: for thresholds that need no past. */
function recentLevel(lines: readonly MetricLine[], metric: MetricName): number | null {
  const values = lines.slice(-recentSteps).flatMap((line) => line[metric] ?? []);
  return values.length < recentSteps ? null : median(values);
}

/** A norm of 0 says that there was nothing to learn. */
function gradientSeries(lines: readonly MetricLine[]): Series | null {
  return seriesOf(lines, "gradNorm", (value) => value > 0);
}

const detectors: readonly Detector[] = [
  divergence,
  rightAnswers,
  validation,
  likelihood,
  entropy,
  certainty,
  gradient,
  format,
  thoughts,
  repetition,
  searches,
  drift,
  noSignal,
];

/** Whether there is anything to lose: a run that has not found right answers yet wanders, and a roll-back to its start would not help. */
export function hasLearned(lines: readonly MetricLine[]): boolean {
  const em = seriesOf(lines, "em/train");
  const scores = lines.map((line) => Math.max(line["em/validation"] ?? 0, line["em/validation/sampled"] ?? 0));
  return em === null || em.highest >= 0.1 || Math.max(0, ...scores) >= 0.1;
}

/** log(nats per token) of right attempts. Of a handful of them the mean says little; and nats vary by factors, not by differences. */
function unlikeliness(lines: readonly MetricLine[]): Series | null {
  const values = lines.map(({ step, "em/train": em = 0, "policy/correctLogprob": logprob }): MetricLine =>
    em < 0.1 || logprob === undefined ? { step } : { step, "policy/correctLogprob": Math.log(1e-3 - logprob) },
  );
  return seriesOf(values, "policy/correctLogprob");
}

/** Everything that the detectors find in the lines, the newest last. */
export function detect(lines: readonly MetricLine[]): Finding[] {
  const newest = lines.at(-1)?.step ?? 0;
  const first = lines.at(-recentSteps)?.step ?? newest;
  return detectors.flatMap((detector) => {
    const found = detector(lines);
    return found === null ? [] : [{ ...found, sinceStep: found.signal === "divergence" ? newest : first }];
  });
}
