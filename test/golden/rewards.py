"""Golden values of rewards, written from the papers and the measures' definitions and not from src/rewards:
SQuAD's normalisation with exact match, cover match, substring match and word F1, the same by the comparison of docs/rewards.md
for all scripts, the format machine (as a grammar), the released text scorers, DAPO's soft overlong punishment.

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


def squad(text):
    """evaluate-v1.1.py: lower, remove punctuation, remove articles, fix white space."""
    text = "".join(ch for ch in text.lower() if ch not in set(string.punctuation))
    return " ".join(re.sub(r"\b(a|an|the)\b", " ", text).split())


APOSTROPHES = "\u00b4\u02b9\u02bb\u02bc\u02c8\u2018\u2019\u201b\u2032\uff07"
INVISIBLE = "\u00ad\u200b\u200c\u200d\u200e\u200f\u2060\ufe0f\ufeff®©™℠"
UNFOLDED = re.compile("[\u00b2\u00b3\u00b9\u00bc-\u00be\u2070-\u207f\u2150-\u215f]")
APART = re.compile(r"CJK (UNIFIED|COMPATIBILITY) IDEOGRAPH|IDEOGRAPHIC (ITERATION MARK|NUMBER)|HIRAGANA|KATAKANA|BOPOMOFO|THAI|LAO|KHMER|MYANMAR|TIBETAN")


def kept(chars, index):
    """Whether a punctuation mark makes another number or name: 3.5, 1/2, -5, C++."""
    char, before, behind = chars[index], chars[:index], chars[index + 1 :]
    digit = lambda text, place: bool(text) and text[place].isdecimal()
    if char in "./":
        return digit(before, -1) and digit(behind, 0)
    if char == "-":
        return digit(behind, 0) and (not before or before[-1].isspace() or before[-1] == "(")
    if char in "+#":
        word, rest = before.rstrip("+#"), behind.lstrip("+#")
        return bool(word) and unicodedata.category(word[-1])[0] in "LM" and not (rest and (rest[0].isalpha() or rest[0].isnumeric()))
    return False


def plain_number(match):
    number = match.group()
    if re.fullmatch(r"\d{1,3}(,\d{2,3})*,\d{3}(\.\d+)?", number):
        return number.replace(",", "")
    if re.fullmatch(r"\d{1,3}(\.\d{3}){2,}", number):
        return number.replace(".", "")
    return number.replace(",", ".")


def apart(words):
    """Characters of scripts without spaces stand alone, with their combining marks."""
    out = []
    for word in words:
        inside = ""
        piece = ""
        for char in word:
            if unicodedata.category(char)[0] == "M" and inside == "apart":
                piece += char
                continue
            kind = "apart" if APART.match(unicodedata.name(char, "")) else "word"
            if piece and (kind == "apart" or inside == "apart"):
                out.append(piece)
                piece = ""
            piece += char
            inside = kind
        if piece:
            out.append(piece)
    return out


def all_words(text):
    text = unicodedata.normalize("NFC", text)
    text = "".join("'" if ch in APOSTROPHES else ch for ch in text if ch not in INVISIBLE)
    parts = re.split(f"({UNFOLDED.pattern}+)", text)
    text = "".join(part if index % 2 else unicodedata.normalize("NFKC", part) for index, part in enumerate(parts))
    text = text.replace("\u2212", "-").replace("\u2014", " ").lower()
    numbers = re.sub(r"(?<![0-9.,/-])([0-9]{1,4})([.-])([0-9]{1,2})\2([0-9]{1,4})(?![.,/-]?[0-9])", r"\1/\3/\4", text)
    numbers = re.sub(r"\d+(?:[.,]\d+)+", plain_number, numbers)
    is_mark = lambda ch: ch in string.punctuation or unicodedata.category(ch)[0] == "P"
    bare = "".join(ch for index, ch in enumerate(numbers) if not is_mark(ch) or kept(numbers, index))
    return bare.split() or text.split()


def ours(text):
    words = all_words(text)
    articles = ("a", "an", "the")
    without = [w for i, w in enumerate(words) if w not in articles or (w == "a" and i == len(words) - 1)]
    return " ".join(apart(without or words))


def exact(answer, golds, normalise):
    return int(normalise(answer) in [normalise(gold) for gold in golds])


def inside(have, want):
    return any(have[i : i + len(want)] == want for i in range(len(have) - len(want) + 1)) if want else not have


def cover(answer, golds, normalise):
    for gold in golds:
        want = normalise(gold).split()
        if inside(normalise(answer).split(), want):
            return 1
        # "vitamin A is found" holds "vitamin A".
        if normalise is ours and len(want) > 1 and want[-1] == "a" and inside(apart(all_words(answer)), want):
            return 1
    return 0


def substring(answer, golds):
    return int(any(squad(gold) in squad(answer) for gold in golds))


def f1(answer, golds, normalise):
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
    return int(answer is not None and squad(answer) in [squad(gold) for gold in golds])


def text_format(text, golds, structure, final, retrieval):
    valid, right = text_valid(text), text_em(text, golds)
    blocks = [squad(block) for block in re.findall(r"<information>(.*?)</information>", text, re.S)]
    hit = any(squad(gold) in block for gold in golds for block in blocks)
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
    return {"answer": answer, "golds": golds, "substring": substring(answer, golds)} | scores(answer, golds, squad)


def scores(answer, golds, normalise):
    return {"exact": exact(answer, golds, normalise), "cover": cover(answer, golds, normalise), "f1": f1(answer, golds, normalise)}


# Of scripts and numbers that SQuAD's rules were not made for. Drawn by a source of its own: the cases above stay as they were.
own = random.Random(12)
PARTS = ["北京", "北 京", "北京。", "「北京」", "東京都", "トーキョー", "ﾄｰｷｮｰ", "ジョン・スミス", "กรุงเทพฯ", "กรุง\u200bเทพ", "ວຽງຈັນ", "ភ្នំពេញ", "ရန်ကုန်", "서울 특별시", "서울", "الرياض؟", "می\u200cخواهم",
         "नई दिल्ली।", "Привет, мир!", "L’Oréal", "L'Oréal", "Hawaiʻi", "Hawai'i", "café", "cafe\u0301", "ＡＢＣ", "１２３", "Καλά\u037e", "apple—a day", "1990–1995", "3.5", "3,5", "35", "3,000", "1,000,000.5",
         "1.000.000", "1/2", "½", "12-05-2020", "12.05.2020", "-5", "−5", "5", "10²", "CO₂", "C++", "C#", "C", "A+", "R+L", "#1", "Lego®", "The", "a", "A", "the", "an", "Vitamin A", "Beatles, The", "!!!", "$", "1949年", "yes", "", "®"]


def own_case():
    draw = lambda most: own.choice([" ", " ", ""]).join(own.choice(PARTS) for _ in range(own.randint(1, most)))
    golds = [draw(2) for _ in range(own.randint(1, 2))]
    answer = draw(3) if own.random() < 0.5 else f"{draw(1)} {own.choice(golds)} {draw(1)}" if own.random() < 0.5 else own.choice(golds)
    return {"answer": answer, "golds": golds, "normalised": ours(answer)} | scores(answer, golds, ours)


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
    "normalise": [{"text": text, "squad": squad(text)} for text in [phrase() for _ in range(120)]],
    "answers": [answer_case() for _ in range(200)],
    "formats": [format_case() for _ in range(200)],
    "overlong": [overlong_case() for _ in range(50)],
    "ours": [own_case() for _ in range(300)],
}
assert sum(case["valid"] for case in golden["formats"]) > 50 and sum(case["textFormat"] == 0.25 for case in golden["formats"]) > 5
Path(__file__).with_suffix(".json").write_text(json.dumps(golden, ensure_ascii=False, separators=(",", ":")) + "\n")
print({name: len(cases) for name, cases in golden.items()}, "valid:", sum(case["valid"] for case in golden["formats"]))
