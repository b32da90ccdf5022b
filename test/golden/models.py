"""Tiny random models of each supported family, with what Hugging Face transformers and PyTorch compute from them.

    pip install torch transformers safetensors
    python test/golden/models.py

Writes a folder per family beside this file: the model as transformers saves it, a tokenizer of single words, and
`expected.safetensors`. For each of two sequences s: `tokens.s`, `weights.s` (0 where a token carries no loss), `logits.s` [T, V],
`logprobs.s` [T] (index 0 is 0), `greedy.s` (what the model writes greedily behind the first five tokens); then `loss`, the sum of -weight * logprob over both, and `gradient.<parameter>`.
Token ids are stored as float32.
"""

import json
import pathlib
import shutil

import torch
import transformers
from safetensors.torch import save_file

HERE = pathlib.Path(__file__).parent
VOCAB = 37
COMMON = dict(
    vocab_size=VOCAB,
    hidden_size=16,
    intermediate_size=20,
    num_hidden_layers=2,
    num_attention_heads=4,
    num_key_value_heads=2,
    max_position_embeddings=64,
    bos_token_id=None,
    eos_token_id=1,
    pad_token_id=None,
    attn_implementation="eager",
)
FAMILIES = {
    "llama": (
        transformers.LlamaForCausalLM,
        transformers.LlamaConfig(**COMMON, rms_norm_eps=1e-5, tie_word_embeddings=True),
    ),
    "llama-scaled": (
        transformers.LlamaForCausalLM,
        transformers.LlamaConfig(
            **COMMON | dict(max_position_embeddings=256),
            head_dim=8,
            rms_norm_eps=1e-5,
            tie_word_embeddings=False,
            # Of the four frequencies one stays, one is divided in part and two are divided.
            rope_parameters={
                "rope_type": "llama3",
                "rope_theta": 10000.0,
                "factor": 8.0,
                "low_freq_factor": 1.0,
                "high_freq_factor": 4.0,
                "original_max_position_embeddings": 128,
            },
        ),
    ),
    "qwen2": (
        transformers.Qwen2ForCausalLM,
        transformers.Qwen2Config(**COMMON, rms_norm_eps=1e-6, tie_word_embeddings=False),
    ),
    "qwen3": (
        transformers.Qwen3ForCausalLM,
        transformers.Qwen3Config(
            **COMMON,
            head_dim=6,
            rms_norm_eps=1e-6,
            tie_word_embeddings=True,
            rope_parameters={"rope_type": "default", "rope_theta": 500.0},
        ),
    ),
}


def randomize(model: torch.nn.Module) -> None:
    """Large enough that attention is far from uniform, with biases and norms that are not their neutral values."""
    for name, parameter in model.named_parameters():
        if name.endswith("norm.weight"):
            parameter.data = 1 + 0.3 * torch.randn_like(parameter)
        else:
            parameter.data = 0.35 * torch.randn_like(parameter)


def record(family: str) -> None:
    torch.manual_seed(1234)
    model_class, config = FAMILIES[family]
    model = model_class(config).float().train()
    randomize(model)
    folder = HERE / family
    shutil.rmtree(folder, ignore_errors=True)
    model.save_pretrained(folder)
    vocabulary = {f"w{token}": token for token in range(VOCAB)}
    tokenizer = {"version": "1.0", "added_tokens": [], "model": {"type": "WordLevel", "vocab": vocabulary, "unk_token": "w0"}}
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer))

    expected = {}
    loss = torch.zeros(())
    for index, length in enumerate((14, 9)):
        tokens = torch.randint(VOCAB, (length,))
        weights = torch.rand(length) - 0.3
        weights[::4] = 0
        logits = model(tokens[None]).logits[0]
        logprobs = torch.zeros(length)
        logprobs[1:] = torch.log_softmax(logits[:-1], dim=-1).gather(1, tokens[1:, None])[:, 0]
        loss = loss - (weights * logprobs).sum()
        greedy = model.generate(tokens[None, :5], max_new_tokens=24, do_sample=False, pad_token_id=0)[0, 5:]
        values = dict(tokens=tokens.float(), weights=weights, logits=logits, logprobs=logprobs, greedy=greedy.float())
        expected |= {f"{name}.{index}": value for name, value in values.items()}
    loss.backward()
    expected["loss"] = loss
    expected |= {f"gradient.{name}": parameter.grad for name, parameter in model.named_parameters()}
    metadata = {"torch": torch.__version__, "transformers": transformers.__version__}
    save_file({name: value.detach().contiguous() for name, value in expected.items()}, folder / "expected.safetensors", metadata)


if __name__ == "__main__":
    torch.set_num_threads(1)
    for family in FAMILIES:
        record(family)
