import { expect, it } from "vitest";
import type { LossSpec } from "../contracts/policy.js";
import type { Datum } from "../types.js";
import { customLossStep } from "./custom-loss.js";

it("sends minus the gradient as cross-entropy weights, at the policy's own log-probabilities", async () => {
  const data: Datum[] = [
    { tokens_T: [1, 2, 3], sampledMask_T: Uint8Array.of(0, 1, 1), logprobs_T: Float32Array.of(0, -1, -1) },
    { tokens_T: [4, 5], sampledMask_T: Uint8Array.of(0, 1) },
  ];
  const sent: { data: readonly Datum[]; loss: LossSpec }[] = [];
  const policy = {
    logprobs: (sequences: readonly (readonly number[])[]) =>
      Promise.resolve(sequences.map((tokens) => Float32Array.from(tokens, (token) => -token))),
    forwardBackward: (data_D: readonly Datum[], loss: LossSpec) => {
      sent.push({ data: data_D, loss });
      return Promise.resolve({ loss: 0, logprobs_D_T: [] });
    },
  };
  const result = await customLossStep(policy, data, (_data, logprobs_D_T) => ({
    loss: 7,
    gradLogprobs_D_T: logprobs_D_T.map((row) => row.map((logprob) => 2 * logprob)),
    extra: "passed on",
  }));
  expect(result).toMatchObject({ loss: 7, extra: "passed on" });
  expect(result.logprobs_D_T.map((row) => [...row])).toEqual([[-1, -2, -3], [-4, -5]]); // prettier-ignore
  expect(sent[0].loss).toEqual({ kind: "cross_entropy" });
  expect(sent[0].data.map(({ weights_T }) => [...(weights_T ?? [])])).toEqual([[2, 4, 6], [8, 10]]); // prettier-ignore
  expect(sent[0].data.map(({ sampledMask_T }) => sampledMask_T)).toEqual(data.map((datum) => datum.sampledMask_T));
  await expect(customLossStep(policy, data, () => ({ loss: 0, gradLogprobs_D_T: [] }))).rejects.toThrow(/internal/);
});

it("subtracts the entropy bonus from the loss, as engines do", async () => {
  const [tokens_T, sampledMask_T, entropyWeights_T] = [
    [1, 2, 3],
    Uint8Array.of(0, 1, 1),
    Float32Array.of(0, 0.5, 0.25),
  ];
  const policy = {
    logprobs: () => Promise.resolve([new Float32Array(3)]),
    forwardBackward: () => Promise.resolve({ loss: 0, logprobs_D_T: [], entropies_D_T: [Float32Array.of(0, 2, 4)] }),
  };
  const loss = () => ({ loss: 7, gradLogprobs_D_T: [new Float32Array(3)] });
  expect((await customLossStep(policy, [{ tokens_T, sampledMask_T, entropyWeights_T }], loss)).loss).toBe(5);
});
