"""Makes the samples of question sets beside this file, in the exact layouts of FlashRAG's JSONL and Search-R1's Parquet (pyarrow 21).

The questions are ours. The columns of search-r1.parquet are those that Search-R1's qa_search_train_merge.py writes: FlashRAG's, then data_source,
prompt, ability, reward_model and extra_info.
"""
import json, os
import pyarrow as pa, pyarrow.parquet as pq

here = os.path.dirname(os.path.abspath(__file__))
asked = {
    ("nq", "train"): [("who keeps the lamp of skerry point", ["Ada Holm", "Holm"]), ("when was skerry point lit", ["1871"])],
    ("nq", "dev"): [("how high is the tower of skerry point", ["31 metres"])],
    ("nq", "test"): [("who was the first keeper of skerry point", ["Ivar Lund"]), ("what colour is the light of skerry point", ["red"]), ("where is skerry point", ["on Öland", "Öland"])],
    ("hotpotqa", "train"): [("Which sea does the island of Skerry Point's first keeper lie in?", ["the Baltic", "Baltic Sea"])],
    ("hotpotqa", "dev"): [("Were Skerry Point and Long Reef lit in the same year?", ["no"])],
}
prompt = "Answer the given question. … For example, <answer> Beijing </answer>. Question: {}\n"
metadata = {"nq": {}, "hotpotqa": {"type": "bridge", "level": "medium", "supporting_facts": {"title": ["Skerry Point"], "sent_id": [0]}}}


def row(dataset, split, index, question, answers):
    return {"id": f"{split}_{index}", "question": question, "golden_answers": answers, "metadata": metadata[dataset]}


for (dataset, split), rows in asked.items():
    os.makedirs(os.path.join(here, "flashrag", dataset), exist_ok=True)
    with open(os.path.join(here, "flashrag", dataset, f"{split}.jsonl"), "w", encoding="utf-8", newline="\n") as file:
        for index, (question, answers) in enumerate(rows):
            file.write(json.dumps(row(dataset, split, index, question, answers)) + "\n")


def processed(dataset, split, index, question, answers):
    question = question.strip()
    if question[-1] != "?":
        question += "?"
    return {
        "id": f"{split}_{index}",
        "question": question,
        "golden_answers": answers,
        "data_source": dataset,
        "prompt": [{"role": "user", "content": prompt.format(question)}],
        "ability": "fact-reasoning",
        "reward_model": {"style": "rule", "ground_truth": {"target": answers}},
        "extra_info": {"split": split, "index": index},
    }


def put(name, rows, without=()):
    rows = [{key: value for key, value in row.items() if key not in without} for row in rows]
    pq.write_table(pa.Table.from_pylist(rows), os.path.join(here, name), row_group_size=2)


train = [processed(dataset, split, index, *one) for (dataset, split), rows in asked.items() if split == "train" for index, one in enumerate(rows)]
put("search-r1.parquet", train)
# Others keep only what the trainer reads.
put("search-r1-bare.parquet", train, without=("id", "question", "golden_answers"))
