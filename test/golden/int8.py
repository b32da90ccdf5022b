"""What the 8-bit form of the tiny models computes, simulated in PyTorch: linear layers, LM head, embeddings, an adapter, and its gradients.

    pip install torch transformers safetensors
    python test/golden/models.py; python test/golden/peft_adapters.py   # unless their folders are there
    python test/golden/int8.py

Writes `int8/<family>.safetensors` beside this file. The adapter and the two sequences with their weights are those of `peft/<family>` and `<family>/expected.safetensors`. `text.N` are the texts for
`ranges.<module>`; then `logits.s` [T, V] and `logprobs.s` [T] (index 0 is 0), `loss`, the sum of -weight * logprob over both, and `gradient.<parameter>`. `<variant>/logprobs.0` and
`<variant>/gradient.<parameter>` of one parameter are what other forms give, for negative controls. Token ids are stored as float32.

A value that lies halfway between two 8-bit steps may be rounded either way, by the last bit of a float32; then all that follows differs by up to a step. So the texts are chosen (by seed) such that
nothing that is rounded lies within MARGIN steps of halfway, forward or backward.
"""

import json
import pathlib

import numpy as np
import torch
import transformers
from safetensors.torch import load_file, save_file

HERE = pathlib.Path(__file__).parent
FAMILIES = ["llama", "qwen2", "qwen3"]
MARGIN = 2e-4
VARIANTS = ["one scale a tensor", "not smoothed", "no wide channel", "float32 backward", "head rounds backward"]
WATCHED = "model.layers.0.self_attn.{}_proj.lora_A.weight"


