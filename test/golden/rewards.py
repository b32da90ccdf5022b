"""Golden values of rewards, written from the papers and the measures' definitions and not from src/rewards:
normalisation, exact match, cover match, substring match, word F1, the format machine (as a grammar), the released text
scorers, DAPO's soft overlong punishment.

    python test/golden/rewards.py    # writes rewards.json; needs no packages. Then: npx prettier --write test/golden/rewards.json

Answers and texts are drawn at random from pieces that hurt (accents, articles, tags in wrong places), with a fixed seed.
"""

import json
import random
import re
import string
import unicodedata
from collections import Counter
from pathlib import Path

rng = random.Random(20250515)


# Measures ---------------------------------------------------------------------------------------------------------------


def normalise_original(text):
    """evaluate-v1.1.py: lower, remove punctuation, remove articles, fix white space."""
    text = "".join(ch for ch in text.lower() if ch not in set(string.punctuation))
    return " ".join(re.sub(r"\b(a|an|the)\b", " ", text).split())


def normalise(text):
    return normalise_original(unicodedata.normalize("NFC", text))


def exact(answer, golds):
    return int(normalise(answer) in [normalise(gold) for gold in golds])


def cover(answer, golds):
    have = normalise(answer).split()
    for gold in golds:
        want = normalise(gold).split()
        if not want:
            if not have:
                return 1
            continue
        if any(have[i : i + len(want)] == want for i in range(len(have) - len(want) + 1)):
            return 1
    return 0


def substring(answer, golds):
    return int(any(normalise(gold) in normalise(answer) for gold in golds))


def f1(answer, golds):
    best = 0.0
    for gold in golds:
        a, g = normalise(answer), normalise(gold)
        if a in ("yes", "no", "noanswer") or g in ("yes", "no", "noanswer"):
            score = float(a == g)
        elif not a or not g:
            score = float(a == g)
        else:
            same = sum((Counter(a.split()) & Counter(g.split())).values())
            precision, recall = same / len(a.split()), same / len(g.split())
            score = 0.0 if same == 0 else 2 * precision * recall / (precision + recall)
        best = max(best, score)
    return best


def soft_overlong(length, most, buffer):
    if length <= most - buffer:
        return 0.0
    if length <= most:
        return ((most - buffer) - length) / buffer
    return -1.0


# Format: a grammar over letters, one per tag, x for text that is not blank ------------------------------------------------

LETTERS = {"<think>": "b", "</think>": "B", "<search>": "s", "</search>": "S", "<information>": "i", "</information>": "I", "<answer>": "a", "</answer>": "A"}


def letters(text):
    pieces = re.split(r"(</?(?:think|search|information|answer)>)", text)
    return "".join(LETTERS.get(piece, "x") for piece in pieces if piece.strip())


def is_search_turn(text):
    return re.fullmatch(r"bx?Bsx?S", letters(text)) is not None


def is_answer_turn(text):
    return re.fullmatch(r"bx?Bax?A", letters(text)) is not None


def roles_valid(turns):
    return all(is_search_turn(turn) for turn in turns[:-1]) and is_answer_turn(turns[-1])


def text_valid(text):
    parts = re.split(r"<\|im_start\|>assistant", text, maxsplit=1)
    return len(parts) == 2 and re.fullmatch(r"(?:bx?Bsx?Six?I)*bx?Bax?A", letters(parts[1])) is not None


def last_answer(text):
    found = re.findall(r"<answer>(.*?)</answer>", text, re.S)
    return found[-1].strip() if len(found) >= 2 else None


def text_em(text, golds):
    answer = last_answer(text)
    return int(answer is not None and normalise_original(answer) in [normalise_original(gold) for gold in golds])


def text_format(text, golds, structure, final, retrieval):
    valid, right = text_valid(text), text_em(text, golds)
    blocks = [normalise_original(block) for block in re.findall(r"<information>(.*?)</information>", text, re.S)]
    hit = any(normalise_original(gold) in block for gold in golds for block in blocks)
    if right:
        return 1.0 if valid else 1.0 - structure
    if valid:
        return structure + (retrieval if hit else 0.0)
    return 0.0 if last_answer(text) is None else final


# Cases -------------------------------------------------------------------------------------------------------------------

WORDS = ["The", "the", "a", "an", "An", "Beatles", "U.S.", "rock-n-roll", "O'Neil", "L’Oréal", "día", "a\u0301", "á", "the_a", "3,000", "—", "yes", "no", "No.",
         "noanswer", "Norway", "Peruvian", "sol", "solution", "Peruvian sol", "", " ", "\t", "\u00a0", "\u3000", "\x1f", "\ufeff", "ΣΑΣ", "İstanbul", "½", "ﬁ", "北京", "an.", "`a`", "$5", "a—b"]


