"""Stems the words of porter.tsv anew with NLTK's Porter stemmer in the mode that Lucene's equals (pip install nltk)."""
from pathlib import Path

from nltk.stem.porter import PorterStemmer

path = Path(__file__).with_name("porter.tsv")
stemmer = PorterStemmer(mode=PorterStemmer.MARTIN_EXTENSIONS)
words = [line.split("\t")[0] for line in path.read_text().splitlines()]
path.write_text("".join(f"{word}\t{stemmer.stem(word)}\n" for word in words))
