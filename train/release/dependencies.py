"""The packages that ran, with version and licence, as they say it of themselves; and what among it is not free."""

import re
from importlib import metadata
from typing import Any

from packaging.requirements import Requirement

_NOT_FREE = {"NVIDIA": "NVIDIA's driver and CUDA libraries"}
_UNSTATED = {"antlr4-python3-runtime": "BSD-3-Clause"}  # says "BSD" and leaves the rest to a file


def dependencies(accelerator: str) -> dict[str, Any]:
    """{"packages": [{"name", "version", "licence"}], "non_free_parts": [...]}: ours and theirs, without extras."""
    found: dict[str, dict[str, str]] = {}
    ahead = ["fusee"]
    while ahead:
        name = ahead.pop()
        try:
            package = metadata.distribution(name)
        except metadata.PackageNotFoundError:
            continue
        key = re.sub(r"[-_.]+", "-", name).lower()
        if key in found:
            continue
        found[key] = {"name": key, "version": package.version, "licence": _licence(package.metadata)}
        needs = [Requirement(need) for need in package.requires or []]
        ahead += [need.name for need in needs if need.marker is None or need.marker.evaluate({"extra": ""})]
    found.pop("fusee", None)
    parts = [said for word, said in _NOT_FREE.items() if word in accelerator.upper()]
    return {"packages": [found[key] for key in sorted(found)], "non_free_parts": parts}


def _licence(about: Any) -> str:
    """Its SPDX expression, else the name in its classifiers, else the first line of what it calls its licence."""
    if expression := about.get("License-Expression"):
        return str(expression)
    named = [c.rsplit(" :: ", 1)[1] for c in about.get_all("Classifier", []) if c.startswith("License :: ")]
    first = next((line.strip() for line in (about.get("License") or "").splitlines() if line.strip()), "")
    return _UNSTATED.get(str(about["Name"]).lower(), "") or ", ".join(named) or first[:80]