def phrase(most=5):
    return rng.choice(["", " ", ", ", "  "]).join(rng.choice(WORDS) for _ in range(rng.randint(0, most))) if rng.random() < 0.3 else " ".join(rng.choice(WORDS) for _ in range(rng.randint(0, most)))


def answer_case():
    golds = [phrase(3) for _ in range(rng.randint(1, 3))]
    kind = rng.random()
    answer = phrase() if kind < 0.4 else rng.choice(golds) if kind < 0.6 else f"{phrase(2)} {rng.choice(golds)} {phrase(2)}"
    return {"answer": answer, "golds": golds, "exact": exact(answer, golds), "cover": cover(answer, golds), "substring": substring(answer, golds), "f1": f1(answer, golds)}


PIECES = list(LETTERS) + ["so", " ", "\n", "", "Paris", "</ think>", "<Think>"]
GOOD = {"think": ["<think> a </think>", "<think></think>", "\n<think>\nlong thought\n</think>\n"], "search": ["<search> q </search>", "<search></search>"], "answer": ["<answer> Paris </answer>", "<answer></answer>", "<answer>Rome</answer>\n"]}


def turn(last):
    parts = [rng.choice(GOOD["think"]), rng.choice(GOOD["answer" if last else "search"])]
    damage = rng.random()
    if damage < 0.15:
        parts.insert(rng.randint(0, 2), rng.choice(PIECES))
    elif damage < 0.22:
        parts.pop(rng.randint(0, 1))
    elif damage < 0.26:
        parts.reverse()
    elif damage < 0.3:
        parts = [rng.choice(PIECES) for _ in range(rng.randint(0, 6))]
    elif damage < 0.34:
        tags = re.split(r"(</?\w+>)", "".join(parts))
        tags.pop(rng.randrange(len(tags)))
        parts = tags
    return "".join(parts)


PROMPT = "<|im_start|>user\nBetween <information> and </information>. Answer inside <answer> and </answer>. For example, <answer> Beijing </answer>. Question: Capital of France?\n<|im_end|>\n<|im_start|>assistant\n"
BLOCK = "\n\n<information>Doc 1(Title: France) Its capital is Paris.\n</information>\n\n"
EMPTY = "\n\n<information></information>\n\n"


def format_case():
    count = rng.randint(1, 4)
    turns = [turn(index == count - 1) for index in range(count)]
    found = [rng.random() < 0.5 for _ in range(count - 1)]
    chatml = rng.random() < 0.85
    prompt = PROMPT if chatml else PROMPT.replace("<|im_start|>", "")
    text = prompt + "".join(t + o for t, o in zip(turns, [BLOCK if each else EMPTY for each in found] + [""]))
    valid = roles_valid(turns)
    # What roles call well formed is well formed as text too; the other way round only where nobody forged a block.
    if chatml:
        assert not valid or text_valid(text), text
        assert not text_valid(text) or valid or "<information>" in "".join(turns), text
    golds = rng.choice([["Paris"], ["Beijing"], ["Rome", "Paris"], ["D"], ["and"]])
    return {"chatml": chatml, "turns": turns, "found": found, "golds": golds, "valid": valid, "textValid": text_valid(text),
            "textEm": text_em(text, golds), "textFormat": text_format(text, golds, 0.2, 0.1, 0.05)}


def overlong_case():
    most = rng.randint(10, 20480)
    buffer = rng.randint(1, most)
    length = rng.choice([rng.randint(0, most + 100), most - buffer, most, most + 1])
    return {"length": length, "most": most, "buffer": buffer, "value": soft_overlong(length, most, buffer)}


golden = {
    "prompt": PROMPT,
    "block": BLOCK,
    "empty": EMPTY,
    "normalise": [{"text": text, "normalised": normalise(text), "original": normalise_original(text)} for text in [phrase() for _ in range(120)]],
    "answers": [answer_case() for _ in range(200)],
    "formats": [format_case() for _ in range(200)],
    "overlong": [overlong_case() for _ in range(50)],
}
assert sum(case["valid"] for case in golden["formats"]) > 50 and sum(case["textFormat"] == 0.25 for case in golden["formats"]) > 5
Path(__file__).with_suffix(".json").write_text(json.dumps(golden, ensure_ascii=False, separators=(",", ":")) + "\n")
print({name: len(cases) for name, cases in golden.items()}, "valid:", sum(case["valid"] for case in golden["formats"]))
