"""What transformers computes from SmolLM2-135M-Instruct as the GGUF file of `npm run fixtures:smollm2`.

    pip install torch transformers gguf safetensors
    npm run fixtures:smollm2
    python test/golden/smollm2.py

Writes `smollm2/expected.json` (texts and their token ids, prompts and theirs, and 16 greedily written tokens for some of them) and
`smollm2/expected.safetensors`. Of each prompt p, at its positions `positions.p`: `logits.p` [positions, 64], the logits of the
vocabulary entries `entries`; `normalizer.p`, the logarithm of the sum over the whole vocabulary of exp(logit); `best.p` and
`highest.p`, the entry with the highest logit and that logit. transformers unpacks the file's weights to float32.
"""

import json
import os
import pathlib

import torch
import transformers
from safetensors.torch import save_file
from tokenizers import pre_tokenizers

HERE = pathlib.Path(__file__).parent
FILE = pathlib.Path(os.environ.get("SLEUTH_SMOLLM2", HERE / "../../.cache/smollm2/SmolLM2-135M-Instruct.Q4_1.gguf")).resolve()

PROMPTS = [
    "The capital of France is",
    "Once upon a time, in a small village by the sea, there lived",
    "def fibonacci(n):\n    ",
    "2 + 2 = 4, 3 + 3 = 6, 17 + 25 =",
    "Question: Who wrote the novel Moby-Dick?\nAnswer:",
    "<|im_start|>user\nWhat is the boiling point of water?<|im_end|>\n<|im_start|>assistant\n",
    "<|im_start|>system\nYou answer in one word.<|im_end|>\n<|im_start|>user\nName a colour.<|im_end|>\n<|im_start|>assistant\n",
    "<|im_start|>user\nAnswer the given question. You may call a search engine by <search> query </search>. "
    "Question: which river flows through Vienna?<|im_end|>\n<|im_start|>assistant\n",
    "<think>I need to find out who was president in 1923.</think>\n<search>",
    "<information>Doc 1 (Title: \"Ada Lovelace\") Augusta Ada King, Countess of Lovelace, was an English mathematician.</information>\n",
    "In 1969, Neil Armstrong",
    "La tour Eiffel se trouve à",
    "Der schnelle braune Fuchs springt über den",
    "北京是中国的",
    "import numpy as np\nx = np.zeros((3, 4))\nprint(x.shape)  #",
    "The quick brown fox jumps over the lazy dog. " * 6,
    "a",
    "SELECT name, age FROM users WHERE",
    "Water is made of hydrogen and",
    "1, 1, 2, 3, 5, 8, 13, 21, 34, 55, 89,",
]
WRITTEN = [0, 5, 7, 14, 19]
TEXTS = [
    "",
    " ",
    "Hello, world!",
    "hello   world",
    "  leading and trailing  ",
    "tabs\tand\nnew\r\nlines\n\n\n",
    "don't can't I'm you'll he'd we've THEY'RE",
    "1234567890 3.14159 1,000,000 v2.0.1",
    "１２３ ٣٤٥ ² ½ Ⅷ",
    "café naïve Zoë Ångström",
    "e\u0301 combining",
    "Привет, мир",
    "こんにちは世界",
    "مرحبا بالعالم",
    "한국어 문장",
    "🙂👍🏽👨‍👩‍👧‍👦 🇫🇷",
    "\u00a0non-breaking\u2003em\u200bzero",
    "$100 €50 £20 50% #1 @user a_b-c/d\\e",
    "!!!??? ... --- *** ((()))",
    "if (x<=3 && y!=4) { return x->y; }",
    "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n",
    "<|endoftext|>",
    "text<|im_end|>text",
    "<|im_start",
    "<|IM_START|>",
    "<search> who wrote Hamlet </search>",
    "<information>Doc 1(Title: \"A\") b</information>\n\n<think>",
    "<answer> Paris </answer>",
    "https://example.org/a?b=c&d=e#f",
    "user@example.com",
    "camelCaseAndPascalCase snake_case SCREAMING",
    "    indented\n\tcode\n        more",
    "x" * 50,
    " " * 33,
    "\n" * 9,
    "a\x00b\x7f",
    "The year 1999, the 21st century, 50°C",
    "<repo_name>octo/cat<file_sep>main.py",
    "ﬁ ﬂ ™ ©",
    "Ünïcödé ñ ß ø æ",
    "\ufeffbyte order mark \ufeff\ufeff within",
    "next\u0085line \u0085\u0085 separators\u2028and\u2029",
    "H₂O x² ⅓ cup Ⅳ. ①②",
]


def main() -> None:
    torch.set_num_threads(1)
    tokenizer = transformers.AutoTokenizer.from_pretrained(FILE.parent, gguf_file=FILE.name)
    # transformers leaves out that this model cuts digits off ("smollm" in the file's metadata); its own tokenizer.json does it so.
    digits = pre_tokenizers.Digits(individual_digits=True)
    tokenizer.backend_tokenizer.pre_tokenizer = pre_tokenizers.Sequence([digits, pre_tokenizers.ByteLevel(add_prefix_space=False)])
    model = transformers.AutoModelForCausalLM.from_pretrained(FILE.parent, gguf_file=FILE.name, dtype=torch.float32).eval()
    entries = torch.arange(64) * 761 % model.config.vocab_size
    numbers = {"entries": entries.float()}
    prompts = []
    with torch.no_grad():
        for index, text in enumerate(PROMPTS):
            ids = tokenizer(text, add_special_tokens=False).input_ids
            positions = torch.tensor(sorted({0, len(ids) // 2, len(ids) - 1}))
            logits = model(torch.tensor([ids])).logits[0, positions]
            highest, best = logits.max(dim=-1)
            numbers |= {
                f"positions.{index}": positions.float(),
                f"logits.{index}": logits[:, entries].contiguous(),
                f"normalizer.{index}": logits.logsumexp(dim=-1),
                f"best.{index}": best.float(),
                f"highest.{index}": highest,
            }
            prompt = dict(text=text, ids=ids)
            if index in WRITTEN:
                output = model.generate(torch.tensor([ids]), max_new_tokens=16, do_sample=False, eos_token_id=2, pad_token_id=2)
                prompt["written"] = output[0, len(ids) :].tolist()
                print(repr(tokenizer.decode(prompt["written"])))
            prompts.append(prompt)
    texts = [dict(text=text, ids=tokenizer(text, add_special_tokens=False).input_ids) for text in TEXTS]
    folder = HERE / "smollm2"
    folder.mkdir(exist_ok=True)
    versions = {"torch": torch.__version__, "transformers": transformers.__version__}
    lines = lambda items: "[\n  " + ",\n  ".join(json.dumps(item) for item in items) + "\n]"
    (folder / "expected.json").write_text(f'{{"made": {json.dumps(versions)}, "texts": {lines(texts)}, "prompts": {lines(prompts)}}}\n')
    save_file(numbers, folder / "expected.safetensors", versions)


if __name__ == "__main__":
    main()
