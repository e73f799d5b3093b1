"""Texts at which an answer ends: what could be the beginning of one is held back until it is known."""

from collections.abc import AsyncGenerator, AsyncIterator
from typing import Any

from train.sample import Step
from train.serve.asked import Refusal, as_text

_MOST, _LONGEST = 4, 100


def read_stops(given: Any) -> list[str]:
    """A request's `stop`: nothing, a text, or a few."""
    texts = given if isinstance(given, list) else [] if given is None else [given]
    if len(texts) > _MOST:
        raise Refusal(400, f"stop: {_MOST} texts at most", "stop")
    return [text for text in (as_text(text, "stop", _LONGEST) for text in texts) if text]


async def until(steps: AsyncIterator[Step], stops: list[str]) -> AsyncGenerator[tuple[Step, str, bool], None]:
    """Each step, the text that can be given out with it, and whether a stop was met: it and what is behind it are not
    given out. One step late, so that the last can bring what was held back."""
    late: Step | None = None
    out = held = ""
    async for step in steps:
        if late is not None:
            yield late, out, False
        held += step.text
        met = [place for place in (held.find(stop) for stop in stops) if place >= 0]
        if met:
            yield step, held[: min(met)], True
            return
        keep = max((_overlap(held, stop) for stop in stops), default=0)
        late, out, held = step, held[: len(held) - keep], held[len(held) - keep :]
    if late is not None:
        yield late, out + held, False


def _overlap(text: str, stop: str) -> int:
    """How many characters at the end of `text` begin `stop`."""
    return next((n for n in range(min(len(stop) - 1, len(text)), 0, -1) if text.endswith(stop[:n])), 0)
