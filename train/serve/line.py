"""Whose turn it is: many may ask at once, one token is computed at a time, and nothing that was asked is lost."""

import asyncio
from collections.abc import AsyncGenerator, Iterator

from anyio.to_thread import run_sync

from train.sample import Answer, Sampling, Step
from train.serve.asked import Refusal

_WRITTEN_AT_ONCE = 8  # answers, each of which holds the keys and values of its text
_MOST = 512  # answers that are written or wait


class Line:
    """Those written at once get a token each in turn; the others wait in the order they came."""

    def __init__(self) -> None:
        self._places, self._turn = asyncio.Semaphore(_WRITTEN_AT_ONCE), asyncio.Lock()
        self._inside, self._closed = 0, False

    def ahead(self) -> int:
        """How many wait before who comes now. Raises Refusal where too many do."""
        if self._inside >= _MOST:
            raise Refusal(503, f"{_MOST} answers are being written or waited for: ask again in a while")
        return max(0, self._inside + 1 - _WRITTEN_AT_ONCE)

    def close(self) -> None:
        """No more tokens: the server stops."""
        self._closed = True

    async def write(self, answer: Answer, sampling: Sampling) -> AsyncGenerator[Step, None]:
        """The tokens of an answer. Raises Refusal when the server stops before its end."""
        self._inside += 1
        try:
            async with self._places:
                steps = answer.steps(sampling)
                while (step := await self._next(steps)) is not None:
                    yield step
        finally:
            self._inside -= 1

    async def _next(self, steps: Iterator[Step]) -> Step | None:
        async with self._turn:
            if self._closed:
                raise Refusal(503, "the server was stopped")
            return await run_sync(next, steps, None)
