"""Asks a /retrieve server as Search-R1's trainer does, checks what comes back, and prints the rate.

    python3 retrieve_client.py URL QUERIES.json [--topk 3] [--batch 512] [--repeat 1]

QUERIES.json is a list of strings. The last line printed is a JSON object: {"queries", "seconds", "qps", "shown"}, where `shown` is the
text that the trainer would put before the model for the first queries. Needs Python 3.8; uses `requests`, as the trainer does, where it
is installed, else the standard library.
"""

import argparse
import json
import time
import urllib.request

try:
    import requests
except ImportError:
    requests = None


def post(url, body):
    """What `requests.post(url, json=body).json()` does. The trainer sets no timeout; a test should end."""
    if requests is not None:
        return requests.post(url, json=body, timeout=120).json()
    data = json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=120) as response:
        return json.load(response)


def batch_search(url, queries, topk):
    """All queries of a turn in one request; scores are asked for and the whole answer is taken."""
    return post(url, {"queries": queries, "topk": topk, "return_scores": True})


def passages_to_string(retrieval_result):
    """The text of one query's passages: the first line of `contents` is the title, the rest the text."""
    shown = ""
    for index, item in enumerate(retrieval_result):
        content = item["document"]["contents"]
        title = content.split("\n")[0]
        text = "\n".join(content.split("\n")[1:])
        shown += f"Doc {index + 1}(Title: {title}) {text}\n"
    return shown


def check(results, queries, topk):
    """What the trainer takes for granted."""
    assert len(results) == len(queries), f"{len(queries)} queries, {len(results)} lists"
    for passages in results:
        assert len(passages) <= topk, f"{len(passages)} passages for topk={topk}"
        scores = [item["score"] for item in passages]
        assert scores == sorted(scores, reverse=True), "not best first"
        for item in passages:
            assert isinstance(item["document"]["contents"], str)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("url")
    parser.add_argument("queries")
    parser.add_argument("--topk", type=int, default=3)
    parser.add_argument("--batch", type=int, default=512)
    parser.add_argument("--repeat", type=int, default=1)
    options = parser.parse_args()
    with open(options.queries, encoding="utf-8") as file:
        queries = json.load(file) * options.repeat

    # A turn in which nobody searches is posted too.
    assert batch_search(options.url, [], options.topk)["result"] == []
    started = time.perf_counter()
    results = []
    for first in range(0, len(queries), options.batch):
        results += batch_search(options.url, queries[first : first + options.batch], options.topk)["result"]
    seconds = time.perf_counter() - started

    check(results, queries, options.topk)
    shown = [passages_to_string(passages) for passages in results[:3]]
    print(json.dumps({"queries": len(queries), "seconds": seconds, "qps": len(queries) / seconds, "shown": shown}))


if __name__ == "__main__":
    main()
