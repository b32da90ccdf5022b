"""Small tokenizers as a GGUF file would hold them, with the ids that their makers' libraries give.

    pip install tokenizers sentencepiece
    python test/golden/gguf_tokenizers.py    # then: npx prettier --write test/golden/gguf-tokenizers.json

Writes `gguf-tokenizers.json`: for each way to cut text (`tokenizer.ggml.pre`) a byte-level BPE trained with the very pre-tokenizer of
the model family's tokenizer.json; and a SentencePiece model. `fields` is the metadata, `cases` are pairs of text and ids, without
tokens at the beginning.
"""

import json
import pathlib
import tempfile

import sentencepiece
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

from smollm2 import TEXTS

HERE = pathlib.Path(__file__).parent
CORPUS = [text for path in sorted(HERE.glob("*.py")) for text in path.read_text().splitlines()] * 2 + TEXTS * 30
SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]

QWEN = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
LLAMA3 = QWEN.replace(r"|\p{N}|", r"|\p{N}{1,3}|")


def split(pattern: str) -> pre_tokenizers.PreTokenizer:
    return pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(pattern), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )


CUTTINGS = {
    "gpt-2": (None, pre_tokenizers.ByteLevel(add_prefix_space=False)),
    "smollm": (
        None,
        pre_tokenizers.Sequence(
            [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
        ),
    ),
    "qwen2": (normalizers.NFC(), split(QWEN)),
    "llama-bpe": (None, split(LLAMA3)),
}


def byte_level(name: str) -> dict:
    normalizer, cutting = CUTTINGS[name]
    tokenizer = Tokenizer(models.BPE())
    if normalizer:
        tokenizer.normalizer = normalizer
    tokenizer.pre_tokenizer = cutting
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=420, initial_alphabet=alphabet, show_progress=False)
    tokenizer.train_from_iterator(CORPUS, trainer)
    trained = json.loads(tokenizer.to_str())
    trained["model"]["ignore_merges"] = name == "llama-bpe"
    tokenizer = Tokenizer.from_str(json.dumps(trained))
    tokenizer.add_special_tokens(SPECIAL)
    tokenizer.add_tokens([AddedToken("<tool_call>", normalized=False)])
    size = tokenizer.get_vocab_size()
    tokens = [tokenizer.id_to_token(index) for index in range(size)]
    return {
        "fields": {
            "tokenizer.ggml.model": "gpt2",
            "tokenizer.ggml.pre": name,
            "tokenizer.ggml.tokens": tokens,
            "tokenizer.ggml.token_type": [1] * (size - 4) + [3, 3, 3, 4],
            "tokenizer.ggml.merges": [" ".join(pair) for pair in trained["model"]["merges"]],
            "tokenizer.ggml.bos_token_id": tokens.index("<|im_start|>"),
            "tokenizer.ggml.eos_token_id": tokens.index("<|im_end|>"),
        },
        "cases": [[text, tokenizer.encode(text, add_special_tokens=False).ids] for text in TEXTS + ["a<tool_call>b"]],
    }


def sentence_piece() -> dict:
    with tempfile.TemporaryDirectory() as folder:
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter(CORPUS),
            model_prefix=f"{folder}/model",
            model_type="bpe",
            vocab_size=520,
            character_coverage=0.995,
            byte_fallback=True,
            normalization_rule_name="identity",
            remove_extra_whitespaces=False,
            split_digits=True,
            max_sentence_length=10_000,
            minloglevel=2,
        )
        processor = sentencepiece.SentencePieceProcessor(model_file=f"{folder}/model.model")
    kinds = {"is_unknown": 2, "is_control": 3, "is_unused": 5, "is_byte": 6}
    ids = range(processor.get_piece_size())
    return {
        "fields": {
            "tokenizer.ggml.model": "llama",
            "tokenizer.ggml.tokens": [processor.id_to_piece(index) for index in ids],
            "tokenizer.ggml.token_type": [
                next((kind for name, kind in kinds.items() if getattr(processor, name)(index)), 1) for index in ids
            ],
            "tokenizer.ggml.scores": [processor.get_score(index) for index in ids],
            "tokenizer.ggml.bos_token_id": processor.bos_id(),
            "tokenizer.ggml.eos_token_id": processor.eos_id(),
            "tokenizer.ggml.unknown_token_id": processor.unk_id(),
        },
        # SentencePiece splits at no special token and keeps no zero byte.
        "cases": [[text, processor.encode(text)] for text in TEXTS if "<|" not in text and "\x00" not in text],
    }


if __name__ == "__main__":
    tokenizers = {name: byte_level(name) for name in CUTTINGS} | {"sentencepiece": sentence_piece()}
    (HERE / "gguf-tokenizers.json").write_text(json.dumps(tokenizers))
