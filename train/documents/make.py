"""One record and the bytes of its text become a Document, or an Excluded where they cannot be read or used."""

import hashlib
import re
from collections.abc import Callable, Mapping
from typing import Any

from train.documents.configs import FIELDS, SourceConfig
from train.documents.examples import example_text
from train.records import BadInput, Document, Excluded, printable

Found = Document | Excluded
Make = Callable[[], Found]  # what was read, before it is looked at
Record = Mapping[str, Any]


def text_of(source: SourceConfig, record: Record) -> bytes:
    """The text of a record whose text is a column."""
    text = example_text(record) or str(record.get(source.fields.get("text", "text")) or "")
    return text.encode("utf-8", "surrogatepass")


def make_document(name: str, source: SourceConfig, record: Record, raw: bytes) -> Found:
    """One record, and the bytes of its text, as a Document or an Excluded."""
    columns = {key: _clean(value) for key, value in record.items()}
    values = {key: _field(source, columns, key) for key in FIELDS if key != "authors"}
    authors = _authors(source, columns)
    sha256 = hashlib.sha256(raw).hexdigest()
    identity = f"{name}/{values.pop('id') or sha256[:16]}"
    about: dict[str, Any] = {"id": identity, "sha256": sha256, "url": values["url"], "authors": authors}

    def left_out(rule: str, value: str, reason: str) -> Excluded:
        return Excluded(
            **about, stage="source", rule=rule, rule_version=1, value=value, reason=reason, n_bytes=len(raw)
        )

    pinned = fill(source.fields.get("sha256", ""), columns)
    if pinned and pinned != sha256:
        raise BadInput(f"{printable(identity)}: its text has sha256 {sha256}, its metadata says {printable(pinned)}")
    for column, wanted in source.where.items():
        if str(columns.get(column, "")) != wanted:
            return left_out("select", f"{column}={columns.get(column, '')}", f"the config selects {column} = {wanted}")
    if source.latest and values["date"] > source.latest:
        return left_out("select", values["date"], f"the config selects dates up to {source.latest}")
    try:
        decoded = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        return left_out("encoding", f"byte {error.start}", "the text is not valid UTF-8")
    values["language"] = values["language"] or source.language
    values["licence"] = values["licence"] or source.licence
    values["licence"] = source.licence_names.get(values["licence"], values["licence"])
    values["licence_basis"] = values["licence_basis"] or source.licence_basis
    split = "validation" if is_validation(sha256) else "train"
    about |= values | {"n_bytes": len(raw), "retrieved": source.retrieved, "split": split}
    return Document(**about, text=decoded, source=source.origin)


def is_validation(sha256: str) -> bool:
    """The contract's split: by the text alone, so that adding a document moves no other."""
    return int(sha256[:8], 16) % 14 == 0


def _clean(value: Any) -> Any:
    """Metadata as text that UTF-8 can hold; lists stay lists."""
    if isinstance(value, list | tuple):
        return [_clean(item) for item in value]
    return "" if value is None else str(value).encode("utf-8", "replace").decode()


def _field(source: SourceConfig, record: Record, name: str) -> str:
    if name in source.fields:
        return fill(source.fields[name], record)
    return str(record.get(name, ""))


def _authors(source: SourceConfig, record: Record) -> tuple[str, ...]:
    value = record.get("authors") or record.get("author") or ""
    if "authors" in source.fields:
        value = fill(source.fields["authors"], record)
    names = value if isinstance(value, list | tuple) else str(value).split(";")
    return tuple(name.strip() for name in map(str, names) if name.strip()) or tuple(source.authors)


def fill(template: str, record: Record) -> str:
    """`template` with {column} replaced by the record's value. A bare column name stands for itself."""
    if template in record:
        return str(record[template])

    def value(match: re.Match[str]) -> str:
        if match[1] not in record:
            raise BadInput(f"{template!r}: there is no column {match[1]!r}; columns: {', '.join(map(str, record))}")
        return str(record[match[1]])

    return re.sub(r"\{(\w+)\}", value, template)
