"""The tiny models of models.py as GGUF files, laid out as llama.cpp's converter does it.

    pip install torch safetensors gguf
    python test/golden/gguf_models.py

Writes `<family>/model.gguf` beside each `model.safetensors`, with float32 tensors, names from the gguf package's own table, and a
tokenizer of single letters. For Llama the rows of q and k are put into llama.cpp's order (`permute` in its converter). The file of
llama-scaled has another rotary base, and stores divisors of the frequencies as Llama 3.2's does (factor 32 of 8192 positions).
"""

import json
import math
import pathlib

import gguf
import numpy as np
from safetensors.numpy import load_file

HERE = pathlib.Path(__file__).parent
FAMILIES = {
    "llama": gguf.MODEL_ARCH.LLAMA,
    "llama-scaled": gguf.MODEL_ARCH.LLAMA,
    "qwen2": gguf.MODEL_ARCH.QWEN2,
    "qwen3": gguf.MODEL_ARCH.QWEN3,
}


def permute(weights: np.ndarray, heads: int) -> np.ndarray:
    return weights.reshape(heads, 2, weights.shape[0] // heads // 2, *weights.shape[1:]).swapaxes(1, 2).reshape(weights.shape)


def rope_divisors(base: float, dim: int, factor: float) -> np.ndarray:
    low, high, original = 1.0, 4.0, 8192
    divisors = []
    for frequency in 1.0 / (base ** (np.arange(0, dim, 2, dtype=np.float32) / dim)):
        wavelength = 2 * math.pi / frequency
        if wavelength < original / high:
            divisors.append(1.0)
        elif wavelength > original / low:
            divisors.append(factor)
        else:
            smooth = (original / wavelength - low) / (high - low)
            divisors.append(1 / ((1 - smooth) / factor + smooth))
    return np.array(divisors, dtype=np.float32)


def write(family: str) -> None:
    folder = HERE / family
    config = json.loads((folder / "config.json").read_text())
    names = gguf.get_tensor_name_map(FAMILIES[family], config["num_hidden_layers"])
    head_dim = config.get("head_dim") or config["hidden_size"] // config["num_attention_heads"]
    base = 500_000.0 if family == "llama-scaled" else config["rope_parameters"]["rope_theta"]
    writer = gguf.GGUFWriter(folder / "model.gguf", gguf.MODEL_ARCH_NAMES[FAMILIES[family]])
    writer.add_block_count(config["num_hidden_layers"])
    writer.add_context_length(config["max_position_embeddings"])
    writer.add_embedding_length(config["hidden_size"])
    writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_head_count(config["num_attention_heads"])
    writer.add_head_count_kv(config["num_key_value_heads"])
    writer.add_layer_norm_rms_eps(config["rms_norm_eps"])
    writer.add_rope_freq_base(base)
    writer.add_key_length(head_dim)
    writer.add_value_length(head_dim)
    if family.startswith("llama"):
        writer.add_rope_dimension_count(head_dim)
        writer.add_vocab_size(config["vocab_size"])
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("smollm" if family.startswith("llama") else "qwen2")
    tokens = ["<|endoftext|>", "<|im_end|>"] + [chr(ord("0") + index) for index in range(config["vocab_size"] - 3)] + ["AB"]
    writer.add_token_list(tokens)
    writer.add_token_types([3, 3] + [1] * (len(tokens) - 2))
    writer.add_token_merges(["A B"])
    writer.add_eos_token_id(1)
    if family == "llama-scaled":
        writer.add_tensor("rope_freqs.weight", rope_divisors(base, head_dim, 32.0))
    for name, tensor in load_file(folder / "model.safetensors").items():
        if family.startswith("llama") and name.endswith(("q_proj.weight", "k_proj.weight")):
            tensor = permute(tensor, tensor.shape[0] // head_dim)
        writer.add_tensor(names.get_name(name, try_suffixes=(".weight", ".bias")), tensor)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


if __name__ == "__main__":
    for family in FAMILIES:
        write(family)
