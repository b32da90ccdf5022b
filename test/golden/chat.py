"""Chats as Hugging Face transformers renders and encodes them, for the families of models that Sleuth reads.

    pip install transformers tokenizers jinja2 trl
    python test/golden/chat.py

Writes a folder per family under `chat/`: `tokenizer.json` (the family's own way of splitting text, its special tokens, and a small
vocabulary trained on a few lines), `tokenizer_config.json`, `chat_template.jinja` as the model's makers ship it; and
`chat/expected.json`: for each family and conversation the text and the tokens of `apply_chat_template`, or null where the template
refuses the conversation; `raw`, the tokens of the bare text as the tokenizer encodes it by default.

Templates of Qwen and Llama come with TRL (Apache-2.0), which keeps them as shipped by Qwen/Qwen2.5-3B-Instruct, Qwen/Qwen3-4B,
meta-llama/Meta-Llama-3-8B-Instruct and meta-llama/Llama-3.2-1B-Instruct. SmolLM2's is the one inside its GGUF file
(HuggingFaceTB/SmolLM2-135M-Instruct, Apache-2.0), Mistral's that of mistralai/Mistral-7B-Instruct-v0.1 (Apache-2.0).
"""

import datetime
import importlib.resources
import json
import pathlib
import shutil

import jinja2
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import PreTrainedTokenizerFast
from transformers.utils import chat_template_utils

HERE = pathlib.Path(__file__).parent / "chat"

SMOLLM2 = """{% for message in messages %}{% if loop.first and messages[0]['role'] != 'system' %}{{ '<|im_start|>system
You are a helpful AI assistant named SmolLM, trained by Hugging Face<|im_end|>
' }}{% endif %}{{'<|im_start|>' + message['role'] + '
' + message['content'] + '<|im_end|>' + '
'}}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant
' }}{% endif %}"""

MISTRAL = "{{ bos_token }}{% for message in messages %}{% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}{{ raise_exception('Conversation roles must alternate user/assistant/user/assistant/...') }}{% endif %}{% if message['role'] == 'user' %}{{ '[INST] ' + message['content'] + ' [/INST]' }}{% elif message['role'] == 'assistant' %}{{ message['content'] + eos_token + ' ' }}{% else %}{{ raise_exception('Only user and assistant roles are supported!') }}{% endif %}{% endfor %}"

QWEN_SPLIT = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
LLAMA_SPLIT = QWEN_SPLIT.replace(r"|\p{N}|", r"|\p{N}{1,3}|")


def shipped(name: str) -> str:
    return importlib.resources.files("trl").joinpath("chat_templates", f"{name}.jinja").read_text()


def split(pattern: str):
    return pre_tokenizers.Sequence(
        [pre_tokenizers.Split(Regex(pattern), "isolated"), pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)]
    )


