"""A release opened to be asked: its model, what can be said of it, and its texts, if it has any."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from train.documents import find_document, words_of
from train.libre import Trace, open_trace
from train.model import T5, Bert, XLNet
from train.records import BadInput, Document, printable
from train.release import RECORD, read_release
from train.sample import Sampling, Speaker, open_speaker

_LARGEST_CARD = 2**20  # bytes
_AROUND = 100_000  # characters of a document on each side of what is marked

_GOES_ON = "It goes on with your text, one token after another, each drawn from what it finds likely after all before."
_WHAT = {
    Bert: "It fills in what is hidden: write {mask} where a word is missing. Each is filled from what stands on both "
    "sides; a text without one gets one at its end.",
    T5: "It fills in what was left out: write {blank} where words are missing. A text without one is taken to break "
    "off, and the model says what comes after.",
    XLNet: f"{_GOES_ON} It learned to predict tokens in any order; here it is asked for the next.",
}
_CONVERSES = (
    "It was tuned to answer: your text is put into its chat template, as one message after those of the conversation "
    "before it, if there were any."
)
_NO_DOCUMENTS = (
    "This folder holds a model and no documents: nothing in it says which texts it was trained on, so there is nothing "
    "to trace an answer to."
)


@dataclass(frozen=True)
class Opened:
    """`trace` is None where there is nothing to trace, and `untraceable` says why. `sampling`: what is drawn with
    unless a request says otherwise. `bases`: what it was made from."""

    folder: Path
    name: str
    about: dict[str, Any]
    card: str
    speaker: Speaker
    trace: Trace | None
    untraceable: str
    sampling: Sampling
    bases: tuple[Path, ...] = ()

    @property
    def converses(self) -> bool:
        """Whether it was tuned to answer messages."""
        return self.speaker.chat is not None

    def document(self, where: str, id: str) -> Document | None:
        """A document of the training text that is number `where` of those looked into; of an example, its words."""
        for number, text in enumerate(self.trace.texts if self.trace else ()):
            if str(number) == where and (found := find_document(text.release / "data", "train", id)):
                return replace(found, text=words_of(found.text))
        return None


def open_release(folder: Path, cache: Path, sampling: Sampling, bases: Sequence[Path] = ()) -> Opened:
    """A release, or any folder in Hugging Face's format of a family known here. Indexes are made once, under `cache`.

    Raises BadInput where there is no model that can be read.
    """
    if missing := next((base for base in bases if not base.is_dir()), None):
        raise BadInput(f"--base {printable(str(missing))}: there is no such folder")
    speaker = open_speaker(folder)
    speaker.model.eval()
    record = read_release(folder) if (folder / RECORD).is_file() else {}
    trace, why = None, "" if record else _NO_DOCUMENTS
    if record:
        try:
            trace = open_trace(folder, cache, bases)
        except BadInput as error:
            why = printable(str(error))
    name = printable(str(record.get("name") or folder.resolve().name))[:80]
    return Opened(folder, name, _about(record, speaker), _card(folder), speaker, trace, why, sampling, tuple(bases))


def _about(record: dict[str, Any], speaker: Speaker) -> dict[str, Any]:
    """What the page says of the model before it is asked."""
    weights, roles = record.get("weights"), speaker.vocabulary.roles
    mask = str(speaker.tokenizer.id_to_token(roles["mask"])) if "mask" in roles else ""
    blank = str(speaker.tokenizer.id_to_token(speaker.vocabulary.sentinels[0])) if speaker.vocabulary.sentinels else ""
    what = next((text for kind, text in _WHAT.items() if isinstance(speaker.model, kind)), _GOES_ON)
    return {
        "family": speaker.model.config.name,
        "parameters": sum(tensor.numel() for tensor in speaker.model.parameters()),
        "licence": printable(str(weights.get("licence", ""))) if isinstance(weights, dict) else "",
        "what": _CONVERSES if speaker.chat else what.format(mask=mask, blank=blank),
        "converses": speaker.chat is not None,
    }


def _card(folder: Path) -> str:
    path = folder / "README.md"
    if not path.is_file():
        return ""
    with path.open("rb") as file:
        return file.read(_LARGEST_CARD).decode("utf-8", "replace")


def mark(text: str, words: str) -> tuple[list[tuple[str, bool]], int, int]:
    """`text` cut into parts, (part, whether it is `words`), and how many characters before and behind are not shown.

    Spaces, line ends and letter case may differ: a tokenizer's words come back without them.
    """
    found = [match.span() for match in _pattern(words).finditer(text)] if words.strip() else []
    first, last = (found[0][0], found[0][1]) if found else (0, 0)
    start, stop = max(0, first - _AROUND), min(len(text), last + _AROUND)
    return list(_parts(text, [span for span in found if span[1] <= stop], start, stop)), start, len(text) - stop


def _pattern(words: str) -> re.Pattern[str]:
    units = re.findall(r"\w+|[^\w\s]", words.replace("\N{REPLACEMENT CHARACTER}", " "))
    return re.compile(r"\s*".join(map(re.escape, units)) or r"(?!)", re.IGNORECASE)


def _parts(text: str, spans: list[tuple[int, int]], at: int, stop: int) -> Iterator[tuple[str, bool]]:
    for start, end in spans:
        if at < start:
            yield text[at:start], False
        yield text[start:end], True
        at = end
    if at < stop:
        yield text[at:stop], False
