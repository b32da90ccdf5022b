"""Advantages, losses, KL and means of the algorithms, computed a second time, in another way.

    pip install torch
    python test/golden/algorithms.py    # then: npx prettier --write test/golden/algorithms.json

Writes `algorithms.json`. What `src/algorithms/` does with loops over positions, shares and gradients derived by hand is done here on padded
tensors `[B, T]` with masks, with the means as their papers write them, and gradients by autograd. Recorded with torch 2.15, float64.

The batch: four questions with 3, 2, 2 and 1 attempts of different lengths and turns; the second question's rewards are equal, one attempt ran
out of tokens, one was cancelled. `sampler`, `trainer` and `current` are the log-probabilities when tokens were drawn, before the
first update, and now.
"""

import json
import math
import pathlib

import torch

torch.set_num_threads(1)
torch.manual_seed(4)
torch.set_default_dtype(torch.float64)
HERE = pathlib.Path(__file__).parent

# p: prompt, w: written by the policy, o: observation.
ATTEMPTS = [
    dict(group=0, id="nq_7", shape="ppwwwoooowwoow", reward=1.0),
    dict(group=0, id="nq_7", shape="ppwwoowww", reward=0.0),
    dict(group=0, id="nq_7", shape="ppwwwwwww", reward=0.3, finish="out-of-tokens"),
    dict(group=1, id="nq_8", shape="pppwwwoow", reward=0.5),
    dict(group=1, id="nq_8", shape="pppwwww", reward=0.5),
    dict(group=2, id="hotpot_7", shape="pwwoowooo", reward=0.0),
    dict(group=2, id="hotpot_7", shape="pwwwoowwww", reward=1.0),
    dict(group=3, id="nq_9", shape="ppwowow", reward=0.7),
    dict(group=3, id="nq_9", shape="ppww", reward=0.0, finish="cancelled"),
]
ROWS = [a for a in ATTEMPTS if a.get("finish") != "cancelled"]
B, T = len(ROWS), max(len(a["shape"]) for a in ROWS)
REWARD = torch.tensor([a["reward"] for a in ROWS])
GROUP = [a["group"] for a in ROWS]


def mask_of(kinds):
    return torch.tensor([[1.0 if t < len(a["shape"]) and a["shape"][t] in kinds else 0.0 for t in range(T)] for a in ROWS])


POLICY, AFTER_PROMPT, TOKENS = mask_of("w"), mask_of("wo"), mask_of("pwo")


def noise(scale):
    return scale * torch.randn(B, T)


def rounded(x):
    """To what a Float32Array holds."""
    return x.float().double()


SAMPLER = rounded(-0.3 - 2 * torch.rand(B, T))
TRAINER = rounded(SAMPLER + noise(0.15))
CURRENT = rounded(SAMPLER + noise(0.4))
REFERENCE = rounded(SAMPLER + noise(0.3))
VALUES = rounded(0.5 + noise(0.3))
WEIGHTED = rounded(noise(0.2))  # advantages of tokens that were already multiplied by shares


# --- advantages -------------------------------------------------------------------------------------------------------------------------


def last_index(mask):
    return [int(torch.nonzero(row).max()) for row in mask]


def token_rewards(reward, mask, penalty):
    result = -penalty.clone()
    for b, t in enumerate(last_index(mask)):
        result[b, t] += reward[b]
    return result


def estimate(kind, d):
    return {"k1": d, "abs": d.abs(), "k2": 0.5 * d**2, "k3": torch.clamp(torch.exp(-d) + d - 1, -10, 10)}[kind]


def kl_penalty(beta, logprobs=SAMPLER, mask=POLICY, kind="k1"):
    return beta * estimate(kind, logprobs - REFERENCE) * mask


NO_PENALTY = torch.zeros(B, T)


def by_group(groups=GROUP):
    return [[b for b in range(B) if groups[b] == g] for g in sorted(set(groups))]


