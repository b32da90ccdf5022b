"""Golden values of exact match, F1 and substring match from the scorers that the field publishes with, as their packages on PyPI have them:

    torchmetrics  SQuAD 1.1's official script (`evaluate-v1.1.py`)
    transformers  SQuAD 2.0's official script
    dspy          HotpotQA's official script (`hotpot_evaluate_v1.py`): `yes`, `no` and `noanswer` wholly or not at all
    flashrag-dev  FlashRAG, whose layout the seven evaluation sets have: EM, F1 (HotpotQA's rule), and `acc`, which papers call sub-EM or cover-EM
    hipporag      MRQA's official script

    python test/golden/scorers.py    # writes scorers.json; needs pip. Then: npx prettier --write test/golden/scorers.json

The packages want torch and more of their users; here each scorer's own functions are taken out of the wheel (`functions`), and nothing is installed. The
cases are ours. `same` says whether the two are one answer in different spelling: what our own comparison is held to.
"""

import __future__
import ast
import collections
import json
import re
import string
import subprocess
import sys
import tarfile
import tempfile
import unicodedata
import zipfile
from pathlib import Path

PACKAGES = {"torchmetrics": "1.9.0", "transformers": "4.57.1", "dspy": "3.4.1", "flashrag-dev": "0.1.2", "hipporag": "2.0.0a4"}


def source(folder, package, file):
    """The text of a file in a package, which pip fetches as a wheel or an archive."""
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-build-isolation", "--dest", str(folder / package), f"{package}=={PACKAGES[package]}"]
    subprocess.run(command, check=True)
    (archive,) = (folder / package).iterdir()
    if archive.suffix == ".whl":
        with zipfile.ZipFile(archive) as wheel:
            return wheel.read(file).decode()
    with tarfile.open(archive) as tar:
        (name,) = [name for name in tar.getnames() if name.endswith(f"/{file}")]
        return tar.extractfile(name).read().decode()


def functions(text, names, **needs):
    """The functions and classes of these names in a source, without what it imports. `needs`: what they find in its place."""
    tree = ast.parse(text)
    tree.body = [node for node in tree.body if getattr(node, "name", None) in names]
    assert {node.name for node in tree.body} == set(names), [node.name for node in tree.body]
    space = {"re": re, "string": string, "collections": collections, "Counter": collections.Counter, "unicodedata": unicodedata} | needs
    exec(compile(tree, "scorer", "exec", flags=__future__.annotations.compiler_flag), space)
    return [space[name] for name in names]


def best(score):
    """The best score against any right answer, as every one of these scripts takes it."""
    return lambda answer, golds: max(float(score(answer, gold)) for gold in golds)


def scorers(folder):
    """Name → functions of (answer, golds)."""
    text = source(folder, "torchmetrics", "torchmetrics/functional/text/squad.py")
    names = ["_normalize_text", "_get_tokens", "_compute_f1_score", "_compute_exact_match_score"]
    *_, squad1_f1, squad1_em = functions(text, names, tensor=float)

    text = source(folder, "transformers", "transformers/data/metrics/squad_metrics.py")
    *_, squad2_em, squad2_f1 = functions(text, ["normalize_answer", "get_tokens", "compute_exact", "compute_f1"])

    text = source(folder, "dspy", "dspy/evaluate/metrics.py")
    *_, hotpot_f1, hotpot_em = functions(text, ["normalize_text", "hotpot_f1_score", "em_score"])

    (normalize,) = functions(source(folder, "flashrag-dev", "flashrag/evaluator/utils.py"), ["normalize_answer"])
    text = source(folder, "flashrag-dev", "flashrag/evaluator/metrics.py")
    names = ["BaseMetric", "F1_Score", "ExactMatch", "Sub_ExactMatch"]
    _, f1, em, sub = (metric({"dataset_name": "nq"}) for metric in functions(text, names, normalize_answer=normalize))

    (normalize,) = functions(source(folder, "hipporag", "hipporag/utils/eval_utils.py"), ["normalize_answer"])
    return {
        "squad1": {"em": best(squad1_em), "f1": best(squad1_f1)},
        "squad2": {"em": best(lambda answer, gold: squad2_em(gold, answer)), "f1": best(lambda answer, gold: squad2_f1(gold, answer))},
        "hotpot": {"em": best(hotpot_em), "f1": best(hotpot_f1)},
        "flashrag": {"em": em.calculate_em, "f1": lambda answer, golds: float(f1.token_level_scores(answer, golds)["f1"]), "sub": sub.calculate_sub_em},
        "mrqa": {"em": best(lambda answer, gold: normalize(answer) == normalize(gold))},
    }


