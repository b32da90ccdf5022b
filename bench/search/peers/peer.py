"""The process of the Python peers: one JSON object per line in, one per line out, as bench/peer/peer.py.

Both have the analysis that Sleuth's BM25 has (stop words of Lucene, Porter's stems), its k1 and b, the passages' texts in memory and one
thread. What each documents for speed is used: bm25s has numba compile it (and is measured without, too) and keeps the ids of its
vocabulary; rank_bm25 has no such setting. Analysing the query and picking out the texts is timed, as it is for Sleuth.
"""

import json
import os
import sys
import time
import traceback
from importlib.metadata import version
from pathlib import Path

replies = os.fdopen(os.dup(1), "w", buffering=1)
os.dup2(2, 1)
K1, B = 0.9, 0.4


def main() -> None:
    sides: dict[str, object] = {}
    for line in sys.stdin:
        request = json.loads(line)
        verb = request.pop("verb")
        try:
            if verb == "versions":
                result = {name: version(name) for name in ("bm25s", "numba", "rank-bm25")}
            elif verb == "open":
                side = request.pop("side")
                # The one before goes first: two of them might not fit.
                sides.clear()
                sides[side] = {"bm25s": Bm25s, "bm25s.plain": PlainBm25s, "rank_bm25": RankBm25}[side](**request)
                result = {}
            else:
                result = search(sides[request.pop("side")], **request)
        except Exception:
            result = {"error": traceback.format_exc()}
        replies.write(json.dumps(result) + "\n")


def search(side, queries: list[str], k: int) -> dict:
    """Seconds for all queries, one at a time, and the texts found."""
    found = []
    started = time.perf_counter()
    for query in queries:
        found.append(side.search(query, k))
    return {"seconds": time.perf_counter() - started, "found": [list(texts) for texts in found]}


def texts_of(corpus: str) -> list[str]:
    with open(corpus) as lines:
        return [json.loads(line)["contents"] for line in lines]


class Bm25s:
    backend = "numba"

    def __init__(self, corpus: str, index: str) -> None:
        import bm25s
        import Stemmer
        from bm25s.tokenization import Tokenizer

        self.texts = texts_of(corpus)
        self.tokenizer = Tokenizer(stemmer=Stemmer.Stemmer("porter"), stopwords="en")
        folder = Path(index)
        finished = folder / f"finished-{bm25s.__version__}"
        if finished.exists():
            self.retriever = bm25s.BM25.load(folder, backend=self.backend)
            self.retriever.backend = self.backend
            self.tokenizer.load_vocab(folder)
        else:
            ids = self.tokenizer.tokenize(self.texts, return_as="tuple", show_progress=False)
            self.retriever = bm25s.BM25(k1=K1, b=B, method="lucene", backend=self.backend)
            self.retriever.index(ids, show_progress=False)
            self.retriever.save(folder)
            self.tokenizer.save_vocab(folder)
            finished.touch()

    def search(self, query: str, k: int):
        ids = self.tokenizer.tokenize([query], update_vocab=False, return_as="ids", show_progress=False)
        texts, _ = self.retriever.retrieve(ids, corpus=self.texts, k=k, show_progress=False, n_threads=1)
        return texts[0]


class PlainBm25s(Bm25s):
    """As `pip install bm25s` gives it, without numba."""

    backend = "numpy"


class RankBm25:
    def __init__(self, corpus: str) -> None:
        import re

        import Stemmer
        from bm25s.stopwords import STOPWORDS_EN
        from rank_bm25 import BM25Okapi

        words = re.compile(r"(?u)\b\w\w+\b")
        stem = Stemmer.Stemmer("porter").stemWord
        stop = set(STOPWORDS_EN)
        self.analyse = lambda text: [stem(word) for word in words.findall(text.lower()) if word not in stop]
        self.texts = texts_of(corpus)
        self.index = BM25Okapi(map(self.analyse, self.texts), k1=K1, b=B)

    def search(self, query: str, k: int):
        return self.index.get_top_n(self.analyse(query), self.texts, n=k)


if __name__ == "__main__":
    main()
