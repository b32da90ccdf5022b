"""Whether transformers reads a folder's tokenizer as its tokenizer.json says, on seeded texts of many kinds.

    pip install transformers tokenizers
    python test/golden/check_tokenizer.py FOLDER [--texts 1000]

Compared are the token ids of AutoTokenizer, without and with what belongs around a text, and what decoding gives back, with those of the library
`tokenizers` on the same tokenizer.json. What begins and ends a text is left out of the comparison where tokenizer_config.json says it in its own
way (`add_bos_token`). Exit status 1: some differ, and some of them are shown.
"""

import argparse
import json
import pathlib
import random

import tokenizers
import transformers

parser = argparse.ArgumentParser()
parser.add_argument("folder", type=pathlib.Path)
parser.add_argument("--texts", type=int, default=1000)
arguments = parser.parse_args()

truth = tokenizers.Tokenizer.from_file(str(arguments.folder / "tokenizer.json"))
tokenizer = transformers.AutoTokenizer.from_pretrained(arguments.folder)
settings = json.loads((arguments.folder / "tokenizer_config.json").read_text())

rng = random.Random(1)
special = [token.content for token in truth.get_added_tokens_decoder().values() if token.special][:4]
pieces = [
    *"the ferry leaves Landskrona at 9:05 – don't und täglich außer 日曜日 naïve ﬁ Ⅷ 12345 3.14 …".split(" "),
    *[" ", "  ", "   ", "\n", "\n\n", "\t", "\r\n", "\u00a0", "\u200b", "\u3000", ".", ",", "?!", "(", ")", "<search>", "</search>", "🛳️", "é", "e\u0301"],
    *special,
]
texts = ["".join(rng.choices(pieces, k=rng.randint(1, 8))) for _ in range(arguments.texts)]
texts += [" ".join(rng.choices(pieces, k=rng.randint(1, 8))) for _ in range(arguments.texts // 2)]

compared = {
    "ids": lambda text: (tokenizer(text, add_special_tokens=False).input_ids, truth.encode(text, add_special_tokens=False).ids),
    "decoded": lambda text: (
        tokenizer.decode(truth.encode(text, add_special_tokens=False).ids),
        truth.decode(truth.encode(text, add_special_tokens=False).ids, skip_special_tokens=False),
    ),
}
if "add_bos_token" not in settings and "add_eos_token" not in settings:
    compared["ids with beginning and end"] = lambda text: (tokenizer(text).input_ids, truth.encode(text).ids)

different = 0
for name, both in compared.items():
    found = [(text, *both(text)) for text in texts]
    wrong = [row for row in found if row[1] != row[2]]
    print(f"{type(tokenizer).__name__}, {name}: {len(wrong)} of {len(texts)} texts differ")
    for text, theirs, expected in wrong[:3]:
        print(f"  {text!r}: {theirs}, not {expected}")
    different += len(wrong)
raise SystemExit(1 if different else 0)
