"""
Writes tokenizer-golden.json: a WordPiece tokenizer (BERT's kind) and a Unigram tokenizer (SentencePiece, as multilingual E5 and bge-m3 use
it), both small, with the ids that Hugging Face's tokenizers give for awkward texts and pairs.
Made with tokenizers 0.23.3 and sentencepiece 0.2.3: `python tokenizer-golden.py`, then prettier
"""
import io, json, os
import sentencepiece
from sentencepiece import sentencepiece_model_pb2 as proto
from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers, processors, trainers

here = os.path.dirname(os.path.abspath(__file__))
corpus = [
    "Lima is the capital of Peru. The currency is the Peruvian sol.",
    "Santiago is Chile's capital; its currency is the Chilean peso.",
    "Owls hunt at night, and owls see well. An owl hoots.",
    "A song of 1977, written in Berlin: \"Heroes\" (song).",
    "query: who was the first person on the moon? passage: Neil Armstrong, in 1969.",
    "L'Oréal à Clichy, Île-de-France, naïve café, Ελλάδα, 東京 は 日本 の 首都 です。",
    "running runs runner ran; the trees of the red, green and blue forest.",
]

texts = [
    "", " ", "\n\t", "Lima is the capital of Peru.", "UPPER Case WORDS", "unbelievably unknownish wörds", "naïve café Ελλάδα",
    "東京は日本の首都です。", "emoji 🦀🦀 and 👩‍👩‍👧 joined", "it's 1,977.50$ (or so)…", "a" * 120, "x " * 40, "tabs\tand\nlines\r\nand\u00a0spaces\u200b.",
    "control \u0000\u0007 characters \ufffd", "[SEP] inside [CLS] text </s> <s>", "query: who was the first person", "ﬁne ＦＵＬＬ ｗｉｄｔｈ ㍿ ½ ²",
    "e\u0301 combining", "一二三 mixed abc一def", "hyphen-ated under_score e-mail@example.org http://a.b/c?d=e", "İstanbul ẞ straße", "ᾳ ς Σ",
    "the " * 300, "end.",
]
pairs = [("who was first", "Neil Armstrong, in 1969."), ("", "passage only"), ("query only", ""), ("the " * 30, "owl"), ("owl", "the " * 30),
         ("the " * 30, "owl " * 31), ("owl " * 31, "the " * 30), ("the " * 30, "the " * 30), ("a song of the owl in Berlin", "the capital of Peru is Lima and so on")]


def word_piece():
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]", max_input_chars_per_word=100))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    tokenizer.train_from_iterator(corpus, trainers.WordPieceTrainer(vocab_size=220, special_tokens=special))
    cls, sep = tokenizer.token_to_id("[CLS]"), tokenizer.token_to_id("[SEP]")
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=[("[CLS]", cls), ("[SEP]", sep)])
    return tokenizer, tokenizer.to_str()


def unigram():
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(sentence_iterator=iter(corpus * 20), model_writer=model, vocab_size=190, model_type="unigram",
                                             character_coverage=0.98, hard_vocab_limit=False, minloglevel=2, num_threads=1)
    spec = proto.ModelProto()
    spec.ParseFromString(model.getvalue())
    pieces = [("<s>", 0.0), ("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0)] + [(p.piece, p.score) for p in spec.pieces[3:]]
    tokenizer = Tokenizer(models.Unigram(pieces, unk_id=3))
    # As the converter of XLM-RoBERTa does.
    tokenizer.normalizer = normalizers.Sequence([
        normalizers.Precompiled(spec.normalizer_spec.precompiled_charsmap), normalizers.Replace(Regex(" {2,}"), " ")])
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace(replacement="▁", prepend_scheme="always")])
    tokenizer.add_special_tokens(["<s>", "<pad>", "</s>", "<unk>"])
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", pair="<s> $A </s> </s> $B </s>", special_tokens=[("<s>", 0), ("</s>", 2)])
    shipped = json.loads(tokenizer.to_str())
    # The table of SentencePiece's normalisation has 240 kB and is not read by the tokenizer under test, which has the rules themselves.
    shipped["normalizer"]["normalizers"][0]["precompiled_charsmap"] = ""
    return tokenizer, json.dumps(shipped)


result = {}
for name, (tokenizer, text) in {"wordPiece": word_piece(), "unigram": unigram()}.items():
    cases = []
    for most in (512, 16, 7):
        tokenizer.enable_truncation(most, strategy="longest_first")
        for given in texts:
            # Known difference: SentencePiece's own table keeps U+200D, the tokenizer under test makes it a space like its neighbours.
            if name == "unigram" and "\u200d" in given:
                continue
            encoding = tokenizer.encode(given)
            cases.append({"texts": [given], "most": most, "ids": encoding.ids, "types": encoding.type_ids})
        for first, second in pairs:
            encoding = tokenizer.encode(first, second)
            cases.append({"texts": [first, second], "most": most, "ids": encoding.ids, "types": encoding.type_ids})
    result[name] = {"tokenizer": json.loads(text), "cases": cases}
with open(os.path.join(here, "tokenizer-golden.json"), "w") as file:
    json.dump(result, file, ensure_ascii=True, separators=(",", ":"))
    file.write("\n")
