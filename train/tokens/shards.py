"""Tokens on disk: memory-mapped shards of uint16 or uint32, the documents' offsets, and a checksum of each file.

Every document is preceded by the end-of-text token; documents follow one another in the order of the corpus.
`index.json` is written last: where it stands, everything else is complete.
"""

import hashlib
from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import chain, groupby
from operator import itemgetter
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from tokenizers import Tokenizer

from train.records import (
    BadInput,
    Document,
    digest_file,
    digest_json,
    printable,
    read_json,
    write_atomically,
    write_json,
)
from train.tokens.tokenizer import split_text, token_id

_SHARD_TOKENS = 2**26
_CHARACTERS_AT_ONCE = 2**20


def token_dtype(vocab_size: int) -> str:
    """The smallest of uint16 and uint32 that holds every token."""
    if not 0 < vocab_size <= 2**32:
        raise BadInput(f"a vocabulary of {vocab_size} tokens does not fit 32 bits")
    return "<u2" if vocab_size <= 2**16 else "<u4"


@contextmanager
def encoding() -> Iterator[None]:
    """Around what encodes: a tokenizer from outside can be read, and may still have no token for a word that it meets.

    That is the user's to mend.
    """
    try:
        yield
    except Exception as error:  # tokenizers raises bare Exception
        raise BadInput(f"the tokenizer cannot encode this ({printable(str(error))[:200]})") from error


def encode_document(tokenizer: Tokenizer, text: str) -> Iterator[list[int]]:
    """The tokens of one text, piece by piece."""
    return (ids for _, ids in _encode(tokenizer, ((None, piece) for piece in split_text(text))))


def encode_documents(
    tokenizer: Tokenizer, documents: Iterable[Document]
) -> Iterator[tuple[Document, Iterator[list[int]]]]:
    """Each document and its tokens, piece by piece; the pieces of one are to be taken before the next is asked for."""
    pieces = (
        ((number, document), piece)
        for number, document in enumerate(documents)
        for piece in (split_text(document.text) if document.text else ("",))
    )
    for (_, document), found in groupby(_encode(tokenizer, pieces), key=itemgetter(0)):
        yield document, (ids for _, ids in found)


def _encode(tokenizer: Tokenizer, pieces: Iterable[tuple[Any, str]]) -> Iterator[tuple[Any, list[int]]]:
    """The pieces of text, (whose, text), as (whose, tokens), on all processors: `tokenizers` lets Python go on while it
    works, so while one batch is encoded the tokens of the one before are taken, and the texts of the one after read. No
    more than three batches are in memory.
    """

    def work(batch: list[tuple[Any, str]]) -> list[tuple[Any, Any]]:
        with encoding():
            found = tokenizer.encode_batch_fast([piece for _, piece in batch], add_special_tokens=False)
        return list(zip((whose for whose, _ in batch), found, strict=True))

    source = _batches(pieces)
    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="tokens") as worker:
        ahead, following = worker.submit(work, next(source, [])), next(source, [])
        while done := ahead.result():
            ahead = worker.submit(work, following)
            yield from ((whose, encoding.ids) for whose, encoding in done)
            following = next(source, [])


def _batches(pieces: Iterable[tuple[Any, str]]) -> Iterator[list[tuple[Any, str]]]:
    """As many pieces at once as have `_CHARACTERS_AT_ONCE` characters: short documents are encoded together."""
    batch: list[tuple[Any, str]] = []
    size = 0
    for pair in pieces:
        batch.append(pair)
        size += len(pair[1])
        if size >= _CHARACTERS_AT_ONCE:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def write_shards(
    documents: Iterable[Document],
    tokenizer: Tokenizer,
    opens: str,
    folder: Path,
    split: str,
    advance: Callable[[int], object],
    shard_tokens: int = _SHARD_TOKENS,
) -> dict[str, Any]:
    """Encode `documents` into `folder`; returns the index, with tokens and bytes by language and source."""
    first = [token_id(tokenizer, opens)]
    encoded = ((each, chain([first], parts)) for each, parts in encode_documents(tokenizer, documents))
    return write_encoded(encoded, tokenizer.get_vocab_size(), folder, split, advance, shard_tokens)