SMOL_SPLIT = pre_tokenizers.Sequence(
    [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
)
# Special tokens in the order of their ids; `added` are tokens of the tokenizer that are not special (Qwen3's think tags).
FAMILIES = {
    "smollm2": dict(
        template=SMOLLM2,
        splitter=SMOL_SPLIT,
        special=["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<repo_name>"],
        names=dict(bos_token="<|im_start|>", eos_token="<|im_end|>", unk_token="<|endoftext|>", pad_token="<|im_end|>"),
    ),
    "qwen2.5": dict(
        template=shipped("qwen2_5"),
        splitter=split(QWEN_SPLIT),
        normalizer=normalizers.NFC(),
        special=["<|endoftext|>", "<|im_start|>", "<|im_end|>"],
        added=["<tool_call>", "</tool_call>"],
        names=dict(eos_token="<|im_end|>", pad_token="<|endoftext|>"),
    ),
    "qwen3": dict(
        template=shipped("qwen3"),
        splitter=split(QWEN_SPLIT),
        normalizer=normalizers.NFC(),
        special=["<|endoftext|>", "<|im_start|>", "<|im_end|>"],
        added=["<tool_call>", "</tool_call>", "<think>", "</think>"],
        names=dict(eos_token="<|im_end|>", pad_token="<|endoftext|>"),
    ),
    "llama3": dict(
        template=shipped("llama3"),
        splitter=split(LLAMA_SPLIT),
        special=["<|begin_of_text|>", "<|end_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"],
        names=dict(bos_token="<|begin_of_text|>", eos_token="<|end_of_text|>"),
    ),
    "llama3.2": dict(
        template=shipped("llama3_2"),
        splitter=split(LLAMA_SPLIT),
        special=["<|begin_of_text|>", "<|end_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"],
        names=dict(bos_token="<|begin_of_text|>", eos_token="<|eot_id|>"),
    ),
    "mistral": dict(
        template=MISTRAL,
        splitter=SMOL_SPLIT,
        special=["<unk>", "<s>", "</s>"],
        names=dict(bos_token="<s>", eos_token="</s>", unk_token="<unk>"),
    ),
}

LINES = [
    "Answer the given question. You can call a search engine by <search> query </search>.",
    "The answer is inside <answer> and </answer>. Question: who wrote the letters of 1924?",
    "You are a helpful assistant. Today Date: 26 Jul 2024. system user assistant",
]
USER = dict(role="user", content="Answer the given question, for example <answer> Beijing </answer>. Question: who?\n")
CONVERSATIONS = [
    dict(messages=[USER], addGenerationPrompt=True),
    dict(messages=[dict(role="user", content="  Évian 1924: \n\n\"quoted\" {{ bos_token }} \\n it's 12345 日本 ")], addGenerationPrompt=True),
    dict(
        messages=[
            dict(role="system", content="Be brief."),
            USER,
            dict(role="assistant", content="<think>\nhm\n</think>\n\n<search> who </search>"),
            dict(role="user", content="Go on."),
        ],
        addGenerationPrompt=True,
    ),
    dict(messages=[USER, dict(role="assistant", content="<answer> Ada </answer>")], addGenerationPrompt=False),
    dict(messages=[dict(role="assistant", content="I begin."), USER], addGenerationPrompt=True),
]


class Frozen(datetime.datetime):
    """The day that a template with `strftime_now` sees."""

    @classmethod
    def now(cls, tz=None):
        return cls(2025, 3, 9, 17, 5)


def make(name: str, family: dict) -> PreTrainedTokenizerFast:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = family["splitter"]
    tokenizer.normalizer = family.get("normalizer")
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=320,
        special_tokens=family["special"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(LINES, trainer)
    tokenizer.add_tokens([AddedToken(token, normalized=False, special=False) for token in family.get("added", [])])
    bos = family["names"].get("bos_token")
    # Llama and Mistral begin every text with their BOS; SmolLM2 names one and does not.
    if bos is not None and name != "smollm2":
        tokenizer.post_processor = processors.TemplateProcessing(
            single=f"{bos} $A", special_tokens=[(bos, tokenizer.token_to_id(bos))]
        )
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, chat_template=family["template"], **family["names"])


def main() -> None:
    chat_template_utils.datetime = Frozen
    expected = []
    for name, family in FAMILIES.items():
        folder = HERE / name
        shutil.rmtree(folder, ignore_errors=True)
        made = make(name, family)
        made.save_pretrained(folder)
        (folder / "tokenizer.json").write_text(json.dumps(json.loads((folder / "tokenizer.json").read_text())) + "\n")
        tokenizer = PreTrainedTokenizerFast.from_pretrained(folder)
        for conversation in CONVERSATIONS:
            options = dict(add_generation_prompt=conversation["addGenerationPrompt"])
            try:
                text = tokenizer.apply_chat_template(conversation["messages"], tokenize=False, **options)
                tokens = tokenizer.apply_chat_template(conversation["messages"], tokenize=True, return_dict=False, **options)
            except jinja2.exceptions.TemplateError:
                text, tokens = None, None
            raw = tokenizer(conversation["messages"][0]["content"])["input_ids"]
            expected.append(dict(family=name, **conversation, text=text, tokens=tokens, raw=raw))
    lines = ",\n".join("  " + json.dumps(case, ensure_ascii=False) for case in expected)
    (HERE / "expected.json").write_text(f"[\n{lines}\n]\n")


if __name__ == "__main__":
    main()
