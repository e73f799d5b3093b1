"""Which licence every file is under, as the FSFE's REUSE specification (3.3) has it: REUSE.toml and LICENSES/."""

import json
import re

from train.records import Json, printable

_JOINTS = {"AND", "OR", "WITH"}


def reuse(record: Json, summary: Json, licence: str) -> dict[str, str]:
    """REUSE.toml and LICENSES/*.txt, by name. `licence`: the text of the program's.

    Texts of other licences are not ours to hand out in one form or another: their files say the name and where it is.
    """
    program, weights = str(record["ingredients"]["code"]["licence"]), str(record["weights"]["licence"])
    texts = " AND ".join(f"({name})" if " " in name else name for name in summary["by"]["licence"])
    authors = [name for name in summary["by"]["author"] if name != "unknown"]
    made = {
        "REUSE.toml": "version = 1\n"
        + _part("**", weights, [str(record["publisher"])])
        + _part("recipe/**", program, ["the authors of Fusée"])
        + _part("data/documents-*.parquet", texts, authors or ["authors unknown"])
    }
    for name in sorted({*_names(program), *_names(weights), *_names(texts)}):
        made[f"LICENSES/{name}.txt"] = licence if name == program else _notice(name)
    return made


def _part(path: str, licence: str, holders: list[str]) -> str:
    names = ", ".join(json.dumps(printable(name), ensure_ascii=False) for name in holders)
    return (
        f'\n[[annotations]]\npath = "{path}"\nprecedence = "override"\n'
        f'SPDX-FileCopyrightText = [{names}]\nSPDX-License-Identifier = "{licence}"\n'
    )


def _names(expression: str) -> list[str]:
    return [word for word in re.findall(r"[A-Za-z0-9.+-]+", expression) if word not in _JOINTS]


def _notice(name: str) -> str:
    if name == "CC-PDDC":
        return (
            "CC-PDDC: public domain. No rights are held in these texts; on what ground, data/manifest.jsonl says for each "
            "(licence_basis).\nhttps://spdx.org/licenses/CC-PDDC.html\n"
        )
    return f"{name}: this file names the licence and does not hold its text, which is at\nhttps://spdx.org/licenses/{name}.html\n"
