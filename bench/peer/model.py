"""The model of both sides, as a folder that both can open: from a GGUF file, or the same shape with random weights."""

import os
import shutil

import torch
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast


def make_folder(folder: str, gguf: str | None = None, config: dict | None = None) -> dict:
    """Writes config, float32 weights and tokenizer into `folder` unless it is there."""
    if os.path.exists(folder):
        return {"made": False}
    aside = f"{folder}.{os.getpid()}"
    if gguf is not None:
        where = {"pretrained_model_name_or_path": os.path.dirname(gguf), "gguf_file": os.path.basename(gguf)}
        read = AutoModelForCausalLM.from_pretrained(**where, dtype=torch.float32)
        # A model read from GGUF counts as quantised, though its weights are not any more, and will not be saved.
        del read.config.quantization_config
        model = AutoModelForCausalLM.from_config(read.config, dtype=torch.float32)
        model.load_state_dict(read.state_dict())
        tokenizer = AutoTokenizer.from_pretrained(**where)
    else:
        torch.manual_seed(1)
        model = LlamaForCausalLM(LlamaConfig(**config)).float()
        tokenizer = word_tokenizer(config["vocab_size"])
    try:
        model.save_pretrained(aside)
        tokenizer.save_pretrained(aside)
        os.rename(aside, folder)
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    return {"made": True}


def word_tokenizer(size: int) -> PreTrainedTokenizerFast:
    """A word for every id: where weights are random, text has no meaning."""
    vocabulary = {f"w{token}": token for token in range(size)}
    tokenizer = Tokenizer(WordLevel(vocabulary, unk_token="w0"))
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, unk_token="w0", eos_token="w0", pad_token="w0")


def open_model(folder: str):
    """The model for the processor, float32, with torch's fused attention."""
    return AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, attn_implementation="sdpa")