def group_normalised(score, std="sample", one="zero", groups=GROUP):
    result = torch.zeros(B)
    for members in by_group(groups):
        s = score[members]
        if len(members) == 1:
            result[members] = s if one == "raw" else 0.0
            continue
        scale = {"sample": s.std(unbiased=True), "population": s.std(unbiased=False), "none": None}[std]
        result[members] = (s - s.mean()) / (scale + 1e-6) if scale is not None else s - s.mean()
    return result


def leave_one_out(score):
    result = torch.zeros(B)
    for members in by_group():
        for b in members:
            others = [o for o in members if o != b]
            result[b] = score[b] - score[others].mean() if others else 0.0
    return result


def group_centred(score):
    return group_normalised(score, "none")


def broadcast(per_row, mask):
    return per_row[:, None] * mask


def scores(penalty):
    return REWARD - penalty.sum(-1)


def plus_plus(reward, mask, gamma, penalty):
    rewards = token_rewards(reward, mask, penalty)
    result, running = torch.zeros(B, T), torch.zeros(B)
    for t in reversed(range(T)):
        # Where the mask is 0 the running return passes through untouched.
        running = torch.where(mask[:, t] == 1, rewards[:, t] + gamma * running, running)
        result[:, t] = running * mask[:, t]
    return result


def gae(reward, values, mask, gamma, lam, penalty):
    rewards = token_rewards(reward, mask, penalty)
    advantages, next_value, running = torch.zeros(B, T), torch.zeros(B), torch.zeros(B)
    for t in reversed(range(T)):
        delta = rewards[:, t] + gamma * next_value - values[:, t]
        here = mask[:, t] == 1
        running = torch.where(here, delta + gamma * lam * running, running)
        next_value = torch.where(here, values[:, t], next_value)
        advantages[:, t] = running * mask[:, t]
    return advantages, (advantages + values) * mask


def whiten(x, mask):
    mean = (x * mask).sum() / mask.sum()
    variance = ((x - mean) ** 2 * mask).sum() / (mask.sum() - 1)
    return (x - mean) * torch.rsqrt(variance + 1e-8) * mask


# --- losses per token, to be summed or averaged ----------------------------------------------------------------------------------------


def clip(r, low, high):
    return torch.clamp(r, 1 - low, 1 + high)


def ppo(logp, old, A, mask, low=0.2, high=0.2):
    r = torch.exp(logp - old)
    return -torch.minimum(r * A, clip(r, low, high) * A)


def dual(logp, old, A, mask, low=0.2, high=0.2, c=3.0):
    r = torch.exp(logp - old)
    surrogate = torch.minimum(r * A, clip(r, low, high) * A)
    return -torch.where(A < 0, torch.maximum(surrogate, c * A), surrogate)


def importance(logp, old, A, mask):
    return -torch.exp(logp - old) * A


def cispo(logp, old, A, mask, low=0.2, high=0.2):
    return -clip(torch.exp(logp - old), low, high).detach() * A * logp


def gspo_sequences(logp, old, A_row, mask, low, high):
    """One loss per sequence, [B]."""
    count = mask.sum(-1).clamp(min=1)
    s = torch.exp(((logp - old) * mask).sum(-1) / count)
    return -torch.minimum(s * A_row, clip(s, low, high) * A_row)


# --- means ------------------------------------------------------------------------------------------------------------------------------


def token_mean(x, mask, keep):
    m = mask[keep]
    return (x[keep] * m).sum() / m.sum()


def sequence_mean(x, mask, keep):
    return torch.stack([(x[b] * mask[b]).sum() / mask[b].sum() for b in keep]).mean()


def constant(length):
    return lambda x, mask, keep: sum((x[b] * mask[b]).sum() / length for b in keep) / len(keep)


