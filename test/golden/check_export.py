"""Opens what `sleuth export` wrote with transformers or PEFT, and compares with what Sleuth computes.

    pip install torch transformers peft safetensors
    sleuth export RUN --out FOLDER
    node --import tsx scripts/record-logprobs.ts RUN/best FILE.json    # or any other model: what is expected
    python test/golden/check_export.py FOLDER FILE.json [--tolerance 1e-3]

Compares token ids of several texts, the rendered chat template, the tokens that end a text, log-probabilities and greedy continuations.
FOLDER may be an adapter: its base is opened from where `adapter_config.json` says, a GGUF file included, and its generation settings are put in
place of the base's, as the card says. Nothing else is set: what `generate` does by itself is compared, up to the end of a text. Log-probabilities
may differ by the tolerance in nats; continuations must be equal unless --any-continuation is given (for bf16 and f16, where a near tie may
fall otherwise).
"""

import argparse
import json
import pathlib

import torch
import transformers

parser = argparse.ArgumentParser()
parser.add_argument("folder", type=pathlib.Path)
parser.add_argument("expected", type=pathlib.Path)
parser.add_argument("--tolerance", type=float, default=1e-3)
parser.add_argument("--any-continuation", action="store_true")
arguments = parser.parse_args()
torch.set_num_threads(1)


def open_model(folder: pathlib.Path) -> torch.nn.Module:
    adapter = folder / "adapter_config.json"
    # In float32 whatever is stored, as Sleuth computes.
    options = dict(dtype=torch.float32, attn_implementation="eager")
    if not adapter.exists():
        model, report = transformers.AutoModelForCausalLM.from_pretrained(folder, output_loading_info=True, **options)
        assert not report["missing_keys"] and not report["unexpected_keys"] and not report["mismatched_keys"], report
        return model
    import peft

    base = json.loads(adapter.read_text())["base_model_name_or_path"]
    if base.endswith(".gguf"):
        options["gguf_file"] = pathlib.Path(base).name
        base = str(pathlib.Path(base).parent)
    model = transformers.AutoModelForCausalLM.from_pretrained(base, **options)
    model = peft.PeftModel.from_pretrained(model, folder)
    model.generation_config = transformers.GenerationConfig.from_pretrained(folder)
    return model


def until_end(tokens: list[int]) -> list[int]:
    """Sleuth's continuations may go on behind the end of a text."""
    end = next((index for index, token in enumerate(tokens) if token in expected["eosIds"]), len(tokens))
    return tokens[: end + 1]


expected = json.loads(arguments.expected.read_text())
tokenizer = transformers.AutoTokenizer.from_pretrained(arguments.folder)
model = open_model(arguments.folder).eval()
print(f"{arguments.folder}: {type(model).__name__}, {type(tokenizer).__name__}")
problems = []

settings = json.loads((arguments.folder / "generation_config.json").read_text())
more = set(settings) - {"eos_token_id", "bos_token_id", "pad_token_id", "transformers_version", "_from_model_config"}
if more:
    problems.append(f"generation_config.json holds {sorted(more)}, which change what is written")
ends = model.generation_config.eos_token_id
ends = ends if isinstance(ends, list) else [ends]
if sorted(ends) != sorted(expected["eosIds"]):
    problems.append(f"texts end with {ends}, in Sleuth with {expected['eosIds']}")
if expected["messages"] is not None:
    rendered = tokenizer.apply_chat_template(expected["messages"], tokenize=False, add_generation_prompt=True)
    if rendered != expected["records"][-1]["text"]:
        problems.append(f"the chat template renders {rendered!r}, in Sleuth {expected['records'][-1]['text']!r}")

worst = 0.0
equal = 0
for record in expected["records"]:
    tokens = tokenizer(record["text"], add_special_tokens=False).input_ids
    if tokens != record["tokens"]:
        problems.append(f"{record['text']!r} has the tokens {tokens}, in Sleuth {record['tokens']}")
    prefix = torch.tensor([record["tokens"]])
    with torch.no_grad():
        logits = model(input_ids=prefix).logits[0]
        written = model.generate(
            input_ids=prefix,
            attention_mask=torch.ones_like(prefix),
            max_new_tokens=len(record["greedy"]),
        )[0, prefix.shape[1] :].tolist()
    logprobs = torch.log_softmax(logits[:-1].double(), dim=-1).gather(1, prefix[0, 1:, None])[:, 0]
    difference = (logprobs - torch.tensor(record["logprobs"][1:]).double()).abs().max().item()
    worst = max(worst, difference)
    greedy = until_end(record["greedy"])
    equal += written == greedy
    if written != greedy and not arguments.any_continuation:
        problems.append(f"{record['text'][:40]!r} goes on with {written}, in Sleuth with {greedy}")
if not worst <= arguments.tolerance:
    problems.append(f"log-probabilities differ by {worst} nats, more than {arguments.tolerance}")

total = len(expected["records"])
print(f"largest difference of a log-probability: {worst:.2e} nats; {equal} of {total} greedy continuations equal")
for problem in problems:
    print("NOT EQUAL:", problem)
raise SystemExit(1 if problems else 0)