def write_encoded(
    encoded: Iterable[tuple[Document, Iterable[Sequence[int]]]],
    vocab_size: int,
    folder: Path,
    split: str,
    advance: Callable[[int], object],
    shard_tokens: int = _SHARD_TOKENS,
) -> dict[str, Any]:
    """Write documents that are encoded, each as parts that follow one another, into `folder`; returns the index."""
    dtype, offsets, counts = token_dtype(vocab_size), array("q", [0]), Counts()
    shards: list[dict[str, Any]] = []
    source = iter(encoded)
    item = next(source, None)
    while item is not None:
        name = f"{split}-{len(shards):05d}.bin"
        start, checksum = offsets[-1], hashlib.sha256()
        with write_atomically(folder / name, "wb") as file:
            while item is not None and offsets[-1] - start < shard_tokens:
                (document, parts), position = item, offsets[-1]
                for ids in parts:
                    data = np.asarray(ids, dtype).tobytes()
                    checksum.update(data)
                    file.write(data)
                    position += len(ids)
                counts.add(document, position - offsets[-1] - 1)
                offsets.append(position)
                advance(document.n_bytes)
                item = next(source, None)
        shards.append({"file": name, "tokens": offsets[-1] - start, "sha256": checksum.hexdigest()})
    with write_atomically(folder / f"{split}-offsets.npy", "wb") as file:
        np.save(file, np.asarray(offsets, "<i8"), allow_pickle=False)
    index = {
        "dtype": dtype,
        "vocab_size": vocab_size,
        "tokens": offsets[-1],
        "documents": len(offsets) - 1,
        "shards": shards,
        "offsets_sha256": digest_file(folder / f"{split}-offsets.npy"),
        "bytes_per_token": counts.bytes_per_token(),
    }
    index["digest"] = digest_json([[shard["tokens"], shard["sha256"]] for shard in shards])
    write_json(folder / f"{split}-index.json", index)
    return index


class Counts:
    """Bytes and tokens, by language and by source."""

    def __init__(self) -> None:
        self._sums: dict[tuple[str, str], list[int]] = {}

    def add(self, document: Document, tokens: int) -> None:
        """Count one document of `tokens` tokens."""
        for key in (("all", "all"), ("language", document.language), ("source", document.source)):
            sums = self._sums.setdefault(key, [0, 0])
            sums[0] += document.n_bytes
            sums[1] += tokens

    def bytes_per_token(self) -> dict[str, dict[str, float]]:
        """{"language": {"en": 4.4}, ...}, rounded to a thousandth."""
        table: dict[str, dict[str, float]] = {}
        for (kind, value), (n_bytes, tokens) in sorted(self._sums.items()):
            table.setdefault(kind, {})[value] = round(n_bytes / max(1, tokens), 3)
        return table


class TokenStore:
    """The tokens of one split, memory-mapped: (n_tokens,) of uint16 or uint32, and (n_documents + 1,) int64 offsets.

    Opening it checks every file against its checksum, so a shard that was cut short is found before it is trained on.
    """

    def __init__(self, folder: Path, split: str) -> None:
        index = read_json(folder / f"{split}-index.json")
        self.vocab_size: int = index["vocab_size"]
        self.digest: str = index["digest"]
        self._dtype: str = index["dtype"]
        self._paths = [folder / shard["file"] for shard in index["shards"]]
        self._maps = []
        for shard, path in zip(index["shards"], self._paths, strict=True):
            if not path.is_file() or digest_file(path) != shard["sha256"]:
                raise _damaged(path)
            self._maps.append(np.memmap(path, self._dtype, "r"))
        path = folder / f"{split}-offsets.npy"
        if not path.is_file() or digest_file(path) != index["offsets_sha256"]:
            raise _damaged(path)
        self.offsets: npt.NDArray[np.int64] = np.load(path, allow_pickle=False)
        self._starts = np.cumsum([0, *(len(tokens) for tokens in self._maps)])

    def __len__(self) -> int:
        return int(self._starts[-1])

    def lengths(self) -> npt.NDArray[np.int64]:
        """Of each document, how many tokens, the first one counted."""
        return np.diff(self.offsets)

    def shards(self) -> Iterator[npt.NDArray[np.integer]]:
        """Each shard whole, in memory of its own: for who reads all and wants to be rid of it again."""
        yield from (np.fromfile(path, self._dtype) for path in self._paths)

    def read(self, start: int, stop: int) -> npt.NDArray[np.int64]:
        """Tokens start..stop-1, (stop - start,) int64, across shards where need be."""
        first = int(np.searchsorted(self._starts, start, "right")) - 1
        parts = []
        for tokens, begin in zip(self._maps[first:], self._starts[first:], strict=False):
            if begin >= stop:
                break
            parts.append(tokens[max(0, start - begin) : stop - begin])
        return np.concatenate(parts).astype(np.int64)

    def document_at(self, position: npt.NDArray[np.int64]) -> npt.NDArray[np.int32]:
        """Which document each position (any shape, int64) stands in."""
        return (np.searchsorted(self.offsets, position, "right") - 1).astype(np.int32)

    def documents(self) -> Iterator[npt.NDArray[np.int64]]:
        """The documents' tokens one by one, each (n,) int64 and beginning with end-of-text."""
        for start, stop in zip(self.offsets[:-1], self.offsets[1:], strict=True):
            yield self.read(int(start), int(stop))


def _damaged(path: Path) -> BadInput:
    return BadInput(
        f"{path}: missing, cut short or changed; delete the folder {path.parent} and run again to remake it"
    )
