"""Train a tokenizer on the training documents alone, so that the same documents give the same bytes every time.

Byte-level BPE is trained by `tokenizers`. Its Unigram and WordPiece trainers gave another vocabulary at every run when
tried (tokenizers 0.23, one thread), so for those two `sentencepiece` finds the pieces, on one thread, and the file they
end in is still a `tokenizers` file.
"""

import json
import re
import shutil
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

from train.records import BadInput, Document, digest_json, read_json, write_atomically, write_json

END_OF_TEXT = "<|endoftext|>"
UNKNOWN = "[UNK]"
SENTINEL = "<extra_id_{}>"
_LONGEST_LINE = 2000  # characters; sentencepiece passes over lines of more than max_sentence_length bytes


class TokenizerKind(Enum):
    """The kinds of tokenizer."""

    bpe = "bpe"
    unigram = "unigram"
    wordpiece = "wordpiece"
    taken = "taken"  # over from the model that is tuned, and not trained


@dataclass(kw_only=True)
class TokenizerConfig:
    """`end_of_text` and the other special tokens, those that a family needs; `opens` is one of them.

    A text is framed by `cls_token` and `sep_token` if there are both. `sentinels` stand for spans that were taken out.
    `train_bytes`: of a corpus of more, about so many bytes are learned from.
    """

    kind: TokenizerKind
    vocab_size: int
    end_of_text: str = END_OF_TEXT
    pad_token: str = ""
    mask_token: str = ""
    cls_token: str = ""
    sep_token: str = ""
    sentinels: int = 0
    special_tokens: list[str] = field(default_factory=list)
    lowercase: bool = False
    train_bytes: int = 500_000_000

    @property
    def opens(self) -> str:
        """The token that opens every document: where `end_of_text` closes an answer, the one that opens an answer."""
        return self.pad_token if self.sentinels else self.end_of_text

    def __post_init__(self) -> None:
        if self.sentinels and not self.pad_token:
            raise BadInput("tokenizer.sentinels need a tokenizer.pad_token, with which an answer begins")
        if not 0 <= self.sentinels <= 1000 or bool(self.cls_token) != bool(self.sep_token):
            raise BadInput("tokenizer.sentinels: from 0 to 1000; tokenizer.cls_token and sep_token: both or neither")
        if self.train_bytes < 1:
            raise BadInput(f"tokenizer.train_bytes={self.train_bytes}: at least 1")
        least = 256 + len(specials(self))
        trained_on_bytes = self.kind in (TokenizerKind.bpe, TokenizerKind.unigram)
        if trained_on_bytes and not least <= self.vocab_size < 2**32:
            raise BadInput(
                f"tokenizer.vocab_size={self.vocab_size}: needs at least {least} (256 bytes and the specials)"
            )
        if self.lowercase and self.kind is not TokenizerKind.wordpiece:
            raise BadInput("tokenizer.lowercase belongs to wordpiece: the others give every byte back")


def texts_to_learn(config: TokenizerConfig, documents: Iterable[Document], n_bytes: int) -> Iterator[str]:
    """The texts that a tokenizer learns from: all `n_bytes` of them, or about `config.train_bytes`, drawn by digest.

    So time and memory are bounded (sentencepiece holds all its lines), and the order of the documents draws no other.
    """
    below = config.train_bytes * 2**32 // max(1, n_bytes)
    return (document.text for document in documents if int(document.sha256[8:16], 16) < below)


def train_tokenizer(config: TokenizerConfig, texts: Iterable[str]) -> Tokenizer:
    """A tokenizer of exactly `vocab_size` tokens. Raises BadInput if the texts hold too little for it."""
    if config.kind is TokenizerKind.taken:
        raise BadInput("tokenizer.kind=taken: is the tokenizer of a model that is tuned (tune.from); nothing trains it")
    train = {"bpe": _train_bpe, "unigram": _train_unigram, "wordpiece": _train_wordpiece}[config.kind.value]
    tokenizer = train(config, texts)
    size = tokenizer.get_vocab_size()
    if size != config.vocab_size:
        raise BadInput(
            f"the corpus is too small for tokenizer.vocab_size={config.vocab_size}: it gives {size} tokens. "
            f"Set tokenizer.vocab_size={size}, or add documents"
        )
    tokenizer.post_processor = _frame(tokenizer, config)
    tokenizer.encode_special_tokens = True  # what a text says is text, also where it spells a special token
    return tokenizer