# What is tried, the answer, the right answers, whether they are the same answer.
CASES = [
    ("plain", "Paris", ["Paris"], 1),
    ("plain", "Paris", ["London"], 0),
    ("case", "PARIS", ["paris"], 1),
    ("case", "McDonald", ["MCDONALD"], 1),
    ("case", "ΣΊΣΥΦΟΣ", ["σίσυφος"], 1),
    ("case", "STRASSE", ["straße"], 0),
    ("case", "İstanbul", ["istanbul"], 0),
    ("article", "The Beatles", ["Beatles"], 1),
    ("article", "a cat", ["the cat"], 1),
    ("article", "cat in the hat", ["cat in hat"], 1),
    ("article", "the", ["a"], 0),
    ("article", "The The", ["The Who"], 0),
    ("article", "Vitamin A", ["vitamin"], 0),
    ("article", "A", ["the A"], 1),
    ("article", "theatre", ["atre"], 0),
    ("article", "Anathema", ["anathema"], 1),
    ("article", "The-Dream", ["Dream"], 0),
    ("article", "los Beatles", ["Beatles"], 0),
    ("punctuation", "U.S.", ["US"], 1),
    ("punctuation", "U. S.", ["US"], 0),
    ("punctuation", "rock-n-roll", ["rocknroll"], 1),
    ("punctuation", "rock 'n' roll", ["rock n roll"], 1),
    ("punctuation", "O'Neil", ["ONeil"], 1),
    ("punctuation", "Yahoo!", ["Yahoo"], 1),
    ("punctuation", "AT&T", ["ATT"], 1),
    ("punctuation", "snake_case", ["snakecase"], 1),
    ("punctuation", "either/or", ["either or"], 0),
    ("punctuation", "!!!", ["???"], 0),
    ("punctuation", "!!!", ["!!!"], 1),
    ("punctuation", "\"Hamlet\"", ["Hamlet"], 1),
    ("punctuation", "\u201cHamlet\u201d", ["Hamlet"], 1),
    ("punctuation", "L\u2019Oréal", ["L'Oréal"], 1),
    ("punctuation", "1914\u20131918", ["1914-1918"], 1),
    ("punctuation", "北京。", ["北京"], 1),
    ("punctuation", "C++", ["C"], 0),
    ("punctuation", "C#", ["C++"], 0),
    ("number", "3,000", ["3000"], 1),
    ("number", "3.5", ["35"], 0),
    ("number", "3,5", ["3.5"], 1),
    ("number", "1/2", ["12"], 0),
    ("number", "-5", ["5"], 0),
    ("number", "$5", ["5"], 1),
    ("number", "100%", ["100"], 1),
    ("number", "10:30", ["1030"], 1),
    ("number", "four", ["4"], 0),
    ("number", "1st", ["first"], 0),
    ("number", "１２３", ["123"], 1),
    ("number", "10²", ["102"], 0),
    ("number", "1.000.000", ["1,000,000"], 1),
    ("accent", "Bogotá", ["Bogota"], 0),
    ("accent", "Bogota\u0301", ["Bogotá"], 1),
    ("accent", "día a día", ["día día"], 0),
    ("accent", "a\u0301", [""], 0),
    ("accent", "à la carte", ["la carte"], 0),
    ("accent", "Año Nuevo", ["Ano Nuevo"], 0),
    ("form", "ﬁsh", ["fish"], 1),
    ("form", "ＮＡＴＯ", ["NATO"], 1),
    ("form", "CO₂", ["CO2"], 1),
    ("form", "½", ["1/2"], 0),
    ("form", "Par\u00adis", ["Paris"], 1),
    ("form", "LEGO®", ["Lego"], 1),
    ("space", "  New   York ", ["New York"], 1),
    ("space", "New\u00a0York", ["New York"], 1),
    ("space", "New\nYork", ["New\tYork"], 1),
    ("space", "New\u2009York", ["New York"], 1),
    ("space", "New\u200bYork", ["New York"], 0),
    ("space", "New\x1fYork", ["New York"], 1),
    ("space", "NewYork", ["New York"], 0),
    ("space", "\ufeffParis", ["Paris"], 1),
    ("space", "東京\u3000都", ["東京 都"], 1),
    ("empty", "", ["the"], 0),
    ("empty", "", ["Paris"], 0),
    ("empty", "", [""], 1),
    ("empty", "the", ["Paris"], 0),
    ("empty", "...", ["the", "Paris"], 0),
    ("empty", "Paris", ["", "London"], 0),
    ("yes and no", "yes", ["yes"], 1),
    ("yes and no", "Yes.", ["yes"], 1),
    ("yes and no", "no", ["yes"], 0),
    ("yes and no", "yes and no", ["yes"], 0),
    ("yes and no", "yes", ["yes indeed"], 0),
    ("yes and no", "no", ["no", "none"], 1),
    ("yes and no", "no", ["Norway"], 0),
    ("yes and no", "Norway", ["no"], 0),
    ("yes and no", "noanswer", ["no answer"], 0),
    ("yes and no", "the no", ["No"], 1),
    ("several", "NYC", ["New York City", "NYC", "New York"], 1),
    ("several", "New York", ["New York City", "York"], 0),
    ("several", "York New", ["New York", "York"], 0),
    ("several", "Obama Barack", ["Barack Obama"], 0),
    ("partly", "Barack Hussein Obama", ["Barack Obama"], 0),
    ("partly", "Paris, France", ["Paris"], 0),
    ("partly", "It is Paris", ["Paris"], 0),
    ("partly", "Guatemalan", ["Guatemalan quetzal"], 0),
    ("partly", "solution", ["sol"], 0),
    ("partly", "Peruvian sol", ["sol"], 0),
    ("partly", "London or Paris or Rome", ["Paris"], 0),
    ("partly", "George W. Bush", ["George Bush"], 0),
    ("partly", "13 December 1991", ["December 13, 1991"], 0),
    ("partly", "1991", ["December 13, 1991"], 0),
    ("repeated", "Paris Paris Paris", ["Paris"], 0),
    ("repeated", "Paris", ["Paris Paris"], 0),
    ("repeated", "New York New York", ["New York, New York"], 1),
    ("repeated", "the the the cat", ["cat"], 1),
    ("repeated", "Duran Duran", ["Duran"], 0),
    ("script", "東京都", ["京都"], 0),
    ("script", "首都是北京", ["北京"], 0),
    ("script", "Привет, мир!", ["привет мир"], 1),
    ("script", "الرياض؟", ["الرياض"], 1),
    ("script", "नई दिल्ली।", ["नई दिल्ली"], 1),
    ("script", "서울 시", ["서울시"], 0),
    ("tags", "<b>Paris</b>", ["bParisb"], 1),
    ("tags", "Paris</answer>", ["Paris"], 0),
    ("tags", "\\boxed{Paris}", ["boxedParis"], 1),
    ("word border", "the_a", ["thea"], 1),
    ("word border", "a-the-an", ["athean"], 1),
    ("word border", "L'an 2000", ["Lan 2000"], 1),
    ("word border", "an—the—a", ["——"], 0),
    ("word border", "été a", ["été"], 0),
]

with tempfile.TemporaryDirectory() as folder:
    tried = scorers(Path(folder))
cases = [
    {"trap": trap, "answer": answer, "golds": golds, "same": same} | {name: {metric: score(answer, golds) for metric, score in measures.items()} for name, measures in tried.items()}
    for trap, answer, golds, same in CASES
]
Path(__file__).with_suffix(".json").write_text(json.dumps({"packages": PACKAGES, "cases": cases}, ensure_ascii=False, separators=(",", ":")) + "\n")
print(len(cases), "cases by", ", ".join(f"{name} {version}" for name, version in PACKAGES.items()))
