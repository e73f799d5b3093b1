"""What was remade here: statements that are known again by their digests, which no release can bring along.

They lie where a program keeps what it has found: $XDG_STATE_HOME, or ~/.local/state (XDG Base Directory Specification).
"""

import os
from pathlib import Path
from typing import Any

from train.records import digest_json, write_json


def remember(statement: dict[str, Any], about: Path) -> None:
    """That this statement was made here. Raises OSError if it cannot be kept."""
    write_json(_place(statement), {"release": str(about.resolve())})


def is_own(statement: dict[str, Any]) -> bool:
    """Whether it was made here."""
    return _place(statement).is_file()


def _place(statement: dict[str, Any]) -> Path:
    home = Path(os.environ.get("HOME") or "cache")
    return (
        Path(os.environ.get("XDG_STATE_HOME") or home / ".local" / "state")
        / "fusee"
        / "rebuilds"
        / f"{digest_json(statement)}.json"
    )