def micro_batches(size):
    def mean(x, mask, keep):
        parts = []
        for start in range(0, B, size):
            rows = [b for b in range(start, min(start + size, B)) if b in keep]
            if rows:
                parts.append((x[rows] * mask[rows]).sum() / mask[rows].sum())
        return torch.stack(parts).mean()

    return mean


ALL = list(range(B))
INFORMATIVE = [b for b in ALL if len({REWARD[o].item() for o in ALL if GROUP[o] == GROUP[b]}) > 1]
NOT_OVERLONG = [b for b in INFORMATIVE if ROWS[b].get("finish") != "out-of-tokens"]


# --- output -----------------------------------------------------------------------------------------------------------------------------


def ragged(x):
    return [[float(f"{v:.9g}") for v in x[b, : len(ROWS[b]["shape"])].tolist()] for b in range(B)]


def with_gradient(f):
    logp = CURRENT.clone().requires_grad_(True)
    loss = f(logp)
    (grad,) = torch.autograd.grad(loss, logp)
    return {"loss": loss.item(), "gradients": ragged(grad)}


def advantage_cases():
    k1 = kl_penalty(0.1)
    everywhere = AFTER_PROMPT
    gae_plain, gae_returns = gae(REWARD, VALUES, POLICY, 0.95, 0.9, NO_PENALTY)
    gae_kl, gae_kl_returns = gae(REWARD, VALUES, POLICY, 1, 1, k1)
    gae_faithful, gae_faithful_returns = gae(REWARD, VALUES, everywhere, 0.97, 0.8, k1)
    rows = lambda per_row: broadcast(per_row, POLICY)
    group = {"advantage": "group"}
    reinforce = {"advantage": "reinforce"}
    plus = {"advantage": "reinforce++", "kl": 0}
    in_reward = {"kl": 0.1, "klIn": "reward", "klEstimator": "k1"}
    return [
        ("grpo", {**group}, rows(group_normalised(REWARD)), None),
        ("grpo", {**group, "std": "population"}, rows(group_normalised(REWARD, "population")), None),
        ("grpo", {**group, "std": "none"}, rows(group_normalised(REWARD, "none")), None),
        ("grpo", {**group, "groupOfOne": "raw"}, rows(group_normalised(REWARD, one="raw")), None),
        ("grpo", {**group, **in_reward}, rows(group_normalised(scores(k1))), None),
        ("grpo", {**group, "groupByIndex": True}, rows(group_normalised(REWARD, groups=[0, 0, 0, 1, 1, 0, 0, 3])), None),
        ("grpo", {**group, "whiten": True}, whiten(rows(group_normalised(REWARD)), POLICY), None),
        ("rloo", {}, rows(leave_one_out(REWARD)), None),
        ("rloo", {"kl": 0.1}, rows(leave_one_out(scores(k1))), None),
        ("reinforce", {}, rows(REWARD - 0.25), None),
        ("reinforce", {**reinforce, "baseline": "batch-mean"}, rows(REWARD - REWARD.mean()), None),
        ("reinforce", {**reinforce, "baseline": "group-mean"}, rows(group_centred(REWARD)), None),
        ("reinforce", {**reinforce, "baseline": "none", "kl": 0.1, "klEstimator": "k2"}, rows(scores(kl_penalty(0.1, kind="k2"))), None),
        ("reinforce++", {**plus, "gamma": 0.9, "whiten": False}, plus_plus(REWARD, POLICY, 0.9, NO_PENALTY), None),
        ("reinforce++", {"kl": 0.1}, whiten(plus_plus(REWARD, POLICY, 1, k1), POLICY), None),
        ("reinforce++", {"kl": 0.1, "observationsInAdvantage": True}, whiten(plus_plus(REWARD, everywhere, 1, k1), everywhere), None),
        ("reinforce++-baseline", {}, whiten(plus_plus(group_centred(REWARD), POLICY, 1, NO_PENALTY), POLICY), None),
        ("ppo", {"gamma": 0.95, "lambda": 0.9, "whiten": False, "kl": 0}, gae_plain, gae_returns),
        ("ppo", {"kl": 0.1}, whiten(gae_kl, POLICY), gae_kl_returns),
        (
            "ppo",
            {"kl": 0.1, "gamma": 0.97, "lambda": 0.8, "observationsInAdvantage": True},
            whiten(gae_faithful, everywhere),
            gae_faithful_returns,
        ),
    ]


