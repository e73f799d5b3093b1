"""WordNet's examples: sentences that lexicographers chose to show a word in one of its senses, a noun's, a verb's ...

So of each sentence one word has a part of speech that a person gave it; the others have none. Format: wndb(5WN).
"""

import re
from collections.abc import Iterator

from train.documents.archives import Archive
from train.documents.configs import SourceConfig
from train.documents.make import Record
from train.documents.readers.plain import select
from train.records import canonical_json

_TAGS = {"n": "NOUN", "v": "VERB", "a": "ADJ", "s": "ADJ", "r": "ADV"}  # as Universal Dependencies call them
_EXAMPLE = re.compile(r'"([^"]+)"(?!\s*-)')  # what is followed by a dash is quoted from somebody, who is named there
_WORD = re.compile(r"\w+(?:['\u2019-]\w+)*|[^\w\s]")
_ENDINGS = {"NOUN": ("s", "es"), "VERB": ("s", "es", "d", "ed", "ing"), "ADJ": ("r", "er", "st", "est"), "ADV": ()}


def read_senses(source: SourceConfig, archive: Archive) -> Iterator[tuple[Record, bytes]]:
    """Each example in which the word that it is of stands once, alone or with a regular ending; `found` says whether.

    Phrases and irregular forms are not looked for.
    """
    for member in select(source, archive):
        for line in archive.read(member).decode("utf-8").splitlines():
            if line.startswith("  "):
                continue  # the licence, which heads each file
            data, _, gloss = line.partition(" | ")
            offset, _, kind, count, *fields = data.split(" ")
            lemmas = [word.partition("(")[0].casefold() for word in fields[: 2 * int(count, 16) : 2]]
            for number, example in enumerate(_EXAMPLE.findall(gloss)):
                words, tag = _WORD.findall(example), _TAGS[kind]
                places = [place for place, word in enumerate(words) if _is_one_of(word.casefold(), lemmas, tag)]
                tags: list[str | None] = [None] * len(words)
                if len(places) == 1:
                    tags[places[0]] = tag
                record = {
                    "id": f"{kind}{offset}-{number}", "title": lemmas[0].replace("_", " "),
                    "found": str(len(places) == 1), "url": "https://wordnet.princeton.edu/",
                }  # fmt: skip
                yield record, canonical_json({"tags": tags, "words": words})


def _is_one_of(word: str, lemmas: list[str], tag: str) -> bool:
    """Whether a word is a lemma or a regular form of one: cats, tries, tried, stopping, making."""
    for lemma in lemmas:
        stems = {lemma, lemma + lemma[-1:]}  # stop, stopp-
        stems |= {lemma[:-1]} if lemma.endswith("e") else set()  # mak-
        stems |= {f"{lemma[:-1]}i"} if lemma.endswith("y") else set()  # tri-
        if word == lemma or word in {stem + ending for stem in stems for ending in _ENDINGS[tag] if len(stem) > 2}:
            return True
    return False
