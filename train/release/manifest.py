"""What is in a release, file by file, and the one digest that stands for all of it."""

import hashlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import jsonschema

from train.records import BadInput, Json, digest_file, digest_json, read_json, write_atomically, write_json

SUMS = "attest/SHA256SUMS"
RECORD = "release.json"
SCHEMA = Path(__file__).with_name("schema.json")
BUILD = "attest/traininfo.json"
SIGNED = "attest/traininfo.dsse.json"


def list_files(folder: Path) -> list[str]:
    """All files below `folder`, relative and sorted."""
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def root_digest(folder: Path, record: dict[str, Any], before: Mapping[str, str] = MappingProxyType({})) -> str:
    """The release's digest: over the sorted lines "sha256  path" of its files, release.json in canonical form.

    What lies under attest/ speaks about the release and is not part of it; release.json counts without this digest, and
    files that a withdrawal changed count as they were `before`.
    """
    sums = {
        name: before.get(name) or digest_file(folder / name)
        for name in list_files(folder)
        if name != RECORD and not name.startswith("attest/")
    }
    return _root(sums, record)


def digest_from_sums(text: str, record: Json) -> str:
    """The same digest from a release's SHA256SUMS and release.json alone, where its files are not at hand."""
    rows = (line.partition("  ") for line in text.splitlines())
    sums = {name: value for value, _, name in rows if name != RECORD and not name.startswith("attest/")}
    return _root(sums, record)


def _root(sums: dict[str, str], record: Json) -> str:
    whole = sums | {RECORD: digest_json({key: value for key, value in record.items() if key != "digest"})}
    lines = "".join(f"{value}  {name}\n" for name, value in sorted(whole.items()))
    return hashlib.sha256(lines.encode()).hexdigest()


def seal(
    folder: Path, record: dict[str, Any], tell: Callable[[dict[str, Any]], Json], sign: Callable[[Json], Json] | None
) -> dict[str, Any]:
    """Write release.json with its digest, the build record that `tell` makes of it, signed where there is a key, and
    SHA256SUMS over everything."""
    sealed = record | {"digest": root_digest(folder, record)}
    write_json(folder / RECORD, sealed)
    statement = tell(sealed)
    write_json(folder / BUILD, statement)
    if sign is not None:
        write_json(folder / SIGNED, sign(statement))
    names = [name for name in list_files(folder) if name != SUMS]
    with write_atomically(folder / SUMS) as file:
        file.writelines(f"{digest_file(folder / name)}  {name}\n" for name in names)
    return sealed


def unlike_schema(record: dict[str, Any]) -> str:
    """Where release.json is not as its schema says; "" if it is."""
    try:
        jsonschema.validate(record, json.loads(SCHEMA.read_text("utf-8")))
    except jsonschema.ValidationError as error:
        return f"{'.'.join(map(str, error.absolute_path)) or RECORD}: {error.message[:120]}"
    return ""


def read_release(folder: Path) -> dict[str, Any]:
    """The release.json of a release. Raises BadInput if `folder` is not one."""
    if not (folder / RECORD).is_file():
        raise BadInput(f"{folder}: not a release (there is no {RECORD} in it)")
    record = read_json(folder / RECORD)
    if not isinstance(record, dict) or record.get("format") != "fusee-release-1":
        raise BadInput(f"{folder}/{RECORD}: not a release of a format that is known here")
    return record
