/**
 * @file The programmatic API: `import { train, … } from "sleuth-rl"`. What is exported here is documented, typed and kept stable;
 * everything else is an implementation detail.
 */

// The nouns.
export type {
  ChatMessage,
  ChatTemplate,
  Datum,
  FinishReason,
  Group,
  Passage,
  Question,
  Role,
  SearchCall,
  Segment,
  TemplateVariables,
  Tokenizer,
  Trajectory,
} from "./types.js";
export { UserError } from "./errors.js";

// Train and evaluate.
export { resume, train, type TrainOptions } from "./train/train.js";
export {
  evaluate,
  evaluateOnce,
  type EvaluateOnceOptions,
  type EvaluateOnceResult,
  type EvaluateOptions,
  type EvaluateResult,
} from "./train/evaluate.js";
export { sft, type SftEvent, type SftOptions, type SftResult } from "./train/sft/sft.js";
export { defineConfig, parseConfig, type Config, type ConfigInput } from "./train/config/config.js";
export type { GivenParts } from "./train/parts.js";
export type { OnEvent, TrainEvent } from "./train/run.js";
export type { Notice, OnNotice } from "./train/notices.js";
export type { TestReports, TrainResult } from "./train/result.js";
export { readMetrics } from "./train/metrics-file.js";
export { metricCatalogue, type MetricLine, type MetricName } from "./train/metrics.js";
export { atlasDemo, searchR1Grpo, searchR1Ppo, searchR1PpoFormat } from "./recipes/search-r1/recipe.js";
export { faithful } from "./recipes/search-r1/faithful.js";
export { smollm2 } from "./recipes/search-r1/smollm2.js";

// Use what was trained.
export {
  openAgent,
  type Agent,
  type AgentEvent,
  type AgentOptions,
  type Answer,
  type AnswerTokens,
  type AskOptions,
  type Citation,
} from "./agent/agent.js";

// Search engines: implement SearchEngine, or take one of these.
export {
  SearchError,
  type Pair,
  type PairScorer,
  type PassageList,
  type SearchEngine,
  type SearchOptions,
} from "./search/engine.js";
export { openEngine } from "./search/open.js";
export type { EngineContext, EngineSettings } from "./search/settings.js";
export { engineNames, type EngineName } from "./search/registry.js";
export { Bm25Engine, type Bm25EngineOptions } from "./search/bm25/engine.js";
export { buildIndex, type BuildIndexOptions, type IndexSummary } from "./search/bm25/build.js";
export {
  addToIndex,
  deleteFromIndex,
  mergeIndex,
  type AddOptions,
  type AddSummary,
  type DeleteOptions,
  type DeleteSummary,
  type IndexState,
} from "./search/bm25/change.js";
export { IndexBusy } from "./search/index-folder.js";
export { openIndex, verifyIndex } from "./search/bm25/open.js";
export type { Bm25Settings } from "./search/bm25/settings.js";
export { loadCorpus, readCorpus } from "./search/documents/corpus.js";
export type { EncodeOptions, Encoder, EncoderSource, TextKind } from "./search/dense/encoder.js";
export { openEncoder, type OpenEncoderOptions } from "./search/dense/open-encoder.js";
export { DenseEngine } from "./search/dense/engine.js";
export type { NearestPassages } from "./search/dense/engine.js";
export { buildDenseIndex, type BuildDenseOptions, type DenseSummary } from "./search/dense/index/build.js";
export type { LeftOut } from "./search/dense/left-out.js";
export { openDenseIndex, type DenseIndex } from "./search/dense/index/open.js";
export { openVectors, type OpenVectorsOptions } from "./search/dense/vectors/open-vectors.js";
export { LancePassages, type LanceSettings } from "./search/dense/lancedb/passages.js";
export { buildLanceTable, LanceTable, type LanceBuildOptions } from "./search/dense/lancedb/build.js";
export { lanceRows } from "./search/dense/lancedb/rows.js";
export { HybridEngine, type HybridMember, type HybridSettings } from "./search/middleware/hybrid.js";
export { RerankEngine } from "./search/middleware/rerank.js";
export { openOnnxPairScorer, type OnnxPairScorerOptions } from "./search/rerank/onnx-pair-scorer.js";
export { HttpEngine, type HttpSettings } from "./search/remote/http.js";
export { loadIntoOpenSearch, type LoadSettings } from "./search/remote/opensearch-load.js";
export { RecordedEngine, type RecordedSettings } from "./search/middleware/recorded.js";
export { SingleFlightEngine } from "./search/middleware/coalesce.js";
export { serve, type RunningServer, type ServeOptions } from "./search/serving/server.js";

// Environments, prompts and rewards.
export { searchEnvironment, type Attempt, type Environment } from "./rollout/environment.js";
export { rollout, type RolloutOptions } from "./rollout/rollout.js";
export { renderTrace, traceFromLine, traceToLine, type TraceRecord } from "./rollout/trace.js";
export { atlas, protocols, r1, searchR1, searchR1Short, type Protocol } from "./prompts/protocol.js";
export type { Reward, RewardFunction, RewardMoment } from "./rewards/reward.js";
export { combineRewards, rewardsFor, stagedReward, type RewardSettings, type RewardStage } from "./rewards/combine.js";
export { exactMatch, matchesAnswer } from "./rewards/answers.js";
export { normaliseAnswer } from "./rewards/normalise.js";

// Algorithms.
export type {
  AdvantageRow,
  Advantages,
  AdvantageStats,
  Algorithm,
  AlgorithmState,
  MadeData,
  Needs,
  Objective,
  Row,
  Rows,
} from "./algorithms/algorithm.js";
export type { Choices } from "./algorithms/choices.js";
export { makeAlgorithm } from "./algorithms/make.js";
export { algorithmNames, choicesOf, type AlgorithmName } from "./algorithms/named.js";
export { isEngineLoss, type PolicyLoss } from "./algorithms/losses.js";
export { objectiveGradient, type ObjectiveGradient } from "./algorithms/objective.js";

// Policies.
export type { Policy, Sample, SampleOptions, ServerUsage } from "./contracts/policy.js";
export { createLocalPolicy, type LocalOptions } from "./policy/local/local.js";
export { createServedPolicy, type ServedOptions } from "./policy/served/served.js";
export { scriptedPolicy, type ScriptedOptions, type ScriptedPolicy } from "./policy/scripted.js";
export { byteTokenizer } from "./policy/testing.js";
export { loadTokenizer } from "./engine/io/tokenizer.js";
export { resolveModel } from "./engine/io/hub/pull.js";
export type { PullOptions, PullProgress } from "./hub/fetch.js";

// Data and tables.
export { loadQuestions } from "./data/questions.js";
export type { EnvironmentTurn, PolicyTurn, Transcript } from "./data/transcripts.js";
export { buildAtlas, type Atlas, type AtlasOptions } from "./data/atlas/atlas.js";
export { toReport, type Evaluation, type EvaluationRecord, type EvaluationReport } from "./eval/evaluation.js";
export {
  compareEvaluations,
  type CompareOptions,
  type ComparedMetric,
  type ComparedPair,
  type ComparisonOfEvaluations,
  type Flip,
  type PairedDifference,
  type Side,
} from "./eval/compare.js";
export {
  readEvaluation,
  readRecords,
  type EvaluationHead,
  type EvaluationSettings,
  type SavedEvaluation,
} from "./eval/folder.js";
export {
  evaluationMarkdown,
  evaluationTable,
  evaluationsTable,
  renderTable,
  tableFormats,
  type Table,
  type TableFormat,
} from "./eval/table.js";
export type { Estimate } from "./eval/intervals.js";
