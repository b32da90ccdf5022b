"""Random adapters of the tiny models, as the PEFT library saves them, with what PEFT and PyTorch compute from them.

    pip install torch transformers peft safetensors
    python test/golden/models.py   # unless its folders are there
    python test/golden/peft_adapters.py   # from the root of the repository; then: npx prettier --write test/golden/peft

Writes a folder per family into `peft/` beside this file: `adapter_config.json` and `adapter_model.safetensors` by `save_pretrained`, and
`expected.safetensors` with `logits.s` [T, V] and `logprobs.s` [T] (index 0 is 0) of the two sequences `tokens.s` that
`<family>/expected.safetensors` holds.
"""

import pathlib
import shutil

import peft
import torch
import transformers
from safetensors.torch import load_file, save_file

HERE = pathlib.Path(__file__).parent

COMMON = dict(r=3, lora_alpha=5, task_type="CAUSAL_LM")
ADAPTERS = {
    # Some kinds of layers; dropout, which counts in training only.
    "llama": dict(target_modules=["q_proj", "v_proj", "down_proj"], lora_dropout=0.2),
    # Every kind, which PEFT writes as whole paths.
    "qwen2": dict(target_modules="all-linear"),
    # The scale alpha / sqrt(r).
    "qwen3": dict(target_modules=["k_proj", "o_proj", "gate_proj"], use_rslora=True),
}


def record(family: str) -> None:
    torch.manual_seed(4321)
    base = (HERE / family).relative_to(pathlib.Path.cwd()).as_posix()
    model = transformers.AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32, attn_implementation="eager")
    adapted = peft.get_peft_model(model, peft.LoraConfig(**COMMON, **ADAPTERS[family])).eval()
    for name, parameter in adapted.named_parameters():
        if "lora_B" in name:
            parameter.data = 0.35 * torch.randn_like(parameter)
    folder = HERE / "peft" / family
    shutil.rmtree(folder, ignore_errors=True)
    adapted.save_pretrained(folder)
    (folder / "README.md").unlink()

    sequences = load_file(HERE / family / "expected.safetensors")
    expected = {}
    for index in range(2):
        tokens = sequences[f"tokens.{index}"].long()
        with torch.no_grad():
            logits = adapted(input_ids=tokens[None]).logits[0]
        logprobs = torch.zeros(len(tokens))
        logprobs[1:] = torch.log_softmax(logits[:-1], dim=-1).gather(1, tokens[1:, None])[:, 0]
        expected |= {f"logits.{index}": logits.contiguous(), f"logprobs.{index}": logprobs}
    metadata = {"torch": torch.__version__, "transformers": transformers.__version__, "peft": peft.__version__}
    save_file(expected, folder / "expected.safetensors", metadata)


if __name__ == "__main__":
    torch.set_num_threads(1)
    for family in ADAPTERS:
        record(family)
