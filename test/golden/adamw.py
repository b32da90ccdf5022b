"""Ten steps of torch.optim.AdamW with clipping by the global norm.

    pip install torch safetensors
    python test/golden/adamw.py

Writes `adamw.safetensors`: a matrix (with weight decay) and a vector (without), their values before (`start.*`), the gradient of
each step (`gradient.<step>.*`), the values after it (`after.<step>.*`) and the norm before clipping (`norm.<step>`). Steps
count from 1. The settings are in the metadata; some steps are clipped and some are not.
"""

import json
import pathlib

import torch
from safetensors.torch import save_file

STEPS = 10
SETTINGS = dict(learningRate=0.01, beta1=0.9, beta2=0.95, epsilon=1e-8, weightDecay=0.1, maxGradNorm=4.0)


def main() -> None:
    torch.manual_seed(99)
    parameters = {"matrix": torch.nn.Parameter(torch.randn(5, 7)), "vector": torch.nn.Parameter(torch.randn(11))}
    groups = [
        {"params": [parameters["matrix"]], "weight_decay": SETTINGS["weightDecay"]},
        {"params": [parameters["vector"]], "weight_decay": 0.0},
    ]
    betas = (SETTINGS["beta1"], SETTINGS["beta2"])
    optimizer = torch.optim.AdamW(groups, lr=SETTINGS["learningRate"], betas=betas, eps=SETTINGS["epsilon"], foreach=False)
    recorded = {f"start.{name}": value.detach().clone() for name, value in parameters.items()}
    for step in range(1, STEPS + 1):
        for name, value in parameters.items():
            value.grad = torch.randn_like(value) * (0.1 + 0.2 * step)
            recorded[f"gradient.{step}.{name}"] = value.grad.clone()
        norm = torch.nn.utils.clip_grad_norm_(parameters.values(), SETTINGS["maxGradNorm"])
        optimizer.step()
        recorded[f"norm.{step}"] = norm.clone()
        recorded |= {f"after.{step}.{name}": value.detach().clone() for name, value in parameters.items()}
    metadata = {"torch": torch.__version__, "settings": json.dumps(SETTINGS)}
    save_file(recorded, pathlib.Path(__file__).parent / "adamw.safetensors", metadata)


if __name__ == "__main__":
    main()
