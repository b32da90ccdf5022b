"""
Writes bert-golden/: a tiny BERT with random weights as an encoder and as a cross-encoder, both as transformers saves them, with the vectors
and logits that transformers computes; and minilm-golden.json: vectors of the real all-MiniLM-L6-v2 from its folder.
Made with transformers 5.23.0 and torch 2.15.0: `python bert-golden.py FOLDER_OF_MINILM`, then prettier.
"""
import json, os, sys
import torch
from tokenizers import Tokenizer
from transformers import AutoModel, AutoTokenizer, BertConfig, BertForSequenceClassification

here = os.path.dirname(os.path.abspath(__file__))
texts = ["owl", "Lima is the capital of Peru. The currency is the Peruvian sol.", "", "Who wrote \"Heroes\"? Bowie & Eno, in 1977 — naïvely.",
         "the trees of the red, green and blue forest " * 40]
pairs = [["capital of Peru", "(Title: Peru) Lima is the capital of Peru."], ["owl", ""], ["a song of 1977", "Owls hunt at night. " * 30],
         ["the currency of Chile", "Santiago is Chile's capital; its currency is the Chilean peso."]]


def vectors(model, encode, most):
    """Each text alone: no padding can matter. Mean of the tokens, at length one."""
    found = []
    for text in texts:
        ids = encode(text)[:most]
        with torch.no_grad():
            hidden = model(input_ids=torch.tensor([ids])).last_hidden_state[0]
        found.append({"mean": unit(hidden.mean(0)), "cls": unit(hidden[0])})
    return found


def unit(vector):
    return [float(f"{value:.7g}") for value in (vector.double() / vector.double().norm()).tolist()]


def tiny():
    shipped = json.load(open(os.path.join(here, "tokenizer-golden.json")))["wordPiece"]["tokenizer"]
    tokenizer = Tokenizer.from_str(json.dumps(shipped))
    tokenizer.enable_truncation(64)
    torch.manual_seed(11)
    config = BertConfig(vocab_size=220, hidden_size=16, num_hidden_layers=2, num_attention_heads=4, intermediate_size=32,
                        max_position_embeddings=64, num_labels=1, initializer_range=0.4)
    model = BertForSequenceClassification(config).eval()
    place = os.path.join(here, "bert-golden")
    model.save_pretrained(os.path.join(place, "cross-encoder"))
    model.bert.save_pretrained(os.path.join(place, "encoder"))
    logits = []
    for first, second in pairs:
        encoding = tokenizer.encode(first, second)
        with torch.no_grad():
            logits.append(model(input_ids=torch.tensor([encoding.ids]), token_type_ids=torch.tensor([encoding.type_ids])).logits.item())
    found = vectors(model.bert, lambda text: tokenizer.encode(text).ids, 64)
    write(os.path.join(place, "golden.json"), {"texts": texts, "vectors": found, "pairs": pairs, "logits": logits})


def real(folder):
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModel.from_pretrained(folder).eval()
    found = vectors(model, lambda text: tokenizer(text, truncation=True, max_length=256)["input_ids"], 256)
    write(os.path.join(here, "minilm-golden.json"), {"texts": texts, "vectors": [{"mean": one["mean"]} for one in found]})


def write(name, value):
    with open(name, "w") as file:
        json.dump(value, file)
        file.write("\n")


tiny()
real(sys.argv[1])