def loss_cases():
    summed = lambda f: with_gradient(lambda logp: (f(logp, SAMPLER, WEIGHTED, POLICY) * POLICY).sum())
    clips = {"clipLow": 0.2, "clipHigh": 0.3}
    row_weight = (WEIGHTED * POLICY).sum(-1)
    return [
        {"spec": {"kind": "importance_sampling"}, **summed(importance)},
        {"spec": {"kind": "ppo", **clips}, **summed(lambda *a: ppo(*a, 0.2, 0.3))},
        {"spec": {"kind": "cispo", **clips}, **summed(lambda *a: cispo(*a, 0.2, 0.3))},
        {"spec": {"kind": "dual-clip", **clips, "dualClip": 1.4}, **summed(lambda *a: dual(*a, 0.2, 0.3, 1.4))},
        {
            "spec": {"kind": "gspo", "clipLow": 0.1, "clipHigh": 0.15},
            **with_gradient(lambda logp: gspo_sequences(logp, SAMPLER, row_weight, POLICY, 0.1, 0.15).sum()),
        },
        {"spec": {"kind": "cross_entropy"}, **with_gradient(lambda logp: -(WEIGHTED * logp * POLICY).sum())},
    ]


def kl_cases():
    result = []
    for kind in ["k1", "k2", "k3", "abs"]:
        for difference in [-5.0, -2.2, -0.7, -1e-4, 1e-4, 0.5, 3.0]:
            d = torch.tensor(difference, requires_grad=True)
            value = estimate(kind, d)
            (gradient,) = torch.autograd.grad(value, d)
            result.append({"estimator": kind, "difference": difference, "value": value.item(), "gradient": gradient.item()})
    return result


def mean_cases():
    per_token = WEIGHTED
    means = [
        ({"aggregation": "token-mean"}, token_mean),
        ({"aggregation": "sequence-mean"}, sequence_mean),
        ({"aggregation": "constant", "constantTokens": 20}, constant(20)),
        ({"aggregation": "micro-batch-mean", "microBatchRows": 3}, micro_batches(3)),
    ]
    return [{"choices": choices, "mean": mean(per_token, POLICY, ALL).item()} for choices, mean in means]


