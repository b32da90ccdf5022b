"""Folders of sentence-transformers in its new form (5.4 and later) and in its old one, with the vectors that it computes.

    pip install torch transformers sentence-transformers
    python test/golden/sentence_folders.py

Made with sentence-transformers 6.2.0, transformers 5.24.0 and torch 2.13.0. Writes `sentence-folders/` beside this file: a folder for each case, as the library saves it
(the old form is written here by hand and read by the library), all with the weights of one tiny random BERT, which lie once in `model.safetensors`; and `golden.json`: for each
case the longest text in tokens, and for each text the unit vectors of `encode_query` and `encode_document`.
"""

import json
import pathlib
import shutil
import tempfile

import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.base.modules import Dense, Normalize, Transformer
from sentence_transformers.sentence_transformer.modules import Pooling
from transformers import BertConfig, BertModel

HERE = pathlib.Path(__file__).parent
OUT = HERE / "sentence-folders"
TOKENIZER = HERE / "../../src/search/dense/testdata/tokenizer-golden.json"
HIDDEN = 16
TEXTS = [
    "owl",
    "Lima is the capital of Peru. The currency is the Peruvian sol.",
    "",
    "Who wrote Heroes? Bowie and Eno, in 1977.",
    "THE TREES OF THE RED FOREST",
    "the trees of the red, green and blue forest " * 12,
]


def write(path, value):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value, indent=2) + "\n")


def base(folder, lower=True, longest=48):
    """A folder of transformers: the tiny BERT with the word pieces of the other tests."""
    tokenizer = json.loads(TOKENIZER.read_text())["wordPiece"]["tokenizer"]
    tokenizer["normalizer"]["lowercase"] = lower
    torch.manual_seed(3)
    config = BertConfig(
        vocab_size=220,
        hidden_size=HIDDEN,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=24,
        max_position_embeddings=64,
        initializer_range=0.4,
    )
    BertModel(config).save_pretrained(folder)
    write(folder / "tokenizer.json", tokenizer)
    write(folder / "tokenizer_config.json", {"tokenizer_class": "PreTrainedTokenizerFast", "model_max_length": longest, "pad_token": "[PAD]", "cls_token": "[CLS]", "sep_token": "[SEP]", "unk_token": "[UNK]"})
    return folder


def dense(into, out, seed, **options):
    torch.manual_seed(seed)
    return Dense(into, out, **options)


def cases(scratch):
    lower, cased = base(scratch / "lower"), base(scratch / "cased", lower=False)
    transformer = lambda folder=lower, **options: Transformer(str(folder), **options)
    yield "mean-dense", SentenceTransformer(
        modules=[transformer(), Pooling(HIDDEN, "mean"), dense(HIDDEN, 8, 1), Normalize()],
        prompts={"query": "the capital of: ", "document": "owl: "},
    )
    yield "cls-residual", SentenceTransformer(
        modules=[
            transformer(),
            Pooling(HIDDEN, "cls"),
            dense(HIDDEN, HIDDEN, 2, bias=False, activation_function=torch.nn.Identity(), use_residual=True),
            Normalize(),
            dense(HIDDEN, 12, 4, activation_function=torch.nn.ReLU(), use_residual=True),
        ],
    )
    yield "without-prompt", SentenceTransformer(
        modules=[transformer(), Pooling(HIDDEN, "mean", include_prompt=False)],
        prompts={"query": "the capital of: ", "document": "owl: "},
    )
    yield "lower-case", SentenceTransformer(modules=[transformer(cased, do_lower_case=True), Pooling(HIDDEN, "mean")])
    short = SentenceTransformer(modules=[transformer(), Pooling(HIDDEN, "mean"), Normalize()])
    short.max_seq_length = 12
    yield "short", short


def old_form(scratch):
    """As version 2 wrote it: a folder for the model, flags for the pooling, names of classes under `models`."""
    folder = scratch / "old-form"
    base(folder / "0_Transformer", lower=False, longest=64)
    kinds = [("0_Transformer", "Transformer"), ("1_Pooling", "Pooling"), ("2_Dense", "Dense")]
    modules = [{"idx": idx, "name": str(idx), "path": path, "type": f"sentence_transformers.models.{kind}"} for idx, (path, kind) in enumerate(kinds)]
    write(folder / "modules.json", modules)
    write(folder / "0_Transformer" / "sentence_roberta_config.json", {"max_seq_length": 20, "do_lower_case": True})
    flags = {"cls_token": True, "mean_tokens": False, "max_tokens": False, "mean_sqrt_len_tokens": False}
    write(folder / "1_Pooling" / "config.json", {"word_embedding_dimension": HIDDEN, **{f"pooling_mode_{name}": on for name, on in flags.items()}})
    (folder / "2_Dense").mkdir()
    dense(HIDDEN, 8, 5).save(str(folder / "2_Dense"))
    write(folder / "2_Dense" / "config.json", {"in_features": HIDDEN, "out_features": 8, "bias": True, "activation_function": "torch.nn.modules.activation.Tanh"})
    return folder


def unit(vectors):
    return [[float(f"{x:.7g}") for x in (v.double() / v.double().norm()).tolist()] for v in map(torch.tensor, vectors)]


def main():
    shutil.rmtree(OUT, ignore_errors=True)
    OUT.mkdir()
    golden = {}
    with tempfile.TemporaryDirectory() as name:
        scratch = pathlib.Path(name)
        for case, model in cases(scratch):
            model.save(str(OUT / case), create_model_card=False)
        shutil.copytree(old_form(scratch), OUT / "old-form")
        shutil.copy(scratch / "lower" / "model.safetensors", OUT)
    for folder in sorted(path for path in OUT.iterdir() if path.is_dir()):
        model = SentenceTransformer(str(folder))
        # Each text alone: no padding can matter.
        alone = lambda encode: unit([encode([text])[0] for text in TEXTS])
        golden[folder.name] = {"maxTokens": model.max_seq_length, "query": alone(model.encode_query), "passage": alone(model.encode_document)}
        for weights in folder.rglob("model.safetensors"):
            if weights.parent.name in (folder.name, "0_Transformer"):
                assert weights.read_bytes() == (OUT / "model.safetensors").read_bytes()
                weights.unlink()
    (OUT / "golden.json").write_text(json.dumps({"texts": TEXTS, "cases": golden}) + "\n")


main()