def specials(config: TokenizerConfig) -> list[str]:
    """The tokens that no text produces, in the order of their ids."""
    named = [config.end_of_text, config.pad_token, config.mask_token, config.cls_token, config.sep_token]
    numbered = [SENTINEL.format(number) for number in range(config.sentinels)]
    return list(dict.fromkeys(token for token in [*named, *config.special_tokens, *numbered] if token))


def _frame(tokenizer: Tokenizer, config: TokenizerConfig) -> processors.PostProcessor:
    """What others put around a text: [CLS] text [SEP], text </s> before a decoder, else the end of text first."""
    single, pair = f"{config.end_of_text} $A", None
    if config.cls_token:
        single = f"{config.cls_token} $A {config.sep_token}"
        pair = f"{single} $B:1 {config.sep_token}:1"
    elif config.sentinels:
        single = f"$A {config.end_of_text}"
    used = [token for token in specials(config) if token in single]
    return processors.TemplateProcessing(
        single=single, pair=pair, special_tokens=[(token, token_id(tokenizer, token)) for token in used]
    )


def _train_bpe(config: TokenizerConfig, texts: Iterable[str]) -> Tokenizer:
    """Sennrich et al., "Neural Machine Translation of Rare Words with Subword Units", 2016; on bytes as in GPT-2."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=config.vocab_size,
        special_tokens=specials(config),
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    pieces = (piece for text in texts for piece in split_text(text))
    tokenizer.train_from_iterator(pieces, trainer)
    return tokenizer


def _train_unigram(config: TokenizerConfig, texts: Iterable[str]) -> Tokenizer:
    """Kudo, "Subword Regularization", 2018. Bytes stand in for characters that are not in the vocabulary."""
    names = specials(config)
    lines = (line for text in texts for line in _lines(text.replace("\n", " ")))
    found = _sentencepiece(lines, "unigram", config.vocab_size - len(names), byte_fallback=True)
    tokenizer = Tokenizer(models.Unigram(found, unk_id=0, byte_fallback=True))
    tokenizer.add_special_tokens(names)  # after the pieces, and none of them: a text is never cut into one
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="never")
    tokenizer.decoder = decoders.Sequence([decoders.ByteFallback(), decoders.Metaspace(prepend_scheme="never")])
    return tokenizer


def _train_wordpiece(config: TokenizerConfig, texts: Iterable[str]) -> Tokenizer:
    """Schuster and Nakajima, 2012, as in BERT: the pieces are those of a BPE over words, matched longest first."""
    normalizer = normalizers.BertNormalizer(lowercase=config.lowercase)
    splitter = pre_tokenizers.BertPreTokenizer()

    def words(text: str) -> str:
        return " ".join(word for word, _ in splitter.pre_tokenize_str(normalizer.normalize_str(text)))

    lines = (words(line) for text in texts for line in _lines(text))
    found = [piece for piece, _ in _sentencepiece(lines, "bpe", config.vocab_size, byte_fallback=False)]
    characters = sorted({char for piece in found for char in piece} - {"▁"})
    merged = [piece[1:] if piece.startswith("▁") else f"##{piece}" for piece in found if len(piece.strip("▁")) > 1]
    wanted = [*specials(config), UNKNOWN, *characters, *(f"##{char}" for char in characters), *merged]
    vocabulary = list(dict.fromkeys(wanted))[: config.vocab_size]
    tokenizer = Tokenizer(models.WordPiece({piece: i for i, piece in enumerate(vocabulary)}, unk_token=UNKNOWN))
    tokenizer.add_special_tokens([*specials(config), UNKNOWN])
    tokenizer.normalizer, tokenizer.pre_tokenizer = normalizer, splitter
    tokenizer.decoder = decoders.WordPiece()
    return tokenizer


def _sentencepiece(lines: Iterator[str], kind: str, size: int, *, byte_fallback: bool) -> list[tuple[str, float]]:
    """The pieces and their scores, best first, as sentencepiece finds them on one thread. The first is the unknown."""
    import io

    import sentencepiece

    model = io.BytesIO()
    try:
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=lines,
            model_writer=model,
            model_type=kind,
            vocab_size=size,
            byte_fallback=byte_fallback,
            num_threads=1,
            hard_vocab_limit=kind == "unigram",
            character_coverage=1.0 if kind == "bpe" else 0.9999,
            normalization_rule_name="identity",
            remove_extra_whitespaces=False,
            add_dummy_prefix=kind == "bpe",
            max_sentence_length=16 * _LONGEST_LINE,
            bos_id=-1,
            eos_id=-1,
            pad_id=-1,
            unk_piece=UNKNOWN,
            minloglevel=2,
        )
    except RuntimeError as error:
        reason = str(error).splitlines()[-1]
        raise BadInput(f"the corpus is too small for tokenizer.vocab_size={size}: {reason}") from error
    processor = sentencepiece.SentencePieceProcessor(model_proto=model.getvalue())
    return [(processor.id_to_piece(i), processor.get_score(i)) for i in range(processor.get_piece_size())]


def _lines(text: str) -> Iterator[str]:
    for line in text.splitlines():
        for piece in split_text(line, _LONGEST_LINE):
            if piece.strip():
                yield piece


def split_text(text: str, size: int = 65536) -> Iterator[str]:
    """Pieces of about `size` characters that give, encoded one by one, the tokens of the whole text.

    They part before a single space between two words, where every pre-tokenizer here parts too. A run of `16 * size`
    characters without such a place is cut hard: no tokenizer should meet a word of 50 MB.
    """
    start = 0
    boundary = re.compile(r"(?<=\S) (?=\S)")
    while len(text) - start > size:
        found = boundary.search(text, start + size, start + 16 * size)
        end = found.start() if found else min(len(text), start + 16 * size)
        yield text[start:end]
        start = end
    if start < len(text):
        yield text[start:]


def save_tokenizer(tokenizer: Tokenizer, config: TokenizerConfig, folder: Path, max_length: int) -> str:
    """Write tokenizer.json and tokenizer_config.json as `transformers` reads them; returns the tokenizer's digest."""
    with write_atomically(folder / "tokenizer.json") as file:
        file.write(tokenizer.to_str(pretty=True))
    about: dict[str, Any] = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "eos_token": config.end_of_text,
        "model_max_length": max_length,
        "clean_up_tokenization_spaces": False,
        "split_special_tokens": not (config.mask_token or config.sentinels),  # those are asked for by name
    }
    for role in ("pad_token", "mask_token", "cls_token", "sep_token"):
        if getattr(config, role):
            about[role] = getattr(config, role)
    if config.sentinels:
        about["extra_special_tokens"] = [SENTINEL.format(number) for number in range(config.sentinels)]
    elif not config.cls_token:
        about["bos_token"] = config.end_of_text
    if config.kind is TokenizerKind.wordpiece:
        about["unk_token"] = UNKNOWN
    with write_atomically(folder / "tokenizer_config.json") as file:
        file.write(json.dumps(about, indent=2, sort_keys=True) + "\n")
    return digest_tokenizer(folder)


