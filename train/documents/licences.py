"""The licence gate: an SPDX expression passes if what it grants is in the set that the config allows.

The set is written in the config, not taken from a flag of a list: no list marks every Creative Commons licence rightly.
"""

from collections.abc import Collection
from functools import cache
from typing import Any


@cache
def _spdx() -> Any:
    import license_expression

    return license_expression.get_spdx_licensing()


def is_known(name: str) -> bool:
    """Whether `name` is one SPDX licence."""
    return name in _spdx().known_symbols


def refusal(expression: str, allowed: Collection[str]) -> str:
    """Why `expression` does not pass, or an empty string if it does.

    `A OR B` passes if one of them is allowed, `A AND B` if both are. Unknown is refused: no licence, no use.
    """
    import license_expression

    if not expression.strip():
        return "no licence is stated"
    try:
        parsed = _spdx().parse(expression, validate=True)
    except license_expression.ExpressionError as error:
        return f"not an SPDX expression: {error}"
    return "" if _passes(parsed, allowed) else f"not among the licences that the config allows ({', '.join(allowed)})"


def _passes(parsed: Any, allowed: Collection[str]) -> bool:
    if isinstance(parsed, _spdx().OR):
        return any(_passes(part, allowed) for part in parsed.args)
    if isinstance(parsed, _spdx().AND):
        return all(_passes(part, allowed) for part in parsed.args)
    return str(parsed) in allowed
