"""A value function and an entropy bonus on the tiny model of models.py, as PyTorch computes them.

    pip install torch transformers safetensors
    python test/golden/models.py
    python test/golden/critic.py

Reads `llama/` and its `expected.safetensors` (the two sequences) and writes `critic.safetensors` beside this file. The value of token t is
a linear function of the hidden state behind the final norm at t - 1. For each sequence s: `mask.s`, `returns.s`, `oldValues.s`, `weights.s` [T]. For each
head h (`zero`, `random`): `h.weight` [1, hidden], `h.bias` [1], `h.values.s` [T] (0 at index 0), and for each clip c (`free`, `clipped`): `h.c.loss` and
`h.c.gradient.<parameter>` of 0.5 * sum of weight * max((V - R)^2, (clip(V) - R)^2) over the masked tokens. Then `clip`; `entropy.logits` [M, V],
`entropy.weights` [M], `entropy.values` [M] and `entropy.gradient` [M, V], the gradient of sum of weight * entropy by the logits; and
`bonus.weights.s` [T] with `bonus.loss` and `bonus.gradient.<parameter>` of -sum of weight * logprob - sum of bonus weight * entropy (weights of models.py).
"""

import pathlib

import torch
import transformers
from safetensors.torch import load_file, save_file

HERE = pathlib.Path(__file__).parent
CLIP = 0.4


def value_loss(values, returns, old, weights, clip):
    errors = (values - returns) ** 2
    if clip is not None:
        clipped = old + (values - old).clamp(-clip, clip)
        errors = torch.maximum(errors, (clipped - returns) ** 2)
    return 0.5 * (weights * errors).sum()


def gradients(model, head=()):
    named = [(name, p) for name, p in [*model.named_parameters(), *head]]
    result = {name: p.grad.clone() if p.grad is not None else torch.zeros_like(p) for name, p in named}
    for _, p in named:
        p.grad = None
    return result


def main():
    torch.manual_seed(4321)
    torch.set_num_threads(1)
    model = transformers.LlamaForCausalLM.from_pretrained(HERE / "llama", dtype=torch.float32, attn_implementation="eager")
    recorded = load_file(HERE / "llama" / "expected.safetensors")
    sequences = [recorded[f"tokens.{s}"].long() for s in (0, 1)]
    width = model.config.hidden_size
    out = {"clip": torch.tensor(CLIP)}
    data = []
    for s, tokens in enumerate(sequences):
        length = len(tokens)
        mask = (torch.rand(length) < 0.75).float()
        mask[0] = 0
        one = dict(mask=mask, returns=torch.randn(length), oldValues=0.5 * torch.randn(length), weights=torch.rand(length))
        data.append(one)
        out |= {f"{name}.{s}": value for name, value in one.items()}

    heads = {"zero": (torch.zeros(1, width), torch.zeros(1)), "random": (0.3 * torch.randn(1, width), torch.tensor([0.2]))}
    for name, (weight, bias) in heads.items():
        out |= {f"{name}.weight": weight.clone(), f"{name}.bias": bias.clone()}
        weight.requires_grad_()
        bias.requires_grad_()
        for kind, clip in (("free", None), ("clipped", CLIP)):
            loss = torch.zeros(())
            for s, (tokens, one) in enumerate(zip(sequences, data)):
                hidden = model.model(tokens[None]).last_hidden_state[0]
                values = torch.cat([torch.zeros(1), (hidden[:-1] @ weight.T + bias)[:, 0]])
                out[f"{name}.values.{s}"] = values
                loss = loss + value_loss(values, one["returns"], one["oldValues"], one["mask"] * one["weights"], clip)
            loss.backward()
            out[f"{name}.{kind}.loss"] = loss
            head = [("value_head.weight", weight), ("value_head.bias", bias)]
            out |= {f"{name}.{kind}.gradient.{key}": value for key, value in gradients(model, head).items()}

    logits = (3 * torch.randn(5, 11)).requires_grad_()
    weights = torch.rand(5)
    logprobs = torch.log_softmax(logits, dim=-1)
    entropies = -(logprobs.exp() * logprobs).sum(-1)
    (weights * entropies).sum().backward()
    out |= {"entropy.logits": logits, "entropy.weights": weights, "entropy.values": entropies, "entropy.gradient": logits.grad}

    loss = torch.zeros(())
    for s, tokens in enumerate(sequences):
        # Where the loss itself has a weight of 0 the bonus has some too; where its own is 0, the loss has.
        bonus = 0.5 * torch.rand(len(tokens))
        bonus[0] = 0
        bonus[2::5] = 0
        out[f"bonus.weights.{s}"] = bonus
        logprobs = torch.log_softmax(model(tokens[None]).logits[0, :-1], dim=-1)
        chosen = logprobs.gather(1, tokens[1:, None])[:, 0]
        entropies = -(logprobs.exp() * logprobs).sum(-1)
        out[f"bonus.entropies.{s}"] = torch.cat([torch.zeros(1), entropies])
        loss = loss - (recorded[f"weights.{s}"][1:] * chosen).sum() - (bonus[1:] * entropies).sum()
    loss.backward()
    out["bonus.loss"] = loss
    out |= {f"bonus.gradient.{key}": value for key, value in gradients(model).items()}
    metadata = {"torch": torch.__version__, "transformers": transformers.__version__}
    save_file({name: value.detach().contiguous() for name, value in out.items()}, HERE / "critic.safetensors", metadata)


if __name__ == "__main__":
    main()
