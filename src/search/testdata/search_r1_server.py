"""A server that answers as Search-R1's retrieval server does (search_r1/search/retrieval_server.py), its defects included; not its code.

    python3 search_r1_server.py CORPUS.jsonl      prints its port, then serves until it is ended

Answers: {"result": [[{"document": {"id", "contents", "title", "text"}, "score"}]]} with return_scores, bare documents without. A falsy topk
is 3. Without scores it crashes unless there are exactly two queries, since a list is unpacked as a pair. Errors are 500 with plain text.
Passages are ranked by the number of words they share with the query. A query that holds "nan" gets a score of NaN, written as Python writes it.
"""

import json
import re
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


def words(text):
    return re.findall(r"\w+", text.lower())


class Retriever:
    def __init__(self, path):
        with open(path, encoding="utf-8") as lines:
            self.documents = [json.loads(line) for line in lines]

    def batch_search(self, queries, num, return_score):
        results, scores = [], []
        for query in queries:
            asked = set(words(query))
            scored = [(float(len(asked & set(words(d["contents"])))), d) for d in self.documents]
            best = sorted((pair for pair in scored if pair[0] > 0), key=lambda pair: -pair[0])[:num]
            results.append([self.document(d) for _, d in best])
            scores.append([float("nan") if "nan" in asked else score for score, _ in best])
        return (results, scores) if return_score else results

    @staticmethod
    def document(stored):
        title, _, text = stored["contents"].partition("\n")
        return {**stored, "title": title.strip('"'), "text": text}


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    retriever = None

    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        try:
            answer = json.dumps({"result": self.retrieve(json.loads(body))}).encode()
            self.reply(200, "application/json", answer)
        except Exception:
            self.reply(500, "text/plain; charset=utf-8", b"Internal Server Error")

    def retrieve(self, request):
        topk = request.get("topk") or 3
        with_scores = request.get("return_scores", False)
        results, scores = self.retriever.batch_search(request["queries"], topk, with_scores)
        if not with_scores:
            return [results, scores]
        return [
            [{"document": document, "score": score} for document, score in zip(documents, row)]
            for documents, row in zip(results, scores)
        ]

    def reply(self, status, kind, body):
        self.send_response(status)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


if __name__ == "__main__":
    Handler.retriever = Retriever(sys.argv[1])
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    print(server.server_address[1], flush=True)
    server.serve_forever()