class Form:
    """The form itself, or a variant of it; and how near to halfway it has rounded anything."""

    def __init__(self, variant: str = ""):
        self.variant = variant
        self.margin = 1.0

    def round_rows(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """8-bit numbers (as float64, to be multiplied exactly), and what a row's 127 is worth."""
        largest = x.abs().amax(dim=-1, keepdim=True)
        if self.variant == "one scale a tensor":
            largest = torch.full_like(largest, float(largest.max()))
        largest = largest.clamp(min=1e-30)
        steps = x / largest / torch.tensor(1 / 127)
        halfway = (steps - steps.floor() - 0.5).abs()
        self.margin = min(self.margin, float(halfway.min()))
        return torch.round(steps).double(), largest

    def product(self, x: torch.Tensor, matrix: torch.Tensor) -> torch.Tensor:
        q, largest = self.round_rows(x)
        return (q @ matrix.double()).float() * torch.tensor(1 / 127) * largest


def quantise(matrices: list[np.ndarray], ranges: np.ndarray, wide_count: int, variant: str) -> dict:
    """Of layers that read one input. SmoothQuant (arXiv:2211.10438, eq. 4) with alpha 1/2; the channels that stay largest are wide."""
    largest = np.max([np.abs(matrix).max(axis=0) for matrix in matrices], axis=0).astype(np.float64)
    smoothing = np.sqrt(ranges.astype(np.float64)) / np.sqrt(largest)
    smoothing = np.where((ranges > 0) & (largest > 0), smoothing, 1).astype(np.float32)
    if variant == "not smoothed":
        smoothing = np.ones_like(smoothing)
    order = sorted(range(len(ranges)), key=lambda i: (-float(ranges[i]) / float(smoothing[i]), i))
    wide = sorted(order[: 0 if variant == "no wide channel" else wide_count])
    kept = smoothing.astype(np.float64)
    kept[wide] = 0
    factors = (1 / smoothing.astype(np.float64)).astype(np.float32)
    factors[wide] = 0
    layers = []
    for matrix in matrices:
        scaled = matrix.astype(np.float64) * kept
        scale = (np.abs(scaled).max(axis=1) / 127).astype(np.float32)
        rounded = np.floor(scaled / scale.astype(np.float64)[:, None] + 0.5)
        columns = matrix[:, wide]
        worth = rounded * scale.astype(np.float64)[:, None] * factors.astype(np.float64)
        worth[:, wide] = columns
        tensors = dict(rounded=rounded, scale=scale, columns=columns, worth=worth.astype(np.float32))
        layers.append({name: torch.tensor(value) for name, value in tensors.items()})
    return dict(factors=torch.tensor(factors), wide=wide, layers=layers)


class Rounded(torch.autograd.Function):
    """Straight through the rounding: what flows back is multiplied with the same 8-bit weights, and rounded row by row as well."""

    @staticmethod
    def forward(context, x, factors, rounded, scale, form):
        context.constants = (factors, rounded, scale, form)
        return form.product(x * factors, rounded.T) * scale

    @staticmethod
    def backward(context, dy):
        factors, rounded, scale, form = context.constants
        scaled = dy * scale
        back = scaled @ rounded.float() if form.variant == "float32 backward" else form.product(scaled, rounded)
        return back * factors, None, None, None, None


class RoundedHead(torch.autograd.Function):
    """The LM head: what flows back is multiplied in float32 with what the 8-bit weights are worth."""

    @staticmethod
    def forward(context, x, shared, layer, form):
        context.constants = (shared, layer, form)
        wide = x[..., shared["wide"]] @ layer["columns"].T
        return form.product(x * shared["factors"], layer["rounded"].T) * layer["scale"] + wide

    @staticmethod
    def backward(context, dy):
        shared, layer, form = context.constants
        if form.variant != "head rounds backward":
            return dy @ layer["worth"], None, None, None
        return form.product(dy, layer["worth"]), None, None, None


class Int8Linears:
    """Layers that read one input, as one matrix: what flows back from them is rounded together."""

    def __init__(self, shared: dict, form: Form):
        self.shared, self.form = shared, form
        self.rounded = torch.cat([layer["rounded"] for layer in shared["layers"]])
        self.scale = torch.cat([layer["scale"] for layer in shared["layers"]])
        self.sizes = [len(layer["scale"]) for layer in shared["layers"]]
        self.input, self.outputs = None, []

    def output(self, x: torch.Tensor, place: int) -> torch.Tensor:
        if self.input is not x:
            y = Rounded.apply(x, self.shared["factors"], self.rounded, self.scale, self.form)
            self.input, self.outputs = x, y.split(self.sizes, dim=-1)
        return self.outputs[place]


class Int8Linear(torch.nn.Module):
    """One of them, with its wide channels, its adapter and its bias."""

    def __init__(self, together: Int8Linears, place: int, bias, adapter, factor: float):
        super().__init__()
        self.together, self.place, self.bias, self.factor = together, place, bias, factor
        self.a, self.b = adapter

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        shared = self.together.shared
        y = self.together.output(x, self.place) + x[..., shared["wide"]] @ shared["layers"][self.place]["columns"].T
        if self.a is not None:
            y = y + self.factor * (x @ self.a.T @ self.b.T)
        return y if self.bias is None else y + self.bias


class Int8Head(torch.nn.Module):
    def __init__(self, shared: dict, form: Form):
        super().__init__()
        self.shared, self.form = shared, form

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return RoundedHead.apply(x, self.shared, self.shared["layers"][0], self.form)


def open_model(family: str):
    return transformers.AutoModelForCausalLM.from_pretrained(HERE / family, dtype=torch.float32, attn_implementation="eager").eval()


def inputs_of(config) -> list[list[str]]:
    """Modules that read one input."""
    parts = [("self_attn", "qkv"), ("self_attn", "o"), ("mlp", ["gate", "up"]), ("mlp", ["down"])]
    layers = range(config.num_hidden_layers)
    return [[f"model.layers.{layer}.{part}.{name}_proj" for name in names] for layer in layers for part, names in parts]


def measure_ranges(family: str, texts: list[torch.Tensor]) -> dict[str, np.ndarray]:
    model = open_model(family)
    ranges: dict[str, np.ndarray] = {}

    def watch(name: str):
        def hook(_, inputs):
            largest = inputs[0][0].abs().amax(dim=0).numpy()
            ranges[name] = np.maximum(ranges[name], largest) if name in ranges else largest

        return hook

    for name in [modules[0] for modules in inputs_of(model.config)] + ["lm_head"]:
        model.get_submodule(name).register_forward_pre_hook(watch(name))
    with torch.no_grad():
        for text in texts:
            model(text[None])
    return ranges


def quantised_model(family: str, ranges: dict[str, np.ndarray], form: Form):
    model = open_model(family)
    model.requires_grad_(False)
    settings = json.loads((HERE / "peft" / family / "adapter_config.json").read_text())
    factor = settings["lora_alpha"] / (settings["r"] ** 0.5 if settings["use_rslora"] else settings["r"])
    prefix = "base_model.model."
    stored = load_file(HERE / "peft" / family / "adapter_model.safetensors")
    adapter = {name.removeprefix(prefix): value.requires_grad_() for name, value in stored.items()}
    for modules in inputs_of(model.config):
        linears = [model.get_submodule(module) for module in modules]
        wide_count = max(1, min(16 if modules[0].endswith("down_proj") else 8, linears[0].in_features // 16))
        shared = quantise([linear.weight.numpy() for linear in linears], ranges[modules[0]], wide_count, form.variant)
        together = Int8Linears(shared, form)
        for place, (module, linear) in enumerate(zip(modules, linears)):
            pair = [adapter.get(f"{module}.lora_{letter}.weight") for letter in "AB"]
            parent, _, child = module.rpartition(".")
            setattr(model.get_submodule(parent), child, Int8Linear(together, place, linear.bias, pair, factor))
    head = quantise([model.lm_head.weight.numpy()], ranges["lm_head"], max(1, min(8, model.config.hidden_size // 16)), form.variant)
    if model.config.tie_word_embeddings:
        # The table that tokens are looked up in holds what the head's weights are worth.
        model.model.embed_tokens.weight.data = head["layers"][0]["worth"].clone()
    model.lm_head = Int8Head(head, form)
    return model, adapter


def compute(family: str, ranges: dict[str, np.ndarray], form: Form) -> dict[str, torch.Tensor]:
    model, adapter = quantised_model(family, ranges, form)
    given = load_file(HERE / family / "expected.safetensors")
    numbers = {}
    loss = torch.zeros(())
    for index in range(2):
        tokens = given[f"tokens.{index}"].long()
        logits = model(input_ids=tokens[None]).logits[0]
        logprobs = torch.zeros(len(tokens))
        logprobs[1:] = torch.log_softmax(logits[:-1], dim=-1).gather(1, tokens[1:, None])[:, 0]
        loss = loss - (given[f"weights.{index}"] * logprobs).sum()
        numbers |= {f"logits.{index}": logits, f"logprobs.{index}": logprobs}
    loss.backward()
    numbers["loss"] = loss
    return numbers | {f"gradient.{name}": value.grad for name, value in adapter.items()}


def record(family: str) -> None:
    for seed in range(1000):
        torch.manual_seed(seed)
        texts = [torch.randint(37, (length,)) for length in (20, 12)]
        ranges = measure_ranges(family, texts)
        form = Form()
        numbers = compute(family, ranges, form)
        if form.margin > MARGIN:
            break
    else:
        raise SystemExit(f"{family}: every text rounds something that lies halfway")
    print(family, "seed", seed, "margin", form.margin)
    watched = next(name for letter in "qk" if (name := "gradient." + WATCHED.format(letter)) in numbers)
    for variant in VARIANTS:
        other = compute(family, ranges, Form(variant))
        numbers |= {f"{variant}/{name}": other[name] for name in ("logprobs.0", watched)}
    numbers |= {f"text.{index}": text.float() for index, text in enumerate(texts)}
    numbers |= {f"ranges.{name}": torch.tensor(value) for name, value in ranges.items()}
    metadata = {"torch": torch.__version__, "transformers": transformers.__version__}
    folder = HERE / "int8"
    folder.mkdir(exist_ok=True)
    save_file({name: value.detach().contiguous() for name, value in numbers.items()}, folder / f"{family}.safetensors", metadata)


if __name__ == "__main__":
    torch.set_num_threads(1)
    for family in FAMILIES:
        record(family)