def whole_cases():
    """Algorithms from rewards to the gradient of the whole objective; `state` holds a running baseline of 0.25."""

    def total(A, mean, keep, loss=ppo, old=SAMPLER, mask=POLICY, correction=None, kl=None):
        weight = 1.0 if correction is None else correction

        def f(logp):
            result = mean(loss(logp, old, A * weight, mask), mask, keep)
            if kl is not None:
                beta, kind = kl
                result = result + beta * mean(estimate(kind, logp - REFERENCE), mask, keep)
            return result

        return with_gradient(f)

    rows = lambda per_row: broadcast(per_row, POLICY)
    grpo_A = rows(group_normalised(REWARD))
    k1 = kl_penalty(0.001)
    ppo_A = whiten(gae(REWARD, VALUES, POLICY, 1, 1, k1)[0], POLICY)
    everywhere_A = whiten(gae(REWARD, VALUES, AFTER_PROMPT, 1, 1, kl_penalty(0.001, TRAINER))[0], AFTER_PROMPT)
    plus_A = whiten(plus_plus(REWARD, POLICY, 1, k1), POLICY)
    plus_baseline_A = whiten(plus_plus(group_centred(REWARD), POLICY, 1, NO_PENALTY), POLICY)
    gspo_A = group_normalised(REWARD)
    unmasked_old = torch.where(POLICY == 1, SAMPLER, TRAINER)
    correction = torch.clamp(torch.exp(TRAINER - SAMPLER), max=1.05)
    return [
        ("grpo", {}, total(grpo_A, token_mean, INFORMATIVE)),
        ("grpo", {"aggregation": "sequence-mean"}, total(grpo_A, sequence_mean, INFORMATIVE)),
        ("grpo", {"kl": 0.05}, total(grpo_A, token_mean, ALL, kl=(0.05, "k3"))),
        ("grpo", {"kl": 0.05, "klEstimator": "abs"}, total(grpo_A, token_mean, ALL, kl=(0.05, "abs"))),
        ("grpo", {"aggregation": "micro-batch-mean", "microBatchRows": 3}, total(grpo_A, micro_batches(3), ALL)),
        ("grpo", {"dualClip": 1.4}, total(grpo_A, token_mean, INFORMATIVE, lambda *a: dual(*a, c=1.4))),
        ("grpo", {"trainerRatios": True}, total(grpo_A, token_mean, INFORMATIVE, old=TRAINER)),
        ("grpo", {"truncatedRatio": 1.05}, total(grpo_A, token_mean, INFORMATIVE, old=TRAINER, correction=correction)),
        (
            "grpo",
            {"maskRetrieved": False},
            total(broadcast(group_normalised(REWARD), AFTER_PROMPT), token_mean, INFORMATIVE, old=unmasked_old, mask=AFTER_PROMPT),
        ),
        ("dr-grpo", {"constantTokens": 20}, total(rows(group_centred(REWARD)), constant(20), INFORMATIVE)),
        ("dapo", {}, total(grpo_A, token_mean, NOT_OVERLONG, lambda *a: ppo(*a, 0.2, 0.28))),
        (
            "gspo",
            {},
            with_gradient(lambda logp: gspo_sequences(logp, SAMPLER, gspo_A, POLICY, 3e-4, 4e-4)[INFORMATIVE].mean()),
        ),
        ("cispo", {}, total(grpo_A, token_mean, INFORMATIVE, lambda *a: cispo(*a, 1, 4))),
        ("rloo", {}, total(rows(leave_one_out(REWARD)), token_mean, INFORMATIVE, importance)),
        ("reinforce", {}, total(rows(REWARD - 0.25), token_mean, ALL, importance)),
        ("reinforce++", {}, total(plus_A, token_mean, ALL)),
        ("reinforce++-baseline", {}, total(plus_baseline_A, token_mean, ALL)),
        ("reinforce++-baseline", {"kl": 0.01}, total(plus_baseline_A, token_mean, ALL, kl=(0.01, "k2"))),
        ("ppo", {}, total(ppo_A, token_mean, ALL)),
        (
            "ppo",
            {"observationsInAdvantage": True, "aggregation": "micro-batch-mean", "microBatchRows": 3, "trainerRatios": True},
            total(everywhere_A, micro_batches(3), ALL, old=TRAINER),
        ),
    ]


golden = {
    "attempts": ATTEMPTS,
    "sampler": ragged(SAMPLER),
    "trainer": ragged(TRAINER),
    "current": ragged(CURRENT),
    "reference": ragged(REFERENCE),
    "values": ragged(VALUES),
    "weighted": ragged(WEIGHTED),
    "advantages": [
        {"name": name, "choices": choices, "advantages": ragged(A), **({"returns": ragged(R)} if R is not None else {})}
        for name, choices, A, R in advantage_cases()
    ],
    "losses": loss_cases(),
    "kl": kl_cases(),
    "means": mean_cases(),
    "whole": [{"name": name, "choices": choices, **result} for name, choices, result in whole_cases()],
}
assert all(math.isfinite(case["loss"]) for case in golden["whole"] + golden["losses"])
(HERE / "algorithms.json").write_text(json.dumps(golden))
