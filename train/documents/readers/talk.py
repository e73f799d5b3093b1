"""Pairs and conversations, as documents that a model is tuned on."""

import re
from collections.abc import Iterator

from train.documents.archives import Archive
from train.documents.configs import SourceConfig
from train.documents.make import Record
from train.documents.readers.markup import messages, read_json_member
from train.documents.readers.plain import select

_CREDIT = re.compile(r"CC-BY 2\.0 \(France\) Attribution: tatoeba\.org #(\d+) \((.+)\) & #(\d+) \((.+)\)")
_SENTENCE = "https://tatoeba.org/sentences/show"


def read_translations(source: SourceConfig, archive: Archive) -> Iterator[tuple[Record, bytes]]:
    """Tatoeba's pairs, a line each: English, the translation, and who wrote the two under which licence.

    `first`: whether the line is the first translation of its English sentence. Only then does no sentence stand on both
    sides of the split.
    """
    for member in select(source, archive):
        seen: set[str] = set()
        for line in archive.read(member).decode("utf-8").splitlines():
            english, other, credit = line.split("\t")
            said = _CREDIT.fullmatch(credit)
            if said is None:
                raise ValueError(f"{member}: a line without a credit that can be read: {credit[:80]!r}")
            record = {
                "id": f"{said[1]}-{said[3]}", "url": f"{_SENTENCE}/{said[1]}", "title": english[:80],
                "authors": list(dict.fromkeys((said[2], said[4]))), "first": str(english not in seen),
            }  # fmt: skip
            seen.add(english)
            yield record, messages(f"Translate into Spanish: {english}", other)


def read_conversations(source: SourceConfig, archive: Archive) -> Iterator[tuple[Record, bytes]]:
    """Conversations of two people who do not know each other; who spoke first is the user.

    `speakers`: how many there were; where one alone wrote there was no conversation.
    """
    for member in select(source, archive):
        for identity, talk in read_json_member(archive, member).items():
            turns = [(turn[0]["sender"], "\n".join(said["text"] for said in turn)) for turn in talk["messages"] if turn]
            merged: list[tuple[str, str]] = []
            for sender, text in turns:
                if merged and merged[-1][0] == sender:
                    merged[-1] = (sender, f"{merged[-1][1]}\n{text}")
                else:
                    merged.append((sender, text))
            record = {"id": identity, "title": talk.get("prompt", ""), "date": talk["start"][:10]}
            speakers = len({sender for sender, _ in merged})
            answered = merged[: len(merged) // 2 * 2]  # what nobody answered is no example
            yield {**record, "speakers": str(speakers)}, messages(*(text.strip() for _, text in answered))