def take_over(base: Path, folder: Path, roles: Mapping[str, str], about_it: Mapping[str, Any]) -> str:
    """Copy the tokenizer in `base` to `folder`, with its `roles` ({"eos_token": ...}) and what else is to be said
    `about_it` (a chat template, the side on which it pads) in one file.

    A program that the base's file would have others load (auto_map) is left out. Returns the tokenizer's digest.
    """
    source, about = base / "tokenizer_config.json", {}
    if source.is_file():
        about = read_json(source)
        if not isinstance(about, dict):
            raise BadInput(f"{source}: not a table")
    about = {"tokenizer_class": "PreTrainedTokenizerFast", **roles, **about, **about_it}
    about.pop("auto_map", None)
    about["split_special_tokens"] = False  # in `transformers` the template's own would be text as well
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(base / "tokenizer.json", folder / "tokenizer.json")
    write_json(folder / "tokenizer_config.json", about)
    return digest_tokenizer(folder)


def token_id(tokenizer: Tokenizer, token: str) -> int:
    """The number of a token that the tokenizer must have."""
    number = tokenizer.token_to_id(token)
    if number is None:
        raise BadInput(f"the tokenizer has no token {token!r}")
    return int(number)


def digest_tokenizer(folder: Path) -> str:
    """The digest of the tokenizer in `folder`: of the content of tokenizer.json in canonical form."""
    return digest_json(read_json(folder / "tokenizer.json"))
